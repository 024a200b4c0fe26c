/* Panels times many rows of x with AVX-512: some columns of two panels are decoded into the first
 * cache, and multiplied by all rows of x, a few at a time. One form for f32, one for bf16, one for
 * 8-bit integers. */
#include "runtime/cpu_avx512.h"

#ifdef INGOT_X86_64

enum {
    PAIR = 2,         /* panels multiplied at a time */
    TILE_X = 8,       /* rows of x multiplied at a time: with two panels, sixteen sums */
    BYTE_TILE_X = 6,  /* the same for bytes, whose integer sums are apart from those of y */
    FLOAT_BLOCKS = 4, /* decoded at a time: 16 KiB for two panels in each form */
    BF16_BLOCKS = 8,
    BYTE_BLOCKS = 16
};

/* Columns of one panel of a job, in hand. */
struct part {
    const struct panels *panels;
    uint64_t panel;
    uint64_t first_block;
    uint64_t n_blocks;
};

static const uint8_t *part_block(const struct part *part, uint64_t b)
{
    const struct panels *p = part->panels;
    return p->codes + (part->panel * p->n_blocks + part->first_block + b) * p->block_bytes;
}

/* The main group of a half of a block. */
static uint64_t group_of(const struct part *part, uint64_t b, uint64_t half)
{
    return (2 * (part->first_block + b) + half) / part->panels->halves;
}

AVX512 static void part_entries(const struct part *part, struct chunk_entries *e)
{
    const uint64_t first = group_of(part, 0, 0), last = group_of(part, part->n_blocks - 1, 1);
    avx512_entries(part->panels, part->panel, first, last - first + 1, e);
}

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

/* ------------------------------------------------------------------ tiles of y */

/* y of two panels and some rows of x, in registers while some columns pass by. */
struct tile {
    __m512 y[TILE_X][PAIR];
};

struct place {
    float *y;
    uint64_t y_stride;
    __mmask16 lanes[PAIR];
    uint64_t n_x; /* rows that there are, from y on; those of x past them are zeros */
};

/* The lanes of row j: none past the last one. */
INGOT_TEMPLATE __mmask16 lanes_of(const struct place *at, const int j, const int panel)
{
    return (uint64_t)j < at->n_x ? at->lanes[panel] : (__mmask16)0;
}

INGOT_TEMPLATE AVX512 void tile_load(struct tile *t, const struct place *at, const int n_x)
{
    INGOT_UNROLL
    for (int j = 0; j < n_x; j++) {
        const float *y = at->y + (uint64_t)j * at->y_stride;
        t->y[j][0] = _mm512_maskz_loadu_ps(lanes_of(at, j, 0), y);
        t->y[j][1] = _mm512_maskz_loadu_ps(lanes_of(at, j, 1), y + PANEL_ROWS);
    }
}

INGOT_TEMPLATE AVX512 void tile_store(const struct tile *t, const struct place *at, const int n_x)
{
    INGOT_UNROLL
    for (int j = 0; j < n_x; j++) {
        float *y = at->y + (uint64_t)j * at->y_stride;
        _mm512_mask_storeu_ps(y, lanes_of(at, j, 0), t->y[j][0]);
        _mm512_mask_storeu_ps(y + PANEL_ROWS, lanes_of(at, j, 1), t->y[j][1]);
    }
}

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

/* One pair of panels and some blocks; the second panel may be missing, and is the first one again
 * then, whose sums are dropped. */
struct walk {
    const struct panel_job *job;
    struct part parts[PAIR];
    struct place at;
};

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

