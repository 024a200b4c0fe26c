/* Targets of plain numbers: what goes in, in which form, and its bytes. Knows no format. */
#include "convert/sink_plain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "convert/encode.h"
#include "convert/gguf_presets.h"
#include "convert/measure.h"
#include "convert/names.h"
#include "convert/raw_values.h"
#include "convert/rows.h"
#include "format/alloc.h"
#include "format/fail.h"

enum { PIECE = 1 << 20 };

/* ------------------------------------------------------------------ what goes in */

/* Whether a tensor has values to cast; the reason why it has none is decode's own. */
static bool has_values(const struct plain_sink *s, const struct model_tensor *t, uint32_t index,
                       struct refusal *refusal)
{
    ingot_error error = {0};
    if (t->foreign.name == NULL || t->n_rows * t->n_cols == 0) return true;
    float *row = ingot_allocate_zeroed(NULL, t->n_cols, sizeof *row);
    if (row == NULL) return true; /* which writing it finds as well */
    const ingot_status status = model_decode_f32(s->c->model, index, 0, 1, row, &error);
    ingot_release(NULL, row);
    if (status != INGOT_UNSUPPORTED && status != INGOT_REFUSED) return true;
    snprintf(refusal->why, sizeof refusal->why, "%.255s", error.what);
    return false;
}

static bool place(const struct plain_sink *s, const struct model_tensor *t, struct plain_tensor *p,
                  struct refusal *refusal)
{
    if ((p->cast || p->encoding) && !has_values(s, t, p->index, refusal)) return false;
    if (!t->raw && !p->cast && !p->encoding && !p->foreign && p->repack == NULL) {
        const bool why = refusal->why[0] != '\0';
        const bool apart = model_container(s->c->model) == NULL;
        char text[sizeof refusal->why];
        snprintf(text, sizeof text,
                 "it is held as %.60s%s%.100s; encode f32, f16 or bf16 dequantizes what is a "
                 "float%s",
                 t->encoding, why ? ", and " : "", why ? refusal->why : "",
                 apart ? ", and what is exact goes by way of an .ingot file" : "");
        memcpy(refusal->why, text, sizeof text);
        return false;
    }
    return s->format->place(t, p, refusal);
}

/* Looks for blocks that hold the tensor exactly; says why there are none. */
static ingot_status find_repack(const struct plain_sink *s, const struct model_tensor *t,
                                struct plain_tensor *p, struct refusal *refusal)
{
    const ingot_file *file = model_container(s->c->model);
    if (t->raw || p->cast || p->encoding || p->foreign || file == NULL || !s->format->has_blocks) {
        return INGOT_OK;
    }
    struct repack *r = ingot_allocate_zeroed(NULL, 1, sizeof *r);
    if (r == NULL) return ingot_fail_memory(s->error, sizeof *r, "tensor");
    const ingot_status status = repack_find(file, t->number, r, s->error);
    if (status == INGOT_OK && r->type) {
        p->repack = r;
        p->n_bytes = r->n_bytes;
        return INGOT_OK;
    }
    snprintf(refusal->why, sizeof refusal->why, "%s", r->why_not);
    ingot_release(NULL, r);
    return status;
}

/* A cast, blocks of an encoding, or the tensor's own bytes. */
static void choose_form(const struct plain_sink *s, const struct model_tensor *t,
                        const struct encoding *encoding, struct plain_tensor *p)
{
    const ingot_dtype vector_dtype = t->rank == 1 ? s->format->vector_dtype : (ingot_dtype)0;
    const ingot_dtype cast = vector_dtype ? vector_dtype : encoding ? encoding->cast : t->dtype;
    const uint64_t n = t->n_rows * t->n_cols;
    if (encoding && !encoding->cast) {
        p->encoding = encoding;
        p->block_type = gguf_type_of_encoding(encoding);
        p->n_bytes = n / p->block_type->block_weights * p->block_type->block_bytes;
        return;
    }
    p->cast = (encoding || (vector_dtype && s->c->encodes)) && cast_applies(cast, t);
    if (p->cast) p->dtype = cast;
    p->foreign = !p->cast && t->foreign.name != NULL;
    p->n_bytes = p->foreign ? t->foreign.n_bytes : ingot_raw_bytes(p->dtype, n);
}

bool plain_append(struct plain_sink *s, const struct plain_tensor *p)
{
    if (s->n_tensors == s->capacity) {
        const uint32_t capacity = s->capacity > UINT32_MAX / 2 ? 0 : 2 * s->capacity + 64;
        struct plain_tensor *at = ingot_allocate_zeroed(NULL, capacity, sizeof *at);
        if (at == NULL || capacity == 0) {
            ingot_release(NULL, at);
            return false;
        }
        if (s->n_tensors) memcpy(at, s->tensors, s->n_tensors * sizeof *at);
        ingot_release(NULL, s->tensors);
        s->tensors = at;
        s->capacity = capacity;
    }
    s->tensors[s->n_tensors++] = *p;
    return true;
}

