/* The AVX2 level (with FMA and F16C): overrides for the codings that matter most, found by what
 * they can do, and the plain decoder for all others. Every weight is decoded to exactly the f32
 * that the plain level gives; only the order of the sums differs. Knows no threads or parts. */
#include "runtime/cpu_level.h"

#ifdef INGOT_X86_64

#include <immintrin.h>

#include "format/bytes.h"
#include "format/floats.h"

#define AVX2 INGOT_TARGET("avx2,fma,f16c")

/* ------------------------------------------------------------------ eight codes to floats
 *
 * Columns [c, c + 8) of a row of codes, c a multiple of 8, as what the coding's map makes of them.
 * Reads at most 32 bytes, which the planes' slack allows. */

INGOT_TEMPLATE AVX2 __m256 load8_f32(const uint8_t *row, uint64_t c)
{
    return _mm256_castsi256_ps(_mm256_loadu_si256((const __m256i *)(const void *)(row + 4 * c)));
}

INGOT_TEMPLATE AVX2 __m256 load8_f16(const uint8_t *row, uint64_t c)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(row + 2 * c)));
}

INGOT_TEMPLATE AVX2 __m256 load8_bf16(const uint8_t *row, uint64_t c)
{
    const __m128i half = _mm_loadu_si128((const __m128i *)(const void *)(row + 2 * c));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16));
}

INGOT_TEMPLATE AVX2 __m256 load8_s8(const uint8_t *row, uint64_t c)
{
    const __m128i bytes = _mm_loadl_epi64((const __m128i *)(const void *)(row + c));
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes));
}

INGOT_TEMPLATE AVX2 __m256 load8_u8(const uint8_t *row, uint64_t c)
{
    const __m128i bytes = _mm_loadl_epi64((const __m128i *)(const void *)(row + c));
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes));
}

/* Eight codes are one word; lane i takes bits [4i, 4i + 4) of it. */
INGOT_TEMPLATE AVX2 __m256 load8_u4(const uint8_t *row, uint64_t c)
{
    const __m256i word = _mm256_set1_epi32((int)load_u32(row + c / 2));
    const __m256i shifts = _mm256_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28);
    const __m256i codes = _mm256_and_si256(_mm256_srlv_epi32(word, shifts), _mm256_set1_epi32(15));
    return _mm256_cvtepi32_ps(codes);
}

typedef __m256 load8_function(const uint8_t *row, uint64_t c);

/* ------------------------------------------------------------------ and the steps after the map */

typedef __m256 steps_function(__m256 v, __m256 zero, __m256 scale);

INGOT_TEMPLATE AVX2 __m256 no_steps(__m256 v, __m256 zero, __m256 scale)
{
    (void)zero;
    (void)scale;
    return v;
}

/* Where a coding has no zero or scale, subtracting 0 or multiplying by 1 changes no value. */
INGOT_TEMPLATE AVX2 __m256 affine_steps(__m256 v, __m256 zero, __m256 scale)
{
    return _mm256_mul_ps(_mm256_sub_ps(v, zero), scale);
}

INGOT_TEMPLATE AVX2 __m256 zero_of(const struct resident_dense *dense)
{
    const struct coding_slot *slot = &dense->coding->slots[SLOT_ZERO];
    return _mm256_set1_ps(slot->has_constant ? slot->constant : 0.0f);
}

/* How the columns fall into groups of one scale. */
struct groups {
    uint64_t n;
    uint64_t n_cols; /* of a group */
};

static struct groups groups_of(const struct resident_dense *dense)
{
    if (!dense->coding->slots[SLOT_SCALE].has_table) return (struct groups){1, dense->n_cols};
    const struct resident_table *table = &dense->tables[SLOT_SCALE];
    return (struct groups){table->n_cols, table->group_cols};
}

/* Scales are made floats this many groups at a time: what takes long is off the path that
 * multiplies. */
enum { SCALES = 64 };

