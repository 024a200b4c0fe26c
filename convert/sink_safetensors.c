/* A model to one .safetensors file: tensors held raw as they are, others only where a cast was
 * asked for. The file is as the format's own writer makes it: wide types first, then by name, the
 * header padded to 8 bytes. Attachments have no place in it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "convert/encode.h"
#include "convert/json.h"
#include "convert/measure.h"
#include "convert/names.h"
#include "convert/raw_values.h"
#include "convert/rows.h"
#include "convert/safetensors.h"
#include "convert/sink.h"
#include "format/alloc.h"
#include "format/fail.h"
#include "format/metadata.h"
#include "format/output.h"

enum { PIECE = 1 << 20 };

/* A tensor as the file is to hold it. */
struct placed {
    uint32_t index; /* in the model */
    ingot_dtype dtype;
    uint8_t order; /* of its dtype: widest first */
    const char *name;
    uint32_t name_bytes;
    uint64_t n_bytes;
};

struct safetensors_sink {
    struct conversion *c;
    struct output *output;
    uint32_t n_placed;
    struct placed *placed;
    struct byte_buffer header;
    ingot_error *error;
};

static int compare_placed(const void *left, const void *right)
{
    const struct placed *a = left;
    const struct placed *b = right;
    if (a->order != b->order) return a->order > b->order ? -1 : 1;
    const size_t n = a->name_bytes < b->name_bytes ? a->name_bytes : b->name_bytes;
    const int order = n ? memcmp(a->name, b->name, n) : 0;
    if (order != 0) return order;
    return (a->name_bytes > b->name_bytes) - (a->name_bytes < b->name_bytes);
}

static ingot_status fail_tensor(const struct safetensors_sink *s, const struct model_tensor *t,
                                const char *what)
{
    return ingot_fail(s->error, INGOT_REFUSED, INGOT_NO_OFFSET,
                      name_shown(t->name, t->name_bytes).text, "%s", what);
}

/* ------------------------------------------------------------------ what goes in, and where */

static ingot_status place_tensor(struct safetensors_sink *s, uint32_t index)
{
    const struct encoding *encoding = s->c->encoding;
    struct model_tensor t;
    model_tensor(s->c->model, index, &t);
    const bool casts = encoding && encoding_applies(encoding, &t);
    const ingot_dtype dtype = casts ? encoding->cast : t.dtype;
    if (!t.raw && !casts) {
        char what[192];
        snprintf(what, sizeof what,
                 "it is held as %.96s; encode f32, f16 or bf16 dequantizes what is a float",
                 t.encoding);
        return fail_tensor(s, &t, what);
    }
    if (safetensors_dtype_name(dtype) == NULL) {
        return fail_tensor(s, &t, "safetensors has no such type");
    }
    if (t.n_rows * t.n_cols % 8 * ingot_dtype_bits(dtype) % 8 != 0) {
        return fail_tensor(s, &t, "its bits do not fill whole bytes, as safetensors wants");
    }
    if (!utf8_valid(t.name, t.name_bytes)) {
        return fail_tensor(s, &t, "its name is not UTF-8, as JSON is");
    }
    if (t.name_bytes == 12 && memcmp(t.name, "__metadata__", 12) == 0) {
        return fail_tensor(s, &t, "a tensor of that name cannot be in a safetensors file");
    }
    s->placed[s->n_placed++] =
        (struct placed){index,  dtype,        safetensors_dtype_order(dtype),
                        t.name, t.name_bytes, ingot_raw_bytes(dtype, t.n_rows * t.n_cols)};
    return INGOT_OK;
}

/* ------------------------------------------------------------------ the header */

static void put_text(struct safetensors_sink *s, const char *text)
{
    buffer_append(&s->header, text, strlen(text));
}

static void put_number(struct safetensors_sink *s, uint64_t v)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)v);
    put_text(s, text);
}

static void put_string(struct safetensors_sink *s, const char *bytes, uint64_t n_bytes)
{
    put_text(s, "\"");
    for (uint64_t i = 0; i < n_bytes; i++) {
        const unsigned char c = (unsigned char)bytes[i];
        char escaped[8];
        if (c == '"' || c == '\\') {
            snprintf(escaped, sizeof escaped, "\\%c", c);
            put_text(s, escaped);
        } else if (c < 32) {
            snprintf(escaped, sizeof escaped, "\\u%04x", c);
            put_text(s, escaped);
        } else {
            buffer_u8(&s->header, c);
        }
    }
    put_text(s, "\"");
}

