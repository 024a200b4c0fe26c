/* A writer over memory for one tensor. */
#include "convert/encode_memory.h"

#include "format/output.h"

ingot_status encode_to_memory(const struct model *model, uint32_t index,
                              const struct encoding *encoding, struct ingot_pool *pool,
                              const struct row_progress *progress, struct byte_buffer *container,
                              struct encoded_tensor *encoded, ingot_error *error)
{
    struct output *output;
    ingot_writer *writer = NULL;
    ingot_status status = output_to_memory(container, NULL, &output, error);
    if (status != INGOT_OK) return status;
    status = ingot_writer_over(output, INGOT_COMPRESS_NONE, NULL, &writer, error);
    if (status == INGOT_OK) {
        status = encode_tensor(model, index, encoding, writer, pool, container->allocator, progress,
                               encoded, error);
    }
    if (status == INGOT_OK) status = ingot_writer_finish(writer, error);
    ingot_writer_close(writer);
    return status;
}