/* The scales of groups [first, first + n) of a row. */
AVX2 static void load_scales(const struct resident_dense *dense, uint64_t row, uint64_t first,
                             uint64_t n, float scales[SCALES])
{
    const struct coding_slot *slot = &dense->coding->slots[SLOT_SCALE];
    const struct resident_table *table = &dense->tables[SLOT_SCALE];
    if (!slot->has_table) {
        scales[0] = slot->has_constant ? slot->constant : 1.0f; /* the one group */
        return;
    }
    const uint64_t at = row / table->group_rows * table->n_cols + first;
    if (table->format == INGOT_F32) {
        memcpy(scales, (const uint8_t *)table->data + 4 * at, (size_t)n * 4);
        return;
    }
    const uint8_t *halves = (const uint8_t *)table->data + 2 * at;
    uint64_t i = 0;
    for (; n - i >= 8; i += 8) _mm256_storeu_ps(scales + i, load8_f16(halves, i));
    for (; i < n; i++) scales[i] = f32_from_f16(load_u16(halves + 2 * i));
}

/* ------------------------------------------------------------------ sums of four rows */

struct quad {
    __m256 r0, r1, r2, r3;
};

/* Ones in the first n lanes, n <= 8. */
INGOT_TEMPLATE AVX2 __m256i first_lanes(uint64_t n)
{
    static const int32_t ones_and_zeros[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
    return _mm256_loadu_si256((const __m256i *)(const void *)(ones_and_zeros + 8 - n));
}

/* The sums of the lanes of each row. */
INGOT_TEMPLATE AVX2 __m128 quad_sums(struct quad q)
{
    const __m256 r01 = _mm256_hadd_ps(q.r0, q.r1);
    const __m256 r23 = _mm256_hadd_ps(q.r2, q.r3);
    const __m256 halves = _mm256_hadd_ps(r01, r23);
    return _mm_add_ps(_mm256_castps256_ps128(halves), _mm256_extractf128_ps(halves, 1));
}

INGOT_TEMPLATE AVX2 void quad_add(struct quad q, uint32_t n_rows, float *y)
{
    float sums[4];
    _mm_storeu_ps(sums, quad_sums(q));
    for (uint32_t i = 0; i < n_rows; i++) y[i] += sums[i];
}

INGOT_TEMPLATE AVX2 struct quad quad_zero(void)
{
    const __m256 zero = _mm256_setzero_ps();
    return (struct quad){zero, zero, zero, zero};
}

INGOT_TEMPLATE AVX2 struct quad quad_fma(struct quad w, __m256 x, struct quad sum)
{
    return (struct quad){_mm256_fmadd_ps(w.r0, x, sum.r0), _mm256_fmadd_ps(w.r1, x, sum.r1),
                         _mm256_fmadd_ps(w.r2, x, sum.r2), _mm256_fmadd_ps(w.r3, x, sum.r3)};
}

INGOT_TEMPLATE AVX2 struct quad quad_and(struct quad w, __m256 mask)
{
    return (struct quad){_mm256_and_ps(w.r0, mask), _mm256_and_ps(w.r1, mask),
                         _mm256_and_ps(w.r2, mask), _mm256_and_ps(w.r3, mask)};
}

/* ------------------------------------------------------------------ dot and decode, the templates
 */

/* Four rows of codes. Of fewer rows the last is repeated, and left out of the result. */
struct rows {
    uint64_t i0, i1, i2, i3;
    const uint8_t *p0, *p1, *p2, *p3;
};

static struct rows rows_from(const struct resident_plane *plane, uint64_t first, uint32_t n_rows)
{
    const uint64_t last = first + n_rows - 1;
    struct rows r = {.i0 = first, .i1 = min_u64(first + 1, last), .i2 = min_u64(first + 2, last)};
    r.i3 = last;
    r.p0 = plane->data + r.i0 * plane->row_bytes;
    r.p1 = plane->data + r.i1 * plane->row_bytes;
    r.p2 = plane->data + r.i2 * plane->row_bytes;
    r.p3 = plane->data + r.i3 * plane->row_bytes;
    return r;
}

INGOT_TEMPLATE AVX2 void dot_rows(const struct resident_dense *dense, uint64_t first_row,
                                  uint32_t n_rows, const float *x, float *y, load8_function *load8,
                                  steps_function *steps)
{
    const struct rows r = rows_from(&dense->planes[0], first_row, n_rows);
    const struct groups groups = groups_of(dense);
    const __m256 zero = zero_of(dense);
    const uint64_t n_cols = dense->n_cols;
    float scales[4][SCALES];
    struct quad sum = quad_zero();
    uint64_t c = 0;
    for (uint64_t g = 0; c < n_cols; g++) {
        const uint64_t k = g % SCALES;
        if (k == 0) {
            const uint64_t n = min_u64(SCALES, groups.n - g);
            load_scales(dense, r.i0, g, n, scales[0]);
            load_scales(dense, r.i1, g, n, scales[1]);
            load_scales(dense, r.i2, g, n, scales[2]);
            load_scales(dense, r.i3, g, n, scales[3]);
        }
        const struct quad s = {_mm256_set1_ps(scales[0][k]), _mm256_set1_ps(scales[1][k]),
                               _mm256_set1_ps(scales[2][k]), _mm256_set1_ps(scales[3][k])};
        const uint64_t end = groups.n_cols < n_cols - c ? c + groups.n_cols : n_cols;
        for (; end - c >= 8; c += 8) {
            const struct quad w = {
                steps(load8(r.p0, c), zero, s.r0), steps(load8(r.p1, c), zero, s.r1),
                steps(load8(r.p2, c), zero, s.r2), steps(load8(r.p3, c), zero, s.r3)};
            sum = quad_fma(w, _mm256_loadu_ps(x + c), sum);
        }
        if (c == end) continue;
        /* Groups begin at multiples of 8, so this is the end of the row. */
        const __m256i lanes = first_lanes(end - c);
        const struct quad w = {steps(load8(r.p0, c), zero, s.r0), steps(load8(r.p1, c), zero, s.r1),
                               steps(load8(r.p2, c), zero, s.r2),
                               steps(load8(r.p3, c), zero, s.r3)};
        sum = quad_fma(quad_and(w, _mm256_castsi256_ps(lanes)), _mm256_maskload_ps(x + c, lanes),
                       sum);
        c = end;
    }
    quad_add(sum, n_rows, y);
}

INGOT_TEMPLATE AVX2 void decode_row(const struct resident_dense *dense, uint64_t row,
                                    uint64_t first_col, uint64_t n_cols, float *dst,
                                    load8_function *load8, steps_function *steps)
{
    const struct resident_plane *plane = &dense->planes[0];
    const uint8_t *codes = plane->data + row * plane->row_bytes;
    const struct groups groups = groups_of(dense);
    const __m256 zero = zero_of(dense);
    const uint64_t first_group = first_col / groups.n_cols, last = first_col + n_cols;
    float scales[SCALES];
    uint64_t n_left = groups.n_cols - first_col % groups.n_cols;
    uint64_t c = first_col;
    for (uint64_t g = 0; c < last; g++) {
        if (g % SCALES == 0) {
            const uint64_t n = min_u64(SCALES, groups.n - first_group - g);
            load_scales(dense, row, first_group + g, n, scales);
        }
        const __m256 scale = _mm256_set1_ps(scales[g % SCALES]);
        const uint64_t end = n_left < last - c ? c + n_left : last;
        for (; c < end; c += 8) {
            _mm256_storeu_ps(dst + (c - first_col), steps(load8(codes, c), zero, scale));
        }
        n_left = groups.n_cols;
    }
}

/* ------------------------------------------------------------------ what fits */

static bool slot_absent(const struct resident_dense *dense, enum coding_slot_name name)
{
    return !dense->coding->slots[name].has_table && !dense->coding->slots[name].has_constant;
}

static bool is_raw_float(const struct resident_dense *dense, ingot_dtype format)
{
    return dense->coding->map == MAP_FLOAT && dense->coding->format == (uint8_t)format &&
           coding_is_raw(dense->coding);
}

/* One plane of `bits` bits; a constant zero or none; a table or a constant as scale, or none. */
static bool is_affine(const struct resident_dense *dense, enum coding_map map, uint8_t bits)
{
    const struct ingot_coding *coding = dense->coding;
    const struct coding_slot *zero = &coding->slots[SLOT_ZERO];
    const struct coding_slot *scale = &coding->slots[SLOT_SCALE];
    if (coding->map != map || coding->bits != bits) return false;
    if (!slot_absent(dense, SLOT_BIAS) || !slot_absent(dense, SLOT_POST)) return false;
    if (zero->has_table) return false;
    if (dense->rows != NULL || dense->columns != NULL) return false;
    if (!scale->has_table) return !scale->inverse_constant;
    const struct resident_table *table = &dense->tables[SLOT_SCALE];
    if (table->data == NULL || table->run_cols != 0 || table->index != NULL) return false;
    const uint64_t group_cols = table->group_cols;
    const bool by_eights = group_cols % 8 == 0 || group_cols >= dense->n_cols;
    return by_eights && !scale->inverse_table && !scale->has_constant;
}

/* ------------------------------------------------------------------ the kernels */

/* NAME, the condition, and the arguments of the templates. */
#define KERNELS(ROW)                                                 \
    ROW(f32, is_raw_float(dense, INGOT_F32), load8_f32, no_steps)    \
    ROW(f16, is_raw_float(dense, INGOT_F16), load8_f16, no_steps)    \
    ROW(bf16, is_raw_float(dense, INGOT_BF16), load8_bf16, no_steps) \
    ROW(s8, is_affine(dense, MAP_INT, 8), load8_s8, affine_steps)    \
    ROW(u8, is_affine(dense, MAP_UINT, 8), load8_u8, affine_steps)   \
    ROW(u4, is_affine(dense, MAP_UINT, 4), load8_u4, affine_steps)

#define DEFINE(name, condition, load8, steps)                                           \
    static bool fits_##name(const struct resident_dense *dense)                         \
    {                                                                                   \
        return condition;                                                               \
    }                                                                                   \
    AVX2 static void dot_##name(const struct resident_dense *dense, uint64_t first_row, \
                                uint32_t n_rows, const float *x, float *y)              \
    {                                                                                   \
        dot_rows(dense, first_row, n_rows, x, y, load8, steps);                         \
    }                                                                                   \
    AVX2 static void decode_##name(const struct resident_dense *dense, uint64_t row,    \
                                   uint64_t first_col, uint64_t n_cols, float *dst)     \
    {                                                                                   \
        decode_row(dense, row, first_col, n_cols, dst, load8, steps);                   \
    }
