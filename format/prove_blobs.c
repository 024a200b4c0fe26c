/* Proof of blob and file records, and that every stream is used. */
#include "format/alloc.h"
#include "format/fail.h"
#include "format/file.h"
#include "format/rules.h"
#include "format/source.h"

static struct blob_record blob_at(const struct ingot_file *file, uint32_t i)
{
    struct blob_record r;
    blob_read(record_at(file, SECTION_BLOBS, i), &r);
    return r;
}

/* Attachments stand in any order, so equal names are looked for with a small hash table of record
 * indices, open addressing, twice as many places as records. */
struct name_table {
    uint32_t *places;
    uint64_t n_places;
};

static bool insert_name(const struct ingot_file *file, struct name_table *table, uint32_t index)
{
    const struct string_ref name = blob_at(file, index).name;
    uint64_t place = checksum_of(string_at(file, name), name.n_bytes) % table->n_places;
    while (table->places[place] != 0) {
        const struct string_ref other = blob_at(file, table->places[place] - 1).name;
        if (other.n_bytes == name.n_bytes &&
            memcmp(string_at(file, other), string_at(file, name), name.n_bytes) == 0) {
            return false;
        }
        place = (place + 1) % table->n_places;
    }
    table->places[place] = index + 1;
    return true;
}

static ingot_status prove_blob(const struct ingot_file *file, uint32_t i,
                               const struct blob_record *b,
                               uint32_t seen[INGOT_BLOB_ATTACHMENT + 1], struct name_table *names,
                               ingot_error *error)
{
    const uint64_t at = record_offset(file, SECTION_BLOBS, i, 0);
    const bool known = b->kind >= INGOT_BLOB_METADATA && b->kind <= INGOT_BLOB_ATTACHMENT;
    if ((b->flags & ~(uint32_t)BLOB_FLAGS) != 0 || (!known && (b->flags & BLOB_MUST))) {
        return ingot_fail_rule(error, R_701, at, "blob.kind", "blob %u: kind %u, flags 0x%x", i,
                               b->kind, b->flags);
    }
    ingot_status status = prove_string(file, b->name, at + 8, "blob.name", error);
    if (status == INGOT_OK) {
        status = prove_string(file, b->media_type, at + 16, "blob.media_type", error);
    }
    if (status != INGOT_OK) return status;
    if (b->stream >= file->sections[SECTION_STREAMS].n_records || !b->reserved_zero) {
        return ingot_fail_rule(error, R_703, at + 24, "blob.stream", "blob %u: %u", i, b->stream);
    }
    bool fits = true;
    if (b->kind == INGOT_BLOB_ATTACHMENT) {
        fits = safe_path(string_at(file, b->name), b->name.n_bytes) && insert_name(file, names, i);
    } else if (known) {
        fits = b->name.n_bytes == 0 && seen[b->kind]++ == 0;
    }
    if (!fits) {
        return ingot_fail_rule(error, R_702, at + 8, "blob.name",
                               "blob %u of kind %u: not the only one, or not a safe path", i,
                               b->kind);
    }
    return INGOT_OK;
}

static ingot_status prove_files(const struct ingot_file *file, ingot_error *error)
{
    for (uint32_t i = 0; i < file->sections[SECTION_FILES].n_records; i++) {
        const uint64_t at = record_offset(file, SECTION_FILES, i, 0);
        struct file_record r;
        file_read(record_at(file, SECTION_FILES, i), &r);
        const ingot_status status = prove_string(file, r.name, at + 40, "file.name", error);
        if (status != INGOT_OK) return status;
        bool fits = r.content_algorithm == 1 && r.reserved_zero &&
                    safe_path(string_at(file, r.name), r.name.n_bytes);
        for (uint32_t k = HASH_BYTES; k < CONTENT_ID_BYTES; k++) fits &= r.content_id[k] == 0;
        if (!fits) return ingot_fail_rule(error, R_531, at, "file", "file record %u", i);
    }
    return INGOT_OK;
}

