/* The table of presets: an encoding is a row here and its family's two functions. Knows no files.
 */
#include "convert/presets.h"

#include <math.h>

#include "convert/encode.h"
#include "convert/names.h"
#include "convert/sums.h"
#include "format/bytes.h"
#include "format/fail.h"

/* How the families are written in the table. */
#define CAST(NAME, TYPE, HELP)                                                       \
    {                                                                                \
        .name = NAME, .help = HELP, .by_rows = true, .is_cast = true, .dtype = TYPE, \
        .plan = plan_cast, .encode = encode_cast                                     \
    }
#define GRID(NAME, HELP, ...) LABELLED(NAME, "", HELP, __VA_ARGS__)
/* GGUF's first types: ggml takes the extremes of a group for them. */
#define FIRST(NAME, HELP, ...)                                                                  \
    {                                                                                           \
        .name = NAME, .help = HELP, .by_rows = true, .decodes = true, .searchless = true,       \
        .grid = {.effort = EFFORT_BRIEF, __VA_ARGS__}, .plan = plan_grid, .encode = encode_grid \
    }
#define LABELLED(NAME, LABEL, HELP, ...)                                                         \
    {                                                                                            \
        .name = NAME, .label = LABEL, .help = HELP, .by_rows = true, .decodes = true,            \
        .grid = {.effort = EFFORT_SEARCH, __VA_ARGS__}, .plan = plan_grid, .encode = encode_grid \
    }

/* Entries of nested tables, of N bits. */
#define UNSIGNED(N)                                        \
    {                                                      \
        .bits = N, .map = MAP_UINT, .high = (1 << (N)) - 1 \
    }
#define SUBTRACTED(N)                                                      \
    {                                                                      \
        .bits = N, .map = MAP_UINT, .inverse = true, .low = 1 - (1 << (N)) \
    }
#define SIGNED(N)                                                                     \
    {                                                                                 \
        .bits = N, .map = MAP_INT, .low = -(1 << ((N)-1)), .high = (1 << ((N)-1)) - 1 \
    }
#define OFFSET(N)                                                                 \
    {                                                                             \
        .bits = N, .map = MAP_UINT, .zero = 1 << ((N)-1), .low = -(1 << ((N)-1)), \
        .high = (1 << ((N)-1)) - 1                                                \
    }

#define INTEGER(N)                                                                            \
    LABELLED("int" #N, "int" #N "-g32",                                                       \
             #N "-bit integers, a signed f16 scale per 32 weights of a row", .map = MAP_UINT, \
             .bits = N, .zero = 1 << ((N)-1), .group_cols = 32, .scale = INGOT_F16)
#define LEARNED(N)                                                                              \
    {                                                                                           \
        .name = "code" #N,                                                                      \
        .help =                                                                                 \
            "a codebook of 2^" #N " levels found for the tensor, an f16 scale per 128 weights", \
        .by_parts = true, .decodes = true,                                                      \
        .grid = {.effort = EFFORT_SEARCH,                                                       \
                 .map = MAP_CODEBOOK,                                                           \
                 .bits = N,                                                                     \
                 .group_cols = 128,                                                             \
                 .scale = INGOT_F16},                                                           \
        .prepare = prepare_codebook, .plan = plan_grid, .encode = encode_grid                   \
    }
#define VECTORS(NAME, TYPE, HELP)                                                         \
    {                                                                                     \
        .name = NAME, .help = HELP, .by_rows = true, .decodes = true, .block_type = TYPE, \
        .grid = {.effort = EFFORT_SEARCH}, .plan = plan_vectors, .encode = encode_vectors \
    }
#define POWER_OF_TWO                                         \
    {                                                        \
        .map = MAP_FLOAT, .bits = 8, .format = INGOT_F8_E8M0 \
    }