KERNELS(DEFINE)

/* ------------------------------------------------------------------ multiplying decoded rows */

/* Eight columns of up to three rows of x, or the sums of one row of w with them. */
struct trio {
    __m256 x0, x1, x2;
};

/* With 12 sums, one w and three x all 16 registers are in use, so w comes one row at a time. */
INGOT_TEMPLATE AVX2 struct trio trio_fma(__m256 w, struct trio x, struct trio sum,
                                         const uint32_t n_x)
{
    sum.x0 = _mm256_fmadd_ps(w, x.x0, sum.x0);
    if (n_x > 1) sum.x1 = _mm256_fmadd_ps(w, x.x1, sum.x1);
    if (n_x > 2) sum.x2 = _mm256_fmadd_ps(w, x.x2, sum.x2);
    return sum;
}

/* Four rows of w times n_x rows of x, n_x being 1, 2 or 3 where this is called. */
INGOT_TEMPLATE AVX2 void tile(const struct cpu_product *p, uint32_t row, uint64_t j,
                              const uint32_t n_x)
{
    const uint32_t n_rows = p->n_rows - row < 4 ? p->n_rows - row : 4;
    const float *w0 = p->w + row * p->w_stride;
    const float *w1 = n_rows > 1 ? w0 + p->w_stride : w0;
    const float *w2 = n_rows > 2 ? w1 + p->w_stride : w1;
    const float *w3 = n_rows > 3 ? w2 + p->w_stride : w2;
    const float *x0 = p->x + j * p->x_stride;
    const float *x1 = n_x > 1 ? x0 + p->x_stride : x0;
    const float *x2 = n_x > 2 ? x1 + p->x_stride : x1;
    const __m256 zero = _mm256_setzero_ps();
    struct trio s0 = {zero, zero, zero}, s1 = s0, s2 = s0, s3 = s0;
    uint64_t c = 0;
    for (; p->n_cols - c >= 8; c += 8) {
        const struct trio x = {_mm256_loadu_ps(x0 + c), n_x > 1 ? _mm256_loadu_ps(x1 + c) : zero,
                               n_x > 2 ? _mm256_loadu_ps(x2 + c) : zero};
        s0 = trio_fma(_mm256_loadu_ps(w0 + c), x, s0, n_x);
        s1 = trio_fma(_mm256_loadu_ps(w1 + c), x, s1, n_x);
        s2 = trio_fma(_mm256_loadu_ps(w2 + c), x, s2, n_x);
        s3 = trio_fma(_mm256_loadu_ps(w3 + c), x, s3, n_x);
    }
    if (c < p->n_cols) {
        const __m256i lanes = first_lanes(p->n_cols - c);
        const struct trio x = {_mm256_maskload_ps(x0 + c, lanes), _mm256_maskload_ps(x1 + c, lanes),
                               _mm256_maskload_ps(x2 + c, lanes)};
        s0 = trio_fma(_mm256_maskload_ps(w0 + c, lanes), x, s0, n_x);
        s1 = trio_fma(_mm256_maskload_ps(w1 + c, lanes), x, s1, n_x);
        s2 = trio_fma(_mm256_maskload_ps(w2 + c, lanes), x, s2, n_x);
        s3 = trio_fma(_mm256_maskload_ps(w3 + c, lanes), x, s3, n_x);
    }
    float *y = p->y + j * p->y_stride + row;
    quad_add((struct quad){s0.x0, s1.x0, s2.x0, s3.x0}, n_rows, y);
    if (n_x > 1) quad_add((struct quad){s0.x1, s1.x1, s2.x1, s3.x1}, n_rows, y + p->y_stride);
    if (n_x > 2) quad_add((struct quad){s0.x2, s1.x2, s2.x2, s3.x2}, n_rows, y + 2 * p->y_stride);
}

