/* Codes on their way from planes of rows to the lanes of panels, in plain C. Planes go as they are,
 * word by word; codes that are made of others or stand in another order go one by one. */
#include "format/compiler.h"
#include "runtime/panels_make.h"
#include "runtime/resident_codes.h"

/* ------------------------------------------------------------------ words of a plane
 *
 * A word has the elements of 32 / w columns, element i at bits i w. In a panel element 4 t + b is
 * at bits 8 b + t w: as numbers of elements, the bits of t and those of b change places. */

/* Exchanges the bits of mask with those that are so many bits above them. */
static inline uint32_t exchange(uint32_t v, uint32_t distance, uint32_t mask)
{
    const uint32_t differ = (v ^ v >> distance) & mask;
    return v ^ differ ^ differ << distance;
}

/* All even bits, then all odd ones. */
static inline uint32_t unshuffle(uint32_t v)
{
    v = exchange(v, 1, 0x22222222);
    v = exchange(v, 2, 0x0c0c0c0c);
    v = exchange(v, 4, 0x00f000f0);
    return exchange(v, 8, 0x0000ff00);
}

/* 4 t + b becomes b, t: the two lowest bits of the number go above the three others. */
static inline uint32_t lay_1(uint32_t v)
{
    return unshuffle(unshuffle(v));
}

/* Of the number's bits t t b b the first and the third, then the second and the fourth. */
static inline uint32_t lay_2(uint32_t v)
{
    return exchange(exchange(v, 12, 0x0000f0f0), 6, 0x00cc00cc);
}

/* 01 23 45 67 becomes 01 45 23 67, then 04 15 26 37. */
static inline uint32_t lay_4(uint32_t v)
{
    return exchange(exchange(v, 8, 0x0000ff00), 4, 0x00f000f0);
}

static inline uint32_t lay_8(uint32_t v)
{
    return v;
}

/* Some of one row: n_words words from src, laid out, go to one lane of the words of a plane, of
 * which a block has w. `flip` is added to all by exclusive or; n_tail_bytes of a word may follow.
 */
struct lane {
    const uint8_t *src;
    uint64_t n_words;
    uint64_t n_tail_bytes;
    uint32_t flip;
    uint8_t *dst; /* of the first word */
    uint64_t block_bytes;
};

INGOT_TEMPLATE void lay_lane(const struct lane *lane, const uint32_t w,
                             uint32_t (*lay)(uint32_t word))
{
    const uint8_t *src = lane->src;
    uint8_t *dst = lane->dst;
    uint64_t n = lane->n_words;
    for (; n >= w; n -= w, dst += lane->block_bytes) {
        for (uint32_t q = 0; q < w; q++, src += 4) {
            store_u32(dst + 64 * q, lay(load_u32(src) ^ lane->flip));
        }
    }
    for (uint32_t q = 0; q < n; q++, src += 4) {
        store_u32(dst + 64 * q, lay(load_u32(src) ^ lane->flip));
    }
    if (lane->n_tail_bytes == 0) return;
    uint8_t tail[4] = {0};
    memcpy(tail, src, (size_t)lane->n_tail_bytes);
    store_u32(dst + 64 * n, lay(load_u32(tail) ^ lane->flip));
}

static void lay_lane_1(const struct lane *lane)
{
    lay_lane(lane, 1, lay_1);
}

static void lay_lane_2(const struct lane *lane)
{
    lay_lane(lane, 2, lay_2);
}

static void lay_lane_4(const struct lane *lane)
{
    lay_lane(lane, 4, lay_4);
}

static void lay_lane_8(const struct lane *lane)
{
    lay_lane(lane, 8, lay_8);
}

/* By the width of the plane. */
static void (*const lane_functions[PANEL_MAX_BITS + 1])(const struct lane *lane) = {
    [1] = lay_lane_1, [2] = lay_lane_2, [4] = lay_lane_4, [8] = lay_lane_8};

/* One bit at the top of every element. */
static uint32_t top_bits(uint32_t w)
{
    uint32_t bits = 0;
    for (uint32_t i = w; i <= 32; i += w) bits |= 1u << (i - 1);
    return bits;
}

/* So many blocks of all rows are laid out before the next: they stay in the cache. */
enum { SEGMENT_BLOCKS = 16, SEGMENT = SEGMENT_BLOCKS * PANEL_BLOCK };

