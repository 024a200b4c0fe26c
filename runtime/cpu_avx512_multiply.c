/* Panels times many rows of x with AVX-512: some columns of two panels are decoded into the first
 * cache, and multiplied by all rows of x, a few at a time. One form for f32 and one for bf16; that
 * for 8-bit integers is in cpu_avx512_bytes.c. */
#include "runtime/cpu_avx512_tiles.h"

#ifdef INGOT_X86_64

enum {
    FLOAT_BLOCKS = 4, /* decoded at a time: 16 KiB for two panels in each form */
    BF16_BLOCKS = 8,
};

/* ------------------------------------------------------------------ decoding to f32 */

typedef float column[PANEL_ROWS];

/* The four columns of a step. */
INGOT_TEMPLATE AVX512 void pairs_to_columns(struct pairs w, __m512 v[4])
{
    const __m512i upper = _mm512_set1_epi32((int)0xffff0000u);
    v[0] = _mm512_castsi512_ps(_mm512_slli_epi32(w.even, 16));
    v[1] = _mm512_castsi512_ps(_mm512_slli_epi32(w.odd, 16));
    v[2] = _mm512_castsi512_ps(_mm512_and_si512(w.even, upper));
    v[3] = _mm512_castsi512_ps(_mm512_and_si512(w.odd, upper));
}

INGOT_TEMPLATE AVX512 void decode_steps(const struct part *part, const struct chunk_entries *e,
                                        column *dst, const int bits)
{
    const struct panels *p = part->panels;
    const struct lookup high = lookup_make(p->high, bits), low = lookup_make(p->low, bits);
    const uint64_t first_group = group_of(part, 0, 0);
    const bool offset = avx512_has_offset(p);
    for (uint64_t b = 0; b < part->n_blocks; b++) {
        const uint8_t *block = part_block(part, b);
        INGOT_UNROLL
        for (int s = 0; s < STEPS; s++) {
            const uint64_t g = group_of(part, b, (uint64_t)s / 4) - first_group;
            const __m512 scale = _mm512_loadu_ps(e->scale[g]);
            const __m512i codes = loose_codes(block, bits, s);
            __m512 v[4], rest[4];
            pairs_to_columns(lookup_pairs(&high, codes, bits), v);
            if (p->has_low) {
                pairs_to_columns(lookup_pairs(&low, codes, bits), rest);
                for (int k = 0; k < 4; k++) v[k] = _mm512_add_ps(v[k], rest[k]);
            }
            for (int k = 0; k < 4; k++) {
                v[k] = offset ? _mm512_fmadd_ps(v[k], scale, _mm512_loadu_ps(e->offset[g]))
                              : _mm512_mul_ps(v[k], scale);
                _mm512_storeu_ps(dst[b * PANEL_BLOCK + 4 * (uint64_t)s + (uint64_t)k], v[k]);
            }
        }
    }
}

typedef void decode_function(const struct part *part, const struct chunk_entries *e, column *dst);

#define DECODE(bits)                                                                         \
    AVX512 static void decode_##bits(const struct part *part, const struct chunk_entries *e, \
                                     column *dst)                                            \
    {                                                                                        \
        decode_steps(part, e, dst, bits);                                                    \
    }
DECODE(1)
DECODE(2)
DECODE(3)
DECODE(4)
DECODE(5)
DECODE(6)
DECODE(7)
DECODE(8)
static decode_function *const decode_functions[PANEL_MAX_BITS + 1] = {
    NULL, decode_1, decode_2, decode_3, decode_4, decode_5, decode_6, decode_7, decode_8,
};

static void decode_codes(const struct part *part, column *dst)
{
    struct chunk_entries e;
    part_entries(part, &e);
    decode_functions[part->panels->bits](part, &e, dst);
}

static void decode_f32(const struct part *part, column *dst)
{
    memcpy(dst, part_block(part, 0), (size_t)(part->n_blocks * PANEL_BLOCK) * sizeof *dst);
}

AVX512 static void decode_f16(const struct part *part, column *dst)
{
    const uint8_t *src = part_block(part, 0);
    for (uint64_t c = 0; c < part->n_blocks * PANEL_BLOCK; c++) {
        const __m256i h = _mm256_loadu_si256((const __m256i *)(const void *)(src + 32 * c));
        _mm512_storeu_ps(dst[c], _mm512_cvtph_ps(h));
    }
}

