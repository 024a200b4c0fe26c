/* Importance of input channels, as llama.cpp's llama-imatrix writes it: for each matrix of a model,
 * the mean square of every input. Knows its files and no encoding. */
#ifndef INGOT_CONVERT_IMATRIX_H
#define INGOT_CONVERT_IMATRIX_H

#include "convert/model.h"

struct imatrix;

/* Reads both forms, the older one (.dat) and GGUF. INGOT_INVALID, naming the field, for what is
 * neither. */
ingot_status imatrix_open(const char *path, struct imatrix **imatrix, ingot_error *error);
/* The same from memory, which must outlive the imatrix. */
ingot_status imatrix_parse(struct span bytes, struct imatrix **imatrix, ingot_error *error);
void imatrix_close(struct imatrix *imatrix);
uint32_t imatrix_n_entries(const struct imatrix *imatrix);

/* The importance of a tensor's columns, n_matrices * n_cols floats of mean 1 a matrix, each at
 * least about a hundredth of the mean: a channel that was never seen must not be free. *weights is
 * allocated and the caller's to release; NULL when the imatrix has no entry of that name, or, for a
 * Hugging Face name, of llama.cpp's name for the same matrix. INGOT_REFUSED for an entry of another
 * length or one that is not finite. */
ingot_status imatrix_weights(const struct imatrix *imatrix, const char *name, uint32_t name_bytes,
                             uint64_t n_matrices, uint64_t n_cols, float **weights,
                             ingot_error *error);

#endif
