/* The NEON levels: overrides for raw floats, row by row, for decoded rows and for masks; and
 * panels, which have files of their own. Knows no threads or parts. */
#include "runtime/cpu_neon.h"

#ifdef INGOT_AARCH64

#include <asm/hwcap.h>
#include <sys/auxv.h>

#include "runtime/cpu_level.h"

/* ------------------------------------------------------------------ four codes to floats
 *
 * Columns [c, c + 4) of a row of codes. */

INGOT_TEMPLATE float32x4_t load4_f32(const uint8_t *row, uint64_t c)
{
    return vreinterpretq_f32_u8(vld1q_u8(row + 4 * c));
}

INGOT_TEMPLATE float32x4_t load4_f16(const uint8_t *row, uint64_t c)
{
    return vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(row + 2 * c)));
}

INGOT_TEMPLATE float32x4_t load4_bf16(const uint8_t *row, uint64_t c)
{
    return vreinterpretq_f32_u32(vshll_n_u16(vreinterpret_u16_u8(vld1_u8(row + 2 * c)), 16));
}

typedef float32x4_t load4_function(const uint8_t *row, uint64_t c);

/* ------------------------------------------------------------------ dot and decode, the templates
 */

/* The planes' slack allows to read past the last column. */
INGOT_TEMPLATE void decode_row(const struct resident_dense *dense, uint64_t row, uint64_t first_col,
                               uint64_t n_cols, float *dst, load4_function *load4)
{
    const uint8_t *codes = dense->planes[0].data + row * dense->planes[0].row_bytes;
    for (uint64_t c = 0; c < n_cols; c += 4) vst1q_f32(dst + c, load4(codes, first_col + c));
}

INGOT_TEMPLATE float dot_row(const uint8_t *codes, uint64_t n_cols, const float *x,
                             load4_function *load4)
{
    float32x4_t s0 = vdupq_n_f32(0.0f), s1 = s0, s2 = s0, s3 = s0;
    uint64_t c = 0;
    for (; n_cols - c >= 16; c += 16) {
        s0 = vfmaq_f32(s0, load4(codes, c), vld1q_f32(x + c));
        s1 = vfmaq_f32(s1, load4(codes, c + 4), vld1q_f32(x + c + 4));
        s2 = vfmaq_f32(s2, load4(codes, c + 8), vld1q_f32(x + c + 8));
        s3 = vfmaq_f32(s3, load4(codes, c + 12), vld1q_f32(x + c + 12));
    }
    float sum = vaddvq_f32(vaddq_f32(vaddq_f32(s0, s1), vaddq_f32(s2, s3)));
    while (c < n_cols) {
        float w[4];
        vst1q_f32(w, load4(codes, c));
        for (uint32_t i = 0; i < 4 && c < n_cols; i++, c++) sum += w[i] * x[c];
    }
    return sum;
}

static bool is_raw_float(const struct resident_dense *dense, ingot_dtype format)
{
    return dense->coding->map == MAP_FLOAT && dense->coding->format == (uint8_t)format &&
           coding_is_raw(dense->coding);
}

/* NAME and format. */
#define KERNELS(ROW)    \
    ROW(f32, INGOT_F32) \
    ROW(f16, INGOT_F16) \
    ROW(bf16, INGOT_BF16)

#define DEFINE(name, format)                                                       \
    static bool fits_##name(const struct resident_dense *dense)                    \
    {                                                                              \
        return is_raw_float(dense, format);                                        \
    }                                                                              \
    static void dot_##name(const struct resident_dense *dense, uint64_t first_row, \
                           uint32_t n_rows, const float *x, float *y)              \
    {                                                                              \
        const struct resident_plane *plane = &dense->planes[0];                    \
        for (uint32_t i = 0; i < n_rows; i++) {                                    \
            const uint8_t *row = plane->data + (first_row + i) * plane->row_bytes; \
            y[i] += dot_row(row, dense->n_cols, x, load4_##name);                  \
        }                                                                          \
    }                                                                              \
    static void decode_##name(const struct resident_dense *dense, uint64_t row,    \
                              uint64_t first_col, uint64_t n_cols, float *dst)     \
    {                                                                              \
        decode_row(dense, row, first_col, n_cols, dst, load4_##name);              \
    }
KERNELS(DEFINE)

static const struct cpu_kernel kernels[] = {
#define ENTRY(name, format) {#name, fits_##name, decode_##name, dot_##name},
    KERNELS(ENTRY)
#undef ENTRY
};
enum { N_KERNELS = sizeof kernels / sizeof *kernels };

/* ------------------------------------------------------------------ multiplying decoded rows */

/* Four rows of x share each row of w. */
static void multiply_four(const struct cpu_product *p, uint32_t i, uint64_t j)
{
    const uint64_t last = p->n_x - 1;
    const float *w = p->w + i * p->w_stride;
    const float *x[4];
    float32x4_t sums[4];
    float rest[4] = {0};
    for (uint64_t k = 0; k < 4; k++) {
        x[k] = p->x + min_u64(j + k, last) * p->x_stride;
        sums[k] = vdupq_n_f32(0.0f);
    }
    uint64_t c = 0;
    for (; p->n_cols - c >= 4; c += 4) {
        const float32x4_t v = vld1q_f32(w + c);
        for (uint32_t k = 0; k < 4; k++) sums[k] = vfmaq_f32(sums[k], v, vld1q_f32(x[k] + c));
    }
    for (; c < p->n_cols; c++) {
        for (uint32_t k = 0; k < 4; k++) rest[k] += w[c] * x[k][c];
    }
    for (uint64_t k = 0; k < 4 && j + k < p->n_x; k++) {
        p->y[(j + k) * p->y_stride + i] += vaddvq_f32(sums[k]) + rest[k];
    }
}

static void multiply(const struct cpu_product *p)
{
    for (uint64_t j = 0; j < p->n_x; j += 4) {
        for (uint32_t i = 0; i < p->n_rows; i++) multiply_four(p, i, j);
    }
}

/* ------------------------------------------------------------------ masks */

/* Without a branch: packed may be read past its last value. */
static void expand(const uint8_t *mask, uint64_t n_cols, const float *packed, float *dst)
{
    for (uint64_t c = 0; c < n_cols; c++) {
        const uint32_t held = mask[c / 8] >> c % 8 & 1;
        dst[c] = held ? *packed : 0.0f;
        packed += held;
    }
}

/* ------------------------------------------------------------------ the levels */

static bool has_neon(void)
{
    return (getauxval(AT_HWCAP) & HWCAP_ASIMD) != 0;
}

static bool has_dotprod(void)
{
    return has_neon() && (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
}

static bool has_i8mm(void)
{
    return has_dotprod() && (getauxval(AT_HWCAP2) & HWCAP2_I8MM) != 0;
}

#define LEVEL(level_name, condition, panel_functions)                       \
    {                                                                       \
        .name = (level_name), .available = (condition), .kernels = kernels, \
        .n_kernels = N_KERNELS, .multiply = multiply, .expand = expand,     \
        .panels = (panel_functions)                                         \
    }

const struct cpu_level cpu_level_neon = LEVEL("neon", has_neon, &cpu_neon_panels);
const struct cpu_level cpu_level_neon_dotprod =
    LEVEL("neon-dotprod", has_dotprod, &cpu_neon_dotprod_panels);
const struct cpu_level cpu_level_neon_i8mm = LEVEL("neon-i8mm", has_i8mm, &cpu_neon_i8mm_panels);

#endif
