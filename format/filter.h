/* Filters: reversible rearrangements of a chunk's bytes that bring out what an entropy coder can
 * use [4.4]. One row a filter; knows nothing of chunks, codecs or files. */
#ifndef INGOT_FILTER_H
#define INGOT_FILTER_H

#include <stdbool.h>
#include <stdint.h>

#include "format/compiler.h"

enum chunk_filter {
    FILTER_NONE = 0,
    FILTER_BYTES_2 = 1,
    FILTER_BYTES_4 = 2,
    FILTER_BYTES_8 = 3,
    FILTER_FLOAT_2 = 4,
    FILTER_FLOAT_4 = 5,
    FILTER_TRITS = 6,
    FILTER_FP8 = 7,
    N_FILTERS
};
enum { FILTER_MAX_PLANES = 8 };

/* The planes of a filter's output, one after another; what is left over goes with the last. */
struct filter_layout {
    uint32_t n_planes;
    uint64_t n_bytes[FILTER_MAX_PLANES];
};

/* Splitting n elements of 2, 4 or 8 bytes into planes and joining them again: plane k, at k * n,
 * takes byte w - 1 - k of every element; with `rotate`, of the element rotated left by one bit. */
struct filter_kernels {
    const char *name;
    bool (*available)(void);
    void (*split)(uint32_t element_bytes, bool rotate, const uint8_t *src, uint64_t n,
                  uint8_t *planes);
    void (*join)(uint32_t element_bytes, bool rotate, const uint8_t *planes, uint64_t n,
                 uint8_t *dst);
};
extern const struct filter_kernels filter_kernels_plain;
#ifdef INGOT_X86_64
extern const struct filter_kernels filter_kernels_avx2;
#endif
/* Elements [first, n) of a split and a join, plain. */
void filter_split_rest(uint32_t element_bytes, bool rotate, const uint8_t *src, uint64_t n,
                       uint64_t first, uint8_t *planes);
void filter_join_rest(uint32_t element_bytes, bool rotate, const uint8_t *planes, uint64_t n,
                      uint64_t first, uint8_t *dst);
/* The fastest that this CPU has. */
const struct filter_kernels *filter_kernels_best(void);

/* Bytes that raw_bytes become; at most filter_bound. filter < N_FILTERS, here and below. */
uint64_t filter_output_bytes(uint8_t filter, uint64_t raw_bytes);
uint64_t filter_bound(uint64_t raw_bytes);
struct filter_layout filter_layout(uint8_t filter, uint64_t raw_bytes);
/* Writes filter_output_bytes to dst, which does not overlap raw. False when the filter cannot hold
 * these bytes (trits: a 2-bit code of 3). */
bool filter_encode(uint8_t filter, const struct filter_kernels *kernels, const uint8_t *raw,
                   uint64_t raw_bytes, uint8_t *dst);
/* The inverse. False when src is not what any raw bytes give. */
bool filter_decode(uint8_t filter, const struct filter_kernels *kernels, const uint8_t *src,
                   uint64_t raw_bytes, uint8_t *dst);

#endif
