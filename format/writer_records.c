/* The records of tensors, terms and codings. */
#include <string.h>

#include "format/fail.h"
#include "format/rules.h"
#include "format/term.h"
#include "format/writer_state.h"

/* Streams whose rows span more tensor rows than this do not share slabs. */
enum { MAX_TENSOR_ROWS = 256 };

/* ---- small facts ---- */

struct ingot_coding raw_coding(ingot_dtype dtype)
{
    const bool is_float = dtype >= INGOT_F64 && dtype <= INGOT_F8_E5M2FNUZ;
    const bool is_int = dtype >= INGOT_I8 && dtype <= INGOT_I64;
    struct ingot_coding c = {
        .map = (uint8_t)(is_float ? MAP_FLOAT
                         : is_int ? MAP_INT
                                  : MAP_UINT),
        .bits = (uint8_t)ingot_dtype_bits(dtype),
        .format = (uint8_t)(is_float ? dtype : 0),
        .codebook_stream = INGOT_NONE,
    };
    const char *name = ingot_dtype_name(dtype);
    memcpy(c.name, name, strlen(name) + 1);
    return c;
}

struct ingot_coding opaque_coding(const char *name, uint32_t block_weights, uint32_t block_bytes)
{
    struct ingot_coding c = {.map = MAP_OPAQUE,
                             .bits = 8,
                             .codebook_stream = INGOT_NONE,
                             .block_weights = block_weights,
                             .block_bytes = block_bytes};
    memcpy(c.name, name, min_u64(strlen(name), sizeof c.name - 1));
    return c;
}

static struct file_term as_file_term(const struct writer_term *t)
{
    return (struct file_term){
        .kind = t->kind,
        .combine = t->combine,
        .mask = t->mask,
        .optional = t->optional,
        .coding = t->coding,
        .coding_b = t->coding_b,
        .multiplier = t->multiplier,
        .rank = t->rank,
        .block_rows = t->block_rows,
        .block_cols = t->block_cols,
        .n_kept = t->n_kept,
        .magnitude = t->magnitude,
    };
}

ingot_status writer_streams(const struct writer_tensor *tensor,
                            struct term_stream streams[TENSOR_MAX_STREAMS], uint32_t *n_streams,
                            ingot_error *error)
{
    struct stack_shape stack;
    uint32_t n = 0;
    if (tensor->rank > INGOT_MAX_RANK ||
        !stack_of(tensor->rank, tensor->dims, tensor->stack, tensor->split, &stack)) {
        return ingot_fail_rule(error, R_603, INGOT_NO_OFFSET, tensor->name, "too large a shape");
    }
    for (uint32_t k = 0; k < tensor->n_terms; k++) {
        struct stream_shape shapes[TERM_MAX_STREAMS];
        uint32_t n_term = 0;
        const struct file_term term = as_file_term(&tensor->terms[k]);
        if (!term_streams(&term, stack, shapes, &n_term) || n_term > TENSOR_MAX_STREAMS - n) {
            return ingot_fail_rule(error, R_504, INGOT_NO_OFFSET, tensor->name,
                                   "term %u does not fit the shape", k);
        }
        for (uint32_t i = 0; i < n_term; i++) {
            if (shapes[i].any_length) shapes[i].n_bytes = tensor->terms[k].opaque_bytes;
            if (shapes[i].tensor_rows > MAX_TENSOR_ROWS) shapes[i].by_rows = false;
            streams[n++] = (struct term_stream){k, shapes[i]};
        }
    }
    if (tensor->rescale) {
        const struct stack_shape factors = {stack.n_matrices, stack.n_rows, 1};
        struct stream_shape shapes[CODING_MAX_STREAMS];
        uint32_t n_rescale = 0;
        if (!coding_streams(tensor->rescale, factors, shapes, &n_rescale) ||
            n_rescale > TENSOR_MAX_STREAMS - n) {
            return ingot_fail_rule(error, R_608, INGOT_NO_OFFSET, tensor->name,
                                   "its rescale does not fit the shape");
        }
        for (uint32_t i = 0; i < n_rescale; i++) {
            streams[n++] = (struct term_stream){tensor->n_terms, shapes[i]};
        }
    }
    *n_streams = n;
    return INGOT_OK;
}

