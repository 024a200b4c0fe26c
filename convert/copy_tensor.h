/* A tensor from one container to another with its terms, codings and streams as they are. Knows no
 * values. */
#ifndef INGOT_CONVERT_COPY_TENSOR_H
#define INGOT_CONVERT_COPY_TENSOR_H

#include "convert/encode_tensor.h"
#include "format/writer.h"

/* INGOT_UNSUPPORTED, naming the tensor and what of it, when the writer cannot write its like. */
ingot_status copy_tensor(const ingot_file *file, uint32_t index, ingot_writer *writer,
                         const struct row_progress *progress, ingot_error *error);

#endif
