/* A model to one .safetensors file. It is as the format's own writer makes it: wide types first,
 * then by name, the header padded to 8 bytes. Of metadata it holds texts, and single values as
 * JSON writes them; attachments have no place in it. */
#include <stdio.h>
#include <string.h>

#include "format/json.h"
#include "convert/metadata_scalar.h"
#include "convert/names.h"
#include "convert/safetensors.h"
#include "convert/sink_plain.h"
#include "format/fail.h"

/* ------------------------------------------------------------------ tensors */

static bool place(const struct model_tensor *t, struct plain_tensor *p, struct refusal *refusal)
{
    const char *why = NULL;
    if (p->foreign) {
        snprintf(refusal->why, sizeof refusal->why,
                 "it is held in %.31s blocks, for which safetensors has no type; encode f32, f16 "
                 "or bf16 dequantizes it",
                 t->foreign.name);
        return false;
    }
    if (safetensors_dtype_name(p->dtype) == NULL) {
        why = "safetensors has no such type";
    } else if (p->exported == NULL && p->composite == NULL &&
               t->n_rows * t->n_cols % 8 * ingot_dtype_bits(p->dtype) % 8 != 0) {
        why = "its bits do not fill whole bytes, as safetensors wants";
    } else if (!utf8_valid(p->name, p->name_bytes)) {
        why = "its name is not UTF-8, as JSON is";
    } else if (p->name_bytes == 12 && memcmp(p->name, "__metadata__", 12) == 0) {
        why = "a tensor of that name cannot be in a safetensors file";
    }
    if (why) snprintf(refusal->why, sizeof refusal->why, "%s", why);
    p->type = safetensors_dtype_order(p->dtype);
    return why == NULL;
}

static int compare_places(const void *left, const void *right)
{
    const struct plain_tensor *a = left;
    const struct plain_tensor *b = right;
    if (a->type != b->type) return a->type > b->type ? -1 : 1;
    const size_t n = a->name_bytes < b->name_bytes ? a->name_bytes : b->name_bytes;
    const int order = n ? memcmp(a->name, b->name, n) : 0;
    if (order != 0) return order;
    return (a->name_bytes > b->name_bytes) - (a->name_bytes < b->name_bytes);
}

/* ------------------------------------------------------------------ the header */

static void put_text(struct plain_sink *s, const char *text)
{
    buffer_append(&s->header, text, strlen(text));
}

static void put_number(struct plain_sink *s, uint64_t v)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)v);
    put_text(s, text);
}

static void put_string(struct plain_sink *s, const char *bytes, uint64_t n_bytes)
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

/* The value as a string of the file. False when there is none for it: arrays, and bytes that are
 * not UTF-8. */
static bool value_text(const struct metadata_value *value, struct scalar_text *scalar,
                       struct span *text)
{
    if (value->type == META_STRING) {
        *text = value->bytes;
        return utf8_valid((const char *)text->data, text->n_bytes);
    }
    *scalar = metadata_scalar_text(value);
    *text = (struct span){(const uint8_t *)scalar->at, strlen(scalar->at)};
    return metadata_scalar_kind(value) != SCALAR_NONE;
}

/* Notes what of the metadata the file does not hold as it was. */
struct metadata_losses {
    uint32_t n_as_text;
    uint32_t n_left_out;
    struct shown_name first; /* left out */
};

static void tell_losses(struct plain_sink *s, const struct metadata_losses *losses)
{
    s->n_metadata_lost = losses->n_left_out;
    if (losses->n_as_text > 0) {
        conversion_note(s->c, "safetensors holds text alone: %u metadata value%s written as text",
                        losses->n_as_text, losses->n_as_text == 1 ? " is" : "s are");
    }
    if (losses->n_left_out > 0) {
        conversion_note(s->c,
                        "%u metadata entr%s left out, being arrays or not UTF-8, which safetensors "
                        "does not hold: '%s'%s",
                        losses->n_left_out, losses->n_left_out == 1 ? "y is" : "ies are",
                        losses->first.text, losses->n_left_out > 1 ? " and others" : "");
    }
}