AVX512 static void decode_bf16(const struct part *part, column *dst)
{
    const uint8_t *src = part_block(part, 0);
    for (uint64_t c = 0; c < part->n_blocks * PANEL_BLOCK; c++) {
        const __m256i h = _mm256_loadu_si256((const __m256i *)(const void *)(src + 32 * c));
        _mm512_storeu_si512(dst[c], _mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16));
    }
}

static void (*const decoders[N_PANEL_KINDS])(const struct part *part, column *dst) = {
    [PANEL_CODES] = decode_codes,
    [PANEL_F32] = decode_f32,
    [PANEL_F16] = decode_f16,
    [PANEL_BF16] = decode_bf16,
};

/* n columns of both panels; rows of x are x_bytes apart. */
INGOT_TEMPLATE AVX512 void float_tile(const struct place *at, const column *const w[PAIR],
                                      uint64_t n, const uint8_t *x, uint64_t x_bytes, const int n_x)
{
    struct tile t;
    tile_load(&t, at, n_x);
    for (uint64_t c = 0; c < n; c++) {
        const __m512 w0 = _mm512_loadu_ps(w[0][c]), w1 = _mm512_loadu_ps(w[1][c]);
        INGOT_UNROLL
        for (int j = 0; j < n_x; j++) {
            const __m512 v = _mm512_set1_ps(load_f32(x + (uint64_t)j * x_bytes + 4 * c));
            t.y[j][0] = _mm512_fmadd_ps(w0, v, t.y[j][0]);
            t.y[j][1] = _mm512_fmadd_ps(w1, v, t.y[j][1]);
        }
    }
    tile_store(&t, at, n_x);
}

/* The same for n pairs of columns; the products are summed before they are multiplied by the
 * factors of x. */
INGOT_TEMPLATE AVX512 void bf16_tile(const struct place *at, const column *const w[PAIR],
                                     uint64_t n, const uint8_t *x, uint64_t x_bytes,
                                     const uint8_t *factors)
{
    struct tile t;
    INGOT_UNROLL
    for (int j = 0; j < TILE_X; j++) t.y[j][0] = t.y[j][1] = _mm512_setzero_ps();
    for (uint64_t c = 0; c < n; c++) {
        const __m512i w0 = load_512(w[0][c]), w1 = load_512(w[1][c]);
        INGOT_UNROLL
        for (int j = 0; j < TILE_X; j++) {
            const __m512i v = _mm512_set1_epi32((int)load_u32(x + (uint64_t)j * x_bytes + 4 * c));
            t.y[j][0] = bf16_product(t.y[j][0], w0, v);
            t.y[j][1] = bf16_product(t.y[j][1], w1, v);
        }
    }
    struct tile before;
    tile_load(&before, at, TILE_X);
    INGOT_UNROLL
    for (int j = 0; j < TILE_X; j++) {
        const __m512 factor = _mm512_set1_ps(load_f32(factors + (uint64_t)j * x_bytes));
        t.y[j][0] = _mm512_fmadd_ps(t.y[j][0], factor, before.y[j][0]);
        t.y[j][1] = _mm512_fmadd_ps(t.y[j][1], factor, before.y[j][1]);
    }
    tile_store(&t, at, TILE_X);
}

/* ------------------------------------------------------------------ the walk over a job */

static struct walk walk_at(const struct panel_job *job, uint64_t i, uint64_t first_block,
                           uint64_t at_most)
{
    const struct panels *p = job->panels;
    const bool both = i + 1 < job->n_panels;
    const uint64_t panel = job->first_panel + i;
    const struct part first = {p, panel, first_block, min_u64(at_most, p->n_blocks - first_block)};
    struct walk walk = {.job = job, .parts = {first, first}};
    if (both) walk.parts[1].panel++;
    walk.at = (struct place){
        .y = job->y + i * PANEL_ROWS,
        .y_stride = job->y_stride,
        .lanes = {panel_lanes(p, panel), both ? panel_lanes(p, panel + 1) : (uint16_t)0},
    };
    return walk;
}