/* ---- codings ---- */

/* Sets *index to the record of a coding, adding it and its tables when they are new. */
static ingot_status add_coding(ingot_writer *w, const struct ingot_coding *coding, uint32_t *index,
                               ingot_error *error)
{
    struct coding_record r = {
        .map = coding->map,
        .bits = coding->bits,
        .format = coding->format,
        .vector_length = coding->vector_length,
        .signs = coding->signs,
        .index_bits = coding->index_bits,
        .n_entries = coding->n_entries,
        .codebook_stream = coding->codebook_stream,
        .block_weights = coding->block_weights,
        .block_bytes = coding->block_bytes,
    };
    for (uint32_t i = 0; i < N_SLOTS; i++) {
        const struct coding_slot *s = &coding->slots[i];
        uint32_t table = INGOT_NONE;
        if (s->has_table) {
            const ingot_status status = add_coding(w, s->table, &table, error);
            if (status != INGOT_OK) return status;
        }
        r.slots[i] = (struct slot_record){
            .form =
                (uint8_t)((s->has_constant ? FORM_CONSTANT : 0) | (s->has_table ? FORM_TABLE : 0)),
            .inverse = (uint8_t)((s->inverse_constant ? FORM_CONSTANT : 0) |
                                 (s->inverse_table ? FORM_TABLE : 0)),
            .group = s->group,
            .constant_bits = s->has_constant ? f32_bits(s->constant) : 0,
            .table = table,
            .group_rows = s->group_rows,
            .group_cols = s->group_cols,
        };
    }
    /* Equal parameters and name are one record: the name's place is not part of the comparison. */
    struct {
        uint8_t record[CODING_BYTES];
        char name[sizeof coding->name];
    } key;
    memset(&key, 0, sizeof key);
    coding_write(&r, key.record);
    memcpy(key.name, coding->name, sizeof key.name);
    bool found;
    *index = (uint32_t)(w->tables.codings.n_bytes / CODING_BYTES);
    const ingot_status status = intern(&w->coding_numbers, &key, sizeof key, index, &found, error);
    if (status != INGOT_OK || found) return status;
    r.name = tables_string(&w->tables, coding->name, (uint32_t)strlen(coding->name));
    coding_write(&r, key.record);
    buffer_append(&w->tables.codings, key.record, sizeof key.record);
    return INGOT_OK;
}

/* ---- tensors ---- */

/* A coding that may be absent. */
static ingot_status add_optional_coding(ingot_writer *w, const struct ingot_coding *coding,
                                        uint32_t *index, ingot_error *error)
{
    return coding ? add_coding(w, coding, index, error) : INGOT_OK;
}

static ingot_status add_term(ingot_writer *w, const struct writer_term *t, uint32_t first_stream,
                             uint32_t n_streams, ingot_error *error)
{
    struct term_record r = {
        .kind = t->kind,
        .combine = t->combine,
        .flags = t->optional ? TERM_OPTIONAL : 0,
        .coding = INGOT_NONE,
        .coding_b = INGOT_NONE,
        .first_stream = n_streams ? first_stream : 0,
        .n_streams = n_streams,
        .multiplier_bits = t->kind == TERM_LOWRANK ? f32_bits(t->multiplier) : 0,
        .rank = t->rank,
        .mask = t->mask,
        .block_rows = t->block_rows,
        .block_cols = t->block_cols,
        .n_kept = t->n_kept,
        .magnitude = INGOT_NONE,
        .file = t->kind == TERM_REF ? t->file : INGOT_NONE,
    };
    ingot_status status = add_optional_coding(w, t->coding, &r.coding, error);
    if (status == INGOT_OK) status = add_optional_coding(w, t->coding_b, &r.coding_b, error);
    if (status == INGOT_OK) status = add_optional_coding(w, t->magnitude, &r.magnitude, error);
    if (status != INGOT_OK) return status;
    if (t->kind == TERM_REF) r.target = tables_string(&w->tables, t->target, t->target_bytes);
    if (t->name) r.name = tables_string(&w->tables, t->name, (uint32_t)strlen(t->name));
    uint8_t record[TERM_BYTES];
    term_write(&r, record);
    buffer_append(&w->tables.terms, record, sizeof record);
    return INGOT_OK;
}

