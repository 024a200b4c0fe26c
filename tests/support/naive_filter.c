/* The filters, naively. */
#include "tests/support/naive_filter.h"

static uint8_t bit_of(const uint8_t *bytes, uint64_t bit)
{
    return bytes[bit / 8] >> bit % 8 & 1;
}

/* Bit b of the byte that plane k has for an element of w bytes. */
static uint8_t plane_bit(const uint8_t *element, uint32_t w, bool rotate, uint32_t k, uint32_t b)
{
    const uint32_t bit = 8 * (w - 1 - k) + b;
    if (!rotate) return bit_of(element, bit);
    return bit_of(element, bit == 0 ? 8 * w - 1 : bit - 1);
}

static void naive_split(uint32_t w, bool rotate, const uint8_t *raw, uint64_t n_bytes,
                        struct byte_buffer *out)
{
    const uint64_t n = n_bytes / w;
    for (uint32_t k = 0; k < w; k++) {
        for (uint64_t i = 0; i < n; i++) {
            uint8_t byte = 0;
            for (uint32_t b = 0; b < 8; b++) {
                byte = (uint8_t)(byte | plane_bit(raw + i * w, w, rotate, k, b) << b);
            }
            buffer_u8(out, byte);
        }
    }
    buffer_append(out, raw + n * w, n_bytes - n * w);
}

static uint8_t trit(const uint8_t *raw, uint64_t n_bytes, uint64_t i)
{
    if (i / 4 >= n_bytes) return 0;
    return (uint8_t)(raw[i / 4] >> i % 4 * 2 & 3);
}

static void naive_trits(const uint8_t *raw, uint64_t n_bytes, struct byte_buffer *out)
{
    const uint64_t n = n_bytes / 5 * 4 + n_bytes % 5;
    for (uint64_t i = 0; i < n; i++) {
        uint32_t number = 0;
        for (uint32_t k = 5; k-- > 0;) number = number * 3 + trit(raw, n_bytes, 5 * i + k);
        buffer_u8(out, (uint8_t)number);
    }
}

static void naive_fp8(const uint8_t *raw, uint64_t n_bytes, struct byte_buffer *out)
{
    for (uint64_t i = 0; i < n_bytes; i++) buffer_u8(out, (raw[i] & 127) / 2);
    for (uint64_t i = 0; i < n_bytes; i += 4) {
        uint32_t pairs = 0;
        for (uint64_t k = i; k < i + 4 && k < n_bytes; k++) {
            pairs += (raw[k] % 2u + (raw[k] / 128) * 2u) << 2 * (k - i);
        }
        buffer_u8(out, (uint8_t)pairs);
    }
}

void naive_filter(uint8_t filter, const uint8_t *raw, uint64_t n_bytes, struct byte_buffer *out)
{
    static const uint32_t widths[] = {0, 2, 4, 8, 2, 4};
    if (filter == 6) {
        naive_trits(raw, n_bytes, out);
    } else if (filter == 7) {
        naive_fp8(raw, n_bytes, out);
    } else {
        naive_split(widths[filter], filter >= 4, raw, n_bytes, out);
    }
}
