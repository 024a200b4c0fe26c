/* Which encoding each tensor of a conversion gets: from one encoding for all, or from a recipe. */
#ifndef INGOT_CONVERT_CHOICES_H
#define INGOT_CONVERT_CHOICES_H

#include "convert/encoding.h"
#include "convert/recipe.h"

struct choices {
    uint32_t n_encodings;
    struct encoding **encodings; /* each once, by its text */
    char **texts;
    const struct encoding **of; /* one a tensor; NULL: it is kept */
};

/* A rule's encoding of a tensor where it applies, else NULL. With `blocks`, presets that are GGUF
 * types give way to others that divide the tensor's rows, and vectors stay as they are. */
ingot_status choices_take(struct choices *choices, const struct model_tensor *tensor,
                          const char *encode, bool blocks, const struct encoding **encoding,
                          ingot_error *error);
/* Sets all of `of`: the first encoding of each tensor's rule. */
ingot_status choices_make(struct choices *choices, const struct model *model,
                          const struct recipe *recipe, const struct model_facts *facts, bool blocks,
                          ingot_error *error);
void choices_release(struct choices *choices);

#endif