static ingot_status put_entries(struct plain_sink *s, struct metadata_walk *walk)
{
    struct metadata_losses losses = {0};
    bool begun = false;
    for (;;) {
        struct metadata_value value;
        struct scalar_text scalar;
        struct span text;
        const char *key;
        uint32_t key_bytes;
        const ingot_status status = metadata_next(walk, &key, &key_bytes, &value, s->error);
        if (status == INGOT_END) break;
        if (status != INGOT_OK) return status;
        if (!value_text(&value, &scalar, &text) || !utf8_valid(key, key_bytes)) {
            if (losses.n_left_out++ == 0) losses.first = name_shown(key, key_bytes);
            continue;
        }
        losses.n_as_text += value.type != META_STRING;
        put_text(s, begun ? "," : "\"__metadata__\":{");
        put_string(s, key, key_bytes);
        put_text(s, ":");
        put_string(s, (const char *)text.data, text.n_bytes);
        begun = true;
    }
    if (begun) put_text(s, s->n_tensors ? "}," : "}");
    tell_losses(s, &losses);
    return INGOT_OK;
}

static ingot_status put_metadata(struct plain_sink *s)
{
    const struct span blob = model_metadata(s->c->model);
    struct metadata_walk walk;
    if (blob.n_bytes == 0) return INGOT_OK;
    const ingot_status status = metadata_open(blob, &walk, s->error);
    return status == INGOT_OK ? put_entries(s, &walk) : status;
}

static void put_tensor(struct plain_sink *s, const struct plain_tensor *p)
{
    put_string(s, p->name, p->name_bytes);
    put_text(s, ":{\"dtype\":\"");
    put_text(s, safetensors_dtype_name(p->dtype));
    put_text(s, "\",\"shape\":[");
    for (uint32_t k = 0; k < p->rank; k++) {
        if (k) put_text(s, ",");
        put_number(s, p->dims[k]);
    }
    put_text(s, "],\"data_offsets\":[");
    put_number(s, p->offset);
    put_text(s, ",");
    put_number(s, p->offset + p->n_bytes);
    put_text(s, "]}");
}

static void tell_zeros(const struct plain_sink *s)
{
    for (uint32_t i = 0; i < s->n_tensors; i++) {
        if (s->tensors[i].exported == NULL || !s->tensors[i].exported->zero_signs) continue;
        conversion_note(s->c,
                        "in repacked tensors values of code 8, which are 0, become -0: ggml's "
                        "MXFP4 has no -0");
        return;
    }
}

static ingot_status make_header(struct plain_sink *s)
{
    tell_zeros(s);
    buffer_u64(&s->header, 0); /* the length, once it is known */
    put_text(s, "{");
    const ingot_status status = put_metadata(s);
    if (status != INGOT_OK) return status;
    for (uint32_t i = 0; i < s->n_tensors; i++) {
        if (i) put_text(s, ",");
        put_tensor(s, &s->tensors[i]);
    }
    put_text(s, "}");
    while (!s->header.failed && s->header.n_bytes % 8 != 0) put_text(s, " ");
    if (s->header.failed) return INGOT_OK; /* which the caller sees */
    const uint64_t n_bytes = s->header.n_bytes - SAFETENSORS_LENGTH_BYTES;
    if (n_bytes > SAFETENSORS_MAX_HEADER_BYTES) {
        return ingot_fail(s->error, INGOT_REFUSED, INGOT_NO_OFFSET, "header",
                          "%llu bytes long; %d are the most", (unsigned long long)n_bytes,
                          SAFETENSORS_MAX_HEADER_BYTES);
    }
    store_u64(s->header.data, n_bytes);
    return INGOT_OK;
}

/* ------------------------------------------------------------------ the target */

static const struct plain_format format = {
    .name = "safetensors",
    .has_parts = true,
    .place = place,
    .order = compare_places,
    .header = make_header,
};

ingot_status sink_safetensors(struct conversion *c, ingot_error *error)
{
    return plain_write(c, &format, error);
}

ingot_status plan_safetensors(struct conversion *c, struct convert_plan *plan, ingot_error *error)
{
    return plain_plan(c, &format, plan, error);
}