static const struct preset presets[] = {
    CAST("f32", INGOT_F32, "dequantized to 32-bit floats"),
    CAST("f16", INGOT_F16, "cast to 16-bit floats; a value past 65504 is an error"),
    CAST("bf16", INGOT_BF16, "cast to bfloat16"),
    LABELLED("int8", "int8-row", "8-bit integers, an f32 scale a row", .map = MAP_INT, .bits = 8,
             .narrow = true, .scale = INGOT_F32),
    INTEGER(6),
    INTEGER(5),
    INTEGER(4),
    INTEGER(3),
    INTEGER(2),
    GRID("ternary", "-1, 0 and 1, an f16 scale per 64 weights of a row", .map = MAP_INT, .bits = 2,
         .narrow = true, .group_cols = 64, .scale = INGOT_F16),
    GRID("nf4", "the 16 levels of NF4, an f16 scale per 64 weights of a row", .map = MAP_CODEBOOK,
         .bits = 4, .codebook = &codebook_nf4, .group_cols = 64, .scale = INGOT_F16),
    GRID("fp4", "the 4-bit floats of bitsandbytes, an f16 scale per 64 weights of a row",
         .map = MAP_CODEBOOK, .bits = 4, .codebook = &codebook_fp4, .group_cols = 64,
         .scale = INGOT_F16),
    LEARNED(2),
    LEARNED(3),
    LEARNED(4),
    GRID("fp8", "e4m3 floats, an f32 scale a row", .map = MAP_FLOAT, .bits = 8,
         .format = INGOT_F8_E4M3, .scale = INGOT_F32),
    {.name = "nf4-bnb",
     .help = "bitsandbytes' NF4 with double quantization: runs of 64, their scales 8-bit",
     .decodes = true,
     .grid = {.effort = EFFORT_SEARCH,
              .map = MAP_CODEBOOK,
              .bits = 4,
              .codebook = &codebook_nf4,
              .positive = true,
              .run = true,
              .group_cols = 64,
              .scale = INGOT_F32,
              .scale_entry = {.map = MAP_CODEBOOK, .bits = 8, .codebook = &codebook_dynamic},
              .super = SUPER_RUN,
              .super_cols = 256},
     .plan = plan_grid,
     .encode = encode_grid},
    GRID("mxfp4", "OCP MXFP4: e2m1 floats, a power of two per 32 weights of a row",
         .map = MAP_FLOAT, .bits = 4, .format = INGOT_F4_E2M1, .group_cols = 32,
         .scale_entry = POWER_OF_TWO),
    GRID("mxfp6", "OCP MXFP6: e2m3 floats, a power of two per 32 weights of a row",
         .map = MAP_FLOAT, .bits = 6, .format = INGOT_F6_E2M3, .group_cols = 32,
         .scale_entry = POWER_OF_TWO),
    GRID("mxfp6e3m2", "OCP MXFP6: e3m2 floats, a power of two per 32 weights of a row",
         .map = MAP_FLOAT, .bits = 6, .format = INGOT_F6_E3M2, .group_cols = 32,
         .scale_entry = POWER_OF_TWO),
    GRID("mxfp8", "OCP MXFP8: e4m3 floats, a power of two per 32 weights of a row",
         .map = MAP_FLOAT, .bits = 8, .format = INGOT_F8_E4M3, .group_cols = 32,
         .scale_entry = POWER_OF_TWO),
    GRID("mxfp8e5m2", "OCP MXFP8: e5m2 floats, a power of two per 32 weights of a row",
         .map = MAP_FLOAT, .bits = 8, .format = INGOT_F8_E5M2, .group_cols = 32,
         .scale_entry = POWER_OF_TWO),
    {.name = "nvfp4",
     .help = "NVFP4: e2m1 floats, an e4m3 scale per 16 weights, an f32 for all",
     .decodes = true,
     .grid = {.effort = EFFORT_SEARCH,
              .map = MAP_FLOAT,
              .bits = 4,
              .format = INGOT_F4_E2M1,
              .group_cols = 16,
              .scale = INGOT_F32,
              .scale_entry = {.map = MAP_FLOAT, .bits = 8, .format = INGOT_F8_E4M3},
              .super = SUPER_TENSOR},
     .plan = plan_grid,
     .encode = encode_grid},
    GRID("fp8e5m2", "e5m2 floats, an f32 scale a row", .map = MAP_FLOAT, .bits = 8,
         .format = INGOT_F8_E5M2, .scale = INGOT_F32),
    FIRST("q4_0", "GGUF's Q4_0", .map = MAP_UINT, .bits = 4, .zero = 8, .group_cols = 32,
          .scale = INGOT_F16),
    FIRST("q4_1", "GGUF's Q4_1", .map = MAP_UINT, .bits = 4, .affine = true, .group_cols = 32,
          .scale = INGOT_F16),
    FIRST("q5_0", "GGUF's Q5_0", .map = MAP_UINT, .bits = 5, .zero = 16, .group_cols = 32,
          .scale = INGOT_F16),
    FIRST("q5_1", "GGUF's Q5_1", .map = MAP_UINT, .bits = 5, .affine = true, .group_cols = 32,
          .scale = INGOT_F16),
    FIRST("q8_0", "GGUF's Q8_0", .map = MAP_INT, .bits = 8, .group_cols = 32, .scale = INGOT_F16),
    GRID("mxfp4_gguf", "GGUF's MXFP4: as mxfp4, in its codebooks", .map = MAP_CODEBOOK, .bits = 4,
         .codebook = &codebook_mxfp4, .positive = true, .group_cols = 32,
         .scale_entry = {.map = MAP_CODEBOOK, .bits = 8, .codebook = &codebook_powers}),
    GRID("nvfp4_gguf", "GGUF's NVFP4: as nvfp4, in its codebooks and without the f32",
         .map = MAP_CODEBOOK, .bits = 4, .codebook = &codebook_mxfp4, .positive = true,
         .group_cols = 16,
         .scale_entry = {.map = MAP_CODEBOOK, .bits = 8, .codebook = &codebook_ue4m3}),
    GRID("q2_k", "GGUF's Q2_K", .map = MAP_UINT, .bits = 2, .affine = true, .group_cols = 16,
         .super = SUPER_COLS, .super_cols = 256, .scale = INGOT_F16, .scale_entry = UNSIGNED(4),
         .bias_entry = SUBTRACTED(4)),
    GRID("q3_k", "GGUF's Q3_K", .map = MAP_UINT, .bits = 3, .zero = 4, .group_cols = 16,
         .super = SUPER_COLS, .super_cols = 256, .scale = INGOT_F16, .scale_entry = OFFSET(6)),
    GRID("q4_k", "GGUF's Q4_K", .map = MAP_UINT, .bits = 4, .affine = true, .group_cols = 32,
         .super = SUPER_COLS, .super_cols = 256, .scale = INGOT_F16, .scale_entry = UNSIGNED(6),
         .bias_entry = SUBTRACTED(6)),
    GRID("q5_k", "GGUF's Q5_K", .map = MAP_UINT, .bits = 5, .affine = true, .group_cols = 32,
         .super = SUPER_COLS, .super_cols = 256, .scale = INGOT_F16, .scale_entry = UNSIGNED(6),
         .bias_entry = SUBTRACTED(6)),
    GRID("q6_k", "GGUF's Q6_K", .map = MAP_UINT, .bits = 6, .zero = 32, .group_cols = 16,
         .super = SUPER_COLS, .super_cols = 256, .scale = INGOT_F16, .scale_entry = SIGNED(8)),
    GRID("iq4_nl", "GGUF's IQ4_NL", .map = MAP_CODEBOOK, .bits = 4, .codebook = &codebook_iq4,
         .group_cols = 32, .scale = INGOT_F16),
    GRID("iq4_xs", "GGUF's IQ4_XS", .map = MAP_CODEBOOK, .bits = 4, .codebook = &codebook_iq4,
         .group_cols = 32, .super = SUPER_COLS, .super_cols = 256, .scale = INGOT_F16,
         .scale_entry = OFFSET(6)),
    LABELLED("tq2_0", "TQ2_0", "GGUF's TQ2_0: -1, 0 and 1", .map = MAP_UINT, .bits = 2, .zero = 1,
             .narrow = true, .group_cols = 256, .scale = INGOT_F16),
    LABELLED("tq1_0", "TQ1_0", "GGUF's TQ1_0: as tq2_0, packed closer in a .gguf", .map = MAP_UINT,
             .bits = 2, .zero = 1, .narrow = true, .group_cols = 256, .scale = INGOT_F16),
    GRID("q2_0", "GGUF's Q2_0", .map = MAP_UINT, .bits = 2, .zero = 1, .group_cols = 64,
         .scale = INGOT_F16),
    GRID("q1_0", "GGUF's Q1_0: -1 and 1", .map = MAP_CODEBOOK, .bits = 1,
         .codebook = &codebook_sign, .group_cols = 128, .scale = INGOT_F16),
    VECTORS("iq3_s", 21, "GGUF's IQ3_S"),
    VECTORS("iq3_xxs", 18, "GGUF's IQ3_XXS"),
    VECTORS("iq2_s", 22, "GGUF's IQ2_S"),
    VECTORS("iq2_xs", 17, "GGUF's IQ2_XS"),
    VECTORS("iq2_xxs", 16, "GGUF's IQ2_XXS"),
    VECTORS("iq1_m", 29, "GGUF's IQ1_M"),
    VECTORS("iq1_s", 19, "GGUF's IQ1_S"),
    {.name = "sparse50",
     .help = "the half of the weights of largest magnitude, in the source's type; the rest is 0",
     .mask = MASK_BITMAP,
     .kept_percent = 50,
     .plan = plan_sparse,
     .encode = encode_sparse},
    {.name = "outliers1",
     .help = "a list of the 1 percent of largest magnitude, in the source's type; the rest is 0",
     .mask = MASK_LIST,
     .kept_percent = 1,
     .plan = plan_sparse,
     .encode = encode_sparse},
    {.name = "columns1",
     .help = "the 1 percent of columns that matter most, in the source's type; the rest is 0",
     .mask = MASK_COLUMNS,
     .kept_percent = 1,
     .plan = plan_columns,
     .encode = encode_columns},
    {.name = "lowrank16",
     .help = "a product of two bf16 matrices, of rank 16 (truncated SVD)",
     .rank = 16,
     .plan = plan_lowrank,
     .encode = encode_lowrank},
};
enum { N_PRESETS = sizeof presets / sizeof *presets };