/* Blocks [first, first + n) of a row; dst is that of the first. */
static void lay_planes(const struct maker *m, uint64_t row, uint64_t lane, uint64_t first,
                       uint64_t n, uint8_t *dst)
{
    const struct panels *p = m->p;
    uint32_t shift = 0;
    dst += 4 * lane;
    for (uint32_t i = 0; i < p->n_planes; i++) {
        const struct resident_plane *plane = &m->dense->planes[i];
        const uint32_t w = plane->bits;
        const uint64_t begin = first * 4 * w;
        const uint64_t n_bytes = min_u64(n * 4 * w, plane->row_bytes - begin);
        /* The sign of codes that have one is flipped: the highest bit, which the last plane has. */
        const bool signs = panel_laid_out(m->dense->coding, 0) >> shift >> (w - 1) & 1;
        const struct lane l = {.src = plane->data + row * plane->row_bytes + begin,
                               .n_words = n_bytes / 4,
                               .n_tail_bytes = n_bytes % 4,
                               .flip = signs ? top_bits(w) : 0,
                               .dst = dst,
                               .block_bytes = p->block_bytes};
        lane_functions[w](&l);
        dst += UINT64_C(64) * w;
        shift += w;
    }
}

/* ------------------------------------------------------------------ codes one by one */

/* The codes of one row go to their lanes; `codes` has one for each place. */
static void lay_codes(const struct panels *p, const uint8_t *codes, uint64_t n_blocks,
                      uint64_t lane, uint8_t *dst)
{
    for (uint64_t block = 0; block < n_blocks; block++) {
        const uint8_t *of_block = codes + block * PANEL_BLOCK;
        uint8_t *word = dst + block * p->block_bytes + lane * 4;
        uint32_t shift = 0;
        for (uint32_t i = 0; i < p->n_planes; i++) {
            const uint32_t w = p->widths[i], mask = (1u << w) - 1;
            for (uint32_t q = 0; q < w; q++, word += 64) {
                for (uint32_t b = 0; b < 4; b++) {
                    uint32_t byte = 0;
                    for (uint32_t t = 0; t < 8 / w; t++) {
                        const uint32_t code = of_block[(q * (8 / w) + t) * 4 + b];
                        byte |= (code >> shift & mask) << (t * w);
                    }
                    word[b] = (uint8_t)byte;
                }
            }
            shift += w;
        }
    }
}

/* Blocks [first, first + n) of a row; dst is that of the first. */
static void lay_listed(const struct maker *m, uint64_t row, uint64_t lane, uint64_t first,
                       uint64_t n_blocks, uint8_t *dst)
{
    const struct panels *p = m->p;
    const struct resident_dense *dense = m->dense;
    const uint64_t place = first * PANEL_BLOCK;
    uint32_t codes[SEGMENT] = {0};
    uint8_t bytes[SEGMENT] = {0};
    uint32_t n = (uint32_t)(n_blocks * PANEL_BLOCK);
    if (p->order == NULL) {
        n = (uint32_t)min_u64(n, p->n_cols - place);
        panel_vector_codes(m, row, place, n, codes);
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t code = codes[i];
        if (p->order != NULL) {
            const uint32_t col = p->order[place + i];
            if (col == INGOT_NONE) continue;
            code = resident_code(dense->planes, dense->n_planes, row, col);
        }
        bytes[i] = (uint8_t)panel_laid_out(dense->coding, code);
    }
    lay_codes(p, bytes, n_blocks, lane, dst);
}

/* ------------------------------------------------------------------ raw floats */

/* Four columns of four rows, of each row a word: become a word a column.
 *
 *     a    a0 a1 a2 a3        even    a0 b0 a2 b2        column 0    a0 b0 c0 d0
 *     b    b0 b1 b2 b3        odd     a1 b1 a3 b3        column 2    a2 b2 c2 d2
 */
static void turn_halves(const uint8_t *src, uint64_t row_bytes, uint8_t *dst)
{
    const uint64_t evens = 0x0000ffff0000ffff, first = 0xffffffff;
    const uint64_t a = load_u64(src), b = load_u64(src + row_bytes);
    const uint64_t c = load_u64(src + 2 * row_bytes), d = load_u64(src + 3 * row_bytes);
    const uint64_t even = (a & evens) | (b & evens) << 16, odd = (a >> 16 & evens) | (b & ~evens);
    const uint64_t even2 = (c & evens) | (d & evens) << 16, odd2 = (c >> 16 & evens) | (d & ~evens);
    store_u64(dst, (even & first) | even2 << 32);
    store_u64(dst + 2 * PANEL_ROWS, (odd & first) | odd2 << 32);
    store_u64(dst + 4 * PANEL_ROWS, even >> 32 | (even2 & ~first));
    store_u64(dst + 6 * PANEL_ROWS, odd >> 32 | (odd2 & ~first));
}

