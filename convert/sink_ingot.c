/* A model to an .ingot file: attachments, tensors, metadata, source, receipt. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "convert/copy_tensor.h"
#include "convert/foreign_blocks.h"
#include "convert/hold_blocks.h"
#include "convert/hold_composite.h"
#include "convert/names.h"
#include "convert/receipt.h"
#include "convert/sink.h"
#include "format/alloc.h"
#include "format/fail.h"
#include "format/output.h"

#define MAX_RECEIPT_BYTES (UINT64_C(1) << 30)

struct ingot_sink {
    struct conversion *c;
    ingot_writer *writer;
    struct ingot_pool *pool;
    struct receipt *receipt;
    XXH3_state_t *hash;
    uint32_t *attachment_blobs;
    struct coding_copies copies;
    struct blocks_held blocks;
    bool changed;                /* a tensor does not hold its source's bits */
    struct model_hashes written; /* as the bytes passed */
    struct model_hashes proved;  /* as the source's files were read for their hashes */
    bool *kept;                  /* tensors held raw, of which a hash was made */
    ingot_error *error;
};

/* ------------------------------------------------------------------ attachments and metadata */

static ingot_status write_attachments(struct ingot_sink *s)
{
    const struct model *model = s->c->model;
    for (uint32_t i = 0; i < model_n_attachments(model); i++) {
        struct model_attachment a;
        model_attachment(model, i, &a);
        struct passing_bytes passing = {s->c, i, model_read_attachment, s->hash, NULL, 0};
        const struct byte_source source = passing_source(&passing);
        conversion_begin_part(s->c, a.n_bytes);
        const ingot_status status =
            ingot_writer_blob(s->writer, INGOT_BLOB_ATTACHMENT, a.name, NULL, a.n_bytes, &source,
                              &s->attachment_blobs[i], s->error);
        if (status != INGOT_OK) return status;
        hash_digest(s->hash, s->written.attachments[i]);
        conversion_end_part(s->c);
    }
    return INGOT_OK;
}

static ingot_status write_blob(struct ingot_sink *s, ingot_blob_kind kind, const char *media_type,
                               struct span bytes)
{
    const struct byte_source source = memory_bytes(&bytes);
    return ingot_writer_blob(s->writer, kind, NULL, media_type, bytes.n_bytes, &source, NULL,
                             s->error);
}

static ingot_status write_metadata(struct ingot_sink *s)
{
    const struct span metadata = model_metadata(s->c->model);
    if (metadata.n_bytes == 0) return INGOT_OK;
    return write_blob(s, INGOT_BLOB_METADATA, NULL, metadata);
}

/* ------------------------------------------------------------------ tensors */

/* Bits of the tensor's own type, or blocks of a foreign one. */
/* Foreign blocks as streams where they can be proved, else bytes as they are. */
static ingot_status put_kept(struct ingot_sink *s, uint32_t index, const struct model_tensor *t,
                             const struct writer_tensor *tensor, uint64_t *coded_bytes)
{
    const struct model_foreign *f = &t->foreign;
    struct passing_bytes passing = {
        s->c, index, f->name ? model_read_foreign : model_read_raw, s->hash, s->c->passing, 0};
    ingot_status status;
    if (s->copies.file == NULL && foreign_blocks_type(t)) {
        bool held;
        status =
            hold_blocks(&s->blocks, s->c, index, tensor, s->hash, &held, coded_bytes, s->error);
        if (status != INGOT_OK || held) return status;
    }
    const struct byte_source source = passing_source(&passing);
    if (f->name) {
        const struct ingot_coding coding = opaque_coding(f->name, f->block_weights, f->block_bytes);
        status = ingot_writer_opaque(s->writer, tensor, &coding, f->n_bytes, &source, s->error);
    } else {
        status = ingot_writer_raw(s->writer, tensor, &source, s->error);
    }
    *coded_bytes = passing.hashed_bytes;
    return status;
}