const struct preset *preset_at(uint32_t index)
{
    return index < N_PRESETS ? &presets[index] : NULL;
}

const char *preset_name(const struct preset *preset)
{
    return preset->name;
}

const char *preset_help(const struct preset *preset)
{
    return preset->help;
}

double preset_bits_per_weight(const struct preset *preset, uint64_t n_rows, uint64_t n_cols)
{
    struct term_plan plan;
    struct term_stream streams[TENSOR_MAX_STREAMS];
    uint32_t n_streams;
    double n_bytes = 0;
    preset->plan(preset, INGOT_BF16, (struct stack_shape){1, n_rows, n_cols}, &plan);
    const struct writer_tensor tensor = {.name = "",
                                         .dtype = INGOT_BF16,
                                         .rank = 2,
                                         .dims = {n_rows, n_cols},
                                         .split = 1,
                                         .n_terms = 1,
                                         .terms = &plan.term};
    if (writer_streams(&tensor, streams, &n_streams, NULL) != INGOT_OK) return NAN;
    for (uint32_t i = 0; i < n_streams; i++) n_bytes += (double)streams[i].shape.n_bytes;
    return n_bytes * 8 / ((double)n_rows * (double)n_cols);
}

/* ------------------------------------------------------------------ what the families share */

ingot_status encode_refuse(const struct encode_input *input, uint64_t element, const char *why,
                           ingot_error *error)
{
    const uint64_t in_tensor = input->first_row * input->shape.n_cols + element;
    return ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET,
                      name_shown(input->name, input->name_bytes).text,
                      "element %llu is %.9g: %s %s", (unsigned long long)in_tensor,
                      (double)input->values[element], input->plan->preset->name, why);
}

ingot_status encode_check_finite(const struct encode_input *input, ingot_error *error)
{
    const uint64_t n = input->shape.n_matrices * input->shape.n_rows * input->shape.n_cols;
    uint64_t at = 0;
    if (sums_kernels_find(NULL)->all_finite(input->values, n)) return INGOT_OK;
    while (isfinite(input->values[at])) at++;
    return encode_refuse(input, at, "cannot hold it", error);
}
