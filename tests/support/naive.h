/* A second decoder, written from the specification's text alone: one value at a time, bit by bit,
 * in double. Shares no code with format/ but the structs that hold a coding's parameters. */
#ifndef INGOT_TESTS_SUPPORT_NAIVE_H
#define INGOT_TESTS_SUPPORT_NAIVE_H

#include "format/coding.h"

struct place {
    uint64_t matrix, row, col;
};

/* Whole streams of a coding, in the specification's order, and codebooks by codebook_stream. */
struct naive_bytes {
    const uint8_t *const *streams;
    const uint8_t *const *codebooks;
};

/* The rule that decoding breaks, or 0: filled by the first that is. */
struct naive_result {
    uint32_t rule;
};

/* The value at `at` of `stack`, whose code is at `code_at` of the shape `codes` (the same but for
 * sparse terms). first_stream is the number of the coding's first stream in bytes->streams. */
float naive_value(const struct ingot_coding *coding, struct stack_shape codes, struct place code_at,
                  struct stack_shape stack, struct place at, uint32_t first_stream,
                  const struct naive_bytes *bytes, struct naive_result *result);

/* How many streams a coding has. */
uint32_t naive_n_streams(const struct ingot_coding *coding);

/* The row stride, in bits, of a plane of elements of `bits` bits [6.4], and its bytes. */
uint64_t naive_row_bits(uint32_t bits, uint64_t n_cols);
uint64_t naive_plane_bytes(uint32_t bits, struct stack_shape stack);

/* The number in `n_bits` bits from `first_bit` on, bit 0 of a byte first. */
uint64_t naive_bits(const uint8_t *data, uint64_t first_bit, uint64_t n_bits);

/* The grid of a slot's table [6.3]. */
struct stack_shape naive_grid(const struct coding_slot *slot, struct stack_shape stack);

/* v + x, v - x, v * x, v / x as one f32 operation: exact or rounded once in double, then to f32,
 * which is the same. */
float naive_step(float v, char operation, float x);

#endif