static ingot_status keep_tensor(struct ingot_sink *s, uint32_t index, const struct model_tensor *t)
{
    const bool composite = model_composite(s->c->model, index) != NULL;
    uint64_t coded_bytes;
    struct writer_tensor tensor = {
        .name_bytes = t->name_bytes,
        .dtype = t->dtype,
        .rank = t->rank,
        .stack = t->stack,
        .split = t->split,
    };
    memcpy(tensor.dims, t->dims, sizeof t->dims);
    char *name = ingot_allocate(NULL, (uint64_t)t->name_bytes + 1);
    if (name == NULL) return ingot_fail_memory(s->error, t->name_bytes, "tensor name");
    memcpy(name, t->name, t->name_bytes);
    name[t->name_bytes] = '\0';
    tensor.name = name;
    const ingot_status status =
        composite ? hold_composite(s->c, index, &tensor, s->writer, s->written.tensors[index],
                                   &coded_bytes, s->error)
                  : put_kept(s, index, t, &tensor, &coded_bytes);
    ingot_release(NULL, name);
    if (status != INGOT_OK) return status;
    if (!composite) hash_digest(s->hash, s->written.tensors[index]);
    s->kept[index] = true;
    receipt_kept(s->receipt, t, s->written.tensors[index]);
    conversion_tensor_done(s->c, t, t->encoding, coded_bytes, NULL);
    return INGOT_OK;
}

static ingot_status copy_terms(struct ingot_sink *s, const struct model_tensor *t)
{
    const struct row_progress progress = conversion_row_progress(s->c);
    ingot_tensor described;
    const ingot_status status = copy_tensor(&s->copies, t->number, &progress, s->error);
    if (status != INGOT_OK) return status;
    ingot_file_tensor(s->copies.file, t->number, &described);
    receipt_copied(s->receipt, t);
    conversion_tensor_done(s->c, t, t->encoding, described.coded_bytes, NULL);
    return INGOT_OK;
}

static void note_unweighted(struct ingot_sink *s, const struct model_tensor *t)
{
    char text[256];
    snprintf(text, sizeof text, "the imatrix has no entry for %s",
             name_shown(t->name, t->name_bytes).text);
    receipt_note(s->receipt, text);
    s->c->result->n_unweighted++;
}

static ingot_status encode(struct ingot_sink *s, uint32_t index, const struct model_tensor *t,
                           const struct encoding *encoding)
{
    const struct row_progress progress = conversion_row_progress(s->c);
    struct encoded_tensor encoded;
    const ingot_status status =
        encode_tensor(s->c->model, index, encoding, s->writer, s->pool, s->c->options->allocator,
                      &progress, &encoded, s->error);
    if (status != INGOT_OK) return status;
    s->changed = true;
    s->c->result->n_encoded++;
    if (s->c->options->imatrix && !encoded.weighted) note_unweighted(s, t);
    receipt_encoded(s->receipt, t, &encoded);
    conversion_tensor_done(s->c, t, encoded.label, encoded.coded_bytes, &encoded.error);
    return INGOT_OK;
}

/* Another name of a tensor stays one, whatever became of that tensor: what becomes of a tensor does
 * not depend on its name. */
static ingot_status write_alias(struct ingot_sink *s, uint32_t index, const struct model_tensor *t)
{
    const uint32_t other = model_alias_of(s->c->model, index);
    const ingot_status status =
        ingot_writer_alias(s->writer, t->name, t->name_bytes, other, s->error);
    if (status != INGOT_OK) return status;
    memcpy(s->written.tensors[index], s->written.tensors[other], 16);
    s->kept[index] = s->kept[other];
    receipt_alias(s->receipt, t, other);
    conversion_tensor_done(s->c, t, "alias", 0, NULL);
    return INGOT_OK;
}

static ingot_status write_tensors(struct ingot_sink *s)
{
    for (uint32_t i = 0; i < model_n_tensors(s->c->model); i++) {
        struct model_tensor t;
        ingot_status status;
        const struct encoding *encoding = conversion_choice(s->c, i);
        model_tensor(s->c->model, i, &t);
        conversion_begin_part(s->c, t.stored_bytes);
        if (model_alias_of(s->c->model, i) != INGOT_NONE) {
            status = write_alias(s, i, &t);
        } else if (encoding) {
            status = encode(s, i, &t, encoding);
        } else {
            status = s->copies.file && !t.raw ? copy_terms(s, &t) : keep_tensor(s, i, &t);
        }
        if (status != INGOT_OK) return status;
        conversion_end_part(s->c);
    }
    return INGOT_OK;
}

/* ------------------------------------------------------------------ source and receipt */

