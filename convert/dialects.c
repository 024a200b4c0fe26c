/* The table of dialects, and models in which their tensors are put together. */
#include "convert/dialect.h"

#include <stdio.h>
#include <string.h>

#include "convert/hash.h"
#include "convert/model_over.h"
#include "convert/names.h"
#include "convert/rewrite_source.h"
#include "format/alloc.h"
#include "format/fail.h"

static const struct dialect *const dialects[] = {&dialect_bitsandbytes, &dialect_mxfp4};
enum { N_DIALECTS = sizeof dialects / sizeof *dialects };

/* Texts and codebooks are held in memory. */
enum { MAX_HELD_BYTES = 1 << 16 };

struct dialect_model {
    struct model_over base;
    uint32_t n_source;
    uint32_t n_composites;
    uint32_t *places; /* of the source's tensors: the number of the tensor here */
    uint32_t *parts;  /* likewise: 1 + the number of the part it is; 0: it is a tensor itself */
    struct tensor_entry {
        uint32_t source;
        struct composite *composite; /* owned; NULL: it is the source's own */
    } * tensors;
    struct name_ref *by_name;
};

static const struct dialect_model *self(const struct model *model)
{
    return (const struct dialect_model *)model;
}

const struct dialect *dialect_named(const char *name)
{
    for (uint32_t i = 0; i < N_DIALECTS; i++) {
        if (strcmp(dialects[i]->name, name) == 0) return dialects[i];
    }
    return NULL;
}

void dialect_names(char *text, size_t text_bytes)
{
    size_t n = 0;
    for (uint32_t i = 0; i < N_DIALECTS && n < text_bytes; i++) {
        n += (size_t)snprintf(text + n, text_bytes - n, "%s%s", i ? ", " : "", dialects[i]->name);
    }
}

/* ------------------------------------------------------------------ for the dialects */

bool dialect_find(const struct model *source, const char *base, uint32_t n_base, const char *suffix,
                  struct model_tensor *tensor, uint32_t *index)
{
    char name[1024];
    const size_t n_suffix = strlen(suffix);
    if (n_base + n_suffix > sizeof name) return false;
    memcpy(name, base, n_base);
    memcpy(name + n_base, suffix, n_suffix);
    if (model_find(source, name, n_base + n_suffix, index) != INGOT_OK) return false;
    model_tensor(source, *index, tensor);
    return true;
}

bool dialect_ends(const struct model_tensor *tensor, const char *suffix, uint32_t *n_base)
{
    const uint32_t n = (uint32_t)strlen(suffix);
    if (tensor->name_bytes <= n) return false;
    *n_base = tensor->name_bytes - n;
    return memcmp(tensor->name + *n_base, suffix, n) == 0;
}

ingot_status dialect_add_part(struct recognition *r, uint32_t index, enum part_kind kind,
                              const struct packed_form *form, ingot_error *error)
{
    struct composite_part *part = &r->composite.parts[r->composite.n_parts++];
    uint8_t bytes[MAX_HELD_BYTES];
    struct model_tensor t;
    *part = (struct composite_part){.kind = (uint8_t)kind, .source = index};
    if (form) part->form = *form;
    if (kind == PART_CODES) return INGOT_OK;
    model_tensor(r->source, index, &t);
    if (t.stored_bytes > sizeof bytes) {
        return ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET,
                          name_shown(t.name, t.name_bytes).text, "%llu bytes long",
                          (unsigned long long)t.stored_bytes);
    }
    const ingot_status status = model_read_raw(r->source, index, 0, t.stored_bytes, bytes, error);
    if (status != INGOT_OK) return status;
    buffer_append(&part->bytes, bytes, t.stored_bytes);
    return part->bytes.failed ? ingot_fail_memory(error, t.stored_bytes, "tensor") : INGOT_OK;
}

struct ingot_coding dialect_f32(void)
{
    return (struct ingot_coding){
        .map = MAP_FLOAT, .bits = 32, .format = INGOT_F32, .codebook_stream = INGOT_NONE};
}

