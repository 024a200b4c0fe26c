/* Codes into planes, eight at a time where rows begin at bytes. */
#include "convert/planes.h"

#include <string.h>

#include "format/bytes.h"

/* Eight bytes of which the low 4, 2 or 1 bits count to 32, 16 or 8 bits in a row:
 *
 *     width 4    0000aaaa 0000bbbb -> aaaabbbb, then pairs of those, then pairs of pairs  */
static uint64_t squeeze(uint64_t codes, uint8_t width)
{
    if (width == 4) {
        codes &= UINT64_C(0x0f0f0f0f0f0f0f0f);
        codes = (codes | codes >> 4) & UINT64_C(0x00ff00ff00ff00ff);
        codes = (codes | codes >> 8) & UINT64_C(0x0000ffff0000ffff);
        return (codes | codes >> 16) & UINT64_C(0xffffffff);
    }
    if (width == 2) {
        codes &= UINT64_C(0x0303030303030303);
        codes = (codes | codes >> 6) & UINT64_C(0x000f000f000f000f);
        codes = (codes | codes >> 12) & UINT64_C(0x000000ff000000ff);
        return (codes | codes >> 24) & 0xffff;
    }
    codes &= UINT64_C(0x0101010101010101);
    return (codes * UINT64_C(0x0102040810204080)) >> 56;
}

/* The bits [shift, shift + width) of n codes, from bit `first` of the plane on. */
static void put_row(uint8_t width, uint8_t shift, const uint8_t *codes, uint64_t n, uint8_t *plane,
                    uint64_t first)
{
    uint64_t i = 0;
    if (width == 8) {
        memcpy(plane + first / 8, codes, (size_t)n);
        return;
    }
    if (first % 8 == 0) {
        for (uint8_t *out = plane + first / 8; n - i >= 8; i += 8, out += width) {
            uint64_t eight;
            memcpy(&eight, codes + i, 8);
            const uint64_t bits = squeeze(eight >> shift, width);
            memcpy(out, &bits, width);
        }
    }
    const uint8_t mask = (uint8_t)((1u << width) - 1);
    for (; i < n; i++) {
        const uint64_t bit = first + i * width;
        plane[bit / 8] |= (uint8_t)((codes[i] >> shift & mask) << bit % 8);
    }
}

uint32_t planes_put(uint8_t bits, struct stack_shape stack, const uint8_t *codes,
                    uint8_t *const *streams)
{
    uint8_t widths[CODING_MAX_PLANES];
    const uint32_t n = plane_widths(bits, widths);
    uint8_t shift = 0;
    for (uint32_t p = 0; p < n; p++) {
        struct stream_shape shape;
        if (!plane_shape(widths[p], stack, &shape)) return n;
        for (uint64_t r = 0; r < shape.n_rows; r++) {
            put_row(widths[p], shift, codes + r * stack.n_cols, stack.n_cols, streams[p],
                    r * shape.row_bits);
        }
        shift = (uint8_t)(shift + widths[p]);
    }
    return n;
}
