/* What the files of the AVX-512 level share: registers of codes, their values, entries of slots and
 * x as it is made ready. */
#ifndef INGOT_CPU_AVX512_H
#define INGOT_CPU_AVX512_H

#include "format/compiler.h"

#ifdef INGOT_X86_64

#include <immintrin.h>
#include <math.h>

#include "format/bytes.h"
#include "runtime/panels.h"

#define AVX512                                                                           \
    INGOT_TARGET("avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi,avx512vbmi2,avx512vnni," \
                 "avx512bf16,fma,f16c,popcnt")

enum {
    STEPS = 8,        /* of four columns, in a block */
    BLOCK_PAIRS = 16, /* pairs of columns in a block: those of step s are 2 s and 2 s + 1, columns
                         4 s and 4 s + 2, and 4 s + 1 and 4 s + 3 */
    X_PADDING = 8,    /* rows of zeros may follow those of x that are made ready */
    CHUNK = 32        /* groups whose entries are at hand at a time */
};

/* In place of a number of bits: 8, of which the highest is the sign, so that 7 are looked up; and
 * of these such as are panel_floats, which are shifted by 4 or 5 bits. */
enum { SIGNED_BITS = 9, FLOAT_BITS_4 = 10, FLOAT_BITS_5 = 11, N_CODE_BITS };
INGOT_TEMPLATE AVX512 bool are_floats(const int bits)
{
    return bits >= FLOAT_BITS_4;
}

INGOT_TEMPLATE AVX512 __m512i load_512(const void *at)
{
    return _mm512_loadu_si512(at);
}

/* ------------------------------------------------------------------ codes */

/* Shift of all lanes by n bits to the right, or by -n to the left. */
INGOT_TEMPLATE AVX512 __m512i shifted(__m512i v, const int n)
{
    if (n > 0) return _mm512_srli_epi32(v, (unsigned)n);
    if (n < 0) return _mm512_slli_epi32(v, (unsigned)-n);
    return v;
}

/* Bits of `low` where mask has ones, else of `high`. */
INGOT_TEMPLATE AVX512 __m512i choose(__m512i mask, __m512i low, __m512i high)
{
    return _mm512_ternarylogic_epi32(mask, low, high, 0xca);
}

/* The part of a code that a plane of w bits holds, at bit `rank` of each byte; other bits are
 * anything. */
INGOT_TEMPLATE AVX512 __m512i plane_part(const uint8_t *plane, const int w, const int s,
                                         const int rank)
{
    return shifted(load_512(plane + 64 * (s * w / 8)), s * w % 8 - rank);
}

/* Codes of step s, one a byte, the bits above `bits` being anything. */
INGOT_TEMPLATE AVX512 __m512i loose_codes(const uint8_t *block, const int bits, const int s)
{
    const uint8_t *at = block;
    __m512i codes = _mm512_setzero_si512();
    int rank = 0;
    if (bits >= SIGNED_BITS) return load_512(block + 64 * s);
    INGOT_UNROLL
    for (int w = 8; w >= 1; w /= 2) {
        if (!(bits & w)) continue;
        const __m512i part = plane_part(at, w, s, rank);
        codes = rank == 0 ? part : choose(_mm512_set1_epi8((char)((1 << rank) - 1)), codes, part);
        at += 64 * w;
        rank += w;
    }
    return codes;
}

/* The same with the bits above cleared. */
INGOT_TEMPLATE AVX512 __m512i exact_codes(const uint8_t *block, const int bits, const int s)
{
    const __m512i codes = loose_codes(block, bits, s);
    return bits == 8 ? codes : _mm512_and_si512(codes, _mm512_set1_epi8((char)((1 << bits) - 1)));
}

/* ------------------------------------------------------------------ values */

/* A table of up to 256 16-bit values: of up to 6 bits whole, of 7 and 8 by bytes. */
struct lookup {
    __m512i t[8];
};