struct ingot_coding dialect_book(uint8_t bits, uint32_t number)
{
    return (struct ingot_coding){.map = MAP_CODEBOOK,
                                 .bits = bits,
                                 .format = INGOT_F32,
                                 .n_entries = 1u << bits,
                                 .codebook_stream = number};
}

/* ------------------------------------------------------------------ calls */

static const struct composite *composite_of(const struct model *model, uint32_t index)
{
    return self(model)->tensors[index].composite;
}

static void tensor_of(const struct model *model, uint32_t index, struct model_tensor *tensor)
{
    const struct tensor_entry *entry = &self(model)->tensors[index];
    const struct composite *c = entry->composite;
    if (c == NULL) {
        model_tensor(model_under(model), entry->source, tensor);
        tensor->number = index;
        return;
    }
    *tensor = (struct model_tensor){
        .name = c->name,
        .name_bytes = c->name_bytes,
        .number = index,
        .dtype = c->dtype,
        .rank = c->rank,
        .stack = c->stack,
        .split = c->split,
        .stored_bytes = composite_source_bytes(c),
        .encoding = c->coding.name,
    };
    memcpy(tensor->dims, c->dims, sizeof c->dims);
    model_set_rows(tensor);
}

static ingot_status find(const struct model *model, const char *name, size_t name_bytes,
                         uint32_t *index)
{
    const struct dialect_model *m = self(model);
    return names_find(m->by_name, m->base.n_tensors, name, name_bytes, index) ? INGOT_OK
                                                                              : INGOT_NOT_FOUND;
}

static ingot_status decode_f32(const struct model *model, uint32_t index, uint64_t first_row,
                               uint64_t n_rows, float *dst, ingot_error *error)
{
    const struct tensor_entry *entry = &self(model)->tensors[index];
    if (entry->composite) {
        return composite_decode(entry->composite, first_row, n_rows, dst, error);
    }
    return model_decode_f32(model_under(model), entry->source, first_row, n_rows, dst, error);
}

static ingot_status read_raw(const struct model *model, uint32_t index, uint64_t offset,
                             uint64_t n_bytes, void *dst, ingot_error *error)
{
    const struct tensor_entry *entry = &self(model)->tensors[index];
    if (entry->composite) {
        return ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET,
                          name_shown(entry->composite->name, entry->composite->name_bytes).text,
                          "it is held as %s, not raw", entry->composite->coding.name);
    }
    return model_read_raw(model_under(model), entry->source, offset, n_bytes, dst, error);
}

static void close_model(struct model *model)
{
    struct dialect_model *m = (struct dialect_model *)model;
    const ingot_allocator *allocator = model->allocator;
    for (uint32_t i = 0; i < m->base.n_tensors && m->tensors; i++) {
        if (m->tensors[i].composite == NULL) continue;
        composite_release(m->tensors[i].composite);
        ingot_release(allocator, m->tensors[i].composite);
    }
    model_close(m->base.under);
    ingot_release(allocator, m->by_name);
    ingot_release(allocator, m->tensors);
    ingot_release(allocator, m->parts);
    ingot_release(allocator, m->places);
    ingot_release(allocator, m);
}

/* ------------------------------------------------------------------ the source blob */

/* The segment of a tensor of the source: under its number here, or as a part of one. */
static ingot_status put_segment(void *context, uint32_t tensor, struct byte_buffer *out, bool *put,
                                ingot_error *error)
{
    const struct dialect_model *m = context;
    const uint32_t place = m->places[tensor];
    *put = true;
    if (m->parts[tensor] == 0) {
        source_put_tensor(out, place, NULL, 0);
        return INGOT_OK;
    }
    const struct composite_part *part = &m->tensors[place].composite->parts[m->parts[tensor] - 1];
    if (part->kind == PART_TEXT) {
        source_put_literal(out, part->bytes.data, part->bytes.n_bytes);
        return INGOT_OK;
    }
    struct byte_buffer form = {.allocator = out->allocator};
    form_packed_write(&form, &part->form);
    if (form.failed) return ingot_fail_memory(error, 8, "form");
    source_put_tensor(out, place, form.data, (uint32_t)form.n_bytes);
    buffer_release(&form);
    return INGOT_OK;
}

