/* Recipes: ordered rules that say which tensor gets which encoding. Built in for every type of
 * GGUF that can be asked for, or read from JSON. Knows names and shapes, and no values. */
#ifndef INGOT_CONVERT_RECIPE_H
#define INGOT_CONVERT_RECIPE_H

#include "convert/roles.h"

enum { RULE_MAX_ENCODINGS = 12, MIX_MAX_RULES = 12 };

/* Layers of a model of n. All zero: any tensor, whether in a layer or not; else the union. */
struct layer_rule {
    bool more;      /* the first and the last eighth, and every third between them */
    uint32_t first; /* so many */
    uint32_t last;
    uint32_t first_part; /* the first n / first_part */
    uint32_t last_part;  /* those from n * (last_part - 1) / last_part on */
};

enum imatrix_rule { ANY_IMATRIX, WITH_IMATRIX, WITHOUT_IMATRIX };

/* The model as a whole; zero asks nothing. For the built-in rules. */
struct model_rule {
    uint32_t min_shared;  /* query heads to a head of keys */
    uint32_t n_experts;   /* exactly */
    uint32_t min_experts; /* or more */
    uint32_t min_layers;
    enum imatrix_rule imatrix;
};

/* What a tensor must be; zero and NULL ask nothing. */
struct rule {
    const char *name; /* a pattern as in glob.h */
    uint32_t roles; /* of enum role; 0: any but norms, biases and routers. An embedding that is the
                       output as well fits both */
    struct layer_rule layers;
    struct model_rule model;
    uint64_t min_weights;
    uint64_t cols_multiple;
    /* "keep", or an encoding (see encoding.h). More than one, ended by NULL, are what a target size
     * may choose from. */
    const char *encode[RULE_MAX_ENCODINGS + 1];
};

struct recipe {
    uint32_t n_rules;
    const struct rule *rules;
    void *owned; /* of a recipe from a file, for recipe_close */
};

/* The first rule that a tensor fits, or NULL: it is kept. */
const struct rule *recipe_rule(const struct recipe *recipe, const struct model_tensor *tensor,
                               const struct model_facts *facts);

/* From JSON (docs/recipes.md). INGOT_INVALID, naming path, rule and key. */
ingot_status recipe_open(const char *path, struct recipe *recipe, ingot_error *error);
/* The same from memory, which need not outlive the recipe. */
ingot_status recipe_parse(const char *name, struct span text, struct recipe *recipe,
                          ingot_error *error);
void recipe_close(struct recipe *recipe);

/* Mixes of GGUF types, by llama.cpp's names ("Q4_K_M", "q8_0"). NULL for none and past the end. */
struct mix {
    const char *name;
    uint32_t file_type; /* general.file_type */
    struct rule rules[MIX_MAX_RULES];
};
const struct mix *mix_named(const char *name);
const struct mix *mix_at(uint32_t index);
struct recipe mix_recipe(const struct mix *mix);

#endif