ingot_status add_tensor(ingot_writer *w, const struct writer_tensor *t,
                        const struct term_stream *streams, uint32_t n_streams,
                        uint32_t first_stream, ingot_error *error)
{
    struct tensor_record r = {
        .dtype = (uint8_t)t->dtype,
        .rank = (uint8_t)t->rank,
        .stack = t->stack,
        .split = t->split,
        .first_term = (uint32_t)(w->tables.terms.n_bytes / TERM_BYTES),
        .n_terms = t->n_terms,
        .alias_of = INGOT_NONE,
        .rescale_coding = INGOT_NONE,
        .rescale_stream = INGOT_NONE,
    };
    memcpy(r.dims, t->dims, t->rank * sizeof *t->dims);
    uint32_t stream = 0;
    for (uint32_t k = 0; k < t->n_terms; k++) {
        const uint32_t begin = stream;
        while (stream < n_streams && streams[stream].term == k) stream++;
        const ingot_status status =
            add_term(w, &t->terms[k], first_stream + begin, stream - begin, error);
        if (status != INGOT_OK) return status;
    }
    if (t->rescale) {
        const ingot_status status = add_coding(w, t->rescale, &r.rescale_coding, error);
        if (status != INGOT_OK) return status;
        r.rescale_stream = first_stream + stream;
    }
    r.name = tables_string(&w->tables, t->name, t->name_bytes);
    uint8_t record[TENSOR_BYTES];
    tensor_write(&r, record);
    buffer_append(&w->tables.tensors, record, sizeof record);
    return tables_failed(&w->tables) ? ingot_fail_memory(error, sizeof record, "index") : INGOT_OK;
}

ingot_status check_in_use(const ingot_writer *w, ingot_error *error)
{
    if (w->ended == NULL) return INGOT_OK;
    return ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET, "writer", "%s", w->ended);
}

ingot_status end_if_failed(ingot_writer *w, ingot_status status)
{
    if (status != INGOT_OK) w->ended = "a call failed while it wrote: it can only be closed";
    return status;
}

ingot_status check_tensor(ingot_writer *w, const struct writer_tensor *t, ingot_error *error)
{
    uint32_t index = (uint32_t)(w->tables.tensors.n_bytes / TENSOR_BYTES);
    bool found;
    const ingot_status in_use = check_in_use(w, error);
    if (in_use != INGOT_OK) return in_use;
    if (t->n_terms < 1 || t->n_terms > MAX_TERMS) {
        return ingot_fail_rule(error, R_604, INGOT_NO_OFFSET, "terms", "%u", t->n_terms);
    }
    if (t->name_bytes > MAX_STRING_BYTES) {
        return ingot_fail_rule(error, R_211, INGOT_NO_OFFSET, "tensor name", "%u bytes",
                               t->name_bytes);
    }
    if (ingot_dtype_name(t->dtype) == NULL) {
        return ingot_fail_rule(error, R_601, INGOT_NO_OFFSET, "dtype", "%d", (int)t->dtype);
    }
    const ingot_status status =
        intern(&w->tensor_names, t->name, t->name_bytes, &index, &found, error);
    if (status == INGOT_OK && found) {
        return ingot_fail_rule(error, R_606, INGOT_NO_OFFSET, "tensor name",
                               "two tensors are named %.*s", (int)min_u64(t->name_bytes, 100),
                               t->name);
    }
    return status;
}
