/* From a tensor in a file to the form in which a backend takes it. */
#ifndef INGOT_RESIDENT_H
#define INGOT_RESIDENT_H

#include "runtime/backend.h"
#include "runtime/store.h"

/* Reads matrix `matrix_index` of a tensor's stack, checking every byte. What *matrix points to
 * belongs to the store, and nothing of it to the file. Terms that are off by default are left out.
 * INGOT_UNSUPPORTED for tensors that have no such form yet. On failure the store may have grown. */
ingot_status resident_load(const ingot_file *file, uint32_t tensor, uint64_t matrix_index,
                           struct store *store, struct resident_matrix *matrix, ingot_error *error);

#endif
