/* A file of one matrix of made-up weights, for ingot bench. */
#ifndef CLI_BENCH_SYNTHETIC_H
#define CLI_BENCH_SYNTHETIC_H

#include "format/ingot.h"

/* "4096x14336": false when the text is none such, or no matrix of that size can be held. */
bool synthetic_parse(const char *text, uint64_t *n_rows, uint64_t *n_cols);

/* Opens a file whose tensor "synthetic" holds nearly normal weights, the same on every machine, as
 * the encoding has them (NULL: bf16). The file on disk is gone when this returns. */
ingot_status synthetic_open(uint64_t n_rows, uint64_t n_cols, const char *encode,
                            uint32_t n_threads, ingot_file **file, ingot_error *error);

#endif
