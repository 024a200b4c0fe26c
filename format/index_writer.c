/* Index and trailer. */
#include "format/index_writer.h"

#include <stdlib.h>

#include "format/alloc.h"
#include "format/fail.h"
#include "format/file.h"
#include "format/rules.h"
#include "format/source.h"

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

static void put_sections(struct byte_buffer *index, const struct part parts[N_SECTIONS])
{
    uint64_t offset = DIRECTORY_BYTES + N_SECTIONS * SECTION_BYTES;
    buffer_u32(index, N_SECTIONS);
    buffer_u32(index, 0);
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
        uint8_t record[SECTION_BYTES];
        section_write(&r, record);
        buffer_append(index, record, sizeof record);
        offset += r.n_bytes;
        if (i + 1 < N_SECTIONS) offset = ceil_div(offset, 8) * 8;
    }
    for (uint32_t i = 0; i < N_SECTIONS; i++) {
        buffer_append(index, parts[i].bytes->data, parts[i].bytes->n_bytes);
        if (i + 1 < N_SECTIONS) buffer_align(index, 8);
    }
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
    struct byte_buffer index = {.allocator = tables->allocator};
    struct trailer_record trailer = {.header_checksum = header_checksum, .content_algorithm = 1};
    ingot_status status = order_names(tables, error);
    if (status == INGOT_OK) status = content_id(tables, parts, trailer.content_id, error);
    if (status == INGOT_OK) status = chunks_align(chunks, 8, error);
    if (status != INGOT_OK) goto done;
    put_sections(&index, parts);
    if (index.failed) {
        status = ingot_fail_memory(error, index.n_bytes, "index");
        goto done;
    }
    trailer.index_offset = chunks->offset;
    trailer.index_bytes = index.n_bytes;
    trailer.file_bytes = chunks->offset + index.n_bytes + TRAILER_BYTES;
    trailer.index_checksum = checksum_of(index.data, index.n_bytes);
    uint8_t record[TRAILER_BYTES];
    trailer_write(&trailer, record);
    status = chunks_write(chunks, index.data, index.n_bytes, error);
    if (status == INGOT_OK) status = chunks_write(chunks, record, sizeof record, error);
done:
    buffer_release(&index);
    return status;
}
