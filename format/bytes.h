/* The gate: the only place that turns bytes from outside into integers, and the arithmetic on
 * sizes that cannot wrap. Knows nothing of any format. */
#ifndef INGOT_BYTES_H
#define INGOT_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t load_u16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t load_u32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, 4);
    return v;
}

static inline uint64_t load_u64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}

static inline float load_f32(const uint8_t *p)
{
    float v;
    memcpy(&v, p, 4);
    return v;
}

static inline void store_u16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}

static inline void store_u32(uint8_t *p, uint32_t v)
{
    memcpy(p, &v, 4);
}

static inline void store_u64(uint8_t *p, uint64_t v)
{
    memcpy(p, &v, 8);
}

static inline void store_f32(uint8_t *p, float v)
{
    memcpy(p, &v, 4);
}

/* The same bytes in the other order. */
static inline uint16_t swap_u16(uint16_t v)
{
    return (uint16_t)(v >> 8 | v << 8);
}

static inline uint32_t swap_u32(uint32_t v)
{
    return (uint32_t)swap_u16((uint16_t)v) << 16 | swap_u16((uint16_t)(v >> 16));
}

static inline uint64_t swap_u64(uint64_t v)
{
    return (uint64_t)swap_u32((uint32_t)v) << 32 | swap_u32((uint32_t)(v >> 32));
}

/* Reverses the bytes of each element of 1, 2, 4 or 8 bytes; n_bytes is a multiple of that. */
static inline void swap_elements(uint8_t *bytes, uint64_t n_bytes, uint32_t element_bytes)
{
    for (uint64_t at = 0; element_bytes > 1 && at < n_bytes; at += element_bytes) {
        for (uint32_t i = 0; i < element_bytes / 2; i++) {
            const uint8_t low = bytes[at + i];
            bytes[at + i] = bytes[at + element_bytes - 1 - i];
            bytes[at + element_bytes - 1 - i] = low;
        }
    }
}

static inline uint32_t f32_bits(float v)
{
    uint32_t bits;
    memcpy(&bits, &v, 4);
    return bits;
}

static inline float f32_from_bits(uint32_t bits)
{
    float v;
    memcpy(&v, &bits, 4);
    return v;
}

/* A run of bytes that belongs to somebody else. */
struct span {
    const uint8_t *data;
    uint64_t n_bytes;
};

/* Whether [offset, offset + n_bytes) lies within [0, total). Cannot wrap. */
static inline bool range_within(uint64_t offset, uint64_t n_bytes, uint64_t total)
{
    return n_bytes <= total && offset <= total - n_bytes;
}

static inline bool span_sub(struct span whole, uint64_t offset, uint64_t n_bytes, struct span *part)
{
    if (!range_within(offset, n_bytes, whole.n_bytes)) return false;
    *part = (struct span){whole.data + offset, n_bytes};
    return true;
}

/* A cursor over a span whose first failure wins: after it, every read yields zero. */
struct cursor {
    struct span whole;
    uint64_t offset;
    bool failed;
};

static inline struct cursor cursor_over(const void *data, uint64_t n_bytes)
{
    return (struct cursor){{(const uint8_t *)data, n_bytes}, 0, false};
}

/* The next n_bytes bytes, or NULL when fewer are left. */
static inline const uint8_t *cursor_bytes(struct cursor *at, uint64_t n_bytes)
{
    if (at->failed || n_bytes > at->whole.n_bytes - at->offset) {
        at->failed = true;
        return NULL;
    }
    const uint8_t *p = at->whole.data + at->offset;
    at->offset += n_bytes;
    return p;
}

static inline uint64_t cursor_left(const struct cursor *at)
{
    return at->failed ? 0 : at->whole.n_bytes - at->offset;
}

static inline uint8_t cursor_u8(struct cursor *at)
{
    const uint8_t *p = cursor_bytes(at, 1);
    return p ? *p : 0;
}

static inline uint32_t cursor_u32(struct cursor *at)
{
    const uint8_t *p = cursor_bytes(at, 4);
    return p ? load_u32(p) : 0;
}

static inline uint64_t cursor_u64(struct cursor *at)
{
    const uint8_t *p = cursor_bytes(at, 8);
    return p ? load_u64(p) : 0;
}

/* Sizes: false when the result does not fit, and then *out is untouched. */
static inline bool mul_u64(uint64_t a, uint64_t b, uint64_t *out)
{
    if (a != 0 && b > UINT64_MAX / a) return false;
    *out = a * b;
    return true;
}

static inline bool add_u64(uint64_t a, uint64_t b, uint64_t *out)
{
    if (b > UINT64_MAX - a) return false;
    *out = a + b;
    return true;
}

/* a / b rounded up; b > 0. */
static inline uint64_t ceil_div(uint64_t a, uint64_t b)
{
    return a / b + (a % b != 0);
}

/* a rounded up to a multiple of b; b > 0. False when that does not fit. */
static inline bool round_up_u64(uint64_t a, uint64_t b, uint64_t *out)
{
    return mul_u64(ceil_div(a, b), b, out);
}

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

#endif
