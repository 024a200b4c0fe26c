/* Foreign blocks on their way into a container. */
#include "convert/hold_blocks.h"

#include <stdio.h>

#include "convert/foreign_blocks.h"
#include "convert/names.h"
#include "convert/rewrite_source.h"
#include "format/alloc.h"
#include "format/fail.h"

ingot_status blocks_held_begin(struct blocks_held *held, ingot_writer *writer, uint32_t n_tensors,
                               ingot_error *error)
{
    held->books.writer = writer;
    held->forms = ingot_allocate_zeroed(NULL, n_tensors, sizeof *held->forms);
    if (held->forms == NULL) return ingot_fail_memory(error, n_tensors, "forms of tensors");
    held->n_forms = n_tensors;
    return INGOT_OK;
}

void blocks_held_release(struct blocks_held *held)
{
    for (uint32_t i = 0; i < held->n_forms; i++) buffer_release(&held->forms[i]);
    ingot_release(NULL, held->forms);
    buffer_release(&held->notes);
}

struct proof_bytes {
    const struct model *model;
    uint32_t index;
};

static ingot_status read_for_proof(void *context, uint64_t offset, uint64_t n_bytes, void *dst,
                                   ingot_error *error)
{
    const struct proof_bytes *p = context;
    return model_read_foreign(p->model, p->index, offset, n_bytes, dst, error);
}

static ingot_status add_note(struct blocks_held *held, const struct writer_tensor *tensor,
                             const char *text, ingot_error *error)
{
    char note[512];
    snprintf(note, sizeof note, "'%.200s' %.300s",
             name_shown(tensor->name, tensor->name_bytes).text, text);
    buffer_append(&held->notes, note, strlen(note) + 1);
    return held->notes.failed ? ingot_fail_memory(error, sizeof note, "notes") : INGOT_OK;
}

/* Notes what came of the proof, when it is not that every byte comes back of itself. */
static ingot_status note_proof(struct blocks_held *held, const struct writer_tensor *tensor,
                               const struct gguf_type *type, const struct block_import *import,
                               ingot_error *error)
{
    char text[256];
    if (import->why_not[0]) {
        snprintf(text, sizeof text, "is held as %s bytes and not as streams: %s", type->name,
                 import->why_not);
    } else if (import->n_exceptions > 0) {
        snprintf(text, sizeof text,
                 "has %llu %s block%s of bytes that are not canonical, which are kept besides",
                 (unsigned long long)import->n_exceptions, type->name,
                 import->n_exceptions == 1 ? "" : "s");
    } else {
        return INGOT_OK;
    }
    return add_note(held, tensor, text, error);
}

ingot_status hold_blocks(struct blocks_held *held, struct conversion *c, uint32_t index,
                         const struct writer_tensor *tensor, XXH3_state_t *hash, bool *done,
                         uint64_t *coded_bytes, ingot_error *error)
{
    struct proof_bytes proof = {c->model, index};
    struct passing_bytes passing = {c, index, model_read_foreign, hash, c->passing, 0};
    struct block_import import = {.bytes = {&proof, read_for_proof}};
    struct model_tensor t;
    *done = false;
    model_tensor(c->model, index, &t);
    const struct gguf_type *type = foreign_blocks_type(&t);
    import.type = type->id;
    if (!stack_of(t.rank, t.dims, t.stack, t.split, &import.stack)) {
        return ingot_fail(error, INGOT_INVALID, INGOT_NO_OFFSET, tensor->name, "too large a shape");
    }
    ingot_status status = block_import_prove(&import, error);
    if (status == INGOT_OK) status = note_proof(held, tensor, type, &import, error);
    if (status != INGOT_OK || import.why_not[0]) goto done;
    import.bytes = passing_source(&passing);
    status = block_import_write(&import, tensor, &held->books, coded_bytes, error);
    if (status != INGOT_OK) goto done;
    held->forms[index] = import.form;
    import.form = (struct byte_buffer){0};
    *done = true;
done:
    buffer_release(&import.form);
    return status;
}

/* ------------------------------------------------------------------ the source blob */

static bool holds_any(const struct blocks_held *held)
{
    for (uint32_t i = 0; i < held->n_forms; i++) {
        if (held->forms[i].n_bytes) return true;
    }
    return false;
}

static ingot_status put_form(void *context, uint32_t tensor, struct byte_buffer *out, bool *put,
                             ingot_error *error)
{
    const struct blocks_held *held = context;
    if (tensor >= held->n_forms || held->forms[tensor].n_bytes == 0) return INGOT_OK;
    const struct byte_buffer *form = &held->forms[tensor];
    if (form->n_bytes > UINT32_MAX) {
        return ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, "source",
                          "too many blocks that are exceptions");
    }
    source_put_tensor(out, tensor, form->data, (uint32_t)form->n_bytes);
    *put = true;
    return INGOT_OK;
}

ingot_status blocks_held_source(const struct blocks_held *held, struct byte_buffer *blob,
                                ingot_error *error)
{
    const struct segment_rewriter rewriter = {(void *)(uintptr_t)held, put_form};
    return holds_any(held) ? rewrite_source(&rewriter, blob, error) : INGOT_OK;
}
