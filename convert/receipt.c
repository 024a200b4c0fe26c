/* Receipts, as jansson builds and writes them. */
#include "convert/receipt.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "convert/json.h"
#include "format/alloc.h"
#include "format/fail.h"
#include "format/packer.h"

/* Digits of measured numbers: more would say more than the measurement does. */
enum { REAL_DIGITS = 9 };

struct receipt {
    json_t *root;
    json_t *tensors;
    json_t *notes;
    json_t *earlier; /* of the source container, or NULL */
    const json_t *earlier_tensors;
    bool failed;
};

/* Puts a value, which it takes over, under a key. */
static void put(struct receipt *r, json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, value) != 0) r->failed = true;
}

static void append(struct receipt *r, json_t *array, json_t *value)
{
    if (json_array_append_new(array, value) != 0) r->failed = true;
}

/* A name as JSON: bytes that are not UTF-8 become U+FFFD, and the place in the array still tells
 * which tensor is meant. */
static json_t *name_json(const char *name, uint32_t n_bytes)
{
    if (utf8_valid(name, n_bytes)) return json_stringn(name, n_bytes);
    struct byte_buffer text = {0};
    for (uint32_t i = 0; i < n_bytes; i++) {
        const bool plain = (unsigned char)name[i] < 0x80;
        buffer_append(&text, plain ? name + i : "\xef\xbf\xbd", plain ? 1 : 3);
    }
    json_t *json = text.failed ? NULL : json_stringn((const char *)text.data, text.n_bytes);
    buffer_release(&text);
    return json;
}

static json_t *label_json(const char *label)
{
    return name_json(label, (uint32_t)strlen(label));
}

static json_t *hash_json(const uint8_t hash[16])
{
    static const char digits[] = "0123456789abcdef";
    char text[33];
    for (uint32_t i = 0; i < 16; i++) {
        text[2 * i] = digits[hash[i] >> 4];
        text[2 * i + 1] = digits[hash[i] & 15];
    }
    text[32] = '\0';
    return json_string(text);
}

/* JSON has no infinity: such a number is left out. */
static void put_real(struct receipt *r, json_t *object, const char *key, double value)
{
    if (isfinite(value)) put(r, object, key, json_real(value));
}

/* Of an earlier receipt: the last recipe that encoded anything, or NULL. */
static json_t *earlier_recipe(const json_t *earlier)
{
    json_t *recipe = json_object_get(earlier, "recipe");
    if (json_is_string(json_object_get(recipe, "encode"))) return recipe;
    return json_object_get(earlier, "earlier_recipe");
}

ingot_status receipt_create(const struct convert_options *options, struct span earlier,
                            struct receipt **receipt, ingot_error *error)
{
    static const char *const compressions[] = {[INGOT_COMPRESS_NONE] = "none",
                                               [INGOT_COMPRESS_FAST] = "fast",
                                               [INGOT_COMPRESS_MAX] = "max"};
    struct receipt *r = ingot_allocate_zeroed(NULL, 1, sizeof *r);
    if (r == NULL) return ingot_fail_memory(error, sizeof *r, "receipt");
    r->root = json_object();
    r->tensors = json_array();
    r->notes = json_array();
    json_t *recipe = json_object();
    put(r, recipe, "encode", options->encode ? json_string(options->encode) : json_null());
    put(r, recipe, "compress", json_string(compressions[options->compression]));
    put(r, r->root, "ingot", json_string(INGOT_VERSION));
    if (options->compression != INGOT_COMPRESS_NONE) {
        put(r, r->root, "zstd", json_string(packer_library_version()));
    }
    put(r, r->root, "recipe", recipe);
    put(r, r->root, "tensors", json_incref(r->tensors));
    put(r, r->root, "notes", json_incref(r->notes));
    if (earlier.n_bytes) {
        r->earlier =
            json_loadb((const char *)earlier.data, (size_t)earlier.n_bytes, JSON_ALLOW_NUL, NULL);
        r->earlier_tensors = json_object_get(r->earlier, "tensors");
        if (r->earlier == NULL) receipt_note(r, "the source's receipt is not JSON and is left out");
    }
    json_t *recipe_before = earlier_recipe(r->earlier);
    if (recipe_before) put(r, r->root, "earlier_recipe", json_incref(recipe_before));
    const json_t *notes = json_object_get(r->earlier, "notes");
    for (size_t i = 0; i < json_array_size(notes); i++) {
        json_t *note = json_array_get(notes, i);
        if (json_is_string(note)) append(r, r->notes, json_incref(note));
    }
    *receipt = r;
    return INGOT_OK;
}

