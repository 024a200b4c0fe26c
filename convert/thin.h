/* A model of fewer rows: some of each large matrix, in runs at even distances. Everything else is
 * the whole model's. */
#ifndef INGOT_CONVERT_THIN_H
#define INGOT_CONVERT_THIN_H

#include "convert/model.h"

/* max_weights: of a tensor, about; smaller ones are whole, and each matrix of a stack has a row at
 * least. The model reads from `all`, which must outlive it, and is told of no place in files and no
 * source. The caller closes it. */
ingot_status model_thin(const struct model *all, uint64_t max_weights, struct model **model,
                        ingot_error *error);

#endif
