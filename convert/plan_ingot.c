/* What an .ingot file of a model would hold: sizes from the encodings' plans alone. */
#include <stdio.h>
#include <string.h>

#include "convert/encode.h"
#include "convert/foreign_blocks.h"
#include "convert/hold_composite.h"
#include "convert/names.h"
#include "convert/select.h"
#include "convert/size_bound.h"
#include "convert/sink.h"
#include "format/alloc.h"
#include "format/fail.h"

struct planned {
    char label[96]; /* "int4 + lowrank16" */
    uint64_t coded_bytes;
    uint32_t n_streams;
};

ingot_status plan_streams(const struct encoding *encoding, const struct model_tensor *t,
                          struct term_stream streams[TENSOR_MAX_STREAMS], uint32_t *n_streams,
                          ingot_error *error)
{
    struct term_plan plans[ENCODING_MAX_TERMS];
    struct writer_term terms[ENCODING_MAX_TERMS];
    struct stack_shape stack;
    struct writer_tensor tensor = {.name = "tensor",
                                   .name_bytes = 6,
                                   .dtype = encoding->cast ? encoding->cast : t->dtype,
                                   .rank = t->rank,
                                   .stack = t->stack,
                                   .split = t->split,
                                   .n_terms = encoding->n_terms,
                                   .terms = terms};
    memcpy(tensor.dims, t->dims, sizeof t->dims);
    if (!stack_of(t->rank, t->dims, t->stack, t->split, &stack)) {
        return ingot_fail(error, INGOT_INVALID, INGOT_NO_OFFSET,
                          name_shown(t->name, t->name_bytes).text, "too large a shape");
    }
    for (uint32_t k = 0; k < encoding->n_terms; k++) {
        const struct preset *preset = &encoding->presets[k];
        preset->plan(preset, t->dtype, stack, &plans[k]);
        plans[k].term.combine = k == 0 ? COMBINE_FIRST : COMBINE_ADD;
        terms[k] = plans[k].term;
    }
    return writer_streams(&tensor, streams, n_streams, error);
}

static ingot_status plan_encoding(const struct encoding *encoding, const struct model_tensor *t,
                                  struct planned *planned, ingot_error *error)
{
    uint32_t n_streams = 0;
    *planned = (struct planned){.coded_bytes = 0};
    struct term_stream *streams = ingot_allocate(NULL, TENSOR_MAX_STREAMS * sizeof *streams);
    if (streams == NULL) return ingot_fail_memory(error, sizeof *streams, "streams");
    const ingot_status status = plan_streams(encoding, t, streams, &n_streams, error);
    for (uint32_t i = 0; status == INGOT_OK && i < n_streams; i++) {
        planned->n_streams = n_streams;
        planned->coded_bytes += streams[i].shape.n_bytes;
    }
    for (uint32_t k = 0; k < encoding->n_terms; k++) {
        const size_t n = strlen(planned->label);
        snprintf(planned->label + n, sizeof planned->label - n, "%s%s", k ? " + " : "",
                 encoding->presets[k].name);
    }
    ingot_release(NULL, streams);
    return status;
}

/* What a tensor that is kept takes: its logical bytes, foreign blocks as streams, or its terms as
 * they are. Whether blocks can be streams is proved only when they are converted. */
static uint64_t kept_bytes(const struct model *model, uint32_t index, const struct model_tensor *t)
{
    const struct composite *composite = model_composite(model, index);
    const ingot_file *file = model_container(model);
    ingot_tensor described;
    struct stack_shape stack;
    const struct gguf_type *type = foreign_blocks_type(t);
    if (composite) return composite_coded_bytes(composite);
    if (file == NULL && type && stack_of(t->rank, t->dims, t->stack, t->split, &stack)) {
        return blocks_coded_bytes(type->id, stack);
    }
    if (file == NULL) return t->stored_bytes;
    ingot_file_tensor(file, t->number, &described);
    return described.coded_bytes;
}

static bool is_restorable(const struct model *model)
{
    const ingot_file *file = model_container(model);
    const struct left_out left = model_left_out(model);
    if (left.n_tensors + left.n_attachments > 0) return false;
    return file == NULL || ingot_file_find_blob(file, INGOT_BLOB_SOURCE, "", 0) != INGOT_NONE;
}

/* Streams of a kept tensor, at most. */
static uint32_t kept_streams(const struct model *model, const struct model_tensor *t)
{
    const ingot_file *file = model_container(model);
    ingot_tensor described;
    uint32_t first, n = 0;
    if (t->raw) return 1;
    if (file == NULL) return CODING_MAX_STREAMS;
    ingot_file_tensor(file, t->number, &described);
    for (uint32_t k = 0; k < described.n_terms; k++) {
        struct file_term term;
        ingot_file_term(file, t->number, k, &term);
        n += term.n_streams;
    }
    n += described.n_terms; /* those of refs have none */
    return ingot_file_rescale(file, t->number, &first) ? n + CODING_MAX_STREAMS : n;
}

ingot_status plan_ingot(struct conversion *c, struct convert_plan *plan, ingot_error *error)
{
    struct size_bound bound;
    bound_begin(&bound, c);
    for (uint32_t i = 0; i < plan->n_tensors; i++) {
        struct model_tensor t;
        struct planned planned;
        const struct encoding *encoding = conversion_choice(c, i);
        model_tensor(c->model, i, &t);
        if (model_alias_of(c->model, i) != INGOT_NONE) {
            bound_add(&bound, &t, NULL, 0, 0);
            plan_tensor(plan, &t, "alias", 0, false);
        } else if (encoding) {
            const ingot_status status = plan_encoding(encoding, &t, &planned, error);
            if (status != INGOT_OK) return status;
            bound_add(&bound, &t, encoding, planned.coded_bytes, planned.n_streams);
            plan_tensor(plan, &t, planned.label, planned.coded_bytes, true);
        } else {
            const uint64_t n_bytes = kept_bytes(c->model, i, &t);
            bound_add(&bound, &t, NULL, n_bytes, kept_streams(c->model, &t));
            plan_tensor(plan, &t, t.encoding, n_bytes, false);
        }
    }
    for (uint32_t i = 0; i < model_n_attachments(c->model); i++) {
        struct model_attachment a;
        model_attachment(c->model, i, &a);
        plan->attachment_bytes += a.n_bytes;
        bound_add_blob(&bound, strlen(a.name), a.n_bytes);
    }
    plan->at_most = c->options->compression != INGOT_COMPRESS_NONE;
    if (plan->n_encoded > 0) plan->most_bytes = bound_bytes(&bound);
    plan->restorable = plan->n_encoded == 0 && is_restorable(c->model);
    return INGOT_OK;
}