static ingot_status put_metadata(struct safetensors_sink *s)
{
    const struct span blob = model_metadata(s->c->model);
    struct metadata_walk walk;
    const char *separator = "";
    if (blob.n_bytes == 0) return INGOT_OK;
    ingot_status status = metadata_open(blob, &walk, s->error);
    if (status != INGOT_OK || walk.left == 0) return status;
    put_text(s, "\"__metadata__\":{");
    for (;;) {
        struct metadata_value value;
        const char *key;
        uint32_t key_bytes;
        status = metadata_next(&walk, &key, &key_bytes, &value, s->error);
        if (status != INGOT_OK) break;
        const bool is_text = value.type == META_STRING && utf8_valid(key, key_bytes) &&
                             utf8_valid((const char *)value.bytes.data, value.bytes.n_bytes);
        if (!is_text) {
            return ingot_fail(s->error, INGOT_REFUSED, INGOT_NO_OFFSET, "metadata",
                              "'%s' is not a string in UTF-8, and safetensors holds no other",
                              name_shown(key, key_bytes).text);
        }
        put_text(s, separator);
        put_string(s, key, key_bytes);
        put_text(s, ":");
        put_string(s, (const char *)value.bytes.data, value.bytes.n_bytes);
        separator = ",";
    }
    if (status != INGOT_END) return status;
    put_text(s, s->n_placed ? "}," : "}");
    return INGOT_OK;
}

static void put_entry(struct safetensors_sink *s, const struct placed *p, uint64_t begin)
{
    struct model_tensor t;
    model_tensor(s->c->model, p->index, &t);
    put_string(s, p->name, p->name_bytes);
    put_text(s, ":{\"dtype\":\"");
    put_text(s, safetensors_dtype_name(p->dtype));
    put_text(s, "\",\"shape\":[");
    for (uint32_t k = 0; k < t.rank; k++) {
        if (k) put_text(s, ",");
        put_number(s, t.dims[k]);
    }
    put_text(s, "],\"data_offsets\":[");
    put_number(s, begin);
    put_text(s, ",");
    put_number(s, begin + p->n_bytes);
    put_text(s, "]}");
}

static ingot_status make_header(struct safetensors_sink *s)
{
    uint64_t begin = 0;
    put_text(s, "{");
    const ingot_status status = put_metadata(s);
    if (status != INGOT_OK) return status;
    for (uint32_t i = 0; i < s->n_placed; i++) {
        if (i) put_text(s, ",");
        put_entry(s, &s->placed[i], begin);
        begin += s->placed[i].n_bytes;
    }
    put_text(s, "}");
    while (!s->header.failed && s->header.n_bytes % 8 != 0) put_text(s, " ");
    if (s->header.failed) return ingot_fail_memory(s->error, s->header.n_bytes, "header");
    if (s->header.n_bytes > SAFETENSORS_MAX_HEADER_BYTES) {
        return ingot_fail(s->error, INGOT_REFUSED, INGOT_NO_OFFSET, "header",
                          "%llu bytes long; %d are the most", (unsigned long long)s->header.n_bytes,
                          SAFETENSORS_MAX_HEADER_BYTES);
    }
    s->c->result->target_bytes = SAFETENSORS_LENGTH_BYTES + s->header.n_bytes + begin;
    return INGOT_OK;
}

/* ------------------------------------------------------------------ the data */

static ingot_status write_raw(struct safetensors_sink *s, const struct placed *p)
{
    ingot_status status = INGOT_OK;
    uint8_t *piece = ingot_allocate(NULL, PIECE);
    if (piece == NULL) return ingot_fail_memory(s->error, PIECE, "tensor");
    for (uint64_t done = 0; done < p->n_bytes && status == INGOT_OK; done += PIECE) {
        const uint64_t n = min_u64(PIECE, p->n_bytes - done);
        status = model_read_raw(s->c->model, p->index, done, n, piece, s->error);
        if (status == INGOT_OK) status = output_write(s->output, piece, n, s->error);
        conversion_report(s->c, done + n);
    }
    ingot_release(NULL, piece);
    return status;
}

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
static ingot_status write_cast_rows(struct safetensors_sink *s, const struct placed *p,
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
            char what[128];
            snprintf(what, sizeof what, "element %llu is %.9g: %s would make it infinite",
                     (unsigned long long)(row * t->n_cols + bad), (double)values[bad],
                     ingot_dtype_name(p->dtype));
            return fail_tensor(s, t, what);
        }
        status = output_write(s->output, bytes, n * element_bytes, s->error);
        if (status != INGOT_OK) return status;
        status = measure_cast(p->dtype, values, bytes, n, e, s->error);
        if (status != INGOT_OK) return status;
        progress.report(progress.context, row + n_rows, t->n_rows);
    }
    return INGOT_OK;
}

