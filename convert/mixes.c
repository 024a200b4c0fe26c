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
/* Of models like that. */
#define OF(ROLES, E, ...)                                         \
    {                                                             \
        .roles = (ROLES), .encode = {E}, .model = { __VA_ARGS__ } \
    }
#define IN_OF(ROLES, E, LAYERS, MODEL)                                          \
    {                                                                           \
        .roles = (ROLES), .encode = {E}, .layers = {LAYERS}, .model = { MODEL } \
    }

/* Values and what sums over many inputs lose most. */
#define V ROLE_ATTN_V
#define Q ROLE_ATTN_Q
#define K ROLE_ATTN_K
#define DOWN ROLE_FFN_DOWN
#define GATE ROLE_FFN_GATE
#define UP ROLE_FFN_UP
#define QKV ROLE_ATTN_QKV
#define JOIN ROLE_ATTN_OUTPUT
#define TOKENS ROLE_EMBEDDING
#define OUTPUT_Q6 ONE(ROLE_OUTPUT, "q6_k")
#define OUTPUT_Q5 ONE(ROLE_OUTPUT, "q5_k")
/* Matrices that many heads share, and those beside eight experts, are small beside the rest. */
#define SHARED_V(E) OF(V, E, .min_shared = 4)
#define EXPERTS_8 OF(V | K, "q8_0", .n_experts = 8)
#define EXPERTS_8_JOIN EXPERTS_8, OF(JOIN, "q5_k", .n_experts = 8)
#define LARGE_V OF(V, "q5_k", .min_layers = 80, .min_shared = 8)
#define EXPERTS_4 \
    OF(V, "q4_k", .min_experts = 4), OF(K, "q4_k", .n_experts = 8), OF(JOIN, "q5_k", .n_experts = 8)
#define FIRST_EIGHTH .first_part = 8
#define WITH_MATRIX .imatrix = WITH_IMATRIX
#define WITHOUT_MATRIX .imatrix = WITHOUT_IMATRIX

