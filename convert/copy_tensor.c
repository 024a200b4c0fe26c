/* Copies tensors stream by stream. */
#include "convert/copy_tensor.h"

#include <string.h>

#include "convert/names.h"
#include "convert/streams.h"
#include "format/alloc.h"
#include "format/fail.h"

enum { MAX_COPIED_TERMS = 64 };

struct copying {
    const ingot_file *file;
    struct coding_copies *copies;
    const struct row_progress *progress;
    uint64_t all_rows;
    struct writer_tensor tensor;
    struct writer_term terms[MAX_COPIED_TERMS];
    uint32_t first_streams[MAX_COPIED_TERMS + 1]; /* of each term, then the rescale, in the file */
    uint32_t stream_numbers[TENSOR_MAX_STREAMS];
    uint32_t n_streams;
    struct term_stream list[TENSOR_MAX_STREAMS];
    struct byte_buffer texts; /* names, each with a zero byte */
};

static ingot_status fail_tensor(const struct copying *c, const char *what, ingot_error *error)
{
    return ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET,
                      name_shown(c->tensor.name, c->tensor.name_bytes).text,
                      "it is held with %s, which this build cannot copy", what);
}

/* What a ref term names; its coding is none. */
static ingot_status take_ref(const struct copying *c, const struct file_term *t,
                             struct writer_term *out, ingot_error *error)
{
    struct file_ref ref;
    ingot_file_ref(c->file, t, &ref);
    out->target = ref.target;
    out->target_bytes = ref.target_bytes;
    return ingot_writer_base(c->copies->writer, ref.content_id, ref.name, ref.name_bytes,
                             &out->file, error);
}

/* One term for the writer; its name is set later. */
static ingot_status take_term(struct copying *c, const struct file_term *t, struct writer_term *out,
                              ingot_error *error)
{
    *out = (struct writer_term){
        .kind = t->kind,
        .combine = t->combine,
        .mask = t->mask,
        .optional = t->optional,
        .multiplier = t->multiplier,
        .rank = t->rank,
        .block_rows = t->block_rows,
        .block_cols = t->block_cols,
        .n_kept = t->n_kept,
    };
    if (t->kind == TERM_REF) return take_ref(c, t, out, error);
    if (t->coding && t->coding->map == MAP_OPAQUE) {
        out->opaque_bytes = ingot_file_stream_bytes(c->file, t->first_stream);
    }
    ingot_status status = copy_coding(c->copies, t->coding, &out->coding, error);
    if (status == INGOT_OK) status = copy_coding(c->copies, t->coding_b, &out->coding_b, error);
    if (status == INGOT_OK) status = copy_coding(c->copies, t->magnitude, &out->magnitude, error);
    return status;
}

static ingot_status list_terms(struct copying *c, uint32_t index, uint32_t n_terms,
                               ingot_error *error)
{
    /* All names first, since the buffer moves while it grows. */
    uint64_t offsets[MAX_COPIED_TERMS];
    const struct ingot_coding *rescale =
        ingot_file_rescale(c->file, index, &c->first_streams[n_terms]);
    const ingot_status copied = copy_coding(c->copies, rescale, &c->tensor.rescale, error);
    if (copied != INGOT_OK) return copied;
    for (uint32_t k = 0; k < n_terms; k++) {
        struct file_term t;
        ingot_file_term(c->file, index, k, &t);
        const ingot_status status = take_term(c, &t, &c->terms[k], error);
        if (status != INGOT_OK) return status;
        c->first_streams[k] = t.first_stream;
        offsets[k] = c->texts.n_bytes;
        buffer_append(&c->texts, t.name, t.name_bytes);
        buffer_u8(&c->texts, 0);
    }
    if (c->texts.failed) return ingot_fail_memory(error, c->texts.n_bytes, "term names");
    for (uint32_t k = 0; k < n_terms; k++) {
        const char *name = (const char *)c->texts.data + offsets[k];
        if (*name) c->terms[k].name = name;
    }
    c->tensor.name = (const char *)c->texts.data;
    return INGOT_OK;
}

/* Finds the file's stream for each of the writer's, which must be as long. */
static ingot_status match_streams(struct copying *c, ingot_error *error)
{
    ingot_status status = writer_streams(&c->tensor, c->list, &c->n_streams, error);
    if (status != INGOT_OK) return status;
    uint32_t within = 0;
    for (uint32_t i = 0; i < c->n_streams; i++) {
        const uint32_t term = c->list[i].term;
        within = i > 0 && c->list[i - 1].term == term ? within + 1 : 0;
        c->stream_numbers[i] = c->first_streams[term] + within;
        if (ingot_file_stream_bytes(c->file, c->stream_numbers[i]) != c->list[i].shape.n_bytes) {
            return fail_tensor(c, "streams of another length", error);
        }
    }
    return INGOT_OK;
}

static ingot_status copy_fill(void *context, uint32_t stream, uint64_t offset, uint64_t n_bytes,
                              uint8_t *dst, ingot_error *error)
{
    const struct copying *c = context;
    return ingot_file_read_stream(c->file, c->stream_numbers[stream], offset, n_bytes, dst, error);
}

static ingot_status copy_rows(void *context, uint64_t first_row, uint64_t n_rows,
                              uint8_t *const *dst, ingot_error *error)
{
    const struct copying *c = context;
    for (uint32_t i = 0; i < c->n_streams; i++) {
        if (dst[i] == NULL) continue;
        const struct stream_range r = stream_rows(&c->list[i].shape, first_row, n_rows);
        const ingot_status status = ingot_file_read_stream(c->file, c->stream_numbers[i], r.offset,
                                                           r.n_bytes, dst[i], error);
        if (status != INGOT_OK) return status;
    }
    if (c->progress) {
        c->progress->report(c->progress->context, first_row + n_rows, c->all_rows);
    }
    return INGOT_OK;
}

ingot_status copy_tensor(struct coding_copies *copies, uint32_t index,
                         const struct row_progress *progress, ingot_error *error)
{
    ingot_tensor t;
    const struct tensor_layout layout = ingot_file_layout(copies->file, index);
    struct copying *c = ingot_allocate_zeroed(NULL, 1, sizeof *c);
    if (c == NULL) return ingot_fail_memory(error, sizeof *c, "tensor");
    ingot_file_tensor(copies->file, index, &t);
    c->file = copies->file;
    c->copies = copies;
    c->progress = progress;
    c->all_rows = t.n_matrices * t.n_rows;
    c->tensor = (struct writer_tensor){
        .name = t.name,
        .name_bytes = t.name_bytes,
        .dtype = t.dtype,
        .rank = t.rank,
        .stack = layout.stack,
        .split = layout.split,
        .n_terms = t.n_terms,
        .terms = c->terms,
    };
    memcpy(c->tensor.dims, t.dims, sizeof t.dims);
    buffer_append(&c->texts, t.name, t.name_bytes);
    buffer_u8(&c->texts, 0);
    const struct writer_source source = {c, copy_fill, copy_rows, false};
    ingot_status status = list_terms(c, index, t.n_terms, error);
    if (status == INGOT_OK) status = match_streams(c, error);
    if (status == INGOT_OK) {
        status = ingot_writer_tensor(copies->writer, &c->tensor, &source, error);
    }
    coding_copies_clear(copies);
    buffer_release(&c->texts);
    ingot_release(NULL, c);
    return status;
}
