/* The writer: its life, tensors held raw, blobs. Tensors in general are in writer_tensor.c, records
 * in writer_records.c, the index in index_writer.c. */
#include "format/writer.h"

#include <assert.h>
#include <string.h>

#include "format/alloc.h"
#include "format/fail.h"
#include "format/raw.h"
#include "format/rules.h"
#include "format/source.h"
#include "format/writer_state.h"

/* ---- tensors of plain bytes ---- */

/* One dense term whose bytes are those of the source. */
static ingot_status write_plain(ingot_writer *writer, const struct writer_tensor *tensor,
                                const struct writer_term *term, const struct byte_source *source,
                                ingot_error *error)
{
    struct raw_rows rows = {
        .allocator = writer->allocator, .source = source, .bits = term->coding->bits};
    const struct writer_source pull = {&rows, raw_fill, raw_slab, rows.bits >= 8};
    struct term_stream streams[TENSOR_MAX_STREAMS];
    uint32_t n_streams;
    struct writer_tensor plain = *tensor;
    plain.n_terms = 1;
    plain.terms = term;
    const ingot_status status = writer_streams(&plain, streams, &n_streams, error);
    if (status != INGOT_OK) return status;
    rows.n_cols = streams[0].shape.n_cols;
    for (uint32_t i = 0; i < n_streams; i++) rows.shapes[i] = streams[i].shape;
    /* Long rows of whole bytes are cut without regard to their ends. */
    const bool by_slabs = rows.bits < 8 || rows.shapes[0].row_bits / 8 <= SLAB_BYTES;
    return write_tensor(writer, &plain, &pull, by_slabs, error);
}

ingot_status ingot_writer_raw(ingot_writer *writer, const struct writer_tensor *tensor,
                              const struct byte_source *source, ingot_error *error)
{
    if (ingot_dtype_name(tensor->dtype) == NULL) {
        return ingot_fail_rule(error, R_601, INGOT_NO_OFFSET, "dtype", "%d", (int)tensor->dtype);
    }
    const struct ingot_coding coding = raw_coding(tensor->dtype);
    const struct writer_term term = {.kind = TERM_DENSE, .coding = &coding};
    return write_plain(writer, tensor, &term, source, error);
}

ingot_status ingot_writer_opaque(ingot_writer *writer, const struct writer_tensor *tensor,
                                 const struct ingot_coding *coding, uint64_t n_bytes,
                                 const struct byte_source *source, ingot_error *error)
{
    const struct writer_term term = {
        .kind = TERM_DENSE, .coding = coding, .opaque_bytes = coding->block_weights ? 0 : n_bytes};
    struct stack_shape stack;
    if (coding->block_weights &&
        stack_of(tensor->rank, tensor->dims, tensor->stack, tensor->split, &stack) &&
        coding_bytes(coding, stack) != n_bytes) {
        return ingot_fail_rule(error, R_410, INGOT_NO_OFFSET, tensor->name,
                               "%llu bytes of foreign blocks do not fit its shape",
                               (unsigned long long)n_bytes);
    }
    return write_plain(writer, tensor, &term, source, error);
}

static ingot_status span_read(void *context, uint64_t offset, uint64_t n_bytes, void *dst,
                              ingot_error *error)
{
    const struct span *span = context;
    (void)error;
    memcpy(dst, span->data + offset, (size_t)n_bytes);
    return INGOT_OK;
}

struct byte_source memory_bytes(const struct span *span)
{
    return (struct byte_source){(void *)(uintptr_t)span, span_read};
}

ingot_status ingot_writer_add(ingot_writer *writer, const char *name, ingot_dtype dtype,
                              uint32_t rank, const uint64_t *dims, const void *data,
                              ingot_error *error)
{
    if (rank > INGOT_MAX_RANK) {
        return ingot_fail_rule(error, R_602, INGOT_NO_OFFSET, name, "rank %u", rank);
    }
    struct writer_tensor tensor = {
        .name = name,
        .name_bytes = (uint32_t)strlen(name),
        .dtype = dtype,
        .rank = rank,
    };
    const ingot_status status =
        ingot_writer_layout(writer, name, rank, &tensor.stack, &tensor.split, error);
    if (status != INGOT_OK) return status;
    if (rank) memcpy(tensor.dims, dims, rank * sizeof *dims);
    const struct span span = {data, UINT64_MAX};
    const struct byte_source source = memory_bytes(&span);
    return ingot_writer_raw(writer, &tensor, &source, error);
}