/* Three rows of x stay in the first cache while all rows of w pass by. */
AVX2 static void multiply(const struct cpu_product *p)
{
    uint64_t j = 0;
    for (; p->n_x - j >= 3; j += 3) {
        for (uint32_t row = 0; row < p->n_rows; row += 4) tile(p, row, j, 3);
    }
    for (uint32_t row = 0; p->n_x - j == 2 && row < p->n_rows; row += 4) tile(p, row, j, 2);
    for (uint32_t row = 0; p->n_x - j == 1 && row < p->n_rows; row += 4) tile(p, row, j, 1);
}

/* ------------------------------------------------------------------ masks */

/* Eight bits of a mask to eight bytes, bit i to the lowest bit of byte i:
 *
 *     copies    byte i = all of the bits
 *     picked    byte i = bit i, in place
 *     ones      byte i = 1 where that is not zero, by a carry into bit 7
 */
INGOT_TEMPLATE uint64_t spread_bits(uint32_t bits)
{
    const uint64_t every_byte = 0x0101010101010101u;
    const uint64_t copies = bits * every_byte;
    const uint64_t picked = copies & 0x8040201008040201u;
    return (picked + 0x7f * every_byte) >> 7 & every_byte;
}

INGOT_TEMPLATE AVX2 __m256i bytes_to_lanes(uint64_t bytes)
{
    return _mm256_cvtepu8_epi32(_mm_cvtsi64_si128((long long)bytes));
}

