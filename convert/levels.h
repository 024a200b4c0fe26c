/* The levels of codes that presets use. Knows no search. */
#ifndef INGOT_CONVERT_LEVELS_H
#define INGOT_CONVERT_LEVELS_H

#include "convert/fit.h"
#include "format/ingot.h"

/* A codebook as a file holds it: n_entries f32. */
struct codebook {
    const char *name;
    uint32_t n_entries;
    const float *entries;
};

/* The integers from low to high; code - zero is the level. */
struct levels levels_uniform(int32_t low, int32_t high, int32_t zero);
/* The numbers of f8_e4m3, f8_e5m2, f6_e3m2, f6_e2m3 or f4_e2m1. */
struct levels levels_float(ingot_dtype format);
/* At most MAX_LEVELS entries, finite; of equal ones the first stands for all. */
struct levels levels_codebook(const float *entries, uint32_t n_entries);

extern const struct codebook codebook_nf4;   /* bitsandbytes' table of the same name */
extern const struct codebook codebook_fp4;   /* bitsandbytes' 4-bit floats, by code */
extern const struct codebook codebook_iq4;   /* ggml's of IQ4_NL and IQ4_XS */
extern const struct codebook codebook_mxfp4; /* ggml's 4-bit floats, doubled, without -0 */
extern const struct codebook codebook_sign;  /* ggml's of Q1_0 */
/* Entries of tables: bitsandbytes' "dynamic" map of 8 bits, 2^(code - 128), and half the numbers of
 * an unsigned e4m3. */
extern const struct codebook codebook_dynamic;
extern const struct codebook codebook_powers;
extern const struct codebook codebook_ue4m3;

#endif
