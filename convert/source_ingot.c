/* An .ingot file as a model. The container's rules are format/'s; here are only the names that its
 * parts have as parts of a model. */
#include "convert/source_ingot.h"

#include "convert/hash.h"
#include "convert/input.h"
#include "convert/model_kind.h"
#include "convert/names.h"
#include "convert/source_blob.h"
#include "format/alloc.h"
#include "format/fail.h"
#include "format/reader.h"

/* Labels that a tensor's is compared with before it gets a place of its own. */
enum { N_RECENT_LABELS = 8 };
#define MAX_METADATA_BYTES (UINT64_C(1) << 30)

struct attachment {
    uint32_t blob;
    uint64_t name_offset; /* in texts; ends with a zero byte */
    uint64_t n_bytes;
};

struct container_model {
    struct model model;
    struct input *input; /* to see whether the file changed */
    ingot_file *file;
    uint32_t n_attachments;
    struct attachment *attachments;
    uint64_t *label_offsets; /* in texts, one a tensor */
    struct byte_buffer texts;
    uint8_t *metadata;
    uint64_t metadata_bytes;
};

static const struct container_model *self(const struct model *model)
{
    return (const struct container_model *)model;
}

/* ------------------------------------------------------------------ tensors */

static const ingot_file *container(const struct model *model)
{
    return self(model)->file;
}

static uint32_t n_tensors(const struct model *model)
{
    return ingot_file_n_tensors(self(model)->file);
}

/* The coding of a tensor that is carried as foreign bytes [6.2], or NULL. */
static const struct ingot_coding *foreign_coding(const ingot_file *file, uint32_t index,
                                                 uint32_t *stream)
{
    struct file_term term;
    ingot_file_term(file, index, 0, &term);
    if (term.coding == NULL || term.coding->map != MAP_OPAQUE) return NULL;
    *stream = term.first_stream;
    return term.coding;
}

static struct model_foreign foreign_of(const ingot_file *file, uint32_t index)
{
    uint32_t stream;
    const struct ingot_coding *coding = foreign_coding(file, index, &stream);
    if (coding == NULL) return (struct model_foreign){0};
    return (struct model_foreign){coding->name, coding->block_weights, coding->block_bytes,
                                  ingot_file_stream_bytes(file, stream)};
}

static void tensor_of(const struct model *model, uint32_t index, struct model_tensor *tensor)
{
    const struct container_model *m = self(model);
    const struct tensor_layout layout = ingot_file_layout(m->file, index);
    ingot_tensor t;
    ingot_file_tensor(m->file, index, &t);
    struct model_tensor out = {
        .name = t.name,
        .name_bytes = t.name_bytes,
        .number = index,
        .dtype = t.dtype,
        .rank = t.rank,
        .stack = layout.stack,
        .split = layout.split,
        .n_rows = t.n_matrices * t.n_rows,
        .n_cols = t.n_cols,
        .stored_bytes = t.stored_bytes,
        .encoding = (const char *)m->texts.data + m->label_offsets[index],
        .raw = ingot_file_held_raw(m->file, index),
        .foreign = foreign_of(m->file, index),
    };
    memcpy(out.dims, t.dims, sizeof out.dims);
    *tensor = out;
}

static ingot_status find(const struct model *model, const char *name, size_t name_bytes,
                         uint32_t *index)
{
    return ingot_file_find(self(model)->file, name, name_bytes, index);
}

static ingot_status decode_f32(const struct model *model, uint32_t index, uint64_t first_row,
                               uint64_t n_rows, float *dst, ingot_error *error)
{
    struct model_tensor t;
    tensor_of(model, index, &t);
    if (t.foreign.name) return model_refuse_foreign(&t, error);
    return ingot_file_decode_f32(self(model)->file, index, first_row, n_rows, dst, error);
}

static ingot_status read_raw(const struct model *model, uint32_t index, uint64_t offset,
                             uint64_t n_bytes, void *dst, ingot_error *error)
{
    return ingot_file_read_raw(self(model)->file, index, offset, n_bytes, dst, error);
}

