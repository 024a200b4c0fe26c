/* Codes out of resident planes [6.4], one function a width of plane. */
#include "runtime/resident_codes.h"

#include "format/bytes.h"

/* Element c of a plane of 8 bits or fewer:
 *
 *     bit      7 6 5 4 3 2 1 0     of byte c * bits / 8
 *     bits 2   3 3 2 2 1 1 0 0     c modulo 4
 */
static void add_narrow(const uint8_t *row, uint8_t bits, uint64_t first, uint32_t n, uint32_t shift,
                       uint32_t *codes)
{
    const uint32_t mask = (1u << bits) - 1;
    for (uint32_t i = 0; i < n; i++) {
        const uint64_t bit = (first + i) * bits;
        codes[i] |= ((uint32_t)row[bit / 8] >> bit % 8 & mask) << shift;
    }
}

static void add_u16(const uint8_t *row, uint8_t bits, uint64_t first, uint32_t n, uint32_t shift,
                    uint32_t *codes)
{
    (void)bits;
    for (uint32_t i = 0; i < n; i++) codes[i] |= (uint32_t)load_u16(row + (first + i) * 2) << shift;
}

static void add_u32(const uint8_t *row, uint8_t bits, uint64_t first, uint32_t n, uint32_t shift,
                    uint32_t *codes)
{
    (void)bits;
    (void)shift;
    for (uint32_t i = 0; i < n; i++) codes[i] = load_u32(row + (first + i) * 4);
}

/* By the width of the plane: puts its elements into the codes from bit `shift` on. */
static void (*const add_plane[RESIDENT_MAX_CODE_BITS + 1])(const uint8_t *row, uint8_t bits,
                                                           uint64_t first, uint32_t n,
                                                           uint32_t shift, uint32_t *codes) = {
    [1] = add_narrow, [2] = add_narrow, [4] = add_narrow,
    [8] = add_narrow, [16] = add_u16,   [32] = add_u32,
};

void resident_codes(const struct resident_plane *planes, uint32_t n_planes, uint64_t row,
                    uint64_t first_col, uint32_t n, uint32_t *codes)
{
    uint32_t shift = 0;
    memset(codes, 0, n * sizeof *codes);
    for (uint32_t i = 0; i < n_planes; i++) {
        const struct resident_plane *plane = &planes[i];
        add_plane[plane->bits](plane->data + row * plane->row_bytes, plane->bits, first_col, n,
                               shift, codes);
        shift += plane->bits;
    }
}