/* The place of rows of x from j on. */
static struct place place_of(const struct walk *walk, uint64_t j)
{
    struct place at = walk->at;
    at.y += j * at.y_stride;
    at.n_x = walk->job->n_x - j;
    return at;
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

/* ------------------------------------------------------------------ 8-bit integers */

typedef uint8_t step_bytes[64];

/* The integers of a part, step by step. */
INGOT_TEMPLATE AVX512 void integers_of(const struct part *part, step_bytes *dst, const int bits)
{
    const struct panel_integers *integers = &part->panels->integers;
    const __m512i bytes = load_512(integers->bytes);
    for (uint64_t b = 0; b < part->n_blocks; b++) {
        const uint8_t *block = part_block(part, b);
        INGOT_UNROLL
        for (int s = 0; s < STEPS; s++) {
            __m512i codes = exact_codes(block, bits, s);
            if (bits <= 6 && !integers->is_code) codes = _mm512_permutexvar_epi8(codes, bytes);
            _mm512_storeu_si512(dst[b * STEPS + (uint64_t)s], codes);
        }
    }
}

#define BYTES(bits)                                                           \
    AVX512 static void bytes_##bits(const struct part *part, step_bytes *dst) \
    {                                                                         \
        integers_of(part, dst, bits);                                         \
    }
BYTES(1)
BYTES(2)
BYTES(3)
BYTES(4)
BYTES(5)
BYTES(6)
BYTES(7)
BYTES(8)
static void (*const byte_functions[PANEL_MAX_BITS + 1])(const struct part *part,
                                                        step_bytes *dst) = {
    NULL, bytes_1, bytes_2, bytes_3, bytes_4, bytes_5, bytes_6, bytes_7, bytes_8,
};

/* What an 8-bit tile needs besides y: rows of x are x_bytes apart in each of its parts. */
struct byte_work {
    const struct part *part;
    const step_bytes *w[PAIR];
    const struct chunk_entries *entries[PAIR];
    const uint8_t *x; /* the integers of the part's blocks */
    const uint8_t *scales;
    const uint8_t *counts;
    const uint8_t *sums; /* of all groups */
    uint64_t x_bytes;
    int32_t zero;
};

/* Steps [first, first + n) of block b: t += scale of x * scale of w * products. */
INGOT_TEMPLATE AVX512 void byte_steps(struct tile *t, const struct byte_work *k, uint64_t b,
                                      uint64_t group, const int first, const int n)
{
    __m512i sums[BYTE_TILE_X][PAIR];
    INGOT_UNROLL
    for (int j = 0; j < BYTE_TILE_X; j++) {
        const uint8_t *counts = k->counts + (uint64_t)j * k->x_bytes + 8 * b;
        int32_t count = first == 0 ? (int32_t)load_u32(counts) : 0;
        if (first + n == STEPS) count += (int32_t)load_u32(counts + 4);
        sums[j][0] = sums[j][1] = _mm512_set1_epi32(-k->zero * count);
    }
    INGOT_UNROLL
    for (int s = first; s < first + n; s++) {
        const __m512i w0 = load_512(k->w[0][b * STEPS + (uint64_t)s]);
        const __m512i w1 = load_512(k->w[1][b * STEPS + (uint64_t)s]);
        INGOT_UNROLL
        for (int j = 0; j < BYTE_TILE_X; j++) {
            const uint8_t *x = k->x + (uint64_t)j * k->x_bytes + PANEL_BLOCK * b + 4 * (uint64_t)s;
            const __m512i v = _mm512_set1_epi32((int)load_u32(x));
            sums[j][0] = _mm512_dpbusd_epi32(sums[j][0], w0, v);
            sums[j][1] = _mm512_dpbusd_epi32(sums[j][1], w1, v);
        }
    }
    const __m512 scale0 = _mm512_loadu_ps(k->entries[0]->scale[group]);
    const __m512 scale1 = _mm512_loadu_ps(k->entries[1]->scale[group]);
    INGOT_UNROLL
    for (int j = 0; j < BYTE_TILE_X; j++) {
        const __m512 v = _mm512_set1_ps(load_f32(k->scales + (uint64_t)j * k->x_bytes + 4 * b));
        const __m512 f0 = _mm512_mul_ps(_mm512_cvtepi32_ps(sums[j][0]), scale0);
        const __m512 f1 = _mm512_mul_ps(_mm512_cvtepi32_ps(sums[j][1]), scale1);
        t->y[j][0] = _mm512_fmadd_ps(f0, v, t->y[j][0]);
        t->y[j][1] = _mm512_fmadd_ps(f1, v, t->y[j][1]);
    }
}

INGOT_TEMPLATE AVX512 void byte_offsets(struct tile *t, const struct byte_work *k, uint64_t group,
                                        uint64_t first_group)
{
    const __m512 offset0 = _mm512_loadu_ps(k->entries[0]->offset[group - first_group]);
    const __m512 offset1 = _mm512_loadu_ps(k->entries[1]->offset[group - first_group]);
    INGOT_UNROLL
    for (int j = 0; j < BYTE_TILE_X; j++) {
        const __m512 v = _mm512_set1_ps(load_f32(k->sums + (uint64_t)j * k->x_bytes + 4 * group));
        t->y[j][0] = _mm512_fmadd_ps(offset0, v, t->y[j][0]);
        t->y[j][1] = _mm512_fmadd_ps(offset1, v, t->y[j][1]);
    }
}

INGOT_TEMPLATE AVX512 void byte_tile(const struct place *at, const struct byte_work *k,
                                     const bool half)
{
    const struct part *part = k->part;
    const bool offset = avx512_has_offset(part->panels);
    const uint64_t first_group = group_of(part, 0, 0);
    struct tile t;
    tile_load(&t, at, BYTE_TILE_X);
    for (uint64_t b = 0; b < part->n_blocks; b++) {
        const uint64_t group = group_of(part, b, 0);
        if (half) {
            byte_steps(&t, k, b, group - first_group, 0, STEPS / 2);
            byte_steps(&t, k, b, group + 1 - first_group, STEPS / 2, STEPS / 2);
        } else {
            byte_steps(&t, k, b, group - first_group, 0, STEPS);
        }
        if (!offset) continue;
        if (half) byte_offsets(&t, k, group, first_group);
        const bool ends = 2 * (part->first_block + b + 1) % part->panels->halves == 0;
        if (ends) byte_offsets(&t, k, group_of(part, b, 1), first_group);
    }
    tile_store(&t, at, BYTE_TILE_X);
}

AVX512 static void multiply_bytes(const struct walk *walk)
{
    step_bytes w[PAIR][BYTE_BLOCKS * STEPS];
    struct chunk_entries entries[PAIR];
    const struct panel_job *job = walk->job;
    const struct panels *p = job->panels;
    const struct part *part = &walk->parts[0];
    const bool half = p->halves == 1;
    for (int i = 0; i < PAIR; i++) {
        const struct part *own = &walk->parts[i];
        part_entries(own, &entries[i]);
        byte_functions[p->bits](own, w[i]);
        const uint64_t n = group_of(own, own->n_blocks - 1, 1) - group_of(own, 0, 0) + 1;
        for (uint64_t g = 0; g < n; g++) {
            for (int r = 0; r < PANEL_ROWS; r++) entries[i].scale[g][r] *= p->integers.unit;
        }
    }
    for (uint64_t j = 0; j < job->n_x; j += BYTE_TILE_X) {
        const struct place at = place_of(walk, j);
        const uint8_t *row = ready_part(job->ready, &job->row, j, 0);
        const struct byte_work k = {
            .part = part,
            .w = {w[0], w[1]},
            .entries = {&entries[0], &entries[1]},
            .x = row + job->row.bytes + part->first_block * PANEL_BLOCK,
            .scales = row + job->row.scales + part->first_block * 4,
            .counts = row + job->row.counts + part->first_block * 8,
            .sums = row + job->row.sums,
            .x_bytes = job->row.n_bytes,
            .zero = p->integers.zero,
        };
        if (half) byte_tile(&at, &k, true);
        if (!half) byte_tile(&at, &k, false);
    }
}

void avx512_dot_floats(const struct panel_job *job)
{
    walk_job(job, FLOAT_BLOCKS, multiply_one);
}

void avx512_multiply(const struct panel_job *job)
{
    if (job->row.bytes != INGOT_NONE) {
        walk_job(job, BYTE_BLOCKS, multiply_bytes);
    } else if (job->row.high != INGOT_NONE) {
        walk_job(job, BF16_BLOCKS, multiply_bf16);
    } else {
        walk_job(job, FLOAT_BLOCKS, multiply_floats);
    }
}

#endif
