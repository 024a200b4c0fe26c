/* A model to one GGUF file, version 3, little-endian: metadata typed as it is, tensors in the
 * model's order and with all their dimensions, also those of 1. Nothing is invented that a loader
 * would want; what it will miss is told. A cast leaves vectors in f32, as llama.cpp's own converter
 * does: llama.cpp aborts on norms and biases of other types. Facts: ggml's src/gguf.cpp and
 * docs/gguf.md. */
#include <stdio.h>
#include <string.h>

#include "convert/gguf_types.h"
#include "convert/metadata_scalar.h"
#include "convert/names.h"
#include "convert/sink_plain.h"
#include "format/fail.h"

enum {
    VERSION = 3,
    MAX_RANK = 4,
    MAX_NAME_BYTES = 63, /* and a zero byte, in ggml */
    DEFAULT_ALIGNMENT = 32,
    MAX_ALIGNMENT = 1 << 20 /* of ours: more would only fill the file with zeros */
};

static const char alignment_key[] = "general.alignment";
static const char file_type_key[] = "general.file_type";
static const char version_key[] = "general.quantization_version";

static bool key_is(const char *key, uint32_t key_bytes, const char *text)
{
    return strlen(text) == key_bytes && memcmp(key, text, key_bytes) == 0;
}

/* ------------------------------------------------------------------ tensors */

/* "GGUF has no type for u8: its plain types are f32, f16, ..." */
static void refuse_dtype(ingot_dtype dtype, struct refusal *refusal)
{
    char *why = refusal->why;
    const char *gap = " ";
    snprintf(why, sizeof refusal->why, "GGUF has no type for %s: its plain types are",
             ingot_dtype_name(dtype));
    for (uint32_t id = 1; id <= INGOT_C64; id++) {
        const size_t n = strlen(why);
        if (gguf_type_of_dtype((ingot_dtype)id) == NULL) continue;
        snprintf(why + n, sizeof refusal->why - n, "%s%s", gap, ingot_dtype_name((ingot_dtype)id));
        gap = ", ";
    }
}

static const struct gguf_type *type_of(const struct model_tensor *t, const struct plain_tensor *p)
{
    static const char prefix[] = "ggml:";
    enum { N_PREFIX = sizeof prefix - 1 };
    if (p->repack) return p->repack->type;
    if (p->encoding) return p->block_type;
    if (!p->foreign) return gguf_type_of_dtype(p->dtype);
    const char *name = t->foreign.name;
    if (strncmp(name, prefix, N_PREFIX) != 0) return NULL;
    return gguf_type_named(name + N_PREFIX, strlen(name + N_PREFIX));
}

/* Whether the tensor's bytes are as many as the type's blocks take, each within a row. */
static bool fills_blocks(const struct model_tensor *t, const struct plain_tensor *p,
                         const struct gguf_type *type)
{
    const uint64_t n_row = t->rank > 0 ? t->dims[t->rank - 1] : 1;
    const uint64_t n_blocks = t->n_rows * t->n_cols / type->block_weights;
    return n_row % type->block_weights == 0 && n_blocks * type->block_bytes == p->n_bytes;
}

static bool place(const struct model_tensor *t, struct plain_tensor *p, struct refusal *refusal)
{
    const struct gguf_type *type = type_of(t, p);
    char *why = refusal->why;
    const size_t n_why = sizeof refusal->why;
    if (type == NULL && p->foreign) {
        snprintf(why, n_why, "GGUF has no type for its blocks, %.31s", t->foreign.name);
    } else if (type == NULL) {
        refuse_dtype(p->dtype, refusal);
    } else if (t->rank > MAX_RANK) {
        snprintf(why, n_why, "it has %u dimensions, and GGUF's tensors have at most %d", t->rank,
                 MAX_RANK);
    } else if (t->rank == 0) {
        snprintf(why, n_why,
                 "it is a scalar, without dimensions, and GGUF's tensors have at least one");
    } else if (t->n_rows * t->n_cols == 0) {
        snprintf(why, n_why, "it is empty, and GGUF's readers refuse a dimension of 0");
    } else if (t->name_bytes > MAX_NAME_BYTES) {
        snprintf(why, n_why, "its name has %u bytes, and GGUF's have at most %d", t->name_bytes,
                 MAX_NAME_BYTES);
    } else if (memchr(t->name, 0, t->name_bytes)) {
        snprintf(why, n_why, "its name holds a zero byte, at which GGUF's readers end it");
    } else if (!fills_blocks(t, p, type)) {
        snprintf(why, n_why, "its rows are not whole blocks of %u weights in %u bytes",
                 type->block_weights, type->block_bytes);
    } else {
        p->type = type->id;
        return true;
    }
    return false;
}

