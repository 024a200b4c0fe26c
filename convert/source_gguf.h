/* Opens GGUF files as a model. */
#ifndef INGOT_CONVERT_SOURCE_GGUF_H
#define INGOT_CONVERT_SOURCE_GGUF_H

#include "convert/assume.h"
#include "convert/file_set.h"
#include "convert/model.h"

/* One file; or all parts of a split one, in any order; or its first part, beside which the others
 * lie. */
ingot_status gguf_open_files(const char *const *paths, uint32_t n_paths,
                             const struct assumptions *assumptions,
                             const ingot_allocator *allocator, struct model **model,
                             ingot_error *error);
/* A folder whose *.gguf files are one model: every other file under it is an attachment. */
ingot_status gguf_open_set(struct file_set *set, const struct assumptions *assumptions,
                           struct model **model, ingot_error *error);

#endif
