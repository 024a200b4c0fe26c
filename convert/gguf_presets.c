/* The table of presets that are types. What takes the place of which is llama.cpp's choice
 * (src/llama-quant.cpp): the type of about as many bits and shorter blocks. */
#include "convert/gguf_presets.h"

#include <string.h>

static const struct {
    const char *preset;
    const char *type;
    const char *otherwise; /* a preset of shorter blocks */
} rows[] = {
    {"q4_0", "Q4_0", "f16"},          {"q4_1", "Q4_1", "f16"},
    {"q5_0", "Q5_0", "f16"},          {"q5_1", "Q5_1", "f16"},
    {"q8_0", "Q8_0", "f16"},          {"iq4_nl", "IQ4_NL", "f16"},
    {"mxfp4_gguf", "MXFP4", "f16"},   {"nvfp4_gguf", "NVFP4", "mxfp4_gguf"},
    {"q2_k", "Q2_K", "iq4_nl"},       {"q3_k", "Q3_K", "iq4_nl"},
    {"iq4_xs", "IQ4_XS", "iq4_nl"},   {"q4_k", "Q4_K", "q5_0"},
    {"q5_k", "Q5_K", "q5_1"},         {"q6_k", "Q6_K", "q8_0"},
    {"iq3_s", "IQ3_S", "iq4_nl"},     {"iq3_xxs", "IQ3_XXS", "iq4_nl"},
    {"iq2_s", "IQ2_S", "iq4_nl"},     {"iq2_xs", "IQ2_XS", "iq4_nl"},
    {"iq2_xxs", "IQ2_XXS", "iq4_nl"}, {"tq2_0", "TQ2_0", "q4_0"},
    {"tq1_0", "TQ1_0", "q4_0"},       {"q2_0", "Q2_0", "f16"},
    {"q1_0", "Q1_0", "f16"},          {"iq1_m", "IQ1_M", "iq4_nl"},
    {"iq1_s", "IQ1_S", "iq4_nl"},
};
enum { N_ROWS = sizeof rows / sizeof *rows };

/* A name with options behind it (-fast, -absmax) is of the same type. */
static bool is_preset(const char *name, const char *row)
{
    const size_t n = strlen(row);
    return strncmp(name, row, n) == 0 && (name[n] == '\0' || name[n] == '-');
}

const struct gguf_type *gguf_type_of_encoding(const struct encoding *encoding)
{
    if (encoding->n_terms != 1) return NULL;
    for (uint32_t i = 0; i < N_ROWS; i++) {
        if (!is_preset(encoding->presets[0].name, rows[i].preset)) continue;
        return gguf_type_named(rows[i].type, strlen(rows[i].type));
    }
    return NULL;
}

const char *gguf_preset_for(const char *preset, uint64_t n_cols)
{
    for (uint32_t i = 0; i < N_ROWS; i++) {
        if (!is_preset(preset, rows[i].preset)) continue;
        const struct gguf_type *type = gguf_type_named(rows[i].type, strlen(rows[i].type));
        if (n_cols % type->block_weights == 0) return preset;
        return gguf_preset_for(rows[i].otherwise, n_cols);
    }
    return preset;
}