INGOT_TEMPLATE AVX512 struct lookup lookup_make(const uint16_t *values, const int bits)
{
    struct lookup l;
    if (bits <= 6) {
        l.t[0] = load_512(values);
        l.t[1] = load_512(values + 32);
        return l;
    }
    INGOT_UNROLL
    for (int i = 0; i < 4; i++) {
        const __m512i a = load_512(values + 64 * i), b = load_512(values + 64 * i + 32);
        l.t[i] = _mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvtepi16_epi8(a)),
                                    _mm512_cvtepi16_epi8(b), 1);
        l.t[4 + i] = _mm512_inserti64x4(
            _mm512_castsi256_si512(_mm512_cvtepi16_epi8(_mm512_srli_epi16(a, 8))),
            _mm512_cvtepi16_epi8(_mm512_srli_epi16(b, 8)), 1);
    }
    return l;
}

/* A bf16 each of two columns in every lane. */
struct pairs {
    __m512i even; /* bytes 0 and 2 of the codes */
    __m512i odd;  /* bytes 1 and 3 */
};

INGOT_TEMPLATE AVX512 struct pairs lookup_pairs(const struct lookup *l, __m512i codes,
                                                const int bits)
{
    const __m512i high_codes = _mm512_srli_epi32(codes, 8);
    if (bits <= 5) {
        return (struct pairs){_mm512_permutexvar_epi16(codes, l->t[0]),
                              _mm512_permutexvar_epi16(high_codes, l->t[0])};
    }
    if (bits == 6) {
        return (struct pairs){_mm512_permutex2var_epi16(l->t[0], codes, l->t[1]),
                              _mm512_permutex2var_epi16(l->t[0], high_codes, l->t[1])};
    }
    __m512i low = _mm512_permutex2var_epi8(l->t[0], codes, l->t[1]);
    __m512i high = _mm512_permutex2var_epi8(l->t[4], codes, l->t[5]);
    if (bits == 8) {
        const __mmask64 upper = _mm512_movepi8_mask(codes);
        low = _mm512_mask_blend_epi8(upper, low, _mm512_permutex2var_epi8(l->t[2], codes, l->t[3]));
        high =
            _mm512_mask_blend_epi8(upper, high, _mm512_permutex2var_epi8(l->t[6], codes, l->t[7]));
    }
    if (bits >= SIGNED_BITS) high = choose(_mm512_set1_epi8(0x7f), high, codes);
    const __m512i mask = _mm512_set1_epi16(0x00ff);
    return (struct pairs){choose(mask, low, _mm512_slli_epi16(high, 8)),
                          choose(mask, _mm512_srli_epi16(low, 8), high)};
}

/* Of plain codes, values less the exponent of panel_floats. */
INGOT_TEMPLATE AVX512 struct pairs shifted_pairs(__m512i codes, const int bits)
{
    const bool four = bits == FLOAT_BITS_4;
    const __m512i mask = _mm512_set1_epi16((short)(0x8000 | 127 << (four ? 4 : 5)));
    const __m512i top = _mm512_slli_epi16(codes, 8);
    const __m512i even = four ? _mm512_srai_epi16(top, 4) : _mm512_srai_epi16(top, 3);
    const __m512i odd = four ? _mm512_srai_epi16(codes, 4) : _mm512_srai_epi16(codes, 3);
    return (struct pairs){_mm512_and_si512(even, mask), _mm512_and_si512(odd, mask)};
}

INGOT_TEMPLATE AVX512 __m512 bf16_product(__m512 sum, __m512i w, __m512i x)
{
    return _mm512_dpbf16_ps(sum, (__m512bh)w, (__m512bh)x);
}

/* ------------------------------------------------------------------ entries of slots */

/* f32 entries of groups [first, first + n) of a panel, n <= CHUNK, groups being those over which
 * all slots stay the same: scale[i] times the sum of the products, plus offset[i] times the sum of
 * x. */
struct chunk_entries {
    float scale[CHUNK + 4][PANEL_ROWS]; /* four may be worked out at a time */
    float offset[CHUNK + 4][PANEL_ROWS];
};
void avx512_entries(const struct panels *panels, uint64_t panel, uint64_t first, uint64_t n,
                    struct chunk_entries *entries);
/* What entry i of a table is multiplied by, if it is an f16, an integer or a code that tells its
 * value. */
AVX512 __m512 avx512_super(const struct panel_table *table, uint64_t panel, uint64_t i);
/* Whether offsets are not all zero. */
bool avx512_has_offset(const struct panels *panels);