/* The hash of a composite is that of the hashes of its parts. */
static void gather_hashes(const struct dialect_model *m, const struct model_hashes *source,
                          struct model_hashes *hashes)
{
    for (uint32_t i = 0; i < m->base.n_tensors; i++) {
        const struct tensor_entry *entry = &m->tensors[i];
        uint8_t all[COMPOSITE_MAX_PARTS][16];
        if (entry->composite == NULL) {
            memcpy(hashes->tensors[i], source->tensors[entry->source], 16);
            continue;
        }
        for (uint32_t k = 0; k < entry->composite->n_parts; k++) {
            memcpy(all[k], source->tensors[entry->composite->parts[k].source], 16);
        }
        hash_of(all, 16 * (uint64_t)entry->composite->n_parts, hashes->tensors[i]);
    }
}

static ingot_status source_blob(const struct model *model, const uint32_t *attachment_blobs,
                                const struct progress *progress, struct source_passing *passing,
                                struct byte_buffer *out, struct model_hashes *hashes,
                                ingot_error *error)
{
    const struct dialect_model *m = self(model);
    struct model_hashes all = {.attachments = hashes->attachments};
    const struct segment_rewriter rewriter = {(void *)(uintptr_t)m, put_segment};
    all.tensors = ingot_allocate_zeroed(model->allocator, m->n_source, 16);
    (void)passing; /* there is none, since tensors here have no place of their own */
    if (all.tensors == NULL) return ingot_fail_memory(error, m->n_source * 16ull, "hashes");
    ingot_status status =
        model_source_blob(m->base.under, attachment_blobs, progress, NULL, out, &all, error);
    if (status == INGOT_OK) status = rewrite_source(&rewriter, out, error);
    if (status == INGOT_OK) gather_hashes(m, &all, hashes);
    ingot_release(model->allocator, all.tensors);
    return status;
}

static const struct model_kind dialect_kind = {
    .close = close_model,
    .tensor = tensor_of,
    .composite = composite_of,
    .find = find,
    .decode_f32 = decode_f32,
    .read_raw = read_raw,
    .source_blob = source_blob,
    MODEL_OVER_CALLS,
    MODEL_OVER_ATTACHMENTS,
};

/* ------------------------------------------------------------------ recognising */

/* Whether a composite's parts are all its own, are plain, and nothing else has its name. */
static bool is_free(const struct dialect_model *m, const struct recognition *r)
{
    const struct composite *c = &r->composite;
    uint32_t other;
    for (uint32_t k = 0; k < c->n_parts; k++) {
        if (m->parts[c->parts[k].source] != 0) return false;
    }
    if (model_find(m->base.under, c->name, c->name_bytes, &other) != INGOT_OK) return true;
    for (uint32_t k = 0; k < c->n_parts; k++) {
        if (c->parts[k].source == other) return true;
    }
    return false;
}

static ingot_status take(struct dialect_model *m, const struct recognition *r,
                         struct composite **composites, ingot_error *error)
{
    const struct composite *c = &r->composite;
    struct composite *kept = ingot_allocate(m->base.model.allocator, sizeof *kept);
    if (kept == NULL) return ingot_fail_memory(error, sizeof *kept, "tensor");
    *kept = *c;
    kept->source = m->base.under;
    kept->coding.slots[SLOT_SCALE].table = &kept->tables[0];
    if (kept->tables[0].slots[SLOT_SCALE].has_table) {
        kept->tables[0].slots[SLOT_SCALE].table = &kept->tables[1];
    }
    for (uint32_t k = 0; k < c->n_parts; k++) m->parts[c->parts[k].source] = 1 + k;
    composites[c->parts[0].source] = kept; /* it stands where its codes do */
    m->n_composites++;
    return INGOT_OK;
}

