/* Receipts: small objects that jansson makes, as text at once, so that many tensors cost no more
 * than their text. */
#include "convert/receipt.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "format/json.h"
#include "convert/json_text.h"
#include "format/alloc.h"
#include "format/fail.h"
#include "format/packer.h"

/* Digits of measured numbers: more would say more than the measurement does. */
enum { REAL_DIGITS = 9 };

struct receipt {
    const ingot_allocator *allocator;
    json_t *head;               /* what stands before the tensors */
    struct byte_buffer notes;   /* their text */
    struct byte_buffer tensors; /* the text of their entries */
    struct byte_buffer ends;    /* u64: where the text of each ends */
    /* The receipt of the source container: its text, and in that of each tensor (struct span). */
    struct byte_buffer earlier;
    struct byte_buffer earlier_tensors;
    struct span earlier_own_recipe;
    struct span earlier_recipe;
    struct span earlier_notes;
    struct span quality;
    bool failed;
};

/* Puts a value, which it takes over, under a key. */
static void put(struct receipt *r, json_t *object, const char *key, json_t *value)
{
    if (json_object_set_new(object, key, value) != 0) r->failed = true;
}

static int put_text(const char *text, size_t n_bytes, void *context)
{
    struct byte_buffer *out = context;
    buffer_append(out, text, n_bytes);
    return out->failed ? -1 : 0;
}

static void put_json(struct receipt *r, const json_t *value, struct byte_buffer *out)
{
    const size_t flags = JSON_ENCODE_ANY | JSON_REAL_PRECISION(REAL_DIGITS);
    if (json_dump_callback(value, put_text, out, flags) != 0) r->failed = true;
}

/* The text of entry `index`. */
static struct span entry_text(const struct receipt *r, uint32_t index)
{
    const uint64_t begin = index ? load_u64(r->ends.data + 8 * (uint64_t)(index - 1)) : 0;
    return (struct span){r->tensors.data + begin,
                         load_u64(r->ends.data + 8 * (uint64_t)index) - begin};
}

/* Ends the entry of the next tensor with this text. */
static void add_text(struct receipt *r, struct span text)
{
    buffer_append(&r->tensors, text.data, text.n_bytes);
    buffer_u64(&r->ends, r->tensors.n_bytes);
}

/* Adds the entry of the next tensor, which it takes over, with JSON text, unless that is empty, as
 * another member. */
static void add_entry_with(struct receipt *r, json_t *entry, const char *key, struct span text)
{
    put_json(r, entry, &r->tensors);
    json_decref(entry);
    if (text.n_bytes && r->tensors.n_bytes) {
        r->tensors.n_bytes--; /* its brace */
        buffer_append(&r->tensors, ", \"", 3);
        buffer_append(&r->tensors, key, strlen(key));
        buffer_append(&r->tensors, "\": ", 3);
        buffer_append(&r->tensors, text.data, text.n_bytes);
        buffer_append(&r->tensors, "}", 1);
    }
    add_text(r, (struct span){0});
}

static void add_entry(struct receipt *r, json_t *entry)
{
    add_entry_with(r, entry, "", (struct span){0});
}

