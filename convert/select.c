/* Parts of models: calls pass to the whole model with other numbers. */
#include "convert/select.h"

#include <string.h>

#include "convert/glob.h"
#include "convert/model_over.h"
#include "convert/names.h"
#include "format/alloc.h"
#include "format/fail.h"

struct selected_model {
    struct model_over base;
    uint32_t n_attachments;
    uint32_t *tensors;     /* their numbers in the whole model, ascending */
    uint32_t *attachments; /* likewise */
    bool owns;             /* the whole model is closed with this */
};

static const struct selected_model *self(const struct model *model)
{
    return (const struct selected_model *)model;
}

/* ------------------------------------------------------------------ calls */

static void tensor_of(const struct model *model, uint32_t index, struct model_tensor *tensor)
{
    model_tensor(model_under(model), self(model)->tensors[index], tensor);
}

static const struct composite *composite_of(const struct model *model, uint32_t index)
{
    return model_composite(model_under(model), self(model)->tensors[index]);
}

static bool find_number(const uint32_t *numbers, uint32_t n, uint32_t number, uint32_t *index)
{
    uint32_t low = 0;
    uint32_t high = n;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (numbers[middle] < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == n || numbers[low] != number) return false;
    *index = low;
    return true;
}

static ingot_status find(const struct model *model, const char *name, size_t name_bytes,
                         uint32_t *index)
{
    const struct selected_model *m = self(model);
    uint32_t number;
    const ingot_status status = model_find(m->base.under, name, name_bytes, &number);
    if (status != INGOT_OK) return status;
    return find_number(m->tensors, m->base.n_tensors, number, index) ? INGOT_OK : INGOT_NOT_FOUND;
}

static ingot_status decode_f32(const struct model *model, uint32_t index, uint64_t first_row,
                               uint64_t n_rows, float *dst, ingot_error *error)
{
    const struct selected_model *m = self(model);
    return model_decode_f32(m->base.under, m->tensors[index], first_row, n_rows, dst, error);
}

static ingot_status read_raw(const struct model *model, uint32_t index, uint64_t offset,
                             uint64_t n_bytes, void *dst, ingot_error *error)
{
    const struct selected_model *m = self(model);
    return model_read_raw(m->base.under, m->tensors[index], offset, n_bytes, dst, error);
}

static ingot_status read_foreign(const struct model *model, uint32_t index, uint64_t offset,
                                 uint64_t n_bytes, void *dst, ingot_error *error)
{
    const struct selected_model *m = self(model);
    return model_read_foreign(m->base.under, m->tensors[index], offset, n_bytes, dst, error);
}

static bool place_of(const struct model *model, uint32_t index, struct model_place *place)
{
    return model_place(model_under(model), self(model)->tensors[index], place);
}

static uint32_t n_attachments(const struct model *model)
{
    return self(model)->n_attachments;
}

static void attachment_of(const struct model *model, uint32_t index,
                          struct model_attachment *attachment)
{
    model_attachment(model_under(model), self(model)->attachments[index], attachment);
}

static ingot_status read_attachment(const struct model *model, uint32_t index, uint64_t offset,
                                    uint64_t n_bytes, void *dst, ingot_error *error)
{
    const struct selected_model *m = self(model);
    return model_read_attachment(m->base.under, m->attachments[index], offset, n_bytes, dst, error);
}

static ingot_status source_blob(const struct model *model, const uint32_t *attachment_blobs,
                                const struct progress *progress, struct source_passing *passing,
                                struct byte_buffer *out, struct model_hashes *hashes,
                                ingot_error *error)
{
    const struct left_out left = model_left_out(model);
    if (left.n_tensors + left.n_attachments > 0) {
        return ingot_fail(error, INGOT_NOT_FOUND, INGOT_NO_OFFSET, "source",
                          "parts of the source files are left out");
    }
    return model_source_blob(model_under(model), attachment_blobs, progress, passing, out, hashes,
                             error);
}

static void close_model(struct model *model)
{
    struct selected_model *m = (struct selected_model *)model;
    const ingot_allocator *allocator = model->allocator;
    if (m->owns) model_close(m->base.under);
    ingot_release(allocator, m->attachments);
    ingot_release(allocator, m->tensors);
    ingot_release(allocator, m);
}

static const struct model_kind selected_kind = {
    .close = close_model,
    .tensor = tensor_of,
    .composite = composite_of,
    .find = find,
    .decode_f32 = decode_f32,
    .read_raw = read_raw,
    .read_foreign = read_foreign,
    .place = place_of,
    .n_attachments = n_attachments,
    .attachment = attachment_of,
    .read_attachment = read_attachment,
    .source_blob = source_blob,
    MODEL_OVER_CALLS,
};

