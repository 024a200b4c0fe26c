/* The tensor types of GGUF. */
#include "convert/gguf_types.h"

#include <string.h>
#include <strings.h>

static const struct gguf_type types[] = {
    {0, "F32", 1, 4, INGOT_F32},  {1, "F16", 1, 2, INGOT_F16},    {2, "Q4_0", 32, 18, 0},
    {3, "Q4_1", 32, 20, 0},       {6, "Q5_0", 32, 22, 0},         {7, "Q5_1", 32, 24, 0},
    {8, "Q8_0", 32, 34, 0},       {9, "Q8_1", 32, 36, 0},         {10, "Q2_K", 256, 84, 0},
    {11, "Q3_K", 256, 110, 0},    {12, "Q4_K", 256, 144, 0},      {13, "Q5_K", 256, 176, 0},
    {14, "Q6_K", 256, 210, 0},    {15, "Q8_K", 256, 292, 0},      {16, "IQ2_XXS", 256, 66, 0},
    {17, "IQ2_XS", 256, 74, 0},   {18, "IQ3_XXS", 256, 98, 0},    {19, "IQ1_S", 256, 50, 0},
    {20, "IQ4_NL", 32, 18, 0},    {21, "IQ3_S", 256, 110, 0},     {22, "IQ2_S", 256, 82, 0},
    {23, "IQ4_XS", 256, 136, 0},  {24, "I8", 1, 1, INGOT_I8},     {25, "I16", 1, 2, INGOT_I16},
    {26, "I32", 1, 4, INGOT_I32}, {27, "I64", 1, 8, INGOT_I64},   {28, "F64", 1, 8, INGOT_F64},
    {29, "IQ1_M", 256, 56, 0},    {30, "BF16", 1, 2, INGOT_BF16}, {34, "TQ1_0", 256, 54, 0},
    {35, "TQ2_0", 256, 66, 0},    {39, "MXFP4", 32, 17, 0},       {40, "NVFP4", 64, 36, 0},
    {41, "Q1_0", 128, 18, 0},     {42, "Q2_0", 64, 18, 0},
};
enum { N_TYPES = sizeof types / sizeof *types };

static const struct {
    uint32_t id;
    const char *name;
} removed[] = {
    {4, "Q4_2"},      {5, "Q4_3"},        {31, "Q4_0_4_4"},   {32, "Q4_0_4_8"},
    {33, "Q4_0_8_8"}, {36, "IQ4_NL_4_4"}, {37, "IQ4_NL_4_8"}, {38, "IQ4_NL_8_8"},
};

const struct gguf_type *gguf_type_of(uint32_t id)
{
    for (uint32_t i = 0; i < N_TYPES; i++) {
        if (types[i].id == id) return &types[i];
    }
    return NULL;
}

const struct gguf_type *gguf_type_named(const char *name, size_t name_bytes)
{
    for (uint32_t i = 0; i < N_TYPES; i++) {
        if (strlen(types[i].name) == name_bytes &&
            strncasecmp(types[i].name, name, name_bytes) == 0) {
            return &types[i];
        }
    }
    return NULL;
}

const struct gguf_type *gguf_type_of_dtype(ingot_dtype dtype)
{
    for (uint32_t i = 0; i < N_TYPES; i++) {
        if (dtype != 0 && types[i].dtype == dtype) return &types[i];
    }
    return NULL;
}

const char *gguf_type_removed(uint32_t id)
{
    for (uint32_t i = 0; i < sizeof removed / sizeof *removed; i++) {
        if (removed[i].id == id) return removed[i].name;
    }
    return NULL;
}

/* Ids of forks: ik_llama.cpp's ggml/include/ggml.h; ROCmFPX issue 8; llama.cpp pull request 11975
 * and PrismML's fork. */
static const struct {
    uint32_t first;
    uint32_t last;
    const char *who;
} reused[] = {
    {36, 36, "ik_llama.cpp"}, {41, 41, "ik_llama.cpp"},   {42, 42, "PrismML's fork"},
    {107, 107, "ROCmFPX"},    {133, 158, "ik_llama.cpp"}, {202, 399, "ik_llama.cpp"},
};

const char *gguf_type_reused(uint32_t id)
{
    for (uint32_t i = 0; i < sizeof reused / sizeof *reused; i++) {
        if (id >= reused[i].first && id <= reused[i].last) return reused[i].who;
    }
    return NULL;
}