static ingot_status place_tensor(struct plain_sink *s, uint32_t index)
{
    const struct encoding *encoding = conversion_choice(s->c, index);
    struct refusal refusal = {{0}};
    struct model_tensor t;
    model_tensor(s->c->model, index, &t);
    struct plain_tensor p = {.index = index,
                             .dtype = t.dtype,
                             .name = t.name,
                             .name_bytes = t.name_bytes,
                             .rank = t.rank};
    memcpy(p.dims, t.dims, sizeof p.dims);
    choose_form(s, &t, encoding, &p);
    bool placed = false;
    ingot_status status = INGOT_OK;
    if (!p.cast && !p.encoding && !p.foreign && !t.raw) {
        status = plain_place_parts(s, &t, &p, &refusal, &placed);
    }
    if (status == INGOT_OK && !placed) status = find_repack(s, &t, &p, &refusal);
    if (status != INGOT_OK || placed) return status;
    if (place(s, &t, &p, &refusal)) {
        if (plain_append(s, &p)) return INGOT_OK;
        status = ingot_fail_memory(s->error, sizeof p, "tensors");
    } else {
        conversion_refuse(s->c, &t, refusal.why, s->error);
    }
    ingot_release(NULL, (void *)(uintptr_t)p.repack);
    return status;
}

/* The bytes that fill a tensor up to the alignment. */
static uint64_t padding_bytes(const struct plain_sink *s, const struct plain_tensor *p)
{
    return ceil_div(p->n_bytes, s->alignment) * s->alignment - p->n_bytes;
}

/* Tensors lie in their order without gaps. */
static ingot_status lay_out(struct plain_sink *s, uint64_t *data_bytes)
{
    uint64_t offset = 0;
    for (uint32_t i = 0; i < s->n_tensors; i++) {
        struct plain_tensor *p = &s->tensors[i];
        p->offset = offset;
        if (!add_u64(offset, p->n_bytes + padding_bytes(s, p), &offset)) {
            return ingot_fail(s->error, INGOT_REFUSED, INGOT_NO_OFFSET, s->c->target,
                              "the tensors together are longer than a file can be");
        }
    }
    *data_bytes = offset;
    return INGOT_OK;
}

/* Whether all encodings are casts, or GGUF's own where the format has those. */
static bool takes_encodings(const struct plain_sink *s)
{
    const struct choices *choices = &s->c->choices;
    for (uint32_t i = 0; i < choices->n_encodings; i++) {
        const struct encoding *e = choices->encodings[i];
        if (e->cast || (s->format->has_blocks && gguf_type_of_encoding(e))) continue;
        ingot_fail(s->error, INGOT_REFUSED, INGOT_NO_OFFSET, s->c->target,
                   "%s holds plain types%s: it takes the encodings f32, f16 and bf16%s, and not "
                   "'%s'",
                   s->format->name, s->format->has_blocks ? " and blocks of its own" : "",
                   s->format->has_blocks ? ", and those named after its types (q4_k)" : "",
                   choices->texts[i]);
        return false;
    }
    return true;
}

/* Places every tensor and makes the header. To be ended with end_sink. */
static ingot_status begin_sink(struct plain_sink *s)
{
    const struct conversion *c = s->c;
    const uint32_t n = model_n_tensors(c->model);
    uint64_t data_bytes = 0;
    if (!takes_encodings(s)) return s->error ? s->error->status : INGOT_REFUSED;
    s->capacity = n;
    s->tensors = ingot_allocate_zeroed(NULL, n, sizeof *s->tensors);
    if (s->tensors == NULL) return ingot_fail_memory(s->error, n * sizeof *s->tensors, "tensors");
    ingot_status status = INGOT_OK;
    for (uint32_t i = 0; i < n && status == INGOT_OK; i++) status = place_tensor(s, i);
    if (status == INGOT_OK) status = conversion_refusals(c, s->error);
    if (status != INGOT_OK) return status;
    if (s->format->has_parts) status = plain_check_names(s);
    if (status != INGOT_OK) return status;
    if (s->n_tensors > 1 && s->format->order) {
        qsort(s->tensors, s->n_tensors, sizeof *s->tensors, s->format->order);
    }
    if (s->format->align) status = s->format->align(s);
    if (status == INGOT_OK) status = lay_out(s, &data_bytes);
    if (status == INGOT_OK) status = s->format->header(s);
    if (status == INGOT_OK && s->header.failed) {
        status = ingot_fail_memory(s->error, s->header.n_bytes, "header");
    }
    c->result->target_bytes = s->header.n_bytes + data_bytes;
    return status;
}

