/* The inner loops of a language model besides its matrices, as C and for AVX2. Both give the same
 * up to the order of sums and the rounding of exp, which is within 2 units of the last place. */
#ifndef INGOT_LM_KERNELS_H
#define INGOT_LM_KERNELS_H

#include "format/compiler.h"
#include "format/ingot.h"

/* c += a b: a is n_rows x n_inner, b n_inner x n_cols of f32 or f16, c n_rows x n_cols, each with
 * its own stride from row to row. n_cols is a multiple of 8. */
struct lm_product {
    const float *a;
    uint64_t a_stride;
    uint32_t n_rows;
    const void *b;
    uint64_t b_stride;
    uint32_t n_inner;
    float *c;
    uint64_t c_stride;
    uint32_t n_cols;
};

struct lm_kernels {
    const char *name;
    void (*multiply_f32)(const struct lm_product *product);
    void (*multiply_f16)(const struct lm_product *product);
    /* x[i] = exp(x[i] - most), which is 0 far below; returns their sum. */
    float (*exponents)(float *x, uint64_t n, float most);
    /* gate[i] = silu(gate[i]) * up[i], silu(g) = g / (1 + exp(-g)) */
    void (*silu_times)(float *gate, const float *up, uint64_t n);
};

extern const struct lm_kernels lm_kernels_plain;
#ifdef INGOT_X86_64
extern const struct lm_kernels lm_kernels_avx2;
bool lm_kernels_avx2_available(void);
#endif

/* The best this CPU has. */
const struct lm_kernels *lm_kernels_find(void);

#endif
