/* Panels of integers times many rows of x with AVX-512, x being 8-bit integers: some columns of two
 * panels are unpacked into the first cache, and multiplied by all rows of x, a few at a time. */
#include "runtime/cpu_avx512_tiles.h"

#ifdef INGOT_X86_64

enum {
    BYTE_TILE_X = 6 /* rows of x at a time: their integer sums are apart from those of y */
};

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
    const step_bytes *w[PAIR];
    const struct chunk_entries *entries[PAIR];
    uint64_t n_blocks;
    uint64_t span;       /* blocks of a group, 1 also of those that have two */
    uint64_t n_of_group; /* blocks that the first group has left */
    const uint8_t *x;    /* the integers of the blocks */
    const uint8_t *scales;
    const uint8_t *starts;
    const uint8_t *sums; /* of the groups */
    uint64_t x_bytes;
};

/* Steps [first, first + n) of block b: t += scale of x * scale of w * products. */
INGOT_TEMPLATE AVX512 void byte_steps(struct tile *t, const struct byte_work *k, uint64_t b,
                                      uint64_t group, const int first, const int n)
{
    __m512i sums[BYTE_TILE_X][PAIR];
    INGOT_UNROLL
    for (int j = 0; j < BYTE_TILE_X; j++) {
        const uint8_t *starts = k->starts + (uint64_t)j * k->x_bytes + 8 * b;
        sums[j][0] = sums[j][1] = _mm512_set1_epi32((int)load_u32(starts + (first == 0 ? 0 : 4)));
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

INGOT_TEMPLATE AVX512 void byte_offsets(struct tile *t, const struct byte_work *k, uint64_t group)
{
    const __m512 offset0 = _mm512_loadu_ps(k->entries[0]->offset[group]);
    const __m512 offset1 = _mm512_loadu_ps(k->entries[1]->offset[group]);
    INGOT_UNROLL
    for (int j = 0; j < BYTE_TILE_X; j++) {
        const __m512 v = _mm512_set1_ps(load_f32(k->sums + (uint64_t)j * k->x_bytes + 4 * group));
        t->y[j][0] = _mm512_fmadd_ps(offset0, v, t->y[j][0]);
        t->y[j][1] = _mm512_fmadd_ps(offset1, v, t->y[j][1]);
    }
}

INGOT_TEMPLATE AVX512 void byte_tile(const struct place *at, const struct byte_work *k,
                                     const bool half, const bool offset)
{
    struct tile t;
    uint64_t group = 0, n_of_group = k->n_of_group;
    tile_load(&t, at, BYTE_TILE_X);
    for (uint64_t b = 0; b < k->n_blocks; b++) {
        if (half) {
            byte_steps(&t, k, b, group, 0, STEPS / 2);
            if (offset) byte_offsets(&t, k, group);
            group++;
            byte_steps(&t, k, b, group, STEPS / 2, STEPS / 2);
        } else {
            byte_steps(&t, k, b, group, 0, STEPS);
        }
        if (--n_of_group != 0) continue;
        if (offset) byte_offsets(&t, k, group);
        n_of_group = k->span;
        group++;
    }
    tile_store(&t, at, BYTE_TILE_X);
}

#define BYTE_TILE(half, offset)                                                                    \
    AVX512 static void byte_tile_##half##offset(const struct place *at, const struct byte_work *k) \
    {                                                                                              \
        byte_tile(at, k, half, offset);                                                            \
    }
BYTE_TILE(0, 0)
BYTE_TILE(0, 1)
BYTE_TILE(1, 0)
BYTE_TILE(1, 1)
/* By whether halves are groups and whether there are offsets. */
static void (*const byte_tiles[2][2])(const struct place *at, const struct byte_work *k) = {
    {byte_tile_00, byte_tile_01},
    {byte_tile_10, byte_tile_11},
};

/* Entries of a part, the units of its integers being taken into the scales. */
AVX512 static void byte_entries(const struct part *part, struct chunk_entries *e)
{
    const __m512 unit = _mm512_set1_ps(part->panels->integers.unit);
    const uint64_t n = group_of(part, part->n_blocks - 1, 1) - group_of(part, 0, 0) + 1;
    part_entries(part, e);
    for (uint64_t g = 0; g < n; g++) {
        _mm512_storeu_ps(e->scale[g], _mm512_mul_ps(_mm512_loadu_ps(e->scale[g]), unit));
    }
}

void avx512_multiply_bytes(const struct walk *walk)
{
    step_bytes w[PAIR][BYTE_BLOCKS * STEPS];
    struct chunk_entries entries[PAIR];
    const struct panel_job *job = walk->job;
    const struct panels *p = job->panels;
    const struct part *part = &walk->parts[0];
    const bool half = p->halves == 1, offset = avx512_has_offset(p);
    const uint64_t span = half ? 1 : p->halves / 2;
    for (int i = 0; i < PAIR; i++) {
        byte_entries(&walk->parts[i], &entries[i]);
        byte_functions[p->bits](&walk->parts[i], w[i]);
    }
    for (uint64_t j = 0; j < job->n_x; j += BYTE_TILE_X) {
        const struct place at = place_of(walk, j);
        const uint8_t *row = ready_part(job->ready, &job->row, j, 0);
        const struct byte_work k = {
            .w = {w[0], w[1]},
            .entries = {&entries[0], &entries[1]},
            .n_blocks = part->n_blocks,
            .span = span,
            .n_of_group = span - part->first_block % span,
            .x = row + job->row.bytes + part->first_block * PANEL_BLOCK,
            .scales = row + job->row.scales + part->first_block * 4,
            .starts = row + job->row.starts + part->first_block * 8,
            .sums = row + job->row.sums + group_of(part, 0, 0) * 4,
            .x_bytes = job->row.n_bytes,
        };
        byte_tiles[half][offset](&at, &k);
    }
}

#endif
