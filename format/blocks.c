/* Blocks apart and together: one function each for bytes, for lanes, for any pieces, and for base-3
 * digits. A place says which of them serves it. */
#include "format/blocks.h"

#include <assert.h>

#include "format/bytes.h"

/* A piece may be read with the byte after it, also at the end of the last block. */
enum { ROOM_BYTES = BLOCK_MAX_BYTES + 2 };

uint32_t block_stream_bits(const struct block_layout *layout, uint32_t stream)
{
    const struct block_place *p = &layout->places[stream];
    uint32_t bits = p->bits;
    if (layout->ternary && stream == 0) return 2u * layout->n_weights;
    for (uint32_t i = 0; i < BLOCK_MAX_DIMS; i++) {
        if (p->dims[i].n) bits *= p->dims[i].n;
    }
    return bits;
}

bool block_streams_fit(const struct block_layout *layout, struct stack_shape stack,
                       const struct stream_shape *shapes, uint32_t n_streams)
{
    const uint64_t n_blocks = stack.n_cols / layout->n_weights;
    if (n_streams != layout->n_streams || stack.n_cols % layout->n_weights != 0) return false;
    for (uint32_t i = 0; i < n_streams; i++) {
        const struct stream_shape *s = &shapes[i];
        const uint64_t bits = n_blocks * block_stream_bits(layout, i);
        if (s->any_length || s->n_rows != stack.n_matrices * stack.n_rows) return false;
        if (s->n_cols * s->bits != bits || s->row_bits % 8 != 0) return false;
    }
    return true;
}

/* ---- one stream of one block ---- */

/* Three dims, those that are none counting once. */
struct walk {
    uint32_t n[BLOCK_MAX_DIMS];
    uint32_t step[BLOCK_MAX_DIMS];
    uint32_t bits;
    uint32_t first_bit;
    uint32_t n_bytes; /* of the stream, a block */
};

struct mover {
    void (*take)(const struct walk *w, const uint8_t *block, uint8_t *dst);
    void (*give)(const struct walk *w, const uint8_t *src, uint8_t *block);
};

/* Where row number j, k of pieces begins. */
static inline uint32_t row_bit(const struct walk *w, uint32_t j, uint32_t k)
{
    return w->first_bit + j * w->step[1] + k * w->step[2];
}

/* Runs of whole bytes. */
static void take_bytes(const struct walk *w, const uint8_t *block, uint8_t *dst)
{
    const uint32_t n_bytes = w->bits / 8, step = w->step[0] / 8;
    for (uint32_t k = 0; k < w->n[2]; k++) {
        for (uint32_t j = 0; j < w->n[1]; j++) {
            const uint8_t *src = block + row_bit(w, j, k) / 8;
            for (uint32_t i = 0; i < w->n[0]; i++, src += step, dst += n_bytes) {
                memcpy(dst, src, n_bytes);
            }
        }
    }
}

static void give_bytes(const struct walk *w, const uint8_t *src, uint8_t *block)
{
    const uint32_t n_bytes = w->bits / 8, step = w->step[0] / 8;
    for (uint32_t k = 0; k < w->n[2]; k++) {
        for (uint32_t j = 0; j < w->n[1]; j++) {
            uint8_t *dst = block + row_bit(w, j, k) / 8;
            for (uint32_t i = 0; i < w->n[0]; i++, src += n_bytes, dst += step) {
                memcpy(dst, src, n_bytes);
            }
        }
    }
}

/* Single bytes, apart from each other. */
static void take_single(const struct walk *w, const uint8_t *block, uint8_t *dst)
{
    for (uint32_t k = 0; k < w->n[2]; k++) {
        for (uint32_t j = 0; j < w->n[1]; j++) {
            const uint8_t *src = block + row_bit(w, j, k) / 8;
            for (uint32_t i = 0; i < w->n[0]; i++) *dst++ = src[i * w->step[0] / 8];
        }
    }
}

static void give_single(const struct walk *w, const uint8_t *src, uint8_t *block)
{
    for (uint32_t k = 0; k < w->n[2]; k++) {
        for (uint32_t j = 0; j < w->n[1]; j++) {
            uint8_t *dst = block + row_bit(w, j, k) / 8;
            for (uint32_t i = 0; i < w->n[0]; i++) dst[i * w->step[0] / 8] = *src++;
        }
    }
}