AVX2 static void expand(const uint8_t *mask, uint64_t n_cols, const float *packed, float *dst)
{
    for (uint64_t c = 0; c < n_cols; c += 8) {
        const uint64_t ones = spread_bits(mask[c / 8]);
        /* Byte i: how many bits up to and with bit i are set; shifted by a byte, how many before.
         */
        const uint64_t counts = ones * 0x0101010101010101u;
        const __m256 values =
            _mm256_permutevar8x32_ps(_mm256_loadu_ps(packed), bytes_to_lanes(counts << 8));
        const __m256i held = _mm256_sub_epi32(_mm256_setzero_si256(), bytes_to_lanes(ones));
        _mm256_storeu_ps(dst + c, _mm256_and_ps(values, _mm256_castsi256_ps(held)));
        packed += counts >> 56;
    }
}

/* ------------------------------------------------------------------ the level */

static bool available(void)
{
    return INGOT_CPU_HAS("avx2") && INGOT_CPU_HAS("fma") && ingot_cpu_has_f16c();
}

static const struct cpu_kernel avx2_kernels[] = {
#define ENTRY(name, condition, load8, steps) {#name, fits_##name, decode_##name, dot_##name},
    KERNELS(ENTRY)
#undef ENTRY
};

const struct cpu_level cpu_level_avx2 = {
    .name = "avx2",
    .available = available,
    .kernels = avx2_kernels,
    .n_kernels = sizeof avx2_kernels / sizeof *avx2_kernels,
    .multiply = multiply,
    .expand = expand,
    .panels = &cpu_avx2_panels,
};

const struct cpu_level cpu_level_avx512 = {
    .name = "avx512",
    .available = cpu_avx512_available,
    .kernels = avx2_kernels,
    .n_kernels = sizeof avx2_kernels / sizeof *avx2_kernels,
    .multiply = multiply,
    .expand = expand,
    .panels = &cpu_avx512_panels,
    .sparse = cpu_avx512_sparse,
    .n_sparse = &n_cpu_avx512_sparse,
};

#endif