/* Adds a note: a string as JSON text. */
static void put_note(struct receipt *r, const uint8_t *text, uint64_t n_bytes)
{
    buffer_append(&r->notes, ",\n", r->notes.n_bytes ? 2 : 0);
    buffer_append(&r->notes, text, n_bytes);
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

/* The last part of a path: a receipt does not depend on the folder. */
static json_t *path_json(const char *path)
{
    const char *slash = strrchr(path, '/');
    return label_json(slash ? slash + 1 : path);
}

/* JSON has no infinity: such a number is left out. */
static void put_real(struct receipt *r, json_t *object, const char *key, double value)
{
    if (isfinite(value)) put(r, object, key, json_real(value));
}

/* Takes the parts of an earlier receipt that are kept. False when it is not one. */
static bool read_earlier(struct receipt *r, bool same_recipe)
{
    static const char *const keys[] = {"recipe", "earlier_recipe", "tensors", "notes", "quality"};
    static const char *const encode[] = {"encode"};
    struct span values[5], encoded;
    const struct span text = {r->earlier.data, r->earlier.n_bytes};
    if (!json_text_members(text, keys, 5, values)) return false;
    if (values[2].n_bytes && !json_text_elements(values[2], &r->earlier_tensors)) return false;
    /* The last recipe that encoded anything. */
    const bool found = values[0].n_bytes && json_text_members(values[0], encode, 1, &encoded) &&
                       encoded.n_bytes && encoded.data[0] == '"';
    r->earlier_recipe = found && !same_recipe ? values[0] : values[1];
    r->earlier_own_recipe = same_recipe ? values[0] : (struct span){0};
    r->earlier_notes = values[3];
    r->quality = values[4]; /* tells by its content id what it was measured of */
    return true;
}

/* The notes of an earlier receipt that are strings. */
static void keep_notes(struct receipt *r)
{
    struct byte_buffer notes = {.allocator = r->allocator};
    if (r->earlier_notes.n_bytes && json_text_elements(r->earlier_notes, &notes)) {
        for (uint64_t i = 0; i < notes.n_bytes / sizeof(struct span); i++) {
            struct span note;
            memcpy(&note, notes.data + i * sizeof note, sizeof note);
            if (note.data[0] == '"') put_note(r, note.data, note.n_bytes);
        }
    }
    r->failed |= notes.failed;
    buffer_release(&notes);
}

static struct receipt *new_receipt(const ingot_allocator *allocator)
{
    struct receipt *r = ingot_allocate_zeroed(allocator, 1, sizeof *r);
    if (r == NULL) return NULL;
    r->allocator = r->tensors.allocator = r->ends.allocator = r->notes.allocator = allocator;
    r->earlier.allocator = r->earlier_tensors.allocator = allocator;
    r->head = json_object();
    return r;
}

/* The recipe as it is in its file, which was read before. */
static void put_recipe(struct receipt *r, json_t *object, const char *path)
{
    json_t *recipe = json_load_file(path, 0, NULL);
    put(r, object, "recipe", recipe ? recipe : path_json(path));
}

ingot_status receipt_create(const struct convert_options *options, struct span earlier,
                            struct receipt **receipt, ingot_error *error)
{
    static const char *const compressions[] = {[INGOT_COMPRESS_NONE] = "none",
                                               [INGOT_COMPRESS_FAST] = "fast",
                                               [INGOT_COMPRESS_MAX] = "max"};
    struct receipt *r = new_receipt(options->allocator);
    if (r == NULL) return ingot_fail_memory(error, sizeof *r, "receipt");
    json_t *recipe = json_object();
    const bool by_size = options->target_bytes || options->target_bpw > 0;
    const char *encode = options->recipe ? "recipe" : by_size ? "target" : options->encode;
    put(r, recipe, "encode", encode ? json_string(encode) : json_null());
    if (options->target_bytes) {
        put(r, recipe, "target_bytes", json_integer((json_int_t)options->target_bytes));
    }
    if (options->target_bpw > 0) put_real(r, recipe, "target_bpw", options->target_bpw);
    if (options->recipe) put_recipe(r, recipe, options->recipe);
    if (options->imatrix) put(r, recipe, "imatrix", path_json(options->imatrix));
    if (options->fast) put(r, recipe, "fast", json_true());
    put(r, recipe, "compress", json_string(compressions[options->compression]));
    put(r, r->head, "ingot", json_string(INGOT_VERSION));
    if (options->compression != INGOT_COMPRESS_NONE) {
        put(r, r->head, "zstd", json_string(packer_library_version()));
    }
    put(r, r->head, "recipe", recipe);
    buffer_append(&r->earlier, earlier.data, earlier.n_bytes);
    r->failed |= r->earlier.failed;
    if (r->earlier.n_bytes && !read_earlier(r, options->quality != NULL)) {
        receipt_note(r, "the source's receipt is not JSON and is left out");
    }
    if (options->quality) {
        r->quality = (struct span){(const uint8_t *)options->quality, strlen(options->quality)};
    }
    if (r->earlier_own_recipe.n_bytes) json_object_del(r->head, "recipe");
    keep_notes(r);
    *receipt = r;
    return INGOT_OK;
}

void receipt_close(struct receipt *receipt)
{
    if (receipt == NULL) return;
    json_decref(receipt->head);
    buffer_release(&receipt->earlier_tensors);
    buffer_release(&receipt->earlier);
    buffer_release(&receipt->notes);
    buffer_release(&receipt->ends);
    buffer_release(&receipt->tensors);
    ingot_release(receipt->allocator, receipt);
}

static struct span name_of_entry(struct span entry)
{
    static const char *const keys[] = {"name"};
    struct span name;
    return json_text_members(entry, keys, 1, &name) ? name : (struct span){0};
}

/* What the earlier receipt says of a tensor; empty when it does not. */
static struct span earlier_entry(struct receipt *r, const struct model_tensor *tensor)
{
    const uint64_t n = r->earlier_tensors.n_bytes / sizeof(struct span);
    struct span entry = {0};
    if (tensor->number >= n) return entry;
    memcpy(&entry, r->earlier_tensors.data + tensor->number * sizeof entry, sizeof entry);
    json_t *name = name_json(tensor->name, tensor->name_bytes);
    const bool same = name && json_text_is(name_of_entry(entry), json_string_value(name),
                                           json_string_length(name));
    r->failed |= name == NULL;
    json_decref(name);
    return same ? entry : (struct span){0};
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
    const struct span earlier = earlier_entry(receipt, tensor);
    if (earlier.n_bytes) {
        add_text(receipt, earlier);
        return;
    }
    json_t *entry = new_entry(receipt, tensor);
    put(receipt, entry, "source_hash", hash_json(hash));
    put(receipt, entry, "source_dtype", json_string(ingot_dtype_name(tensor->dtype)));
    if (!tensor->raw) put(receipt, entry, "source_encoding", label_json(tensor->encoding));
    add_entry(receipt, entry);
}

void receipt_copied(struct receipt *receipt, const struct model_tensor *tensor)
{
    const struct span earlier = earlier_entry(receipt, tensor);
    if (earlier.n_bytes) {
        add_text(receipt, earlier);
        return;
    }
    json_t *entry = new_entry(receipt, tensor);
    put(receipt, entry, "source_dtype", json_string(ingot_dtype_name(tensor->dtype)));
    put(receipt, entry, "source_encoding", label_json(tensor->encoding));
    add_entry(receipt, entry);
}

void receipt_encoded(struct receipt *receipt, const struct model_tensor *tensor,
                     const struct encoded_tensor *encoded)
{
    const double n = (double)tensor->n_rows * (double)tensor->n_cols;
    const struct span earlier = earlier_entry(receipt, tensor);
    json_t *entry = new_entry(receipt, tensor);
    put(receipt, entry, "source_hash", hash_json(encoded->source_hash));
    put(receipt, entry, "source_dtype", json_string(ingot_dtype_name(tensor->dtype)));
    if (!tensor->raw) put(receipt, entry, "source_encoding", label_json(tensor->encoding));
    put(receipt, entry, "encoding", label_json(encoded->label));
    if (encoded->weighted) put(receipt, entry, "importance", json_true());
    put_real(receipt, entry, "sqnr_db", encoded->error.sqnr_db);
    put_real(receipt, entry, "relative_error", encoded->error.relative_error);
    put_real(receipt, entry, "max_error", encoded->error.max_error);
    put_real(receipt, entry, "bits_per_weight", (double)encoded->coded_bytes * 8 / n);
    add_entry_with(receipt, entry, "earlier", earlier);
}

void receipt_alias(struct receipt *receipt, const struct model_tensor *tensor, uint32_t other)
{
    if (receipt->failed || receipt->ends.failed || receipt->tensors.failed) return;
    /* A copy, as what it is part of grows. */
    struct byte_buffer copy = {.allocator = receipt->allocator};
    const struct span text = entry_text(receipt, other);
    buffer_append(&copy, text.data, text.n_bytes);
    const struct span entry = {copy.data, copy.n_bytes};
    const struct span name = copy.failed ? entry : name_of_entry(entry);
    json_t *own = name_json(tensor->name, tensor->name_bytes);
    buffer_append(&receipt->tensors, entry.data, (uint64_t)(name.data - entry.data));
    put_json(receipt, own, &receipt->tensors);
    add_text(receipt,
             (struct span){name.data + name.n_bytes,
                           (uint64_t)(entry.data + entry.n_bytes - name.data) - name.n_bytes});
    receipt->failed |= copy.failed;
    json_decref(own);
    buffer_release(&copy);
}

void receipt_note(struct receipt *receipt, const char *text)
{
    struct byte_buffer note = {.allocator = receipt->allocator};
    json_t *json = label_json(text);
    put_json(receipt, json, &note);
    put_note(receipt, note.data, note.n_bytes);
    receipt->failed |= note.failed;
    json_decref(json);
    buffer_release(&note);
}

static void put_words(struct byte_buffer *out, const char *words)
{
    buffer_append(out, words, strlen(words));
}

/* JSON text under a key, unless it is empty. */
static void put_member(struct byte_buffer *out, const char *key, struct span text)
{
    if (text.n_bytes == 0) return;
    put_words(out, "\"");
    put_words(out, key);
    put_words(out, "\": ");
    buffer_append(out, text.data, text.n_bytes);
    put_words(out, ",\n");
}

/* What stands before the tensors. */
static void put_head(struct receipt *r, struct byte_buffer *out)
{
    const char *key;
    json_t *value;
    put_words(out, "{\n");
    json_object_foreach(r->head, key, value)
    {
        put_words(out, "\"");
        put_words(out, key);
        put_words(out, "\": ");
        put_json(r, value, out);
        put_words(out, ",\n");
    }
    put_member(out, "recipe", r->earlier_own_recipe);
    put_member(out, "earlier_recipe", r->earlier_recipe);
    put_member(out, "quality", r->quality);
}

ingot_status receipt_write(struct receipt *receipt, struct byte_buffer *out, ingot_error *error)
{
    const uint64_t n = receipt->ends.n_bytes / 8;
    if (receipt->failed || receipt->tensors.failed || receipt->ends.failed ||
        receipt->notes.failed || receipt->earlier_tensors.failed) {
        goto failed;
    }
    put_head(receipt, out);
    put_words(out, "\"tensors\": [\n");
    for (uint32_t i = 0; i < n; i++) {
        const struct span text = entry_text(receipt, i);
        buffer_append(out, text.data, text.n_bytes);
        put_words(out, i + 1 < n ? ",\n" : "\n");
    }
    put_words(out, "],\n\"notes\": [\n");
    buffer_append(out, receipt->notes.data, receipt->notes.n_bytes);
    put_words(out, "\n]\n}");
    if (!receipt->failed && !out->failed) return INGOT_OK;
failed:
    return ingot_fail_memory(error, out->n_bytes, "receipt");
}