static ingot_status look_at(struct dialect_model *m, const struct dialect *dialect, uint32_t index,
                            struct composite **composites, ingot_error *error)
{
    struct recognition r = {.source = m->base.under, .index = index};
    struct model_tensor t;
    bool found = false;
    ingot_status status = dialect->recognise(&r, &found, error);
    if (status == INGOT_OK && found && is_free(m, &r)) {
        status = take(m, &r, composites, error);
        if (status == INGOT_OK) return INGOT_OK;
    } else if (found) {
        snprintf(r.why_not, sizeof r.why_not, "another tensor has its name, or shares a part");
    }
    if (status == INGOT_OK && r.why_not[0]) {
        model_tensor(m->base.under, index, &t);
        model_add_note(m->base.under,
                       "'%.200s' looks like a tensor of %s, and is left as it is: %s",
                       name_shown(t.name, t.name_bytes).text, dialect->name, r.why_not);
    }
    composite_release(&r.composite);
    return status;
}

/* Numbers what is left, in the source's order. */
static ingot_status number_tensors(struct dialect_model *m, struct composite **composites,
                                   ingot_error *error)
{
    m->tensors = ingot_allocate_zeroed(m->base.model.allocator, m->n_source, sizeof *m->tensors);
    m->by_name = ingot_allocate_zeroed(m->base.model.allocator, m->n_source, sizeof *m->by_name);
    if (m->tensors == NULL || m->by_name == NULL) {
        return ingot_fail_memory(error, m->n_source * sizeof *m->tensors, "tensors");
    }
    for (uint32_t i = 0; i < m->n_source; i++) {
        struct model_tensor t;
        if (m->parts[i] != 0 && composites[i] == NULL) continue;
        const uint32_t n = m->base.n_tensors++;
        m->tensors[n] = (struct tensor_entry){i, composites[i]};
        m->places[i] = n;
        for (uint32_t k = 0; composites[i] && k < composites[i]->n_parts; k++) {
            m->places[composites[i]->parts[k].source] = n;
        }
        composites[i] = NULL;
        tensor_of(&m->base.model, n, &t);
        m->by_name[n] = (struct name_ref){t.name, t.name_bytes, n};
    }
    names_sort(m->by_name, m->base.n_tensors);
    return INGOT_OK;
}

static ingot_status recognise_all(struct dialect_model *m, ingot_error *error)
{
    const ingot_allocator *allocator = m->base.model.allocator;
    struct composite **composites =
        ingot_allocate_zeroed(allocator, m->n_source, sizeof(struct composite *));
    m->places = ingot_allocate_zeroed(allocator, m->n_source, sizeof *m->places);
    m->parts = ingot_allocate_zeroed(allocator, m->n_source, sizeof *m->parts);
    ingot_status status = INGOT_OK;
    if (composites == NULL || m->places == NULL || m->parts == NULL) {
        status = ingot_fail_memory(error, m->n_source * sizeof *composites, "tensors");
    }
    for (uint32_t d = 0; d < N_DIALECTS && status == INGOT_OK; d++) {
        for (uint32_t i = 0; i < m->n_source && status == INGOT_OK; i++) {
            if (m->parts[i] == 0) status = look_at(m, dialects[d], i, composites, error);
        }
    }
    if (status == INGOT_OK) status = number_tensors(m, composites, error);
    for (uint32_t i = 0; i < m->n_source && composites; i++) {
        if (composites[i] == NULL) continue;
        composite_release(composites[i]);
        ingot_release(allocator, composites[i]);
    }
    ingot_release(allocator, composites);
    return status;
}

ingot_status dialects_recognise(struct model *source, const ingot_allocator *allocator,
                                struct model **model, ingot_error *error)
{
    struct dialect_model *m = ingot_allocate_zeroed(allocator, 1, sizeof *m);
    if (m == NULL) {
        model_close(source);
        return ingot_fail_memory(error, sizeof *m, "model");
    }
    model_over_begin(&m->base, &dialect_kind, source, allocator);
    m->n_source = model_n_tensors(source);
    ingot_status status = recognise_all(m, error);
    model_over_take_notes(&m->base);
    if (status == INGOT_OK && (m->base.model.notes.failed || source->notes.failed)) {
        status = ingot_fail_memory(error, m->base.model.notes.n_bytes, "notes");
    }
    if (status == INGOT_OK && m->n_composites == 0) {
        m->base.under = NULL;
        model_close(&m->base.model);
        *model = source;
        return INGOT_OK;
    }
    if (status != INGOT_OK) {
        model_close(&m->base.model);
        return status;
    }
    *model = &m->base.model;
    return INGOT_OK;
}
