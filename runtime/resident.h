/* From a tensor in a file to the form in which a backend takes it. */
#ifndef INGOT_RESIDENT_H
#define INGOT_RESIDENT_H

#include "runtime/backend.h"
#include "runtime/store.h"
#include "runtime/stream_rows.h"

struct resident_options {
    /* Optional terms whose name is among these are on, all others off. */
    const char *const *adapters;
    uint32_t n_adapters;
    bool only_adapters;      /* terms that are not optional are left out */
    struct ingot_pool *pool; /* that reads and checks chunks; NULL: this thread does */
    /* Planes of raw f32, f16 and bf16 are left in the file where they lie there as planes do, and,
     * with `unchecked`, not compared with their checksums. */
    bool in_place;
    bool unchecked;
    /* Codes of dense terms are left unread where nothing that is loaded needs them. */
    bool leaves_unread;
};

/* Reads matrix `matrix_index` of a tensor's stack, checking every byte. What *matrix points to
 * belongs to the store, where the blocks of part i are group i and those of factors and of the
 * numbers of columns INGOT_NONE, and nothing of it but planes in place to the file.
 * INGOT_UNSUPPORTED for tensors that have no such form, by name; INGOT_NOT_FOUND when a file that
 * the tensor refers to is not at hand. On failure the store may have grown. */
ingot_status resident_load(const ingot_file *file, uint32_t tensor, uint64_t matrix_index,
                           const struct resident_options *options, struct store *store,
                           struct resident_matrix *matrix, ingot_error *error);

/* The values of a coding's codebook; they belong to the store. */
ingot_status resident_codebook(const ingot_file *file, const struct ingot_coding *coding,
                               struct store *store, const float **values, ingot_error *error);
/* Where in the file rows of codes lie as planes do, if they are raw f32, f16 or bf16; else NULL. */
const uint8_t *resident_place(struct row_source source, const struct ingot_coding *coding,
                              struct stack_shape codes, uint64_t first_row, uint64_t n_rows);

#endif
