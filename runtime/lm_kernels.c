/* The inner loops in C, and the choice of the level. */
#include "runtime/lm_kernels.h"

#include <math.h>

#include "format/bytes.h"
#include "format/floats.h"

static void multiply_f32(const struct lm_product *p)
{
    const float *b = p->b;
    for (uint32_t r = 0; r < p->n_rows; r++) {
        float *c = p->c + r * p->c_stride;
        for (uint32_t i = 0; i < p->n_inner; i++) {
            const float a = p->a[r * p->a_stride + i];
            for (uint32_t j = 0; j < p->n_cols; j++) c[j] += a * b[i * p->b_stride + j];
        }
    }
}

static void multiply_f16(const struct lm_product *p)
{
    const uint16_t *b = p->b;
    for (uint32_t r = 0; r < p->n_rows; r++) {
        float *c = p->c + r * p->c_stride;
        for (uint32_t i = 0; i < p->n_inner; i++) {
            const float a = p->a[r * p->a_stride + i];
            for (uint32_t j = 0; j < p->n_cols; j++) {
                c[j] += a * f32_from_f16(b[i * p->b_stride + j]);
            }
        }
    }
}

static float exponents(float *x, uint64_t n, float most)
{
    float sum = 0;
    for (uint64_t i = 0; i < n; i++) {
        x[i] = expf(x[i] - most);
        sum += x[i];
    }
    return sum;
}

static void silu_times(float *gate, const float *up, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) gate[i] = gate[i] / (1.0f + expf(-gate[i])) * up[i];
}

const struct lm_kernels lm_kernels_plain = {
    .name = "plain",
    .multiply_f32 = multiply_f32,
    .multiply_f16 = multiply_f16,
    .exponents = exponents,
    .silu_times = silu_times,
};

const struct lm_kernels *lm_kernels_find(void)
{
#ifdef INGOT_X86_64
    if (lm_kernels_avx2_available()) return &lm_kernels_avx2;
#endif
    return &lm_kernels_plain;
}