static ingot_status read_foreign(const struct model *model, uint32_t index, uint64_t offset,
                                 uint64_t n_bytes, void *dst, ingot_error *error)
{
    const ingot_file *file = self(model)->file;
    uint32_t stream = 0;
    (void)foreign_coding(file, index, &stream);
    return ingot_file_read_stream(file, stream, offset, n_bytes, dst, error);
}

/* ------------------------------------------------------------------ metadata and attachments */

static struct span metadata(const struct model *model)
{
    return (struct span){self(model)->metadata, self(model)->metadata_bytes};
}

static uint32_t n_attachments(const struct model *model)
{
    return self(model)->n_attachments;
}

static void attachment_of(const struct model *model, uint32_t index,
                          struct model_attachment *attachment)
{
    const struct container_model *m = self(model);
    const struct attachment *a = &m->attachments[index];
    *attachment =
        (struct model_attachment){(const char *)m->texts.data + a->name_offset, a->n_bytes};
}

static ingot_status read_attachment(const struct model *model, uint32_t index, uint64_t offset,
                                    uint64_t n_bytes, void *dst, ingot_error *error)
{
    const struct container_model *m = self(model);
    return ingot_file_read_blob(m->file, m->attachments[index].blob, offset, n_bytes, dst, error);
}

/* ------------------------------------------------------------------ the source blob */

/* Puts the source files together again, which proves that they can be, and writes their segments
 * again. */
struct rewriting {
    const struct container_model *m;
    const uint32_t *attachment_blobs;
    struct model_hashes *hashes;
    XXH3_state_t *hash;
    const struct progress *progress;
    uint64_t done_bytes;
    uint64_t total_bytes;
};

static ingot_status take_bytes(void *context, const void *bytes, uint64_t n_bytes,
                               ingot_error *error)
{
    struct rewriting *w = context;
    (void)bytes;
    (void)error;
    w->done_bytes += n_bytes;
    if (w->progress) {
        w->progress->report(w->progress->context, "checking", w->done_bytes, w->total_bytes);
    }
    return INGOT_OK;
}

static ingot_status rewrite_segments(const struct rewriting *w, struct source_walk walk,
                                     struct byte_buffer *out, ingot_error *error)
{
    for (;;) {
        struct source_segment s;
        const ingot_status status = source_next_segment(&walk, &s, error);
        if (status == INGOT_END) return INGOT_OK;
        if (status != INGOT_OK) return status;
        if (s.kind == SEGMENT_LITERAL) source_put_literal(out, s.literal.data, s.literal.n_bytes);
        if (s.kind == SEGMENT_TENSOR) source_put_tensor(out, s.index, s.form, s.form_bytes);
        if (s.kind == SEGMENT_METADATA) source_put_metadata(out, &s.metadata);
        for (uint32_t i = 0; s.kind == SEGMENT_ATTACHMENT && i < w->m->n_attachments; i++) {
            if (w->m->attachments[i].blob != s.index) continue;
            source_put_attachment(out, w->attachment_blobs[i]);
            break;
        }
    }
}

/* The hash of one tensor or attachment. */
static ingot_status hash_part(XXH3_state_t *state, const struct model *model, uint32_t index,
                              uint64_t n_bytes,
                              ingot_status (*read)(const struct model *, uint32_t, uint64_t,
                                                   uint64_t, void *, ingot_error *),
                              uint8_t *piece, uint8_t hash[16], ingot_error *error)
{
    XXH3_128bits_reset(state);
    for (uint64_t done = 0; done < n_bytes; done += PIECE_BYTES) {
        const uint64_t n = min_u64(n_bytes - done, PIECE_BYTES);
        const ingot_status status = read(model, index, done, n, piece, error);
        if (status != INGOT_OK) return status;
        XXH3_128bits_update(state, piece, (size_t)n);
    }
    hash_digest(state, hash);
    return INGOT_OK;
}