/* ---- blobs ---- */

static ingot_status write_blob_stream(ingot_writer *w, uint64_t n_bytes,
                                      const struct byte_source *source, uint32_t *stream,
                                      ingot_error *error)
{
    struct stream_writer *s = NULL;
    ingot_status status = stream_begin(&w->chunks, n_bytes, SLAB_BYTES, 1, 0, &s, error);
    if (status != INGOT_OK) return status;
    for (uint64_t done = 0; done < n_bytes && status == INGOT_OK; done += SLAB_BYTES) {
        const uint64_t n = min_u64(SLAB_BYTES, n_bytes - done);
        uint8_t *room;
        status = chunks_room(&w->chunks, chunk_room_bytes(n), 1, &room, error);
        if (status == INGOT_OK) status = source->read(source->context, done, n, room, error);
        if (status == INGOT_OK) status = stream_put_chunk(&w->chunks, s, room, n, error);
    }
    if (status == INGOT_OK) return stream_end(&w->chunks, s, stream, error);
    stream_release(&w->chunks, s);
    return status;
}

static ingot_status fail_index(ingot_writer *writer, uint64_t n_bytes, ingot_error *error)
{
    if (!tables_failed(&writer->tables)) return INGOT_OK;
    return end_if_failed(writer, ingot_fail_memory(error, n_bytes, "index"));
}

ingot_status ingot_writer_blob(ingot_writer *writer, ingot_blob_kind kind, const char *name,
                               const char *media_type, uint64_t n_bytes,
                               const struct byte_source *source, uint32_t *index,
                               ingot_error *error)
{
    struct index_tables *tables = &writer->tables;
    struct blob_record r = {.kind = kind, .flags = BLOB_COPY};
    if (media_type && strlen(media_type) > MAX_STRING_BYTES) {
        return ingot_fail_rule(error, R_211, INGOT_NO_OFFSET, "media type", "too long");
    }
    ingot_status status = check_in_use(writer, error);
    if (status == INGOT_OK) status = tables_check_blob(tables, kind, name, error);
    if (status != INGOT_OK) return status;
    status = end_if_failed(writer, write_blob_stream(writer, n_bytes, source, &r.stream, error));
    if (status != INGOT_OK) return status;
    if (name) r.name = tables_string(tables, name, (uint32_t)strlen(name));
    if (media_type) {
        r.media_type = tables_string(tables, media_type, (uint32_t)strlen(media_type));
    }
    uint8_t record[BLOB_BYTES];
    blob_write(&r, record);
    if (index) *index = (uint32_t)(tables->blobs.n_bytes / BLOB_BYTES);
    buffer_append(&tables->blobs, record, sizeof record);
    return fail_index(writer, sizeof record, error);
}

ingot_status ingot_writer_codebook(ingot_writer *writer, const void *entries, uint64_t n_bytes,
                                   uint32_t *stream, ingot_error *error)
{
    const struct span span = {entries, n_bytes};
    const struct byte_source source = memory_bytes(&span);
    uint32_t number = writer->chunks.n_streams;
    bool found;
    ingot_status status = check_in_use(writer, error);
    if (status != INGOT_OK) return status;
    status = intern(&writer->codebooks, entries, n_bytes, &number, &found, error);
    if (status == INGOT_OK && !found) {
        status = write_blob_stream(writer, n_bytes, &source, &number, error);
    }
    if (status == INGOT_OK) *stream = number;
    return end_if_failed(writer, status);
}