/* All blocks of some columns in all pairs of panels, so that those of x stay in the cache, before
 * the next columns. */
static void walk_job(const struct panel_job *job, uint64_t at_most,
                     void (*multiply)(const struct walk *walk))
{
    for (uint64_t b = 0; b < job->panels->n_blocks; b += at_most) {
        for (uint64_t i = 0; i < job->n_panels; i += PAIR) {
            const struct walk walk = walk_at(job, i, b, at_most);
            multiply(&walk);
        }
    }
}

INGOT_TEMPLATE AVX512 void multiply_rows(const struct walk *walk, const int n_x)
{
    column w[PAIR][FLOAT_BLOCKS * PANEL_BLOCK];
    const column *const both[PAIR] = {w[0], w[1]};
    const struct panel_job *job = walk->job;
    const struct part *part = &walk->parts[0];
    const uint64_t n = part->n_blocks * PANEL_BLOCK, x_bytes = job->row.n_bytes;
    for (int i = 0; i < PAIR; i++) decoders[job->panels->kind](&walk->parts[i], w[i]);
    const uint8_t *x = ready_part(job->ready, &job->row, 0, job->row.floats);
    x += part->first_block * PANEL_BLOCK * 4;
    for (uint64_t j = 0; j < job->n_x; j += (uint64_t)n_x) {
        const struct place at = place_of(walk, j);
        float_tile(&at, both, n, x + j * x_bytes, x_bytes, n_x);
    }
}

AVX512 static void multiply_floats(const struct walk *walk)
{
    multiply_rows(walk, TILE_X);
}

AVX512 static void multiply_one(const struct walk *walk)
{
    multiply_rows(walk, 1);
}

/* ------------------------------------------------------------------ bf16 */

/* f32 columns as the pairs of their steps, in place: pair 2 s is columns 4 s and 4 s + 2. */
AVX512 static void round_columns(const column *src, uint64_t n_blocks, column *dst)
{
    for (uint64_t s = 0; s < n_blocks * STEPS; s++) {
        const column *c = src + 4 * s;
        __m512i v[4];
        INGOT_UNROLL
        for (int k = 0; k < 4; k++) {
            v[k] = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(_mm512_loadu_ps(c[k])));
        }
        _mm512_storeu_si512(dst[2 * s], _mm512_or_si512(v[0], _mm512_slli_epi32(v[2], 16)));
        _mm512_storeu_si512(dst[2 * s + 1], _mm512_or_si512(v[1], _mm512_slli_epi32(v[3], 16)));
    }
}

AVX512 static void multiply_bf16(const struct walk *walk)
{
    column w[PAIR][BF16_BLOCKS * BLOCK_PAIRS];
    column floats[BF16_BLOCKS * PANEL_BLOCK];
    const column *const both[PAIR] = {w[0], w[1]};
    const struct panel_job *job = walk->job;
    const struct part *part = &walk->parts[0];
    const uint64_t n = part->n_blocks * BLOCK_PAIRS, x_bytes = job->row.n_bytes;
    for (int i = 0; i < PAIR; i++) {
        decoders[job->panels->kind](&walk->parts[i], floats);
        round_columns(floats, part->n_blocks, w[i]);
    }
    const uint8_t *x = ready_part(job->ready, &job->row, 0, job->row.high);
    x += part->first_block * BLOCK_PAIRS * 4;
    for (uint64_t j = 0; j < job->n_x; j += TILE_X) {
        const struct place at = place_of(walk, j);
        bf16_tile(&at, both, n, x + j * x_bytes, x_bytes, ready_part(job->ready, &job->row, j, 0));
    }
}

void avx512_dot_floats(const struct panel_job *job)
{
    walk_job(job, FLOAT_BLOCKS, multiply_one);
}

void avx512_multiply(const struct panel_job *job)
{
    if (job->row.bytes != INGOT_NONE) {
        walk_job(job, BYTE_BLOCKS, avx512_multiply_bytes);
    } else if (job->row.high != INGOT_NONE) {
        walk_job(job, BF16_BLOCKS, multiply_bf16);
    } else {
        walk_job(job, FLOAT_BLOCKS, multiply_floats);
    }
}

#endif