/* ------------------------------------------------------------------ metadata */

/* What of the metadata matters to loaders. */
struct metadata_facts {
    bool architecture;
    bool file_type;
    bool empty_key;
    bool nested;
    bool parts; /* it was one of several files; here are all of them */
};

static void look_at(const char *key, uint32_t key_bytes, const struct metadata_value *value,
                    struct metadata_facts *facts)
{
    const bool is_number = metadata_scalar_kind(value) == SCALAR_UNSIGNED;
    facts->architecture |= key_is(key, key_bytes, "general.architecture");
    facts->file_type |= key_is(key, key_bytes, file_type_key);
    facts->empty_key |= key_bytes == 0;
    facts->nested |= value->type == META_ARRAY && value->element_type == META_ARRAY;
    facts->parts |=
        key_is(key, key_bytes, "split.count") && is_number && metadata_unsigned(value) > 1;
}

static ingot_status take_alignment(struct plain_sink *s, const struct metadata_value *value)
{
    const uint64_t v = value->type == META_U32 ? metadata_unsigned(value) : 0;
    if (v == 0 || (v & (v - 1)) != 0 || v > MAX_ALIGNMENT) {
        return ingot_fail(s->error, INGOT_REFUSED, INGOT_NO_OFFSET, alignment_key,
                          "it is to be a u32 that is a power of two of at most %d", MAX_ALIGNMENT);
    }
    s->alignment = v;
    return INGOT_OK;
}

static ingot_status align(struct plain_sink *s)
{
    const struct span blob = model_metadata(s->c->model);
    struct metadata_walk walk;
    s->alignment = DEFAULT_ALIGNMENT;
    if (blob.n_bytes == 0) return INGOT_OK;
    ingot_status status = metadata_open(blob, &walk, s->error);
    while (status == INGOT_OK) {
        struct metadata_value value;
        const char *key;
        uint32_t key_bytes;
        status = metadata_next(&walk, &key, &key_bytes, &value, s->error);
        if (status == INGOT_OK && key_is(key, key_bytes, alignment_key)) {
            return take_alignment(s, &value);
        }
    }
    return status == INGOT_END ? INGOT_OK : status;
}

static void put_string(struct byte_buffer *out, const char *bytes, uint64_t n_bytes)
{
    buffer_u64(out, n_bytes);
    buffer_append(out, bytes, n_bytes);
}

/* Scalars, texts and arrays of them have the same bytes in the container's metadata. Only an array
 * has its length there besides. Arrays nest only so deep, which reading the entry proved. */
static void put_value(struct byte_buffer *out, const struct metadata_value *value)
{
    if (value->type == META_STRING) buffer_u64(out, value->bytes.n_bytes);
    if (value->type == META_ARRAY) {
        buffer_u32(out, value->element_type);
        buffer_u64(out, value->count);
    }
    if (value->type != META_ARRAY || value->element_type != META_ARRAY) {
        buffer_append(out, value->bytes.data, value->bytes.n_bytes);
        return;
    }
    struct cursor at = cursor_over(value->bytes.data, value->bytes.n_bytes);
    struct metadata_value element;
    while (metadata_element(&at, value->element_type, &element, NULL) == INGOT_OK) {
        put_value(out, &element);
    }
}

/* Entries that say what the tensors are, when that was asked for. */
enum { QUANTIZATION_VERSION = 2 }; /* of ggml */

static void put_type_entries(struct plain_sink *s, struct byte_buffer *out, uint64_t *n_entries)
{
    const struct {
        const char *key;
        uint32_t value;
    } entries[] = {{version_key, QUANTIZATION_VERSION}, {file_type_key, s->c->mix->file_type}};
    for (size_t i = 0; i < sizeof entries / sizeof *entries; i++) {
        put_string(out, entries[i].key, strlen(entries[i].key));
        buffer_u32(out, META_U32);
        buffer_u32(out, entries[i].value);
        *n_entries += 1;
    }
}

static bool is_left_out(const struct plain_sink *s, const struct metadata_facts *facts,
                        const char *key, uint32_t key_bytes)
{
    if (s->c->mix &&
        (key_is(key, key_bytes, file_type_key) || key_is(key, key_bytes, version_key))) {
        return true;
    }
    static const char *const parts[] = {"split.no", "split.count", "split.tensors.count"};
    for (size_t i = 0; facts->parts && i < sizeof parts / sizeof *parts; i++) {
        if (key_is(key, key_bytes, parts[i])) return true;
    }
    return false;
}