ingot_status ingot_writer_alias(ingot_writer *writer, const char *name, uint32_t name_bytes,
                                uint32_t alias_of, ingot_error *error)
{
    struct byte_buffer *tensors = &writer->tables.tensors;
    if (alias_of >= tensors->n_bytes / TENSOR_BYTES) {
        return ingot_fail_rule(error, R_605, INGOT_NO_OFFSET, "alias_of", "%u", alias_of);
    }
    struct tensor_record r;
    tensor_read(tensors->data + (uint64_t)alias_of * TENSOR_BYTES, &r);
    const struct writer_term none = {0};
    const struct writer_tensor named = {.name = name,
                                        .name_bytes = name_bytes,
                                        .dtype = (ingot_dtype)r.dtype,
                                        .n_terms = 1,
                                        .terms = &none};
    const ingot_status status = check_tensor(writer, &named, error);
    if (status != INGOT_OK) return status;
    if (r.alias_of == INGOT_NONE) r.alias_of = alias_of;
    r.name = tables_string(&writer->tables, name, name_bytes);
    uint8_t record[TENSOR_BYTES];
    tensor_write(&r, record);
    buffer_append(tensors, record, sizeof record);
    return fail_index(writer, sizeof record, error);
}

ingot_status ingot_writer_base(ingot_writer *writer, const uint8_t content_id[16], const char *name,
                               uint32_t name_bytes, uint32_t *number, ingot_error *error)
{
    struct index_tables *tables = &writer->tables;
    struct file_record r = {.content_algorithm = 1};
    if (!safe_path(name, name_bytes)) {
        return ingot_fail_rule(error, R_531, INGOT_NO_OFFSET, "base name",
                               "\"%.*s\" is not a safe path", (int)min_u64(name_bytes, 100), name);
    }
    const uint32_t n = (uint32_t)(tables->files.n_bytes / FILE_BYTES);
    for (*number = 0; *number < n; (*number)++) {
        file_read(tables->files.data + (uint64_t)*number * FILE_BYTES, &r);
        if (memcmp(r.content_id, content_id, HASH_BYTES) == 0) return INGOT_OK;
    }
    memcpy(r.content_id, content_id, HASH_BYTES);
    r.name = tables_string(tables, name, name_bytes);
    uint8_t record[FILE_BYTES];
    file_write(&r, record);
    buffer_append(&tables->files, record, sizeof record);
    return fail_index(writer, sizeof record, error);
}

ingot_status ingot_writer_attach(ingot_writer *writer, const char *name, const void *data,
                                 uint64_t n_bytes, ingot_error *error)
{
    const struct span span = {data, n_bytes};
    const struct byte_source source = memory_bytes(&span);
    return ingot_writer_blob(writer, INGOT_BLOB_ATTACHMENT, name, NULL, n_bytes, &source, NULL,
                             error);
}

/* ---- life ---- */

ingot_status ingot_writer_over(struct output *output, ingot_compression compression,
                               const ingot_allocator *allocator, ingot_writer **writer,
                               ingot_error *error)
{
    ingot_writer *w = ingot_allocate_zeroed(allocator, 1, sizeof *w);
    if (w == NULL) {
        output_close(output);
        return ingot_fail_memory(error, sizeof *w, "writer");
    }
    w->allocator = allocator;
    tables_begin(&w->tables, allocator);
    w->coding_numbers.allocator = allocator;
    w->codebooks.allocator = allocator;
    w->tensor_names.allocator = allocator;
    w->metadata.allocator = allocator;
    w->metadata_keys.allocator = allocator;
    uint8_t header[HEADER_BYTES];
    const struct header_record record = {VERSION_MAJOR,     VERSION_MINOR, 0,
                                         DEFAULT_ALIGNMENT, true,          0};
    header_write(&record, header);
    w->header_checksum = load_u64(header + 56);
    ingot_status status = chunks_begin(&w->chunks, output, compression, allocator, error);
    if (status == INGOT_OK) status = chunks_write(&w->chunks, header, sizeof header, error);
    if (status != INGOT_OK) {
        ingot_writer_close(w);
        return status;
    }
    *writer = w;
    return INGOT_OK;
}