/* Lanes: pieces of w = 1, 2 or 4 bits, one a byte, eight bytes at once. Bits of eight lanes, w = 1:
 *
 *     .......h.......g.......f.......e.......d.......c.......b.......a
 *     ..............hg..............fe..............dc..............ba      after one step
 *
 * Each of three steps closes gaps of 8 - w, 2 * (8 - w), 4 * (8 - w) bits. A mask has `bits` ones
 * in every `lane_bits` bits: all ones divided by the lane's, times the piece's. */
static inline uint64_t lane_mask(uint32_t bits, uint32_t lane_bits)
{
    return UINT64_MAX / ((UINT64_C(1) << lane_bits) - 1) * ((UINT64_C(1) << bits) - 1);
}

static inline uint64_t lanes_gather(uint64_t v, uint32_t bits)
{
    const uint32_t gap = 8 - bits;
    v &= lane_mask(bits, 8);
    v = (v | v >> gap) & lane_mask(2 * bits, 16);
    v = (v | v >> 2 * gap) & lane_mask(4 * bits, 32);
    return (v | v >> 4 * gap) & ((UINT64_C(1) << 8 * bits) - 1);
}

static inline uint64_t lanes_spread(uint64_t v, uint32_t bits)
{
    const uint32_t gap = 8 - bits;
    v = (v | v << 4 * gap) & lane_mask(4 * bits, 32);
    v = (v | v << 2 * gap) & lane_mask(2 * bits, 16);
    return (v | v << gap) & lane_mask(bits, 8);
}

static inline void take_lanes(const struct walk *w, const uint8_t *block, uint8_t *dst,
                              const uint32_t bits)
{
    for (uint32_t k = 0; k < w->n[2]; k++) {
        for (uint32_t j = 0; j < w->n[1]; j++) {
            const uint32_t bit = row_bit(w, j, k);
            const uint8_t *src = block + bit / 8;
            for (uint32_t i = 0; i < w->n[0]; i += 8, src += 8, dst += bits) {
                uint8_t packed[8];
                store_u64(packed, lanes_gather(load_u64(src) >> bit % 8, bits));
                memcpy(dst, packed, bits);
            }
        }
    }
}

static inline void give_lanes(const struct walk *w, const uint8_t *src, uint8_t *block,
                              const uint32_t bits)
{
    for (uint32_t k = 0; k < w->n[2]; k++) {
        for (uint32_t j = 0; j < w->n[1]; j++) {
            const uint32_t bit = row_bit(w, j, k);
            uint8_t *dst = block + bit / 8;
            for (uint32_t i = 0; i < w->n[0]; i += 8, src += bits, dst += 8) {
                uint8_t packed[8] = {0};
                memcpy(packed, src, bits);
                const uint64_t spread = lanes_spread(load_u64(packed), bits);
                store_u64(dst, load_u64(dst) | spread << bit % 8);
            }
        }
    }
}

/* Pieces of 1, 2 or 4 bits anywhere: their number is a multiple of what fills a byte. */
static inline void take_pieces(const struct walk *w, const uint8_t *block, uint8_t *dst,
                               const uint32_t bits)
{
    const uint32_t mask = (1u << bits) - 1;
    uint32_t packed = 0, n_packed = 0;
    for (uint32_t k = 0; k < w->n[2]; k++) {
        for (uint32_t j = 0; j < w->n[1]; j++) {
            uint32_t bit = row_bit(w, j, k);
            for (uint32_t i = 0; i < w->n[0]; i++, bit += w->step[0]) {
                const uint32_t two_bytes = load_u16(block + bit / 8);
                packed |= (two_bytes >> bit % 8 & mask) << n_packed;
                n_packed += bits;
                if (n_packed < 8) continue;
                *dst++ = (uint8_t)packed;
                packed = n_packed = 0;
            }
        }
    }
}