/* What was written must be what the source's files held when their hashes were made. */
static ingot_status compare_hashes(const struct ingot_sink *s)
{
    const struct model *model = s->c->model;
    for (uint32_t i = 0; i < model_n_tensors(model); i++) {
        struct model_tensor t;
        if (!s->kept[i] || memcmp(s->written.tensors[i], s->proved.tensors[i], 16) == 0) continue;
        model_tensor(model, i, &t);
        return ingot_fail(s->error, INGOT_REFUSED, INGOT_NO_OFFSET,
                          name_shown(t.name, t.name_bytes).text,
                          "the source changed while it was read: this tensor is another");
    }
    for (uint32_t i = 0; i < model_n_attachments(model); i++) {
        struct model_attachment a;
        if (memcmp(s->written.attachments[i], s->proved.attachments[i], 16) == 0) continue;
        model_attachment(model, i, &a);
        return ingot_fail(s->error, INGOT_REFUSED, INGOT_NO_OFFSET, a.name,
                          "the source changed while it was read: this file is another");
    }
    return INGOT_OK;
}

/* Writes the source blob, unless the source's files cannot be had again. */
static ingot_status write_source(struct ingot_sink *s)
{
    struct byte_buffer blob = {.allocator = s->c->options->allocator};
    if (s->changed) return INGOT_OK;
    memcpy(s->proved.tensors, s->written.tensors, model_n_tensors(s->c->model) * (size_t)16);
    ingot_status status =
        model_source_blob(s->c->model, s->attachment_blobs, s->c->options->progress, s->c->passing,
                          &blob, &s->proved, s->error);
    if (status == INGOT_NOT_FOUND) {
        status = INGOT_OK;
        goto done;
    }
    if (status == INGOT_OK) status = compare_hashes(s);
    if (status == INGOT_OK) status = blocks_held_source(&s->blocks, &blob, s->error);
    if (status == INGOT_OK) {
        status = write_blob(s, INGOT_BLOB_SOURCE, NULL, (struct span){blob.data, blob.n_bytes});
    }
    s->c->result->restorable = status == INGOT_OK;
done:
    buffer_release(&blob);
    return status;
}

static ingot_status write_receipt(struct ingot_sink *s)
{
    struct byte_buffer text = {.allocator = s->c->options->allocator};
    for (uint32_t i = 0; i < model_n_notes(s->c->model); i++) {
        receipt_note(s->receipt, model_note(s->c->model, i));
    }
    for (uint64_t at = 0; at < s->blocks.notes.n_bytes;) {
        const char *note = (const char *)s->blocks.notes.data + at;
        receipt_note(s->receipt, note);
        conversion_note(s->c, "%s", note);
        at += strlen(note) + 1;
    }
    ingot_status status = receipt_write(s->receipt, &text, s->error);
    if (status == INGOT_OK) {
        status = write_blob(s, INGOT_BLOB_RECEIPT, "application/json",
                            (struct span){text.data, text.n_bytes});
    }
    buffer_release(&text);
    return status;
}

/* ------------------------------------------------------------------ the whole */

/* Starts the receipt from that of the source, when the source has one. */
static ingot_status begin_receipt(struct ingot_sink *s)
{
    const ingot_file *file = model_container(s->c->model);
    const uint32_t index =
        file ? ingot_file_find_blob(file, INGOT_BLOB_RECEIPT, "", 0) : INGOT_NONE;
    uint8_t *earlier = NULL;
    ingot_blob blob = {0};
    ingot_status status = INGOT_OK;
    if (index != INGOT_NONE) ingot_file_blob(file, index, &blob);
    if (blob.n_bytes > MAX_RECEIPT_BYTES) {
        return ingot_fail(s->error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, "receipt",
                          "%llu bytes long", (unsigned long long)blob.n_bytes);
    }
    if (blob.n_bytes) {
        earlier = ingot_allocate(s->c->options->allocator, blob.n_bytes);
        if (earlier == NULL) return ingot_fail_memory(s->error, blob.n_bytes, "receipt");
        status = ingot_file_read_blob(file, index, 0, blob.n_bytes, earlier, s->error);
    }
    if (status == INGOT_OK) {
        status = receipt_create(s->c->options, (struct span){earlier, blob.n_bytes}, &s->receipt,
                                s->error);
    }
    ingot_release(s->c->options->allocator, earlier);
    return status;
}