/* Columns [first, first + n) of rows [row, row + n_rows) of the panel; src is the panel's first. */
static void lay_columns(const struct maker *m, const uint8_t *src, uint64_t row, uint64_t n_rows,
                        uint64_t first, uint64_t n, uint8_t *dst)
{
    const uint64_t bytes = m->p->bits / 8, row_bytes = m->dense->planes[0].row_bytes;
    for (uint64_t i = row; i < row + n_rows; i++) {
        for (uint64_t c = first; c < first + n; c++) {
            uint8_t *at = dst + (c * PANEL_ROWS + i) * bytes;
            const uint8_t *from = src + i * row_bytes + c * bytes;
            if (bytes == 2) {
                store_u16(at, load_u16(from));
            } else {
                store_u32(at, load_u32(from));
            }
        }
    }
}

static void lay_raw(const struct maker *m, uint64_t first_row, uint64_t n_rows, uint8_t *dst)
{
    enum { FOUR = 4, COLUMNS = 32 /* of a cache line of halves */ };
    const uint64_t row_bytes = m->dense->planes[0].row_bytes, n_cols = m->p->n_cols;
    const uint8_t *src = m->dense->planes[0].data + first_row * row_bytes;
    for (uint64_t c = 0; c < n_cols; c += COLUMNS) {
        const uint64_t n = min_u64(COLUMNS, n_cols - c);
        const bool whole = m->p->bits == 16 && n == COLUMNS;
        const uint64_t n_turned = whole ? n_rows / FOUR * FOUR : 0;
        for (uint64_t i = 0; i < n_turned; i += FOUR) {
            for (uint64_t k = c; k < c + n; k += FOUR) {
                turn_halves(src + i * row_bytes + 2 * k, row_bytes, dst + 2 * (k * PANEL_ROWS + i));
            }
        }
        lay_columns(m, src, n_turned, n_rows - n_turned, c, n, dst);
    }
}

/* ------------------------------------------------------------------ panels */

static void mark_plain(const struct panels *p, const uint8_t *codes, uint64_t n_blocks,
                       uint8_t *plain)
{
    enum { BLOCK_BYTES = PANEL_ROWS * PANEL_BLOCK };
    const uint8_t least = p->floats.least, span = (uint8_t)(p->floats.most - least);
    for (uint64_t b = 0; b < n_blocks; b++, codes += BLOCK_BYTES) {
        uint8_t others = 0;
        for (uint32_t i = 0; i < BLOCK_BYTES; i++) {
            const uint8_t code = codes[i] & 127;
            others |= (uint8_t)((uint8_t)(code - least) > span) & (uint8_t)(code != 0);
        }
        plain[b] = !others;
    }
}

void panel_lay(void *maker, uint64_t panel)
{
    const struct maker *m = maker;
    const struct panels *p = m->p;
    const uint64_t panel_bytes = p->n_blocks * p->block_bytes, first_row = panel * PANEL_ROWS;
    const uint64_t n_rows = min_u64(PANEL_ROWS, p->n_rows - first_row);
    const bool in_order = p->order == NULL, as_planes = in_order && m->value_codes == NULL;
    uint8_t *dst = m->codes + panel * panel_bytes;
    const bool fills = in_order && n_rows == PANEL_ROWS && p->n_cols % PANEL_BLOCK == 0;
    if (!fills) memset(dst, 0, (size_t)panel_bytes);
    if (p->kind != PANEL_CODES) {
        lay_raw(m, first_row, n_rows, dst);
        return;
    }
    for (uint64_t first = 0; first < p->n_blocks; first += SEGMENT_BLOCKS) {
        const uint64_t n = min_u64(SEGMENT_BLOCKS, p->n_blocks - first);
        for (uint64_t i = 0; i < n_rows; i++) {
            (as_planes ? lay_planes : lay_listed)(m, first_row + i, i, first, n,
                                                  dst + first * p->block_bytes);
        }
        if (m->plain == NULL) continue;
        mark_plain(p, dst + first * p->block_bytes, n, m->plain + panel * p->n_blocks + first);
    }
}