static void end_sink(struct plain_sink *s)
{
    ingot_pool_close(s->pool);
    output_close(s->output);
    buffer_release(&s->header);
    for (uint32_t i = 0; i < s->n_tensors; i++) {
        ingot_release(NULL, (void *)(uintptr_t)s->tensors[i].repack);
        if (s->tensors[i].exported == NULL || s->tensors[i].part > 0) continue;
        dialect_export_release(s->tensors[i].exported);
        ingot_release(NULL, s->tensors[i].exported);
    }
    ingot_release(NULL, s->tensors);
}

/* ------------------------------------------------------------------ bytes as they are */

static ingot_status write_kept(struct plain_sink *s, const struct plain_tensor *p)
{
    ingot_status (*const read)(const struct model *, uint32_t, uint64_t, uint64_t, void *,
                               ingot_error *) = p->foreign ? model_read_foreign : model_read_raw;
    ingot_status status = INGOT_OK;
    uint8_t *piece = ingot_allocate(NULL, PIECE);
    if (piece == NULL) return ingot_fail_memory(s->error, PIECE, "tensor");
    for (uint64_t done = 0; done < p->n_bytes && status == INGOT_OK; done += PIECE) {
        const uint64_t n = min_u64(PIECE, p->n_bytes - done);
        status = p->repack ? repack_read(p->repack, done, n, piece, s->error)
                 : p->exported || p->composite
                     ? plain_read_part(p, done, n, piece, s->error)
                     : read(s->c->model, p->index, done, n, piece, s->error);
        if (status == INGOT_OK) status = output_write(s->output, piece, n, s->error);
        conversion_report(s->c, done + n);
    }
    ingot_release(NULL, piece);
    return status;
}

/* ------------------------------------------------------------------ casts */

/* What n cast values lost, decoded in parts. */
static ingot_status measure_cast(ingot_dtype dtype, const float *values, const uint8_t *bytes,
                                 uint64_t n, struct tensor_error *e, ingot_error *error)
{
    float decoded[4096];
    const uint64_t element_bytes = ingot_dtype_bits(dtype) / 8;
    for (uint64_t at = 0; at < n; at += 4096) {
        const uint64_t n_part = min_u64(4096, n - at);
        const ingot_status status =
            raw_values_f32(dtype, bytes + at * element_bytes, n_part, decoded, error);
        if (status != INGOT_OK) return status;
        measure_add(e, values + at, decoded, n_part);
    }
    return INGOT_OK;
}

/* Rows cast one step after the other, with the error that this makes. */
static ingot_status write_cast_rows(struct plain_sink *s, const struct plain_tensor *p,
                                    struct row_reader *reader, float *values, uint8_t *bytes,
                                    struct tensor_error *e)
{
    const struct model_tensor *t = &reader->tensor;
    const uint64_t n_step = rows_step(reader);
    const uint32_t element_bytes = ingot_dtype_bits(p->dtype) / 8;
    const struct row_progress progress = conversion_row_progress(s->c);
    for (uint64_t row = 0; row < t->n_rows; row += n_step) {
        const uint64_t n_rows = min_u64(n_step, t->n_rows - row);
        const uint64_t n = n_rows * t->n_cols;
        uint64_t bad;
        ingot_status status = rows_read(reader, row, n_rows, values, s->error);
        if (status != INGOT_OK) return status;
        if (!cast_values(p->dtype, values, n, bytes, &bad)) {
            return ingot_fail(s->error, INGOT_REFUSED, INGOT_NO_OFFSET,
                              name_shown(t->name, t->name_bytes).text,
                              "element %llu is %.9g: %s would make it infinite",
                              (unsigned long long)(row * t->n_cols + bad), (double)values[bad],
                              ingot_dtype_name(p->dtype));
        }
        status = output_write(s->output, bytes, n * element_bytes, s->error);
        if (status != INGOT_OK) return status;
        status = measure_cast(p->dtype, values, bytes, n, e, s->error);
        if (status != INGOT_OK) return status;
        progress.report(progress.context, row + n_rows, t->n_rows);
    }
    return INGOT_OK;
}