static ingot_status hash_parts(const struct rewriting *w, ingot_error *error)
{
    const struct model *model = &w->m->model;
    ingot_status status = INGOT_OK;
    uint8_t *piece = ingot_allocate(model->allocator, PIECE_BYTES);
    if (piece == NULL) return ingot_fail_memory(error, PIECE_BYTES, "source");
    for (uint32_t i = 0; i < n_tensors(model) && status == INGOT_OK; i++) {
        struct model_tensor t;
        tensor_of(model, i, &t);
        if (!t.raw) continue;
        status = hash_part(w->hash, model, i, ingot_raw_bytes(t.dtype, t.n_rows * t.n_cols),
                           read_raw, piece, w->hashes->tensors[i], error);
    }
    for (uint32_t i = 0; i < w->m->n_attachments && status == INGOT_OK; i++) {
        status = hash_part(w->hash, model, i, w->m->attachments[i].n_bytes, read_attachment, piece,
                           w->hashes->attachments[i], error);
    }
    ingot_release(model->allocator, piece);
    return status;
}

static ingot_status source_blob(const struct model *model, const uint32_t *attachment_blobs,
                                const struct progress *progress, struct source_passing *passing,
                                struct byte_buffer *out, struct model_hashes *hashes,
                                ingot_error *error)
{
    (void)passing; /* what passes is not the source's files */
    const struct container_model *m = self(model);
    struct rewriting w = {
        .m = m, .attachment_blobs = attachment_blobs, .hashes = hashes, .progress = progress};
    const struct byte_sink sink = {&w, take_bytes};
    struct source_blob blob;
    ingot_status status = source_blob_open(m->file, NULL, model->allocator, &blob, error);
    if (status != INGOT_OK) return status;
    w.total_bytes = blob.total_bytes;
    w.hash = XXH3_createState();
    if (w.hash == NULL) {
        status = ingot_fail_memory(error, HASH_STATE_BYTES, "hash");
        goto done;
    }
    source_begin(out, blob.n_files);
    while (status == INGOT_OK) {
        struct source_file file;
        status = source_next_file(&blob.walk, &file, error);
        if (status != INGOT_OK) break;
        source_put_file(out, &file);
        status = rewrite_segments(&w, blob.walk, out, error);
        if (status == INGOT_OK) {
            status = source_file_bytes(blob.rebuild, &blob.walk, &file, &sink, error);
        }
    }
    if (status == INGOT_END) status = hash_parts(&w, error);
    if (status == INGOT_OK && out->failed) {
        status = ingot_fail_memory(error, out->n_bytes, "source");
    }
done:
    XXH3_freeState(w.hash);
    source_blob_close(&blob);
    return status;
}

static uint64_t source_bytes(const struct model *model)
{
    return ingot_file_bytes(self(model)->file);
}

static ingot_status unchanged(const struct model *model, ingot_error *error)
{
    return input_unchanged(self(model)->input, error);
}

/* ------------------------------------------------------------------ opening and closing */

static void close_model(struct model *model)
{
    struct container_model *m = (struct container_model *)model;
    const ingot_allocator *allocator = model->allocator;
    ingot_release(allocator, m->metadata);
    ingot_release(allocator, m->label_offsets);
    ingot_release(allocator, m->attachments);
    buffer_release(&m->texts);
    ingot_file_close(m->file);
    input_close(m->input);
    ingot_release(allocator, m);
}

static const struct model_kind kind = {
    .format = "ingot",
    .close = close_model,
    .container = container,
    .n_tensors = n_tensors,
    .tensor = tensor_of,
    .find = find,
    .decode_f32 = decode_f32,
    .read_raw = read_raw,
    .read_foreign = read_foreign,
    .metadata = metadata,
    .n_attachments = n_attachments,
    .attachment = attachment_of,
    .read_attachment = read_attachment,
    .source_blob = source_blob,
    .unchanged = unchanged,
    .source_bytes = source_bytes,
};

