/* What libFuzzer and the replayer call, and what libFuzzer gives. */
#ifndef INGOT_TESTS_FUZZ_H
#define INGOT_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

/* libFuzzer's own mutation of data; returns its new length, at most capacity. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t n_bytes, size_t capacity);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n_bytes, size_t capacity, unsigned seed);

#endif
