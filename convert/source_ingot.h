/* Opens an .ingot file as a model. */
#ifndef INGOT_CONVERT_SOURCE_INGOT_H
#define INGOT_CONVERT_SOURCE_INGOT_H

#include "convert/model.h"

/* n_paths is 1. */
ingot_status ingot_open_container(const char *const *paths, uint32_t n_paths,
                                  const ingot_allocator *allocator, struct model **model,
                                  ingot_error *error);

#endif