static const struct mix mixes[] = {
    {"F32", 0, {REST("f32")}},
    {"F16", 1, {REST("f16")}},
    {"BF16", 32, {REST("bf16")}},
    {"Q8_0", 7, {REST("q8_0")}},
    {"Q6_K", 18, {EXPERTS_8, REST("q6_k")}},
    {"Q5_K_M",
     17,
     {OUTPUT_Q6, EXPERTS_8, IN(V | DOWN, "q6_k", .more = true), ONE(QKV, "q6_k"), REST("q5_k")}},
    {"Q5_K_S", 16, {OUTPUT_Q6, EXPERTS_8, REST("q5_k")}},
    {"Q5_1", 9, {OUTPUT_Q6, EXPERTS_8, REST("q5_1")}},
    {"Q5_0",
     8,
     {OUTPUT_Q6, EXPERTS_8, IN_OF(DOWN, "q5_1", FIRST_EIGHTH, WITH_MATRIX), REST("q5_0")}},
    {"Q4_K_M",
     15,
     {OUTPUT_Q6, EXPERTS_8_JOIN, IN(V | DOWN, "q6_k", .more = true), LARGE_V, ONE(QKV, "q5_k"),
      REST("q4_k")}},
    {"Q4_K_S",
     14,
     {OUTPUT_Q6, EXPERTS_8_JOIN, IN(V, "q5_k", .first = 4), LARGE_V, IN(DOWN, "q5_k", FIRST_EIGHTH),
      REST("q4_k")}},
    {"Q4_1", 3, {OUTPUT_Q6, EXPERTS_8, REST("q4_1")}},
    {"Q4_0",
     2,
     {OUTPUT_Q6, EXPERTS_8, IN_OF(DOWN, "q4_1", FIRST_EIGHTH, WITH_MATRIX), REST("q4_0")}},
    {"IQ4_NL",
     25,
     {OUTPUT_Q6, EXPERTS_8_JOIN, SHARED_V("q5_k"),
      IN_OF(DOWN, "q5_k", FIRST_EIGHTH, WITHOUT_MATRIX), REST("iq4_nl")}},
    {"IQ4_XS",
     30,
     {OUTPUT_Q6, EXPERTS_8_JOIN, SHARED_V("q5_k"),
      IN_OF(DOWN, "q5_k", FIRST_EIGHTH, WITHOUT_MATRIX), REST("iq4_xs")}},
    {"MXFP4_MOE",
     38,
     {{.name = "*exps.*", .encode = {"mxfp4_gguf"}},
      {.name = "*.experts.*", .encode = {"mxfp4_gguf"}},
      REST("q8_0")}},
    {"MXFP4", 38, {OUTPUT_Q6, ONE(TOKENS, "q8_0"), REST("mxfp4_gguf")}}, /* ours */
    {"NVFP4", 39, {OUTPUT_Q6, ONE(TOKENS, "q8_0"), REST("nvfp4_gguf")}}, /* ours */
    {"Q3_K_L",
     13,
     {OUTPUT_Q6, EXPERTS_8, ONE(V | DOWN | JOIN, "q5_k"), ONE(QKV, "q4_k"), REST("q3_k")}},
    {"Q3_K_M",
     12,
     {OUTPUT_Q6, EXPERTS_8_JOIN, IN(V, "q5_k", .first = 2), LARGE_V, ONE(V | JOIN | QKV, "q4_k"),
      IN(DOWN, "q5_k", .first_part = 16), ONE(DOWN, "q4_k"), REST("q3_k")}},
    {"Q3_K_S", 11, {OUTPUT_Q6, EXPERTS_8_JOIN, LARGE_V, REST("q3_k")}},
    {"IQ3_M",
     27,
     {OUTPUT_Q6, EXPERTS_8_JOIN, LARGE_V, ONE(V | JOIN | QKV, "q4_k"),
      IN(DOWN, "q4_k", FIRST_EIGHTH), IN_OF(DOWN, "q4_k", .more = true, .n_experts = 8),
      REST("iq3_s")}},
    {"IQ3_S", 26, {OUTPUT_Q6, EXPERTS_8_JOIN, LARGE_V, SHARED_V("q4_k"), REST("iq3_s")}},
    {"IQ3_XS",
     22,
     {OUTPUT_Q6, EXPERTS_8_JOIN, LARGE_V, SHARED_V("q4_k"), ONE(Q | K, "iq3_xxs"),
      IN(GATE | UP, "iq3_s", .first_part = 8, .last_part = 8), ONE(GATE | UP, "iq3_xxs"),
      REST("iq3_s")}},
    {"IQ3_XXS",
     23,
     {OUTPUT_Q5, ONE(TOKENS, "iq3_s"), EXPERTS_8_JOIN, LARGE_V, SHARED_V("q4_k"),
      OF(V, "iq3_s", WITHOUT_MATRIX), ONE(Q | K, "iq2_s"),
      IN_OF(DOWN, "q4_k", FIRST_EIGHTH, WITHOUT_MATRIX), OF(DOWN, "q3_k", WITHOUT_MATRIX),
      ONE(JOIN, "iq3_s"), REST("iq3_xxs")}},
    {"Q2_K",
     10,
     {OUTPUT_Q6, EXPERTS_8_JOIN, LARGE_V, SHARED_V("q4_k"), ONE(V | DOWN | JOIN, "q3_k"),
      REST("q2_k")}},
    {"Q2_K_S",
     21,
     {OUTPUT_Q6, EXPERTS_8, LARGE_V, SHARED_V("q4_k"), IN(DOWN, "q4_k", FIRST_EIGHTH),
      REST("q2_k")}},
    {"IQ2_M",
     29,
     {OUTPUT_Q5, ONE(TOKENS, "iq3_s"), EXPERTS_4, SHARED_V("q4_k"), ONE(V | JOIN, "iq3_s"),
      IN(DOWN, "iq3_s", FIRST_EIGHTH), REST("iq2_s")}},
    {"IQ2_S",
     28,
     {OUTPUT_Q5, ONE(TOKENS, "iq3_s"), EXPERTS_4, SHARED_V("q4_k"), ONE(V | JOIN, "iq3_s"),
      IN(DOWN, "iq3_s", FIRST_EIGHTH), REST("iq2_xs")}},
    {"IQ2_XS",
     20,
     {OUTPUT_Q5, ONE(TOKENS, "q2_k"), EXPERTS_4, SHARED_V("q4_k"), ONE(V, "q2_k"),
      IN(DOWN, "q2_k", FIRST_EIGHTH), REST("iq2_xs")}},
    {"IQ2_XXS",
     19,
     {OUTPUT_Q5, ONE(TOKENS, "q2_k"), EXPERTS_4, SHARED_V("q4_k"), ONE(V, "q2_k"),
      IN(DOWN, "q2_k", FIRST_EIGHTH), REST("iq2_xxs")}},
    {"IQ1_M",
     31,
     {OUTPUT_Q5, ONE(TOKENS, "q2_k"), EXPERTS_4, SHARED_V("q4_k"), ONE(V, "q2_k"),
      ONE(JOIN, "iq2_xxs"), IN(DOWN, "q2_k", FIRST_EIGHTH), REST("iq1_m")}},
    {"IQ1_S",
     24,
     {OUTPUT_Q5, ONE(TOKENS, "q2_k"), EXPERTS_4, SHARED_V("q4_k"), ONE(V, "q2_k"),
      ONE(JOIN, "iq2_xxs"), IN(DOWN, "q2_k", FIRST_EIGHTH), REST("iq1_s")}},
    {"TQ2_0", 37, {OUTPUT_Q6, ONE(TOKENS, "q4_k"), EXPERTS_8, REST("tq2_0")}},
    {"TQ1_0", 36, {OUTPUT_Q6, ONE(TOKENS, "q4_k"), EXPERTS_8, REST("tq1_0")}},
    {"Q2_0", 41, {OUTPUT_Q6, ONE(TOKENS, "q4_k"), EXPERTS_8, REST("q2_0")}},
    {"Q1_0", 40, {OUTPUT_Q6, EXPERTS_8, REST("q1_0")}},
};
enum { N_MIXES = sizeof mixes / sizeof *mixes };

/* llama.cpp's short names. */
static const struct {
    const char *name, *is;
} others[] = {{"Q3_K", "Q3_K_M"}, {"Q4_K", "Q4_K_M"}, {"Q5_K", "Q5_K_M"}};

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
    while (recipe.n_rules < MIX_MAX_RULES && mix->rules[recipe.n_rules].encode[0]) recipe.n_rules++;
    return recipe;
}
