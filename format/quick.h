/* Rows of 4-bit codes to values, as fast as the CPU allows: the same bits as the reference decoder,
 * whose steps these are, taken together. Knows no codings. */
#ifndef INGOT_QUICK_H
#define INGOT_QUICK_H

#include <stdbool.h>
#include <stdint.h>

#include "format/compiler.h"

/* Weights per entry must be a multiple of this many, or all of the row. */
enum { QUICK_STEP = 16, QUICK_LEVELS = 16 };

/* value i = levels[code i] * scales[i / group] + biases[i / group], or less biases[...], each step
 * one f32 rounding; where biases is NULL, that step is left out. */
struct quick_row {
    const uint8_t *codes; /* two a byte, the first in the low bits */
    uint64_t n;
    uint64_t group; /* weights per entry; not 0 */
    const float *levels;
    const float *scales;
    const float *biases;
    bool subtract;
};

struct quick_kernels {
    const char *name;
    bool (*available)(void);
    void (*decode)(const struct quick_row *row, float *dst);
};

/* The best of this CPU, or those of that name, or NULL. */
const struct quick_kernels *quick_kernels_find(const char *name);

/* What is left of a row from value `first` on, in C alone. */
void quick_decode_rest(const struct quick_row *row, uint64_t first, float *dst);

#ifdef INGOT_X86_64
extern const struct quick_kernels quick_kernels_avx2;
extern const struct quick_kernels quick_kernels_avx512;
#endif

#endif