void receipt_close(struct receipt *receipt)
{
    if (receipt == NULL) return;
    json_decref(receipt->earlier);
    json_decref(receipt->notes);
    json_decref(receipt->tensors);
    json_decref(receipt->root);
    ingot_release(NULL, receipt);
}

/* What the earlier receipt says of a tensor, or NULL. */
static json_t *earlier_entry(struct receipt *r, const struct model_tensor *tensor)
{
    json_t *entry = json_array_get(r->earlier_tensors, tensor->number);
    json_t *name = name_json(tensor->name, tensor->name_bytes);
    const bool same = entry && name && json_equal(json_object_get(entry, "name"), name);
    json_decref(name);
    return same ? entry : NULL;
}

static json_t *new_entry(struct receipt *r, const struct model_tensor *tensor)
{
    json_t *entry = json_object();
    put(r, entry, "name", name_json(tensor->name, tensor->name_bytes));
    return entry;
}

void receipt_kept(struct receipt *receipt, const struct model_tensor *tensor,
                  const uint8_t hash[16])
{
    json_t *earlier = earlier_entry(receipt, tensor);
    if (earlier) {
        append(receipt, receipt->tensors, json_incref(earlier));
        return;
    }
    json_t *entry = new_entry(receipt, tensor);
    put(receipt, entry, "source_hash", hash_json(hash));
    put(receipt, entry, "source_dtype", json_string(ingot_dtype_name(tensor->dtype)));
    append(receipt, receipt->tensors, entry);
}

void receipt_copied(struct receipt *receipt, const struct model_tensor *tensor)
{
    json_t *earlier = earlier_entry(receipt, tensor);
    if (earlier) {
        append(receipt, receipt->tensors, json_incref(earlier));
        return;
    }
    json_t *entry = new_entry(receipt, tensor);
    put(receipt, entry, "source_dtype", json_string(ingot_dtype_name(tensor->dtype)));
    put(receipt, entry, "source_encoding", label_json(tensor->encoding));
    append(receipt, receipt->tensors, entry);
}

void receipt_encoded(struct receipt *receipt, const struct model_tensor *tensor,
                     const struct encoded_tensor *encoded)
{
    const double n = (double)tensor->n_rows * (double)tensor->n_cols;
    json_t *earlier = earlier_entry(receipt, tensor);
    json_t *entry = new_entry(receipt, tensor);
    put(receipt, entry, "source_hash", hash_json(encoded->source_hash));
    put(receipt, entry, "source_dtype", json_string(ingot_dtype_name(tensor->dtype)));
    if (!tensor->raw) put(receipt, entry, "source_encoding", label_json(tensor->encoding));
    put(receipt, entry, "encoding", label_json(encoded->label));
    put_real(receipt, entry, "sqnr_db", encoded->error.sqnr_db);
    put_real(receipt, entry, "relative_error", encoded->error.relative_error);
    put_real(receipt, entry, "max_error", encoded->error.max_error);
    put_real(receipt, entry, "bits_per_weight", (double)encoded->coded_bytes * 8 / n);
    if (earlier) put(receipt, entry, "earlier", json_incref(earlier));
    append(receipt, receipt->tensors, entry);
}

void receipt_alias(struct receipt *receipt, const struct model_tensor *tensor, uint32_t other)
{
    json_t *entry = json_copy(json_array_get(receipt->tensors, other));
    put(receipt, entry, "name", name_json(tensor->name, tensor->name_bytes));
    append(receipt, receipt->tensors, entry);
}

void receipt_note(struct receipt *receipt, const char *text)
{
    append(receipt, receipt->notes, label_json(text));
}

ingot_status receipt_write(struct receipt *receipt, struct byte_buffer *out, ingot_error *error)
{
    char *text = NULL;
    if (!receipt->failed) {
        text = json_dumps(receipt->root, JSON_INDENT(1) | JSON_REAL_PRECISION(REAL_DIGITS));
    }
    if (text == NULL) return ingot_fail_memory(error, 0, "receipt");
    buffer_append(out, text, strlen(text));
    free(text);
    return out->failed ? ingot_fail_memory(error, out->n_bytes, "receipt") : INGOT_OK;
}
