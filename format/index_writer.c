/* Index and trailer. */
#include "format/index_writer.h"

#include <stdlib.h>

#include "format/alloc.h"
#include "format/fail.h"
#include "format/file.h"
#include "format/rules.h"
#include "format/source.h"
#include "format/xxh3.h"

void tables_begin(struct index_tables *tables, const ingot_allocator *allocator)
{
    const struct byte_buffer empty = {.allocator = allocator};
    *tables = (struct index_tables){allocator, empty, empty, empty, empty, empty, empty, {0}};
    tables->blob_names.allocator = allocator;
}

void tables_release(struct index_tables *tables)
{
    buffer_release(&tables->strings);
    buffer_release(&tables->codings);
    buffer_release(&tables->terms);
    buffer_release(&tables->tensors);
    buffer_release(&tables->blobs);
    buffer_release(&tables->files);
    intern_release(&tables->blob_names);
}

struct string_ref tables_string(struct index_tables *tables, const char *text, uint32_t n_bytes)
{
    const struct string_ref ref = {n_bytes ? (uint32_t)tables->strings.n_bytes : 0, n_bytes};
    /* Strings past 4 GiB cannot be referred to. */
    if (tables->strings.n_bytes > UINT32_MAX - n_bytes) tables->strings.failed = true;
    buffer_append(&tables->strings, text, n_bytes);
    return ref;
}

bool tables_failed(const struct index_tables *tables)
{
    return tables->strings.failed || tables->codings.failed || tables->terms.failed ||
           tables->tensors.failed || tables->blobs.failed || tables->files.failed;
}

ingot_status tables_check_blob(struct index_tables *tables, ingot_blob_kind kind, const char *name,
                               ingot_error *error)
{
    struct byte_buffer key = {.allocator = tables->allocator};
    const char *text = name ? name : "";
    uint32_t value = 0;
    bool found = false;
    if ((kind == INGOT_BLOB_ATTACHMENT) != safe_path(text, strlen(text))) {
        return ingot_fail_rule(error, R_702, INGOT_NO_OFFSET, "blob name",
                               "\"%.100s\" is not a safe path", text);
    }
    buffer_u32(&key, kind);
    buffer_append(&key, text, strlen(text));
    ingot_status status =
        key.failed ? ingot_fail_memory(error, strlen(text), "blob name")
                   : intern(&tables->blob_names, key.data, key.n_bytes, &value, &found, error);
    buffer_release(&key);
    if (status == INGOT_OK && found) {
        status = ingot_fail_rule(error, R_702, INGOT_NO_OFFSET, "blob name",
                                 "\"%.100s\" is there already", text);
    }
    return status;
}

/* ---- names in order ---- */

struct named {
    const char *name;
    uint32_t n_bytes;
    uint32_t index;
};

static int by_name(const void *a, const void *b)
{
    const struct named *x = a, *y = b;
    const uint32_t n = x->n_bytes < y->n_bytes ? x->n_bytes : y->n_bytes;
    const int order = n ? memcmp(x->name, y->name, n) : 0;
    if (order != 0) return order;
    return x->n_bytes < y->n_bytes ? -1 : x->n_bytes > y->n_bytes;
}

static ingot_status order_names(struct index_tables *tables, ingot_error *error)
{
    const uint32_t n = (uint32_t)(tables->tensors.n_bytes / TENSOR_BYTES);
    struct named *names = ingot_allocate_zeroed(tables->allocator, n, sizeof *names);
    if (names == NULL) return ingot_fail_memory(error, n * sizeof *names, "names");
    for (uint32_t i = 0; i < n; i++) {
        struct tensor_record r;
        tensor_read(tables->tensors.data + (uint64_t)i * TENSOR_BYTES, &r);
        names[i] =
            (struct named){(const char *)tables->strings.data + r.name.offset, r.name.n_bytes, i};
    }
    qsort(names, n, sizeof *names, by_name);
    for (uint32_t i = 0; i < n; i++) {
        store_u32(tables->tensors.data + (uint64_t)i * TENSOR_BYTES + 28, names[i].index);
    }
    ingot_release(tables->allocator, names);
    return INGOT_OK;
}

/* ---- the index as bytes ---- */

struct part {
    const struct byte_buffer *bytes;
    enum section_kind kind;
};

/* Where the index's bytes go: into the file and its checksum. */
struct index_sink {
    struct chunk_writer *chunks;
    XXH3_state_t *hash;
    uint64_t n_bytes;
};