ingot_status prove_blobs(const struct ingot_file *file, ingot_error *error)
{
    const uint32_t n = file->sections[SECTION_BLOBS].n_records;
    uint32_t seen[INGOT_BLOB_ATTACHMENT + 1] = {0};
    struct name_table names = {NULL, (uint64_t)n * 2 + 1};
    names.places = ingot_allocate_zeroed(file->allocator, names.n_places, sizeof *names.places);
    if (names.places == NULL) return ingot_fail_memory(error, names.n_places * 4, "blob names");
    ingot_status status = INGOT_OK;
    for (uint32_t i = 0; i < n && status == INGOT_OK; i++) {
        const struct blob_record b = blob_at(file, i);
        status = prove_blob(file, i, &b, seen, &names, error);
    }
    ingot_release(file->allocator, names.places);
    return status == INGOT_OK ? prove_files(file, error) : status;
}

/* ---- use of streams ---- */

enum { USED_ONCE = 1, USED_CODEBOOK = 2, USED_RESCALE = 3 };

struct use {
    const struct ingot_file *file;
    uint8_t *marks;
    ingot_error *error;
};

static ingot_status mark(const struct use *use, uint32_t first, uint32_t n, uint8_t how)
{
    for (uint32_t i = first; i < first + n; i++) {
        const uint8_t before = use->marks[i];
        if (before != 0 && (before != how || how == USED_ONCE)) {
            return ingot_fail_rule(use->error, R_323,
                                   record_offset(use->file, SECTION_STREAMS, i, 0), "stream",
                                   "stream %u is used in two ways", i);
        }
        use->marks[i] = how;
    }
    return INGOT_OK;
}

static ingot_status mark_terms(const struct use *use)
{
    for (uint32_t i = 0; i < use->file->sections[SECTION_TERMS].n_records; i++) {
        struct term_record t;
        term_read(record_at(use->file, SECTION_TERMS, i), &t);
        const ingot_status status = mark(use, t.first_stream, t.n_streams, USED_ONCE);
        if (status != INGOT_OK) return status;
    }
    return INGOT_OK;
}

static ingot_status mark_codebooks(const struct use *use)
{
    for (uint32_t i = 0; i < use->file->sections[SECTION_CODINGS].n_records; i++) {
        const uint32_t stream = use->file->codings[i].codebook_stream;
        if (stream == INGOT_NONE) continue;
        const ingot_status status = mark(use, stream, 1, USED_CODEBOOK);
        if (status != INGOT_OK) return status;
    }
    return INGOT_OK;
}

static ingot_status mark_rescales(const struct use *use)
{
    for (uint32_t i = 0; i < use->file->sections[SECTION_TENSORS].n_records; i++) {
        const struct tensor_record t = tensor_at(use->file, i);
        if (t.rescale_coding == INGOT_NONE || t.alias_of != INGOT_NONE) continue;
        const uint32_t n = rescale_n_streams(use->file, &t);
        const ingot_status status = mark(use, t.rescale_stream, n, USED_RESCALE);
        if (status != INGOT_OK) return status;
    }
    return INGOT_OK;
}

ingot_status prove_use(const struct ingot_file *file, ingot_error *error)
{
    const uint32_t n = file->sections[SECTION_STREAMS].n_records;
    struct use use = {file, ingot_allocate_zeroed(file->allocator, n, 1), error};
    if (use.marks == NULL) return ingot_fail_memory(error, n, "stream marks");
    ingot_status status = mark_terms(&use);
    if (status == INGOT_OK) status = mark_codebooks(&use);
    if (status == INGOT_OK) status = mark_rescales(&use);
    for (uint32_t i = 0; i < file->sections[SECTION_BLOBS].n_records && status == INGOT_OK; i++) {
        status = mark(&use, blob_at(file, i).stream, 1, USED_ONCE);
    }
    for (uint32_t i = 0; i < n && status == INGOT_OK; i++) {
        if (use.marks[i]) continue;
        status = ingot_fail_rule(error, R_323, record_offset(file, SECTION_STREAMS, i, 0), "stream",
                                 "stream %u is used by nothing", i);
    }
    ingot_release(file->allocator, use.marks);
    return status;
}