static inline uint64_t n_main_groups(const struct panels *p)
{
    return p->n_blocks * (PANEL_BLOCK / PANEL_HALF) / p->halves;
}

/* ------------------------------------------------------------------ x */

/* Shifted codes are so small that x is lifted, lest products be subnormals, which bf16 products
 * take for zeros: by a power of two to about 2^80, as far as f32 have it. Columns of x that are
 * FLOAT_LEAST or more then are multiplied so. */
#define FLOAT_LEAST 0x1p26f
static inline float float_lift(float largest)
{
    int exponent = 0;
    if (largest > 0 && largest < INFINITY) frexpf(largest, &exponent);
    return ldexpf(1.0f, exponent < -40 ? 120 : 80 - exponent);
}

/* What shifted codes are multiplied by to be values. */
static inline float float_scale(const struct panels *p)
{
    return f32_from_bits((uint32_t)(p->floats.exponent + 127) << 23);
}

/* Columns of a block as the pairs of its steps. */
INGOT_TEMPLATE AVX512 __m512i pair_up(__m256i first, __m256i second)
{
    static const uint16_t order[32] = {0,  2,  1,  3,  4,  6,  5,  7,  8,  10, 9,
                                       11, 12, 14, 13, 15, 16, 18, 17, 19, 20, 22,
                                       21, 23, 24, 26, 25, 27, 28, 30, 29, 31};
    const __m512i both = _mm512_inserti64x4(_mm512_castsi256_si512(first), second, 1);
    return _mm512_permutexvar_epi16(load_512(order), both);
}

/* Up to so many rows of x, multiplying from the codes beats decoding them first. */
enum { DOT_X = 4 };

/* How one of a few rows of x is multiplied by codes. */
enum ready_way { READY_PAIRS, READY_DIGITS, READY_WORDS, READY_FLOATS, N_READY_WAYS };

/* One row of x made ready: offsets in bytes of its parts, INGOT_NONE for those it lacks. It begins
 * with an f32, what the sums are multiplied by, a u32: the way, of a few rows by codes, and an f32:
 * what pairs are lifted by. */
struct ready_row {
    uint64_t high; /* pairs of bf16 */
    uint64_t low;  /* pairs of bf16: what is left of x */
    uint64_t floats;
    uint64_t bytes;  /* 8-bit integers */
    uint64_t scales; /* f32 a block */
    uint64_t starts; /* i32 a half of a block: the sum of its integers times less zero, or of both
                        halves where they are no groups */
    uint64_t sums;   /* f32 a group: the sum of x as it is multiplied */
    uint64_t digits; /* blocks of 8-bit digits, in place of pairs if x is of a kind that has them */
    uint32_t n_digits;
    uint64_t n_bytes;
};
struct ready_row avx512_ready_row(const struct panels *panels, enum panel_mode mode, uint64_t n_x);

static inline const void *ready_part(const void *ready, const struct ready_row *row, uint64_t j,
                                     uint64_t part)
{
    return (const uint8_t *)ready + j * row->n_bytes + part;
}

uint64_t avx512_x_bytes(const struct panels *panels, enum panel_mode mode, uint64_t n_x);
void avx512_x_prepare(const struct panels *panels, enum panel_mode mode, const float *x,
                      uint64_t x_stride, uint64_t n_x, uint64_t first, uint64_t n, void *ready);

/* Of |x|, n a multiple of 16. */
struct extent {
    float least; /* but for zeros; +inf if there are none */
    float most;
};
struct extent avx512_extent(const float *x, uint64_t n);
/* bf16 products take subnormals for zeros: x is brought to below 2 by a power of two, which is
 * returned. *is_exact: no column was lost that way. */
float avx512_bring_near(float *x, uint64_t n, bool *is_exact);

INGOT_TEMPLATE AVX512 __m512 bf16_floats(__m256bh v)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32((__m256i)v), 16));
}

/* What bf16 leave of x; nothing where that is no number. */
INGOT_TEMPLATE AVX512 __m512 bf16_rest(__m512 x, __m256bh high)
{
    const __m512 rest = _mm512_sub_ps(x, bf16_floats(high));
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(rest, rest, _CMP_EQ_OQ), rest);
}

