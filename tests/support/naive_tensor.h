/* The sum of a tensor's terms, written from chapter 7 of the specification alone: one position at a
 * time, from the bytes of a file's streams. */
#ifndef INGOT_TESTS_SUPPORT_NAIVE_TENSOR_H
#define INGOT_TESTS_SUPPORT_NAIVE_TENSOR_H

#include "format/reader.h"

/* All values of a tensor, its optional terms left out; to be freed. Refs are not for this one. */
float *naive_tensor(const ingot_file *file, uint32_t tensor);

#endif
