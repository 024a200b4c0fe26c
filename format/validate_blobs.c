/* The validator's part for blobs: metadata, source, receipt. */
#include "format/alloc.h"
#include "format/fail.h"
#include "format/metadata.h"
#include "format/rules.h"
#include "format/source.h"
#include "format/validate.h"

/* A blob in memory. */
struct subject {
    const ingot_file *file;
    const struct validation *v;
    struct span bytes;
    ingot_error *error;
};

ingot_status validate_unique(struct intern *seen, const char *key, uint32_t n_bytes,
                             enum ingot_rule rule, uint64_t offset, ingot_error *error)
{
    uint32_t value = 0;
    bool found;
    const ingot_status status = intern(seen, key, n_bytes, &value, &found, error);
    if (status == INGOT_OK && found) {
        return ingot_fail_rule(error, rule, offset, "name", "\"%.*s\" is there twice",
                               (int)min_u64(n_bytes, 80), key);
    }
    return status;
}

static ingot_status check_metadata(const struct subject *s)
{
    struct metadata_walk walk;
    struct intern seen = {.allocator = s->file->allocator};
    ingot_status status = metadata_open(s->bytes, &walk, s->error);
    while (status == INGOT_OK) {
        const uint64_t offset = walk.at.offset;
        const char *key;
        uint32_t key_bytes;
        struct metadata_value value;
        status = metadata_next(&walk, &key, &key_bytes, &value, s->error);
        if (status != INGOT_OK) break;
        status = validate_unique(&seen, key, key_bytes, R_711, offset, s->error);
    }
    intern_release(&seen);
    return status == INGOT_END ? INGOT_OK : status;
}

static ingot_status drop(void *context, const void *bytes, uint64_t n_bytes, ingot_error *error)
{
    (void)context;
    (void)bytes;
    (void)n_bytes;
    (void)error;
    return INGOT_OK;
}

/* The rest of a file's segments. */
static ingot_status skip_segments(struct source_walk *walk, ingot_error *error)
{
    struct source_segment segment;
    ingot_status status = INGOT_OK;
    while (status == INGOT_OK) status = source_next_segment(walk, &segment, error);
    return status == INGOT_END ? INGOT_OK : status;
}

static ingot_status check_source(const struct subject *s)
{
    static const struct byte_sink nowhere = {NULL, drop};
    struct source_walk walk;
    struct intern seen = {.allocator = s->file->allocator};
    struct source_rebuild *rebuild = NULL;
    ingot_status status = source_rebuild_open(s->file, s->v->report->pool, &rebuild, s->error);
    if (status == INGOT_OK) status = source_open(s->bytes, &walk, s->error);
    for (uint32_t i = 0; status == INGOT_OK; i++) {
        const uint64_t offset = walk.at.offset;
        struct source_file source;
        status = source_next_file(&walk, &source, s->error);
        if (status != INGOT_OK) break;
        status = validate_unique(&seen, source.name, source.name_bytes, R_721, offset, s->error);
        const bool proved = source_follow_proved(s->v->follow, i);
        if (status == INGOT_OK && !proved) {
            status = source_file_bytes(rebuild, &walk, &source, &nowhere, s->error);
        }
        /* A form of a tensor that is not known here breaks no rule. */
        if (status == INGOT_UNSUPPORTED || (status == INGOT_OK && proved)) {
            status = skip_segments(&walk, s->error);
        }
    }
    source_rebuild_close(rebuild);
    intern_release(&seen);
    return status == INGOT_END ? INGOT_OK : status;
}

static ingot_status check_receipt(const struct subject *s)
{
    return validate_receipt(s->bytes, s->file->allocator, s->error);
}

static ingot_status check_blob(const struct validation *v, uint32_t index, ingot_error *error)
{
    const ingot_file *file = v->file;
    static ingot_status (*const kinds[])(const struct subject *) = {
        [INGOT_BLOB_METADATA] = check_metadata,
        [INGOT_BLOB_SOURCE] = check_source,
        [INGOT_BLOB_RECEIPT] = check_receipt,
    };
    ingot_blob blob;
    ingot_file_blob(file, index, &blob);
    if (blob.kind >= sizeof kinds / sizeof *kinds || kinds[blob.kind] == NULL) return INGOT_OK;
    uint8_t *bytes = ingot_allocate(file->allocator, blob.n_bytes);
    if (bytes == NULL) return ingot_fail_memory(error, blob.n_bytes, "blob");
    ingot_status status = ingot_file_read_blob(file, index, 0, blob.n_bytes, bytes, error);
    const struct subject subject = {file, v, {bytes, blob.n_bytes}, error};
    if (status == INGOT_OK) status = kinds[blob.kind](&subject);
    ingot_release(file->allocator, bytes);
    return status;
}

ingot_status validate_blobs(struct validation *v)
{
    for (uint32_t i = 0; i < ingot_file_n_blobs(v->file); i++) {
        ingot_error error = {0};
        ingot_status status = check_blob(v, i, &error);
        if (status != INGOT_OK) status = violation(v, status, &error);
        if (status != INGOT_OK) return status;
    }
    return INGOT_OK;
}