static ingot_status begin(struct ingot_sink *s)
{
    const uint64_t n_tensors = model_n_tensors(s->c->model);
    const uint64_t n_attachments = model_n_attachments(s->c->model);
    const ingot_allocator *memory = s->c->options->allocator;
    s->hash = XXH3_createState();
    s->written.tensors = ingot_allocate_zeroed(memory, n_tensors, 16);
    s->proved.tensors = ingot_allocate_zeroed(memory, n_tensors, 16);
    s->written.attachments = ingot_allocate_zeroed(memory, n_attachments, 16);
    s->proved.attachments = ingot_allocate_zeroed(memory, n_attachments, 16);
    s->kept = ingot_allocate_zeroed(memory, n_tensors, sizeof *s->kept);
    s->attachment_blobs = ingot_allocate_zeroed(memory, n_attachments, sizeof *s->attachment_blobs);
    if (s->hash == NULL || s->written.tensors == NULL || s->proved.tensors == NULL ||
        s->written.attachments == NULL || s->proved.attachments == NULL || s->kept == NULL ||
        s->attachment_blobs == NULL) {
        return ingot_fail_memory(s->error, n_tensors * 33 + n_attachments * 36, "hashes");
    }
    ingot_status status = begin_receipt(s);
    if (status == INGOT_OK && !s->c->encodes) {
        status = source_passing_create(s->c->model, memory, &s->c->passing, s->error);
    }
    if (status != INGOT_OK) return status;
    return ingot_pool_create(s->c->options->n_threads, NULL, &s->pool, s->error);
}

static ingot_status create_writer(struct ingot_sink *s)
{
    const struct convert_options *options = s->c->options;
    struct output *output;
    if (s->c->into == NULL) {
        return ingot_writer_create(s->c->target, options->replace, options->compression, NULL,
                                   &s->writer, s->error);
    }
    const ingot_status status = output_to_memory(s->c->into, NULL, &output, s->error);
    if (status != INGOT_OK) return status;
    return ingot_writer_over(output, options->compression, NULL, &s->writer, s->error);
}

static ingot_status write_all(struct ingot_sink *s)
{
    const struct convert_options *options = s->c->options;
    uint64_t raw_bytes;
    ingot_status status = create_writer(s);
    if (status != INGOT_OK) return status;
    ingot_writer_limit(s->writer, options->target_bytes);
    ingot_writer_keep_tables(s->writer, options->allocator);
    status = ingot_writer_use_pool(s->writer, s->pool, s->error);
    s->copies = (struct coding_copies){.file = model_container(s->c->model), .writer = s->writer};
    if (status == INGOT_OK) {
        status = blocks_held_begin(&s->blocks, s->writer, model_n_tensors(s->c->model), s->error);
    }
    if (status == INGOT_OK) status = write_attachments(s);
    if (status == INGOT_OK) status = write_tensors(s);
    if (status == INGOT_OK) status = write_metadata(s);
    if (status == INGOT_OK) status = write_source(s);
    if (status == INGOT_OK) status = write_receipt(s);
    if (status == INGOT_OK) status = model_unchanged(s->c->model, s->error);
    if (status == INGOT_OK) status = ingot_writer_finish(s->writer, s->error);
    if (status != INGOT_OK) return status;
    ingot_writer_sizes(s->writer, &s->c->result->target_bytes, &raw_bytes);
    return INGOT_OK;
}

ingot_status sink_ingot(struct conversion *c, ingot_error *error)
{
    struct ingot_sink s = {.c = c, .error = error};
    ingot_status status = begin(&s);
    if (status == INGOT_OK) status = write_all(&s);
    blocks_held_release(&s.blocks);
    coding_copies_release(&s.copies);
    ingot_writer_close(s.writer);
    ingot_pool_close(s.pool);
    source_passing_close(c->passing);
    receipt_close(s.receipt);
    ingot_release(c->options->allocator, s.attachment_blobs);
    ingot_release(c->options->allocator, s.kept);
    ingot_release(c->options->allocator, s.proved.attachments);
    ingot_release(c->options->allocator, s.written.attachments);
    ingot_release(c->options->allocator, s.proved.tensors);
    ingot_release(c->options->allocator, s.written.tensors);
    XXH3_freeState(s.hash);
    return status;
}