static ingot_status write_cast(struct plain_sink *s, const struct plain_tensor *p,
                               struct tensor_error *e)
{
    struct row_reader reader;
    float *values = NULL;
    uint8_t *bytes = NULL;
    ingot_status status = rows_open(s->c->model, p->index, &reader, s->error);
    if (status != INGOT_OK) return status;
    const uint64_t n = rows_step(&reader) * max_u64(1, reader.tensor.n_cols);
    values = ingot_allocate_zeroed(NULL, n, sizeof *values);
    bytes = ingot_allocate_zeroed(NULL, n, ingot_dtype_bits(p->dtype) / 8);
    if (values == NULL || bytes == NULL) {
        status = ingot_fail_memory(s->error, n * sizeof *values, "rows");
        goto done;
    }
    status = write_cast_rows(s, p, &reader, values, bytes, e);
    measure_finish(e);
done:
    ingot_release(NULL, bytes);
    ingot_release(NULL, values);
    rows_close(&reader);
    return status;
}

/* ------------------------------------------------------------------ the file */

/* For people: what the tensor is held as. */
static const char *encoding_of(const struct model_tensor *t, const struct plain_tensor *p)
{
    if (p->repack) return p->repack->type->name;
    if (p->exported) return p->exported->label;
    if (p->encoding) return p->block_type->name;
    return p->cast ? ingot_dtype_name(p->dtype) : t->encoding;
}

static ingot_status write_padding(struct plain_sink *s, uint64_t n_bytes)
{
    static const uint8_t zeros[4096];
    ingot_status status = INGOT_OK;
    while (n_bytes > 0 && status == INGOT_OK) {
        const uint64_t n = min_u64(n_bytes, sizeof zeros);
        status = output_write(s->output, zeros, n, s->error);
        n_bytes -= n;
    }
    return status;
}

static ingot_status write_tensor(struct plain_sink *s, const struct plain_tensor *p)
{
    struct model_tensor t;
    struct tensor_error e = {0};
    model_tensor(s->c->model, p->index, &t);
    const bool one_of = p->exported || p->composite;
    conversion_begin_part(s->c, one_of ? p->n_bytes : t.stored_bytes);
    const bool encoded = p->cast || p->encoding;
    ingot_status status = p->encoding ? sink_encode_blocks(s, p, &e)
                          : p->cast   ? write_cast(s, p, &e)
                                      : write_kept(s, p);
    if (status == INGOT_OK) status = write_padding(s, padding_bytes(s, p));
    if (status != INGOT_OK) return status;
    if (encoded) s->c->result->n_encoded++;
    if (p->part == 0) {
        conversion_tensor_done(s->c, &t, encoding_of(&t, p),
                               one_of ? plain_parts_bytes(p) : p->n_bytes, encoded ? &e : NULL);
    }
    conversion_end_part(s->c);
    return INGOT_OK;
}

static ingot_status write_file(struct plain_sink *s)
{
    ingot_status status =
        output_create(s->c->target, s->c->options->replace, NULL, &s->output, s->error);
    if (status != INGOT_OK) return status;
    if (s->c->encodes) {
        status = ingot_pool_create(s->c->options->n_threads, NULL, &s->pool, s->error);
        if (status != INGOT_OK) return status;
    }
    status = output_write(s->output, s->header.data, s->header.n_bytes, s->error);
    for (uint32_t i = 0; i < s->n_tensors && status == INGOT_OK; i++) {
        status = write_tensor(s, &s->tensors[i]);
    }
    if (status == INGOT_OK) status = model_unchanged(s->c->model, s->error);
    if (status == INGOT_OK) status = output_finish(s->output, s->error);
    return status;
}

ingot_status plain_write(struct conversion *c, const struct plain_format *format,
                         ingot_error *error)
{
    struct plain_sink s = {.c = c, .format = format, .alignment = 1, .error = error};
    ingot_status status = begin_sink(&s);
    if (status == INGOT_OK) status = write_file(&s);
    if (status == INGOT_OK) {
        c->result->n_attachments_lost = model_n_attachments(c->model);
        c->result->n_metadata_lost = s.n_metadata_lost;
    }
    end_sink(&s);
    return status;
}

ingot_status plain_plan(struct conversion *c, const struct plain_format *format,
                        struct convert_plan *plan, ingot_error *error)
{
    struct plain_sink s = {.c = c, .format = format, .alignment = 1, .error = error};
    const ingot_status status = begin_sink(&s);
    for (uint32_t i = 0; i < s.n_tensors && status == INGOT_OK; i++) {
        const struct plain_tensor *p = &s.tensors[i];
        struct model_tensor t;
        if (p->part > 0) continue;
        model_tensor(c->model, p->index, &t);
        plan_tensor(plan, &t, encoding_of(&t, p),
                    p->exported || p->composite ? plain_parts_bytes(p) : p->n_bytes,
                    p->cast || p->encoding);
    }
    plan->target_bytes = plan->most_bytes = c->result->target_bytes;
    plan->n_attachments_lost = model_n_attachments(c->model);
    plan->n_metadata_lost = s.n_metadata_lost;
    end_sink(&s);
    return status;
}