static ingot_status put(struct index_sink *sink, const void *bytes, uint64_t n_bytes,
                        ingot_error *error)
{
    if (n_bytes == 0) return INGOT_OK;
    XXH3_64bits_update(sink->hash, bytes, (size_t)n_bytes);
    sink->n_bytes += n_bytes;
    return chunks_write(sink->chunks, bytes, n_bytes, error);
}

static ingot_status put_directory(struct index_sink *sink, const struct part parts[N_SECTIONS],
                                  ingot_error *error)
{
    uint8_t directory[DIRECTORY_BYTES + N_SECTIONS * SECTION_BYTES] = {0};
    uint64_t offset = sizeof directory;
    store_u32(directory, N_SECTIONS);
    for (uint32_t i = 0; i < N_SECTIONS; i++) {
        const uint32_t record_bytes = section_record_bytes[parts[i].kind];
        const struct section_record r = {
            .kind = parts[i].kind,
            .flags = SECTION_MUST,
            .offset = offset,
            .n_bytes = parts[i].bytes->n_bytes,
            .n_records = parts[i].bytes->n_bytes / record_bytes,
            .record_bytes = record_bytes,
        };
        section_write(&r, directory + DIRECTORY_BYTES + i * SECTION_BYTES);
        offset = ceil_div(offset + r.n_bytes, 8) * 8;
    }
    return put(sink, directory, sizeof directory, error);
}

/* The sections, each but the last followed by zeros up to a multiple of 8. */
static ingot_status put_sections(struct index_sink *sink, const struct part parts[N_SECTIONS],
                                 ingot_error *error)
{
    static const uint8_t zeros[8];
    ingot_status status = put_directory(sink, parts, error);
    for (uint32_t i = 0; i < N_SECTIONS && status == INGOT_OK; i++) {
        status = put(sink, parts[i].bytes->data, parts[i].bytes->n_bytes, error);
        if (status == INGOT_OK && i + 1 < N_SECTIONS) {
            status = put(sink, zeros, (8 - sink->n_bytes % 8) % 8, error);
        }
    }
    return status;
}

/* The content id of tables that are complete: they are looked at as an open file is. */
static ingot_status content_id(const struct index_tables *tables,
                               const struct part parts[N_SECTIONS], uint8_t id[HASH_BYTES],
                               ingot_error *error)
{
    struct ingot_file view = {.allocator = tables->allocator};
    for (uint32_t i = 0; i < N_SECTIONS; i++) {
        const struct byte_buffer *bytes = parts[i].bytes;
        view.sections[parts[i].kind] = (struct section){
            bytes->data ? bytes->data : (const uint8_t *)"", 0,
            (uint32_t)(bytes->n_bytes / section_record_bytes[parts[i].kind]), bytes->n_bytes};
    }
    ingot_status status = prove_codings(&view, error);
    if (status == INGOT_OK) status = prove_tensors(&view, error);
    if (status == INGOT_OK) status = content_id_of(&view, id, error);
    ingot_release(view.allocator, view.codings);
    return status;
}

ingot_status write_index(struct index_tables *tables, struct chunk_writer *chunks,
                         uint64_t header_checksum, ingot_error *error)
{
    const struct part parts[N_SECTIONS] = {
        {&tables->strings, SECTION_STRINGS}, {&chunks->chunks, SECTION_CHUNKS},
        {&chunks->streams, SECTION_STREAMS}, {&tables->codings, SECTION_CODINGS},
        {&tables->terms, SECTION_TERMS},     {&tables->tensors, SECTION_TENSORS},
        {&tables->blobs, SECTION_BLOBS},     {&tables->files, SECTION_FILES},
    };
    struct trailer_record trailer = {.header_checksum = header_checksum, .content_algorithm = 1};
    struct index_sink sink = {chunks, XXH3_createState(), 0};
    ingot_status status = INGOT_OK;
    if (sink.hash == NULL) return ingot_fail_memory(error, 0, "hash state");
    XXH3_64bits_reset(sink.hash);
    status = order_names(tables, error);
    if (status == INGOT_OK) status = content_id(tables, parts, trailer.content_id, error);
    if (status == INGOT_OK) status = chunks_align(chunks, 8, error);
    trailer.index_offset = chunks->offset;
    if (status == INGOT_OK) status = put_sections(&sink, parts, error);
    if (status == INGOT_OK) {
        uint8_t record[TRAILER_BYTES];
        trailer.index_bytes = sink.n_bytes;
        trailer.file_bytes = chunks->offset + TRAILER_BYTES;
        trailer.index_checksum = XXH3_64bits_digest(sink.hash);
        trailer_write(&trailer, record);
        status = chunks_write(chunks, record, sizeof record, error);
    }
    XXH3_freeState(sink.hash);
    return status;
}
