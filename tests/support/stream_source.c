/* Streams in memory, cut as the writer asks for them. */
#include "tests/support/unit.h"

#include <string.h>

#include "tests/support/stream_source.h"

static ingot_status fill(void *context, uint32_t stream, uint64_t offset, uint64_t n_bytes,
                         uint8_t *dst, ingot_error *error)
{
    const struct stream_source *s = context;
    (void)error;
    assert_true(stream < s->n_streams);
    assert_true(range_within(offset, n_bytes, s->streams[stream].shape.n_bytes));
    memcpy(dst, s->data[stream] + offset, n_bytes);
    return INGOT_OK;
}

static ingot_status rows(void *context, uint64_t first_row, uint64_t n_rows, uint8_t *const *dst,
                         ingot_error *error)
{
    const struct stream_source *s = context;
    (void)error;
    for (uint32_t i = 0; i < s->n_streams; i++) {
        if (dst[i] == NULL) continue;
        const struct stream_shape *shape = &s->streams[i].shape;
        assert_true(shape->by_rows && first_row % shape->tensor_rows == 0);
        const uint64_t first_bit = first_row / shape->tensor_rows * shape->row_bits;
        const uint64_t n_bits = ceil_div(n_rows, shape->tensor_rows) * shape->row_bits;
        assert_int_equal(first_bit % 8, 0);
        assert_true(range_within(first_bit / 8, ceil_div(n_bits, 8), shape->n_bytes));
        memcpy(dst[i], s->data[i] + first_bit / 8, ceil_div(n_bits, 8));
    }
    return INGOT_OK;
}

struct writer_source stream_source(const struct stream_source *source)
{
    return (struct writer_source){(void *)(uintptr_t)source, fill, rows, false};
}

void written_begin(struct written *w, ingot_compression compression)
{
    struct output *output = NULL;
    ingot_error error;
    *w = (struct written){0};
    assert_int_equal(output_to_memory(&w->bytes, NULL, &output, &error), INGOT_OK);
    assert_int_equal(ingot_writer_over(output, compression, NULL, &w->writer, &error), INGOT_OK);
}

void written_end(struct written *w)
{
    ingot_error error;
    const ingot_status status = ingot_writer_finish(w->writer, &error);
    if (status != INGOT_OK) fail_msg("R-%u: %s: %s", error.rule, error.field, error.what);
    ingot_writer_close(w->writer);
    w->writer = NULL;
}

void written_release(struct written *w)
{
    ingot_writer_close(w->writer);
    buffer_release(&w->bytes);
}