static inline void give_pieces(const struct walk *w, const uint8_t *src, uint8_t *block,
                               const uint32_t bits)
{
    const uint32_t mask = (1u << bits) - 1;
    uint32_t n_taken = 0;
    for (uint32_t k = 0; k < w->n[2]; k++) {
        for (uint32_t j = 0; j < w->n[1]; j++) {
            uint32_t bit = row_bit(w, j, k);
            for (uint32_t i = 0; i < w->n[0]; i++, bit += w->step[0], n_taken += bits) {
                const uint32_t piece = ((uint32_t)(src[n_taken / 8] >> n_taken % 8) & mask)
                                       << bit % 8;
                block[bit / 8] = (uint8_t)(block[bit / 8] | piece);
                block[bit / 8 + 1] = (uint8_t)(block[bit / 8 + 1] | piece >> 8);
            }
        }
    }
}

/* Functions of one width each, in which the width is a constant. */
#define WIDTH(kind, bits)                                                                      \
    static void take_##kind##_##bits(const struct walk *w, const uint8_t *block, uint8_t *dst) \
    {                                                                                          \
        take_##kind(w, block, dst, bits);                                                      \
    }                                                                                          \
    static void give_##kind##_##bits(const struct walk *w, const uint8_t *src, uint8_t *block) \
    {                                                                                          \
        give_##kind(w, src, block, bits);                                                      \
    }
WIDTH(lanes, 1)
WIDTH(lanes, 2)
WIDTH(lanes, 4)
WIDTH(pieces, 1)
WIDTH(pieces, 2)
WIDTH(pieces, 4)
#undef WIDTH

static const struct mover bytes_mover = {take_bytes, give_bytes};
static const struct mover single_mover = {take_single, give_single};
/* By bits. */
static const struct mover lanes_movers[] = {[1] = {take_lanes_1, give_lanes_1},
                                            [2] = {take_lanes_2, give_lanes_2},
                                            [4] = {take_lanes_4, give_lanes_4}};
static const struct mover pieces_movers[] = {[1] = {take_pieces_1, give_pieces_1},
                                             [2] = {take_pieces_2, give_pieces_2},
                                             [4] = {take_pieces_4, give_pieces_4}};

/* The walk of a place. A first dim whose pieces touch each other is one larger piece. */
static const struct mover *open_place(const struct block_place *place, struct walk *w)
{
    *w = (struct walk){.bits = place->bits, .first_bit = place->first_bit};
    uint32_t n_bits = place->bits;
    for (uint32_t i = 0; i < BLOCK_MAX_DIMS; i++) {
        w->n[i] = place->dims[i].n ? place->dims[i].n : 1;
        w->step[i] = place->dims[i].step;
        n_bits *= w->n[i];
    }
    w->n_bytes = n_bits / 8;
    if (w->step[0] == w->bits) {
        w->bits *= w->n[0];
        w->n[0] = 1;
    }
    if (w->bits % 8 == 0) return w->bits == 8 ? &single_mover : &bytes_mover;
    assert(w->bits == 1 || w->bits == 2 || w->bits == 4);
    return w->step[0] == 8 && w->n[0] % 8 == 0 ? &lanes_movers[w->bits] : &pieces_movers[w->bits];
}

/* ---- base-3 digits ---- */

/* Byte number b of a run holds digits of weights first_weight + digit * n_bytes + b, the first
 * digit weighing most; a run of four digits has a fifth that is zero. [14.3] */
static const struct {
    uint8_t first_byte;
    uint8_t n_bytes;
    uint8_t n_digits;
    uint8_t first_weight;
} ternary_runs[] = {{0, 32, 5, 0}, {32, 16, 5, 160}, {48, 4, 4, 240}};
enum { N_TERNARY_RUNS = sizeof ternary_runs / sizeof *ternary_runs, MOST_TERNARY = 256 };

static void take_digits(const uint8_t *block, uint8_t *dst)
{
    for (uint32_t r = 0; r < N_TERNARY_RUNS; r++) {
        const uint32_t n_bytes = ternary_runs[r].n_bytes;
        for (uint32_t b = 0; b < n_bytes; b++) {
            uint32_t v = block[ternary_runs[r].first_byte + b];
            for (uint32_t k = 0; k < ternary_runs[r].n_digits; k++) {
                const uint32_t weight = ternary_runs[r].first_weight + k * n_bytes + b;
                dst[weight / 4] = (uint8_t)(dst[weight / 4] | (v * 3 >> 8) << 2 * (weight % 4));
                v = v * 3 & 255;
            }
        }
    }
}