/* Walks the metadata: with out NULL it only fills in the facts. */
static ingot_status walk_metadata(struct plain_sink *s, struct metadata_facts *facts,
                                  struct byte_buffer *out, uint64_t *n_entries)
{
    const struct span blob = model_metadata(s->c->model);
    struct metadata_walk walk;
    if (out && s->c->mix) put_type_entries(s, out, n_entries);
    if (blob.n_bytes == 0) return INGOT_OK;
    ingot_status status = metadata_open(blob, &walk, s->error);
    while (status == INGOT_OK) {
        struct metadata_value value;
        const char *key;
        uint32_t key_bytes;
        status = metadata_next(&walk, &key, &key_bytes, &value, s->error);
        if (status != INGOT_OK) break;
        if (out == NULL) {
            look_at(key, key_bytes, &value, facts);
        } else if (!is_left_out(s, facts, key, key_bytes)) {
            put_string(out, key, key_bytes);
            buffer_u32(out, value.type);
            put_value(out, &value);
            *n_entries += 1;
        }
    }
    return status == INGOT_END ? INGOT_OK : status;
}

/* ------------------------------------------------------------------ what a loader will miss */

static void tell(const struct plain_sink *s, const struct metadata_facts *facts)
{
    bool any_cast = false, zero_signs = false;
    for (uint32_t i = 0; i < s->n_tensors; i++) {
        any_cast |= s->tensors[i].cast || s->tensors[i].encoding;
        zero_signs |= s->tensors[i].repack && s->tensors[i].repack->zero_signs;
    }
    const struct {
        bool holds;
        const char *text;
    } notes[] = {
        {!facts->architecture,
         "the metadata has no general.architecture, which llama.cpp needs to load a model; "
         "readers of single tensors do without"},
        {facts->empty_key, "an entry of the metadata has an empty key, which llama.cpp refuses"},
        {facts->nested, "an array of the metadata holds arrays, which llama.cpp refuses"},
        {facts->parts, "the entries split.no, split.count and split.tensors.count are left out: "
                       "this file holds all parts"},
        {facts->file_type && any_cast && s->c->mix == NULL,
         "general.file_type is kept as it was and no longer says what the tensors are"},
        {zero_signs, "in repacked tensors some values that were -0 are 0: ggml's MXFP4 has no -0"},
    };
    for (size_t i = 0; i < sizeof notes / sizeof *notes; i++) {
        if (notes[i].holds) conversion_note(s->c, "%s", notes[i].text);
    }
}

/* ------------------------------------------------------------------ the header */

static void put_tensor(struct plain_sink *s, const struct plain_tensor *p)
{
    struct model_tensor t;
    model_tensor(s->c->model, p->index, &t);
    put_string(&s->header, p->name, p->name_bytes);
    buffer_u32(&s->header, t.rank);
    for (uint32_t k = t.rank; k-- > 0;) buffer_u64(&s->header, t.dims[k]);
    buffer_u32(&s->header, p->type);
    buffer_u64(&s->header, p->offset);
}

static ingot_status make_header(struct plain_sink *s)
{
    enum { N_ENTRIES_OFFSET = 16 };
    struct metadata_facts facts = {0};
    uint64_t n_entries = 0;
    buffer_append(&s->header, "GGUF", 4);
    buffer_u32(&s->header, VERSION);
    buffer_u64(&s->header, s->n_tensors);
    buffer_u64(&s->header, 0); /* the number of entries, once it is known */
    ingot_status status = walk_metadata(s, &facts, NULL, NULL);
    if (status == INGOT_OK) status = walk_metadata(s, &facts, &s->header, &n_entries);
    if (status != INGOT_OK) return status;
    for (uint32_t i = 0; i < s->n_tensors; i++) put_tensor(s, &s->tensors[i]);
    buffer_align(&s->header, s->alignment);
    if (s->header.failed) return INGOT_OK; /* which the caller sees */
    store_u64(s->header.data + N_ENTRIES_OFFSET, n_entries);
    tell(s, &facts);
    return INGOT_OK;
}

/* ------------------------------------------------------------------ the target */

static const struct plain_format format = {
    .name = "GGUF",
    .has_blocks = true,
    .vector_dtype = INGOT_F32,
    .place = place,
    .align = align,
    .header = make_header,
};

ingot_status sink_gguf(struct conversion *c, ingot_error *error)
{
    return plain_write(c, &format, error);
}

ingot_status plan_gguf(struct conversion *c, struct convert_plan *plan, ingot_error *error)
{
    return plain_plan(c, &format, plan, error);
}
