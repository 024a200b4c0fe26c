/* Mixes of GGUF types: which tensors get more bits than the rest. The names, the numbers of
 * general.file_type and the choices follow llama.cpp (include/llama.h, src/llama-quant.cpp), so
 * that files of one name have the same size; what the bits hold is our search's. */
#include <strings.h>

#include "convert/recipe.h"

#define REST(E)         \
    {                   \
        .encode = { E } \
    }
#define ONE(ROLES, E)                     \
    {                                     \
        .roles = (ROLES), .encode = { E } \
    }
#define IN(ROLES, E, ...)                                          \
    {                                                              \
        .roles = (ROLES), .encode = {E}, .layers = { __VA_ARGS__ } \
    }
#define OUTPUT_Q6 ONE(ROLE_OUTPUT, "q6_k")

/* Values and what sums over many inputs lose most. */
#define V ROLE_ATTN_V
#define DOWN ROLE_FFN_DOWN
#define QKV ROLE_ATTN_QKV
#define JOIN ROLE_ATTN_OUTPUT

static const struct mix mixes[] = {
    {"F32", 0, {REST("f32")}},
    {"F16", 1, {REST("f16")}},
    {"BF16", 32, {REST("bf16")}},
    {"Q8_0", 7, {REST("q8_0")}},
    {"Q6_K", 18, {REST("q6_k")}},
    {"Q5_K_M", 17, {OUTPUT_Q6, IN(V | DOWN, "q6_k", .more = true), ONE(QKV, "q6_k"), REST("q5_k")}},
    {"Q5_K_S", 16, {OUTPUT_Q6, REST("q5_k")}},
    {"Q5_1", 9, {OUTPUT_Q6, REST("q5_1")}},
    {"Q5_0", 8, {OUTPUT_Q6, REST("q5_0")}},
    {"Q4_K_M", 15, {OUTPUT_Q6, IN(V | DOWN, "q6_k", .more = true), ONE(QKV, "q5_k"), REST("q4_k")}},
    {"Q4_K_S",
     14,
     {OUTPUT_Q6, IN(V, "q5_k", .first = 4), IN(DOWN, "q5_k", .first_part = 8), REST("q4_k")}},
    {"Q4_1", 3, {OUTPUT_Q6, REST("q4_1")}},
    {"Q4_0", 2, {OUTPUT_Q6, REST("q4_0")}},
    {"IQ4_NL", 25, {OUTPUT_Q6, IN(DOWN, "q5_k", .first_part = 8), REST("iq4_nl")}},
    {"IQ4_XS", 30, {OUTPUT_Q6, IN(DOWN, "q5_k", .first_part = 8), REST("iq4_xs")}},
    {"MXFP4", 38, {OUTPUT_Q6, ONE(ROLE_EMBEDDING, "q8_0"), REST("mxfp4_gguf")}},
    {"Q3_K_L", 13, {OUTPUT_Q6, ONE(V | DOWN | JOIN, "q5_k"), ONE(QKV, "q4_k"), REST("q3_k")}},
    {"Q3_K_M",
     12,
     {OUTPUT_Q6, IN(V, "q5_k", .first = 2), ONE(V | JOIN | QKV, "q4_k"),
      IN(DOWN, "q5_k", .first_part = 16), IN(DOWN, "q4_k", .more = true), REST("q3_k")}},
    {"Q3_K_S", 11, {OUTPUT_Q6, REST("q3_k")}},
    {"Q2_K", 10, {OUTPUT_Q6, ONE(V | DOWN | JOIN, "q3_k"), REST("q2_k")}},
};
enum { N_MIXES = sizeof mixes / sizeof *mixes };

/* llama.cpp's short names. */
static const struct {
    const char *name, *is;
} others[] = {{"Q3_K", "Q3_K_M"}, {"Q4_K", "Q4_K_M"}, {"Q5_K", "Q5_K_M"}, {"MXFP4_MOE", "MXFP4"}};

const struct mix *mix_at(uint32_t index)
{
    return index < N_MIXES ? &mixes[index] : NULL;
}

const struct mix *mix_named(const char *name)
{
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (strcasecmp(others[i].name, name) == 0) name = others[i].is;
    }
    for (uint32_t i = 0; i < N_MIXES; i++) {
        if (strcasecmp(mixes[i].name, name) == 0) return &mixes[i];
    }
    return NULL;
}

struct recipe mix_recipe(const struct mix *mix)
{
    struct recipe recipe = {.rules = mix->rules};
    while (recipe.n_rules < 8 && mix->rules[recipe.n_rules].encode[0]) recipe.n_rules++;
    return recipe;
}
