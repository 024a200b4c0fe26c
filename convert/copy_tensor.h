/* A tensor from one container to another with its terms, codings and streams as they are. Knows no
 * values. */
#ifndef INGOT_CONVERT_COPY_TENSOR_H
#define INGOT_CONVERT_COPY_TENSOR_H

#include "convert/copy_codings.h"
#include "convert/encode_tensor.h"
#include "format/writer.h"

/* Copies tensor `index` of the file to the writer that `copies` names. INGOT_UNSUPPORTED, naming
 * the tensor and what of it, when its like cannot be copied: foreign bytes of a length that does
 * not follow from the shape. */
ingot_status copy_tensor(struct coding_copies *copies, uint32_t index,
                         const struct row_progress *progress, ingot_error *error);

#endif