void ingot_writer_keep_tables(ingot_writer *writer, const ingot_allocator *allocator)
{
    assert(writer->chunks.n_chunks == 0);
    tables_release(&writer->tables);
    tables_begin(&writer->tables, allocator);
    writer->coding_numbers.allocator = allocator;
    writer->codebooks.allocator = allocator;
    writer->tensor_names.allocator = allocator;
    writer->chunks.chunks.allocator = allocator;
    writer->chunks.streams.allocator = allocator;
    writer->chunks.seen.allocator = allocator;
}

ingot_status ingot_writer_use_pool(ingot_writer *writer, struct ingot_pool *pool,
                                   ingot_error *error)
{
    return chunks_use_pool(&writer->chunks, pool, error);
}

ingot_status ingot_writer_create(const char *path, bool replace, ingot_compression compression,
                                 const ingot_allocator *allocator, ingot_writer **writer,
                                 ingot_error *error)
{
    struct output *output;
    if ((uint32_t)compression > INGOT_COMPRESS_MAX) {
        return ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, "compression",
                          "there is none numbered %d", (int)compression);
    }
    const ingot_status status = output_create(path, replace, allocator, &output, error);
    if (status != INGOT_OK) return status;
    return ingot_writer_over(output, compression, allocator, writer, error);
}

ingot_status ingot_writer_finish(ingot_writer *writer, ingot_error *error)
{
    ingot_status status = check_in_use(writer, error);
    if (status != INGOT_OK) return status;
    status = write_metadata(writer, error);
    if (status == INGOT_OK) status = chunks_flush(&writer->chunks, error);
    if (status == INGOT_OK) {
        status = write_index(&writer->tables, &writer->chunks, writer->header_checksum, error);
    }
    if (status == INGOT_OK && writer->max_bytes && writer->chunks.offset > writer->max_bytes) {
        status = ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET, "writer",
                            "the file has %llu bytes and may have %llu",
                            (unsigned long long)writer->chunks.offset,
                            (unsigned long long)writer->max_bytes);
    }
    if (status == INGOT_OK) status = output_finish(writer->chunks.output, error);
    writer->ended = "already finished";
    return status;
}

void ingot_writer_limit(ingot_writer *writer, uint64_t max_bytes)
{
    writer->max_bytes = max_bytes;
}

void ingot_writer_close(ingot_writer *writer)
{
    if (writer == NULL) return;
    chunks_release(&writer->chunks);
    tables_release(&writer->tables);
    intern_release(&writer->coding_numbers);
    intern_release(&writer->codebooks);
    intern_release(&writer->tensor_names);
    intern_release(&writer->metadata_keys);
    buffer_release(&writer->metadata);
    ingot_pool_close(writer->pool);
    ingot_release(writer->allocator, writer);
}

void ingot_writer_set_threads(ingot_writer *writer, uint32_t n_threads)
{
    writer->n_threads = n_threads;
}

void ingot_writer_set_stack(ingot_writer *writer, uint32_t stack, uint32_t split)
{
    writer->stack = stack;
    writer->split = split;
}

ingot_status ingot_writer_layout(const ingot_writer *writer, const char *name, uint32_t rank,
                                 uint8_t *stack, uint8_t *split, ingot_error *error)
{
    const bool told = writer->split > 0 && writer->split <= rank;
    if (writer->stack > writer->split) {
        return ingot_fail(error, INGOT_INVALID, INGOT_NO_OFFSET, name,
                          "a stack of %u dimensions is past the split at %u", writer->stack,
                          writer->split);
    }
    *stack = told ? (uint8_t)writer->stack : 0;
    *split = told ? (uint8_t)writer->split : rank >= 2;
    return INGOT_OK;
}

ingot_status ingot_writer_pool(ingot_writer *writer, struct ingot_pool **pool, ingot_error *error)
{
    ingot_status status = INGOT_OK;
    if (writer->pool == NULL) {
        status = ingot_pool_create(writer->n_threads, writer->allocator, &writer->pool, error);
    }
    if (status == INGOT_OK) *pool = writer->pool;
    return status;
}

void ingot_writer_sizes(const ingot_writer *writer, uint64_t *stored_bytes, uint64_t *raw_bytes)
{
    *stored_bytes = writer->chunks.offset;
    *raw_bytes = writer->chunks.raw_bytes;
}