struct left_out model_left_out(const struct model *model)
{
    if (model->kind->close != close_model) return (struct left_out){0, 0};
    const struct selected_model *m = self(model);
    return (struct left_out){model_n_tensors(m->base.under) - m->base.n_tensors,
                             model_n_attachments(m->base.under) - m->n_attachments};
}

/* ------------------------------------------------------------------ selecting */

struct selecting {
    const struct selection *selection;
    bool *used; /* one a pattern: includes, then excludes */
};

/* Whether any of the patterns matches; all that do are marked. */
static bool matches_any(const char *const *patterns, uint32_t n, const char *name,
                        uint64_t name_bytes, bool *used)
{
    bool found = false;
    for (uint32_t i = 0; i < n; i++) {
        if (!glob_matches(patterns[i], name, name_bytes)) continue;
        found = true;
        used[i] = true;
    }
    return found;
}

static bool is_excluded(const struct selecting *s, const char *name, uint64_t name_bytes)
{
    return matches_any(s->selection->excludes, s->selection->n_excludes, name, name_bytes,
                       s->used + s->selection->n_includes);
}

static bool keeps_tensor(const struct selecting *s, const struct model_tensor *t)
{
    const struct selection *p = s->selection;
    const bool included = p->n_includes == 0 ||
                          matches_any(p->includes, p->n_includes, t->name, t->name_bytes, s->used);
    const bool excluded = is_excluded(s, t->name, t->name_bytes);
    return included && !excluded;
}

static void choose(struct selected_model *m, const struct selecting *s)
{
    for (uint32_t i = 0; i < model_n_tensors(m->base.under); i++) {
        struct model_tensor t;
        model_tensor(m->base.under, i, &t);
        if (keeps_tensor(s, &t)) m->tensors[m->base.n_tensors++] = i;
    }
    for (uint32_t i = 0; i < model_n_attachments(m->base.under); i++) {
        struct model_attachment a;
        model_attachment(m->base.under, i, &a);
        if (!is_excluded(s, a.name, strlen(a.name))) m->attachments[m->n_attachments++] = i;
    }
}

static ingot_status check_used(const struct selecting *s, ingot_error *error)
{
    const struct selection *p = s->selection;
    for (uint32_t i = 0; i < p->n_includes + p->n_excludes; i++) {
        if (s->used[i]) continue;
        const bool is_include = i < p->n_includes;
        const char *pattern = is_include ? p->includes[i] : p->excludes[i - p->n_includes];
        return ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET, is_include ? "include" : "exclude",
                          "'%s' matches no tensor%s", name_shown(pattern, strlen(pattern)).text,
                          is_include ? "" : " and no attached file");
    }
    return INGOT_OK;
}

static ingot_status add_notes(struct selected_model *m, ingot_error *error)
{
    const struct left_out left = model_left_out(&m->base.model);
    model_over_take_notes(&m->base);
    if (left.n_tensors + left.n_attachments > 0) {
        model_add_note(&m->base.model,
                       "%u tensor%s and %u attached file%s were left out, as was asked: the source "
                       "files cannot be restored from what is kept",
                       (unsigned)left.n_tensors, left.n_tensors == 1 ? "" : "s",
                       (unsigned)left.n_attachments, left.n_attachments == 1 ? "" : "s");
    }
    if (!m->base.model.notes.failed) return INGOT_OK;
    return ingot_fail_memory(error, m->base.model.notes.n_bytes, "notes");
}

ingot_status model_select(struct model *all, const struct selection *selection,
                          const ingot_allocator *allocator, struct model **model,
                          ingot_error *error)
{
    const uint64_t n_patterns = (uint64_t)selection->n_includes + selection->n_excludes;
    struct selecting s = {selection, ingot_allocate_zeroed(allocator, n_patterns, sizeof(bool))};
    struct selected_model *m = ingot_allocate_zeroed(allocator, 1, sizeof *m);
    ingot_status status = INGOT_OK;
    if (m == NULL || s.used == NULL) {
        ingot_release(allocator, m);
        m = NULL;
        status = ingot_fail_memory(error, sizeof *m, "selection");
        goto done;
    }
    model_over_begin(&m->base, &selected_kind, all, allocator);
    m->tensors = ingot_allocate_zeroed(allocator, model_n_tensors(all), sizeof *m->tensors);
    m->attachments =
        ingot_allocate_zeroed(allocator, model_n_attachments(all), sizeof *m->attachments);
    if (m->tensors == NULL || m->attachments == NULL) {
        status = ingot_fail_memory(error, model_n_tensors(all) * sizeof *m->tensors, "selection");
        goto done;
    }
    choose(m, &s);
    status = check_used(&s, error);
    if (status == INGOT_OK) status = add_notes(m, error);
done:
    ingot_release(allocator, s.used);
    if (status != INGOT_OK) {
        if (m) model_close(&m->base.model);
        return status;
    }
    m->owns = true;
    *model = &m->base.model;
    return INGOT_OK;
}
