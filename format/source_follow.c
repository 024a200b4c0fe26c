/* Source files from streams that pass. */
#include "format/source_follow.h"

#include "format/xxh3.h"

#include "format/alloc.h"
#include "format/fail.h"
#include "format/file.h"
#include "format/source.h"

struct source_follow {
    const ingot_file *file;
    uint8_t *blob;
    struct source_walk walk;
    XXH3_state_t *hash;
    bool over;        /* there is no file left to follow */
    uint32_t next;    /* stream of the tensor that is the next segment, or INGOT_NONE */
    uint64_t n_bytes; /* of the file at hand so far */
    struct source_file source;
    struct byte_buffer proved; /* a byte a file */
};

static void add(struct source_follow *f, const void *bytes, uint64_t n_bytes)
{
    if (n_bytes) XXH3_128bits_update(f->hash, bytes, (size_t)n_bytes);
    f->n_bytes += n_bytes;
}

/* The one stream whose bytes are those of the segment. */
static bool find_stream(const ingot_file *file, const struct source_segment *s, uint32_t *stream)
{
    struct file_term term;
    if (s->kind != SEGMENT_TENSOR || s->form_bytes || s->index >= ingot_file_n_tensors(file)) {
        return false;
    }
    ingot_file_term(file, s->index, 0, &term);
    if (term.coding == NULL) return false;
    *stream = term.first_stream;
    if (term.coding->map == MAP_OPAQUE) return true;
    return term.coding->bits >= 8 && ingot_file_held_raw(file, s->index);
}

static void end_file(struct source_follow *f)
{
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(f->hash));
    buffer_u8(&f->proved, f->n_bytes == f->source.n_bytes &&
                              memcmp(canonical.digest, f->source.hash, HASH_BYTES) == 0);
}

/* Gives up the file at hand. */
static void lose_file(struct source_follow *f)
{
    struct source_segment segment;
    ingot_status status = INGOT_OK;
    while (status == INGOT_OK) status = source_next_segment(&f->walk, &segment, NULL);
    f->over = status != INGOT_END;
    buffer_u8(&f->proved, false);
}

static void next_file(struct source_follow *f)
{
    f->over = f->over || source_next_file(&f->walk, &f->source, NULL) != INGOT_OK;
    f->n_bytes = 0;
    XXH3_128bits_reset(f->hash);
}

/* Goes on to the next stream that is wanted, `from` or one after it. */
static void advance(struct source_follow *f, uint32_t from)
{
    f->next = INGOT_NONE;
    while (!f->over) {
        struct source_segment segment;
        uint32_t stream;
        const ingot_status status = source_next_segment(&f->walk, &segment, NULL);
        if (status == INGOT_OK && segment.kind == SEGMENT_LITERAL) {
            add(f, segment.literal.data, segment.literal.n_bytes);
            continue;
        }
        if (status == INGOT_OK && find_stream(f->file, &segment, &stream) && stream >= from) {
            f->next = stream;
            return;
        }
        if (status == INGOT_END) {
            end_file(f);
        } else {
            lose_file(f);
        }
        next_file(f);
    }
}

/* Reads the blob, and goes to the first stream that is wanted. */
static ingot_status begin(struct source_follow *f, uint32_t blob_index, ingot_error *error)
{
    ingot_blob blob;
    ingot_file_blob(f->file, blob_index, &blob);
    f->hash = XXH3_createState();
    f->blob = ingot_allocate(f->file->allocator, blob.n_bytes);
    if (f->hash == NULL || f->blob == NULL) return ingot_fail_memory(error, blob.n_bytes, "source");
    ingot_status status =
        ingot_file_read_blob(f->file, blob_index, 0, blob.n_bytes, f->blob, error);
    if (status == INGOT_OK) {
        status = source_open((struct span){f->blob, blob.n_bytes}, &f->walk, error);
    }
    if (status != INGOT_OK) return status;
    next_file(f);
    advance(f, 0);
    return INGOT_OK;
}

ingot_status source_follow_open(const ingot_file *file, struct source_follow **follow,
                                ingot_error *error)
{
    const uint32_t index = ingot_file_find_blob(file, INGOT_BLOB_SOURCE, "", 0);
    *follow = NULL;
    if (index == INGOT_NONE) return INGOT_OK;
    struct source_follow *f = ingot_allocate_zeroed(file->allocator, 1, sizeof *f);
    if (f == NULL) return ingot_fail_memory(error, sizeof *f, "source");
    f->file = file;
    f->proved.allocator = file->allocator;
    f->next = INGOT_NONE;
    const ingot_status status = begin(f, index, error);
    if (status != INGOT_OK) {
        source_follow_close(f);
        return status == INGOT_NO_MEMORY ? status : INGOT_OK;
    }
    *follow = f;
    return INGOT_OK;
}

static void release_blob(struct source_follow *f)
{
    ingot_release(f->file->allocator, f->blob);
    XXH3_freeState(f->hash);
    f->blob = NULL;
    f->hash = NULL;
}

ingot_status source_follow_end(struct source_follow *follow, ingot_error *error)
{
    if (follow == NULL) return INGOT_OK;
    if (follow->next != INGOT_NONE) advance(follow, INGOT_NONE);
    release_blob(follow);
    return follow->proved.failed ? ingot_fail_memory(error, 1, "source") : INGOT_OK;
}

void source_follow_close(struct source_follow *follow)
{
    if (follow == NULL) return;
    release_blob(follow);
    buffer_release(&follow->proved);
    ingot_release(follow->file->allocator, follow);
}

bool source_follow_wants(struct source_follow *follow, uint32_t stream)
{
    struct source_follow *f = follow;
    if (f == NULL) return false;
    /* The stream before this one may have been what the file wanted, and has passed. */
    if (f->next != INGOT_NONE && f->next < stream) advance(f, stream);
    return f->next == stream;
}

void source_follow_put(struct source_follow *follow, const void *bytes, uint64_t n_bytes)
{
    add(follow, bytes, n_bytes);
}

bool source_follow_proved(const struct source_follow *follow, uint32_t source_file)
{
    return follow && source_file < follow->proved.n_bytes && follow->proved.data[source_file];
}
