/* Tensors that become several in a plain target: those that their source holds so, as they are;
 * and, where that is asked for, those of a container, as a dialect has them. */
#include <stdio.h>
#include <string.h>

#include "convert/names.h"
#include "convert/sink_plain.h"
#include "format/alloc.h"
#include "format/fail.h"

static ingot_status place_part(struct plain_sink *s, const struct model_tensor *t,
                               const struct plain_tensor *p, struct refusal *refusal, bool *fits)
{
    struct plain_tensor placed = *p;
    *fits = s->format->place(t, &placed, refusal);
    if (!*fits || plain_append(s, &placed)) return INGOT_OK;
    return ingot_fail_memory(s->error, sizeof placed, "tensors");
}

static ingot_status place_source(struct plain_sink *s, const struct model_tensor *t,
                                 const struct plain_tensor *p, const struct composite *composite,
                                 struct refusal *refusal, bool *placed)
{
    ingot_status status = INGOT_OK;
    *placed = true;
    for (uint32_t i = 0; i < composite->n_parts && status == INGOT_OK && *placed; i++) {
        struct plain_tensor part = *p;
        struct model_tensor own;
        model_tensor(composite->source, composite->parts[i].source, &own);
        part.composite = composite;
        part.part = i;
        part.dtype = own.dtype;
        part.name = own.name;
        part.name_bytes = own.name_bytes;
        part.rank = own.rank;
        memcpy(part.dims, own.dims, sizeof part.dims);
        part.n_bytes = own.stored_bytes;
        status = place_part(s, t, &part, refusal, placed);
    }
    return status;
}

static ingot_status place_exported(struct plain_sink *s, const struct model_tensor *t,
                                   const struct plain_tensor *p, struct dialect_export *x,
                                   struct refusal *refusal, bool *placed)
{
    ingot_status status = INGOT_OK;
    *placed = true;
    for (uint32_t i = 0; i < x->n_parts && status == INGOT_OK && *placed; i++) {
        const struct export_part *own = &x->parts[i];
        struct plain_tensor part = *p;
        part.exported = x;
        part.part = i;
        part.dtype = own->dtype;
        part.name = own->name;
        part.name_bytes = own->name_bytes;
        part.rank = own->rank;
        memcpy(part.dims, own->dims, sizeof part.dims);
        part.n_bytes = own->n_bytes;
        status = place_part(s, t, &part, refusal, placed);
    }
    return status;
}

static ingot_status try_export(struct plain_sink *s, const struct model_tensor *t,
                               const struct plain_tensor *p, struct refusal *refusal, bool *placed)
{
    const ingot_file *file = model_container(s->c->model);
    struct dialect_export *x = ingot_allocate_zeroed(NULL, 1, sizeof *x);
    if (x == NULL) return ingot_fail_memory(s->error, sizeof *x, "tensor");
    const uint32_t before = s->n_tensors;
    ingot_status status = dialect_export_open(s->c->dialect, file, t->number, x, s->error);
    if (status == INGOT_OK && x->why_not[0] == '\0') {
        status = place_exported(s, t, p, x, refusal, placed);
        if (s->n_tensors > before) return status; /* which own it */
    } else if (status == INGOT_OK) {
        snprintf(refusal->why, sizeof refusal->why, "%s", x->why_not);
    }
    dialect_export_release(x);
    ingot_release(NULL, x);
    return status;
}

ingot_status plain_place_parts(struct plain_sink *s, const struct model_tensor *t,
                               const struct plain_tensor *p, struct refusal *refusal, bool *placed)
{
    const struct composite *composite = model_composite(s->c->model, p->index);
    *placed = false;
    if (!s->format->has_parts) return INGOT_OK;
    if (composite) return place_source(s, t, p, composite, refusal, placed);
    if (s->c->dialect == NULL || model_container(s->c->model) == NULL) return INGOT_OK;
    return try_export(s, t, p, refusal, placed);
}

ingot_status plain_read_part(const struct plain_tensor *p, uint64_t offset, uint64_t n_bytes,
                             void *dst, ingot_error *error)
{
    if (p->exported) return dialect_export_read(p->exported, p->part, offset, n_bytes, dst, error);
    return model_read_raw(p->composite->source, p->composite->parts[p->part].source, offset,
                          n_bytes, dst, error);
}

uint64_t plain_parts_bytes(const struct plain_tensor *p)
{
    uint64_t n_bytes = 0;
    if (p->composite) return composite_source_bytes(p->composite);
    for (uint32_t i = 0; i < p->exported->n_parts; i++) n_bytes += p->exported->parts[i].n_bytes;
    return n_bytes;
}

ingot_status plain_check_names(const struct plain_sink *s)
{
    ingot_status status = INGOT_OK;
    struct name_ref *names = ingot_allocate_zeroed(NULL, s->n_tensors, sizeof *names);
    if (names == NULL) return ingot_fail_memory(s->error, s->n_tensors, "names");
    for (uint32_t i = 0; i < s->n_tensors; i++) {
        names[i] = (struct name_ref){s->tensors[i].name, s->tensors[i].name_bytes, i};
    }
    names_sort(names, s->n_tensors);
    const uint64_t at = names_duplicate(names, s->n_tensors);
    if (at != 0) {
        status = ingot_fail(s->error, INGOT_REFUSED, INGOT_NO_OFFSET,
                            name_shown(names[at].text, names[at].n_bytes).text,
                            "two tensors would have this name");
    }
    ingot_release(NULL, names);
    return status;
}