/* Keeps the label of each tensor once, as far as it is one of the last few. */
static ingot_status list_labels(struct container_model *m, ingot_error *error)
{
    const uint32_t n = ingot_file_n_tensors(m->file);
    uint64_t recent[N_RECENT_LABELS];
    uint32_t n_labels = 0;
    m->label_offsets = ingot_allocate_zeroed(m->model.allocator, n, sizeof *m->label_offsets);
    if (m->label_offsets == NULL) {
        return ingot_fail_memory(error, n * sizeof *m->label_offsets, "encodings");
    }
    for (uint32_t i = 0; i < n; i++) {
        ingot_tensor t;
        uint32_t k = 0;
        ingot_file_tensor(m->file, i, &t);
        const uint32_t n_recent = n_labels < N_RECENT_LABELS ? n_labels : N_RECENT_LABELS;
        while (k < n_recent && strcmp((const char *)m->texts.data + recent[k], t.encoding) != 0) {
            k++;
        }
        if (k < n_recent) {
            m->label_offsets[i] = recent[k];
            continue;
        }
        m->label_offsets[i] = m->texts.n_bytes;
        recent[n_labels++ % N_RECENT_LABELS] = m->texts.n_bytes;
        buffer_append(&m->texts, t.encoding, strlen(t.encoding) + 1);
        if (m->texts.failed) return ingot_fail_memory(error, sizeof t.encoding, "encodings");
    }
    return INGOT_OK;
}

static ingot_status list_blobs(struct container_model *m, ingot_error *error)
{
    const uint32_t n = ingot_file_n_blobs(m->file);
    m->attachments = ingot_allocate_zeroed(m->model.allocator, n, sizeof *m->attachments);
    if (m->attachments == NULL) {
        return ingot_fail_memory(error, n * sizeof *m->attachments, "attachments");
    }
    for (uint32_t i = 0; i < n; i++) {
        ingot_blob blob;
        ingot_file_blob(m->file, i, &blob);
        if (blob.kind > INGOT_BLOB_ATTACHMENT) {
            model_add_note(&m->model, "blob %u is of the unknown kind %u and was left out", i,
                           blob.kind);
        }
        if (blob.kind != INGOT_BLOB_ATTACHMENT) continue;
        m->attachments[m->n_attachments++] = (struct attachment){i, m->texts.n_bytes, blob.n_bytes};
        buffer_append(&m->texts, blob.name, blob.name_bytes);
        buffer_u8(&m->texts, 0);
    }
    if (m->texts.failed || m->model.notes.failed) {
        return ingot_fail_memory(error, m->texts.n_bytes, "attachments");
    }
    return INGOT_OK;
}

static ingot_status read_metadata(struct container_model *m, ingot_error *error)
{
    ingot_blob blob;
    const uint32_t index = ingot_file_find_blob(m->file, INGOT_BLOB_METADATA, "", 0);
    if (index == INGOT_NONE) return INGOT_OK;
    ingot_file_blob(m->file, index, &blob);
    if (blob.n_bytes > MAX_METADATA_BYTES) {
        return ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, "metadata", "%llu bytes long",
                          (unsigned long long)blob.n_bytes);
    }
    m->metadata = ingot_allocate(m->model.allocator, blob.n_bytes);
    if (m->metadata == NULL) return ingot_fail_memory(error, blob.n_bytes, "metadata");
    m->metadata_bytes = blob.n_bytes;
    return ingot_file_read_blob(m->file, index, 0, blob.n_bytes, m->metadata, error);
}

ingot_status ingot_open_container(const char *const *paths, uint32_t n_paths,
                                  const ingot_allocator *allocator, struct model **model,
                                  ingot_error *error)
{
    struct container_model *m = ingot_allocate_zeroed(allocator, 1, sizeof *m);
    (void)n_paths;
    if (m == NULL) return ingot_fail_memory(error, sizeof *m, "model");
    m->model = (struct model){&kind, allocator, 0, {.allocator = allocator}};
    m->texts = (struct byte_buffer){.allocator = allocator};
    ingot_status status = input_open(paths[0], paths[0], allocator, &m->input, error);
    if (status == INGOT_OK) status = ingot_file_open(paths[0], allocator, &m->file, error);
    if (status == INGOT_OK) status = list_labels(m, error);
    if (status == INGOT_OK) status = list_blobs(m, error);
    if (status == INGOT_OK) status = read_metadata(m, error);
    if (status != INGOT_OK) {
        model_close(&m->model);
        return status;
    }
    *model = &m->model;
    return INGOT_OK;
}
