/* Streams in memory. */
#include "convert/streams.h"

#include "format/alloc.h"
#include "format/bytes.h"
#include "format/fail.h"

struct stream_range stream_rows(const struct stream_shape *shape, uint64_t first_row,
                                uint64_t n_rows)
{
    const uint64_t first = first_row / shape->tensor_rows;
    const uint64_t end = ceil_div(first_row + n_rows, shape->tensor_rows);
    const uint64_t begin_byte = first * shape->row_bits / 8;
    const uint64_t end_byte = min_u64(ceil_div(end * shape->row_bits, 8), shape->n_bytes);
    return (struct stream_range){begin_byte, end_byte - begin_byte};
}

ingot_status streams_add(struct streams *streams, const struct writer_tensor *tensor,
                         ingot_error *error)
{
    uint32_t n;
    ingot_status status = writer_streams(tensor, streams->list, &n, error);
    if (status != INGOT_OK) return status;
    for (uint32_t i = streams->n_streams; i < n; i++) {
        const uint64_t n_bytes = streams->list[i].shape.n_bytes;
        streams->data[i] = ingot_allocate_zeroed(streams->allocator, n_bytes, 1);
        if (streams->data[i] == NULL) return ingot_fail_memory(error, n_bytes, "streams");
        streams->n_streams = i + 1;
    }
    return INGOT_OK;
}

void streams_release(struct streams *streams)
{
    for (uint32_t i = 0; i < streams->n_streams; i++)
        ingot_release(streams->allocator, streams->data[i]);
    streams->n_streams = 0;
}

static ingot_status fill(void *context, uint32_t stream, uint64_t offset, uint64_t n_bytes,
                         uint8_t *dst, ingot_error *error)
{
    const struct streams *s = context;
    (void)error;
    memcpy(dst, s->data[stream] + offset, (size_t)n_bytes);
    return INGOT_OK;
}

static ingot_status rows(void *context, uint64_t first_row, uint64_t n_rows, uint8_t *const *dst,
                         ingot_error *error)
{
    const struct streams *s = context;
    (void)error;
    for (uint32_t i = 0; i < s->n_streams; i++) {
        if (dst[i] == NULL) continue;
        const struct stream_range range = stream_rows(&s->list[i].shape, first_row, n_rows);
        memcpy(dst[i], s->data[i] + range.offset, (size_t)range.n_bytes);
    }
    return INGOT_OK;
}

struct writer_source streams_source(struct streams *streams)
{
    return (struct writer_source){streams, fill, rows, false};
}
