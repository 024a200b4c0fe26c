/* Stored bytes as they lie, and checking them on demand. */
#include <stdio.h>

#include "format/fail.h"
#include "format/file.h"
#include "format/log.h"

/* ---- views ---- */

static ingot_status refuse(const struct ingot_file *file, const struct tensor_record *t,
                           const char *why, ingot_error *error)
{
    return ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET, "tensor",
                      "\"%.*s\" cannot be viewed: %s", (int)min_u64(t->name.n_bytes, 120),
                      string_at(file, t->name), why);
}

/* The tensor whose bits these are: that of a lone ref. */
static ingot_status follow(const ingot_file **file, uint32_t *tensor, ingot_error *error)
{
    for (;;) {
        const struct tensor_record t = tensor_at(*file, *tensor);
        struct file_term term;
        ingot_file_term(*file, *tensor, 0, &term);
        if (t.n_terms != 1 || t.rescale_coding != INGOT_NONE || term.kind != TERM_REF) {
            return INGOT_OK;
        }
        const ingot_status status = bases_find(*file, *tensor, term.number, file, tensor, error);
        if (status != INGOT_OK) return status;
    }
}

ingot_status ingot_file_view_raw(const ingot_file *file, uint32_t tensor, const void **data,
                                 ingot_error *error)
{
    const ingot_status status = follow(&file, &tensor, error);
    if (status != INGOT_OK) return status;
    const struct tensor_record t = tensor_at(file, tensor);
    struct file_term term;
    if (!ingot_file_held_raw(file, tensor)) return refuse(file, &t, "it is not held raw", error);
    ingot_file_term(file, tensor, 0, &term);
    if (term.coding->bits < 8)
        return refuse(file, &t, "its elements are narrower than 8 bits", error);
    const struct stream_record s = stream_at(file, term.first_stream);
    if (s.n_bytes == 0) {
        *data = file->bytes.data;
        return INGOT_OK;
    }
    const struct chunk_record c = chunk_at(file, s.first_chunk);
    if (c.codec != CODEC_STORED || c.filter != FILTER_NONE)
        return refuse(file, &t, "it is compressed", error);
    if (stream_n_chunks(&s) > 1 && s.stride != s.chunk_bytes) {
        return refuse(file, &t, "its bytes do not lie in one run", error);
    }
    *data = file->bytes.data + c.offset;
    return INGOT_OK;
}

/* ---- verification ---- */

static ingot_status verify_stream(const struct ingot_file *file, uint32_t stream,
                                  ingot_error *error)
{
    const struct stream_record s = stream_at(file, stream);
    const uint64_t n = stream_n_chunks(&s);
    for (uint64_t k = 0; k < n; k++) {
        const struct chunk_record c = chunk_at(file, (uint32_t)(s.first_chunk + k * s.chunk_step));
        stream_read_ahead(file, &s, k, n, k > 0);
        file_map(file, c.offset, c.stored_bytes);
        const ingot_status status = chunk_verify(file, &c, "chunk", error);
        if (status != INGOT_OK) return status;
    }
    return INGOT_OK;
}

static ingot_status verify_streams(const struct ingot_file *file, uint32_t first, uint32_t n,
                                   ingot_error *error)
{
    ingot_status status = INGOT_OK;
    for (uint32_t i = 0; i < n && status == INGOT_OK; i++) {
        status = verify_stream(file, first + i, error);
    }
    return status;
}

/* The codebooks of a coding and of its tables. */
static ingot_status verify_codebooks(const struct ingot_file *file,
                                     const struct ingot_coding *coding, ingot_error *error)
{
    ingot_status status = INGOT_OK;
    if (coding == NULL) return INGOT_OK;
    if (coding->codebook_stream != INGOT_NONE) {
        status = verify_stream(file, coding->codebook_stream, error);
    }
    for (uint32_t i = 0; i < N_SLOTS && status == INGOT_OK; i++) {
        if (coding->slots[i].has_table) {
            status = verify_codebooks(file, coding->slots[i].table, error);
        }
    }
    return status;
}

static ingot_status verify_term(const struct ingot_file *file, uint32_t tensor,
                                const struct file_term *term, ingot_error *error)
{
    ingot_status status = verify_streams(file, term->first_stream, term->n_streams, error);
    if (status == INGOT_OK) status = verify_codebooks(file, term->coding, error);
    if (status == INGOT_OK) status = verify_codebooks(file, term->coding_b, error);
    if (status == INGOT_OK) status = verify_codebooks(file, term->magnitude, error);
    if (status != INGOT_OK || term->kind != TERM_REF) return status;
    const ingot_file *base;
    uint32_t target;
    status = bases_find(file, tensor, term->number, &base, &target, error);
    return status == INGOT_OK ? ingot_file_verify(base, target, error) : status;
}

ingot_status ingot_file_verify(const ingot_file *file, uint32_t tensor, ingot_error *error)
{
    const struct tensor_record t = tensor_at(file, tensor);
    ingot_status status = INGOT_OK;
    for (uint32_t k = 0; k < t.n_terms && status == INGOT_OK; k++) {
        struct file_term term;
        ingot_file_term(file, tensor, k, &term);
        status = verify_term(file, tensor, &term, error);
    }
    if (status == INGOT_OK && t.rescale_coding != INGOT_NONE) {
        status = verify_streams(file, t.rescale_stream, rescale_n_streams(file, &t), error);
        if (status == INGOT_OK) {
            status = verify_codebooks(file, &file->codings[t.rescale_coding], error);
        }
    }
    if (status == INGOT_DAMAGED && error) {
        snprintf(error->field, sizeof error->field, "tensor %.*s", (int)min_u64(t.name.n_bytes, 80),
                 string_at(file, t.name));
    }
    return status;
}

/* ---- the whole file ---- */

struct first_violation {
    const ingot_allocator *allocator;
    ingot_error error;
    bool found;
};

static void hear(void *context, const ingot_error *violation)
{
    struct first_violation *first = context;
    ingot_log(first->allocator, INGOT_LOG_WARNING, "%s: %s [R-%u]", violation->field,
              violation->what, violation->rule);
    if (!first->found) first->error = *violation;
    first->found = true;
}

ingot_status ingot_file_verify_all(const ingot_file *file, ingot_error *error)
{
    struct first_violation first = {.allocator = file->allocator};
    const struct validate_report report = {.context = &first, .found = hear};
    uint64_t n_violations;
    const ingot_status status = ingot_file_validate(file, &report, &n_violations, error);
    if (status != INGOT_OK || n_violations == 0) return status;
    if (error) *error = first.error;
    return first.error.status;
}