/* Returns the first weight whose code is 3, or MOST_TERNARY. */
static uint32_t give_digits(const uint8_t *src, uint8_t *block)
{
    uint32_t bad = MOST_TERNARY;
    for (uint32_t r = 0; r < N_TERNARY_RUNS; r++) {
        const uint32_t n_bytes = ternary_runs[r].n_bytes;
        for (uint32_t b = 0; b < n_bytes; b++) {
            uint32_t v = 0;
            for (uint32_t k = 0; k < 5; k++) {
                const uint32_t weight = ternary_runs[r].first_weight + k * n_bytes + b;
                uint32_t digit = 0;
                if (k < ternary_runs[r].n_digits) digit = src[weight / 4] >> 2 * (weight % 4) & 3;
                if (digit == 3 && weight < bad) bad = weight;
                v = v * 3 + digit;
            }
            block[ternary_runs[r].first_byte + b] = (uint8_t)((v * 256 + 242) / 243);
        }
    }
    return bad;
}

/* ---- rows ---- */

void blocks_apart(const struct block_rows *rows, const uint8_t *blocks, uint8_t *const *streams)
{
    const struct block_layout *layout = rows->layout;
    const uint64_t row_bytes = rows->n_blocks * layout->n_bytes;
    uint8_t room[ROOM_BYTES] = {0};
    struct walk walks[BLOCK_MAX_STREAMS];
    const struct mover *movers[BLOCK_MAX_STREAMS] = {0};
    for (uint32_t s = layout->ternary; s < layout->n_streams; s++) {
        movers[s] = open_place(&layout->places[s], &walks[s]);
    }
    for (uint64_t r = 0; r < rows->n_rows; r++) {
        for (uint64_t b = 0; b < rows->n_blocks; b++) {
            memcpy(room, blocks + r * row_bytes + b * layout->n_bytes, layout->n_bytes);
            for (uint32_t s = 0; s < layout->n_streams; s++) {
                uint8_t *row = streams[s] + r * rows->shapes[s].row_bits / 8;
                if (movers[s]) {
                    movers[s]->take(&walks[s], room, row + b * walks[s].n_bytes);
                } else {
                    take_digits(room, row + b * layout->n_weights / 4);
                }
            }
        }
    }
}

uint64_t blocks_together(const struct block_rows *rows, const uint8_t *const *streams,
                         uint8_t *blocks)
{
    const struct block_layout *layout = rows->layout;
    const uint64_t row_bytes = rows->n_blocks * layout->n_bytes;
    uint8_t room[ROOM_BYTES];
    struct walk walks[BLOCK_MAX_STREAMS];
    const struct mover *movers[BLOCK_MAX_STREAMS] = {0};
    uint64_t bad = UINT64_MAX;
    for (uint32_t s = layout->ternary; s < layout->n_streams; s++) {
        movers[s] = open_place(&layout->places[s], &walks[s]);
    }
    for (uint64_t r = 0; r < rows->n_rows; r++) {
        for (uint64_t b = 0; b < rows->n_blocks; b++) {
            memset(room, 0, layout->n_bytes + 2u);
            for (uint32_t s = 0; s < layout->n_streams; s++) {
                const uint8_t *row = streams[s] + r * rows->shapes[s].row_bits / 8;
                if (movers[s]) {
                    movers[s]->give(&walks[s], row + b * walks[s].n_bytes, room);
                    continue;
                }
                const uint32_t weight = give_digits(row + b * layout->n_weights / 4, room);
                if (weight < MOST_TERNARY && bad == UINT64_MAX) {
                    bad = (r * rows->n_blocks + b) * layout->n_weights + weight;
                }
            }
            memcpy(blocks + r * row_bytes + b * layout->n_bytes, room, layout->n_bytes);
        }
    }
    return bad;
}
