/* Opens a checkpoint of llama2.c as a model. */
#ifndef INGOT_CONVERT_SOURCE_LLAMA2C_H
#define INGOT_CONVERT_SOURCE_LLAMA2C_H

#include "convert/assume.h"
#include "convert/file_set.h"
#include "convert/model.h"

/* One checkpoint, and other .bin files, such as its tokenizer's, which are attached. */
ingot_status llama2c_open_files(const char *const *paths, uint32_t n_paths,
                                const ingot_allocator *allocator, struct model **model,
                                ingot_error *error);
/* A folder that holds one: every other file under it is an attachment. */
ingot_status llama2c_open_set(struct file_set *set, const struct assumptions *assumptions,
                              struct model **model, ingot_error *error);

#endif
