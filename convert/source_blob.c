/* Reads source blobs. */
#include "convert/source_blob.h"

#include "convert/names.h"
#include "format/alloc.h"
#include "format/fail.h"
#include "format/reader.h"
#include "format/rules.h"

/* A source blob holds headers; more than this is not one that was made from real files. */
#define MAX_BLOB_BYTES (UINT64_C(4) << 30)

static ingot_status skip_segments(struct source_walk *walk, ingot_error *error)
{
    struct source_segment segment;
    ingot_status status = INGOT_OK;
    while (status == INGOT_OK) status = source_next_segment(walk, &segment, error);
    return status == INGOT_END ? INGOT_OK : status;
}

static ingot_status check_names(struct byte_buffer *names, uint32_t n, ingot_error *error)
{
    if (names->failed) return ingot_fail_memory(error, names->n_bytes, "names of source files");
    struct name_ref *refs = (struct name_ref *)(void *)names->data;
    names_sort(refs, n);
    const uint64_t at = names_duplicate(refs, n);
    if (at == 0) return INGOT_OK;
    return ingot_fail_rule(error, R_721, INGOT_NO_OFFSET,
                           name_shown(refs[at].text, refs[at].n_bytes).text,
                           "two source files have this name");
}

static ingot_status check_files(struct source_blob *b, ingot_error *error)
{
    struct source_walk walk = b->walk;
    struct byte_buffer names = {.allocator = b->allocator};
    ingot_status status = INGOT_OK;
    while (status == INGOT_OK) {
        struct source_file file;
        status = source_next_file(&walk, &file, error);
        if (status != INGOT_OK) break;
        const struct name_ref name = {file.name, file.name_bytes, b->n_files++};
        buffer_append(&names, &name, sizeof name);
        if (!add_u64(b->total_bytes, file.n_bytes, &b->total_bytes)) b->total_bytes = UINT64_MAX;
        status = skip_segments(&walk, error);
    }
    if (status == INGOT_END) status = check_names(&names, b->n_files, error);
    buffer_release(&names);
    return status;
}

ingot_status source_blob_open(const ingot_file *file, struct ingot_pool *pool,
                              const ingot_allocator *allocator, struct source_blob *blob,
                              ingot_error *error)
{
    struct source_blob b = {.allocator = allocator};
    ingot_blob found;
    const uint32_t index = ingot_file_find_blob(file, INGOT_BLOB_SOURCE, "", 0);
    if (index == INGOT_NONE) {
        return ingot_fail(error, INGOT_NOT_FOUND, INGOT_NO_OFFSET, "source", "there is none");
    }
    ingot_file_blob(file, index, &found);
    if (found.n_bytes > MAX_BLOB_BYTES) {
        return ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, "source", "%llu bytes long",
                          (unsigned long long)found.n_bytes);
    }
    b.bytes = ingot_allocate(allocator, found.n_bytes);
    if (b.bytes == NULL) return ingot_fail_memory(error, found.n_bytes, "source");
    ingot_status status = ingot_file_read_blob(file, index, 0, found.n_bytes, b.bytes, error);
    if (status == INGOT_OK) {
        status = source_open((struct span){b.bytes, found.n_bytes}, &b.walk, error);
    }
    if (status == INGOT_OK) status = check_files(&b, error);
    if (status == INGOT_OK) status = source_rebuild_open(file, pool, &b.rebuild, error);
    if (status != INGOT_OK) {
        source_blob_close(&b);
        return status;
    }
    *blob = b;
    return INGOT_OK;
}

void source_blob_close(struct source_blob *blob)
{
    source_rebuild_close(blob->rebuild);
    blob->rebuild = NULL;
    ingot_release(blob->allocator, blob->bytes);
    blob->bytes = NULL;
}