static ingot_status write_cast(struct safetensors_sink *s, const struct placed *p,
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

static ingot_status write_tensor(struct safetensors_sink *s, const struct placed *p)
{
    struct model_tensor t;
    struct tensor_error e = {0};
    model_tensor(s->c->model, p->index, &t);
    const bool raw = t.raw && t.dtype == p->dtype;
    conversion_begin_part(s->c, t.stored_bytes);
    const ingot_status status = raw ? write_raw(s, p) : write_cast(s, p, &e);
    if (status != INGOT_OK) return status;
    if (!raw) s->c->result->n_encoded++;
    conversion_tensor_done(s->c, &t, ingot_dtype_name(p->dtype), p->n_bytes, raw ? NULL : &e);
    conversion_end_part(s->c);
    return INGOT_OK;
}

static ingot_status write_file(struct safetensors_sink *s)
{
    uint8_t length[SAFETENSORS_LENGTH_BYTES];
    ingot_status status =
        output_create(s->c->target, s->c->options->replace, NULL, &s->output, s->error);
    if (status != INGOT_OK) return status;
    store_u64(length, s->header.n_bytes);
    status = output_write(s->output, length, sizeof length, s->error);
    if (status == INGOT_OK) {
        status = output_write(s->output, s->header.data, s->header.n_bytes, s->error);
    }
    for (uint32_t i = 0; i < s->n_placed && status == INGOT_OK; i++) {
        status = write_tensor(s, &s->placed[i]);
    }
    if (status == INGOT_OK) status = model_unchanged(s->c->model, s->error);
    if (status == INGOT_OK) status = output_finish(s->output, s->error);
    return status;
}

/* Places every tensor and makes the header. To be ended with end_sink. */
static ingot_status begin_sink(struct safetensors_sink *s)
{
    const struct conversion *c = s->c;
    const uint32_t n = model_n_tensors(c->model);
    ingot_status status = INGOT_OK;
    if (c->encoding && !c->encoding->cast) {
        return ingot_fail(s->error, INGOT_REFUSED, INGOT_NO_OFFSET, c->target,
                          "safetensors holds plain types: it takes the encodings f32, f16 and "
                          "bf16, and not '%s'",
                          c->options->encode);
    }
    s->placed = ingot_allocate_zeroed(NULL, n, sizeof *s->placed);
    if (s->placed == NULL) return ingot_fail_memory(s->error, n * sizeof *s->placed, "tensors");
    for (uint32_t i = 0; i < n && status == INGOT_OK; i++) status = place_tensor(s, i);
    if (n > 1) qsort(s->placed, s->n_placed, sizeof *s->placed, compare_placed);
    return status == INGOT_OK ? make_header(s) : status;
}

static void end_sink(struct safetensors_sink *s)
{
    output_close(s->output);
    buffer_release(&s->header);
    ingot_release(NULL, s->placed);
}

ingot_status sink_safetensors(struct conversion *c, ingot_error *error)
{
    struct safetensors_sink s = {.c = c, .error = error};
    ingot_status status = begin_sink(&s);
    if (status == INGOT_OK) status = write_file(&s);
    if (status == INGOT_OK) c->result->n_attachments_lost = model_n_attachments(c->model);
    end_sink(&s);
    return status;
}

ingot_status plan_safetensors(struct conversion *c, struct convert_plan *plan, ingot_error *error)
{
    struct safetensors_sink s = {.c = c, .error = error};
    const ingot_status status = begin_sink(&s);
    for (uint32_t i = 0; i < s.n_placed && status == INGOT_OK; i++) {
        const struct placed *p = &s.placed[i];
        struct model_tensor t;
        model_tensor(c->model, p->index, &t);
        const bool raw = t.raw && t.dtype == p->dtype;
        plan_tensor(plan, &t, ingot_dtype_name(p->dtype), p->n_bytes, !raw);
    }
    plan->target_bytes = c->result->target_bytes;
    plan->n_attachments_lost = model_n_attachments(c->model);
    end_sink(&s);
    return status;
}
