/* An adapter of a small model: low-rank terms, as LoRA makes them, of some of its matrices. */
#ifndef INGOT_TESTS_SUPPORT_TOY_ADAPTER_H
#define INGOT_TESTS_SUPPORT_TOY_ADAPTER_H

#include "format/writer.h"
#include "tests/support/toy_lm.h"

/* Whether the adapter changes a tensor of that name of Hugging Face. */
bool toy_adapter_holds(const char *name);
/* Writes rows x cols of data and the adapter's term. */
void toy_adapter_write(const struct toy_lm *toy, ingot_writer *writer, const char *name,
                       const uint64_t *dims, const float *data);
/* Adds it to the weights: multiplier * B A. */
void toy_adapter_merge(struct toy_lm *toy);

#endif
