/* One tensor encoded into a container in memory. */
#ifndef INGOT_CONVERT_ENCODE_MEMORY_H
#define INGOT_CONVERT_ENCODE_MEMORY_H

#include "convert/encode_tensor.h"

/* As encode_tensor; the container of that one tensor is appended to `container`, which is the
 * caller's to release, also after a failure, and whose allocator is that of what grows with the
 * tensor. */
ingot_status encode_to_memory(const struct model *model, uint32_t index,
                              const struct encoding *encoding, struct ingot_pool *pool,
                              const struct row_progress *progress, struct byte_buffer *container,
                              struct encoded_tensor *encoded, ingot_error *error);

#endif