/* Digits of x: one or three of 8 bits for 8-bit integers, two words for 16-bit ones: the lower of
 * 12 bits, of 32 columns or, where groups are of whole 64 columns, of so many. */
enum { ONE_DIGIT = 1, TWO_WORDS = 2, THREE_DIGITS = 3, WIDE_WORDS = 4 };

static inline bool digits_are_words(const uint32_t n_digits)
{
    return n_digits == TWO_WORDS || n_digits == WIDE_WORDS;
}

/* Blocks of weights that a block of x is for. */
static inline int digit_span(const uint32_t n_digits)
{
    return n_digits == WIDE_WORDS ? 2 : 1;
}

/* A block of n digits of x, for 32 columns:
 *
 *     n * 32 bytes   digits, the highest first: x = step * sum over k of digit k * 256^(n - 1 - k)
 *     2 * n i32      of all columns, or of each half where these are groups: of each digit the
 *                    sum, times less zero
 *     f32            step
 *     u32            1: another block for the same columns follows, whose products are added
 *
 * With words, there are for each 32 columns 32 first words in the order of pairs, then 32 second
 * ones, x = step * (4096 * first + second), and no sums. */
static inline uint64_t digit_step_at(const uint32_t n_digits)
{
    if (digits_are_words(n_digits)) return UINT64_C(128) * (uint64_t)digit_span(n_digits);
    return UINT64_C(40) * n_digits;
}

static inline uint64_t digit_block_bytes(const uint32_t n_digits)
{
    return digit_step_at(n_digits) + 8;
}

/* Blocks of digits that x may take, for each block of columns. */
enum { DIGIT_LAYERS = 2 };
uint64_t avx512_digits_bytes(const struct panels *panels, uint32_t n_digits);
/* Makes the digits of x of all columns, and its sums, in a row that is made ready: one digit, or
 * several within the bound; false when x is not of that kind. */
bool avx512_make_digits(const struct panels *panels, const struct ready_row *row, const float *x,
                        uint8_t *ready);

/* The power of two in which `largest` takes three digits, which hold integers up to 127 times
 * 65536 + 256 + 1. */
static inline float three_digit_step(float largest)
{
    const float most = 127.0f * 65536 + 127.0f * 256 + 127.0f;
    const uint32_t exponent = f32_bits(largest) >> 23 & 255; /* largest < 2^(exponent - 126) */
    const float step = f32_from_bits((exponent + 127 - 126 - 23) << 23);
    return largest <= most * step ? step : 2 * step;
}

/* Sums of x by group: takes those of the halves of block b after `before`, the sum of the blocks of
 * the group that came before. Returns the next one's. */
INGOT_TEMPLATE AVX512 float avx512_put_sum(const struct panels *p, float *sums, uint64_t b,
                                           __m512 x0, __m512 x1, float before)
{
    if (p->halves == 1) {
        sums[2 * b] = _mm512_reduce_add_ps(x0);
        sums[2 * b + 1] = _mm512_reduce_add_ps(x1);
        return 0;
    }
    const float sum = before + _mm512_reduce_add_ps(_mm512_add_ps(x0, x1));
    if ((2 * b + 2) % p->halves != 0) return sum;
    sums[2 * b / p->halves] = sum;
    return 0;
}

/* y += the products of some panels, for up to DOT_X rows of x, or for any number. */
struct panel_job {
    const struct panels *panels;
    enum panel_mode mode;
    const void *ready;
    struct ready_row row;
    uint64_t n_x;
    uint64_t first_panel;
    uint64_t n_panels;
    float *y;
    uint64_t y_stride;
};
void avx512_dot(const struct panel_job *job);
/* One row of x that has digits, for 8-bit integers or 16-bit ones; one row of x as it is. */
void avx512_dot_digits(const struct panel_job *job);
void avx512_dot_words(const struct panel_job *job);
void avx512_dot_floats(const struct panel_job *job);
void avx512_multiply(const struct panel_job *job);

/* The lanes of a panel that are rows. */
static inline uint16_t panel_lanes(const struct panels *p, uint64_t panel)
{
    const uint64_t n = min_u64(PANEL_ROWS, p->n_rows - panel * PANEL_ROWS);
    return (uint16_t)((1u << n) - 1);
}

#endif
#endif
