/* bitsandbytes' 4-bit weights: codes of the flattened tensor in bytes, the first of two in the high
 * half; scales of runs of them, which may be 8-bit codes themselves; the levels of both; and a JSON
 * of the shape. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "convert/dialect.h"
#include "convert/model_kind.h"
#include "format/writer.h"
#include "format/fail.h"

/* What the JSON says. */
struct quant_state {
    ingot_dtype dtype;
    uint32_t rank;
    uint64_t dims[INGOT_MAX_RANK];
    uint64_t n; /* elements */
    uint64_t block;
    bool nested;
    uint64_t nested_block;
    float offset;
    char type[8]; /* "nf4" */
};

static bool refuse(struct recognition *r, const char *why)
{
    snprintf(r->why_not, sizeof r->why_not, "%s", why);
    return false;
}

/* ------------------------------------------------------------------ the JSON */

static bool take_block(struct recognition *r, const json_t *value, uint64_t *block)
{
    const json_int_t n = json_integer_value(value);
    *block = (uint64_t)n;
    return n > 0 && n <= 1 << 20 ? true : refuse(r, "its block size is none");
}

static bool take_dtype(struct recognition *r, const char *name, ingot_dtype *dtype)
{
    static const struct {
        const char *name;
        ingot_dtype dtype;
    } known[] = {{"float32", INGOT_F32}, {"float16", INGOT_F16}, {"bfloat16", INGOT_BF16}};
    for (size_t i = 0; name && i < sizeof known / sizeof *known; i++) {
        if (strcmp(known[i].name, name) != 0) continue;
        *dtype = known[i].dtype;
        return true;
    }
    return refuse(r, "its dtype is not a float of 16 or 32 bits");
}

static bool take_shape(struct recognition *r, const json_t *shape, struct quant_state *q)
{
    const size_t rank = json_array_size(shape);
    if (!json_is_array(shape) || rank < 1 || rank > INGOT_MAX_RANK) {
        return refuse(r, "its shape is none");
    }
    q->n = 1;
    q->rank = (uint32_t)rank;
    for (size_t i = 0; i < rank; i++) {
        const json_int_t n = json_integer_value(json_array_get(shape, i));
        if (n < 1 || !mul_u64(q->n, (uint64_t)n, &q->n) || q->n >> 57) {
            return refuse(r, "its shape is none");
        }
        q->dims[i] = (uint64_t)n;
    }
    return true;
}

static bool take_nesting(struct recognition *r, const json_t *root, struct quant_state *q)
{
    const char *dtype = json_string_value(json_object_get(root, "nested_dtype"));
    const json_t *offset = json_object_get(root, "nested_offset");
    q->nested = json_object_get(root, "nested_blocksize") != NULL;
    if (!q->nested) return true;
    if (!take_block(r, json_object_get(root, "nested_blocksize"), &q->nested_block)) return false;
    if (dtype && strcmp(dtype, "float32") != 0) return refuse(r, "its nested scales are not f32");
    q->offset = (float)json_number_value(offset);
    if (!json_is_number(offset) || !isfinite(q->offset)) {
        return refuse(r, "its nested offset is no finite number");
    }
    return true;
}

static bool take_state(struct recognition *r, const json_t *root, struct quant_state *q)
{
    const char *type = json_string_value(json_object_get(root, "quant_type"));
    if (type == NULL || strlen(type) >= sizeof q->type) return refuse(r, "it has no quant_type");
    snprintf(q->type, sizeof q->type, "%s", type);
    return take_block(r, json_object_get(root, "blocksize"), &q->block) &&
           take_dtype(r, json_string_value(json_object_get(root, "dtype")), &q->dtype) &&
           take_shape(r, json_object_get(root, "shape"), q) && take_nesting(r, root, q);
}

static bool read_state(struct recognition *r, const struct byte_buffer *text, struct quant_state *q)
{
    json_t *root =
        json_loadb((const char *)text->data, (size_t)text->n_bytes, JSON_REJECT_DUPLICATES, NULL);
    const bool read = json_is_object(root) ? take_state(r, root, q)
                                           : refuse(r, "its quant_state is no JSON object");
    json_decref(root);
    return read;
}

/* ------------------------------------------------------------------ the tensors */

enum member { CODES, ABSMAX, QUANT_MAP, NESTED_ABSMAX, NESTED_MAP, N_MEMBERS };

/* Finds a member of n_bytes bytes, of a dtype where one is given. */
static bool find_member(struct recognition *r, const char *base, uint32_t n_base,
                        const char *suffix, ingot_dtype dtype, uint64_t n_bytes, uint32_t *index)
{
    struct model_tensor t;
    if (!dialect_find(r->source, base, n_base, suffix, &t, index)) {
        snprintf(r->why_not, sizeof r->why_not, "its %s are not there",
                 *suffix ? suffix + 1 : "codes");
        return false;
    }
    if (!t.raw || (dtype && t.dtype != dtype) || t.stored_bytes != n_bytes) {
        snprintf(r->why_not, sizeof r->why_not, "its %s are not %llu bytes%s%s",
                 *suffix ? suffix + 1 : "codes", (unsigned long long)n_bytes, dtype ? " of " : "",
                 dtype ? ingot_dtype_name(dtype) : "");
        return false;
    }
    return true;
}

static bool find_members(struct recognition *r, const char *base, uint32_t n_base,
                         const struct quant_state *q, uint32_t members[N_MEMBERS])
{
    const uint64_t n_blocks = ceil_div(q->n, q->block);
    const ingot_dtype dtype = q->nested ? INGOT_U8 : INGOT_F32;
    /* Codes may be a view of bytes as any other type. */
    if (!find_member(r, base, n_base, "", (ingot_dtype)0, ceil_div(q->n, 2), &members[CODES]) ||
        !find_member(r, base, n_base, ".absmax", dtype, n_blocks * (q->nested ? 1 : 4),
                     &members[ABSMAX]) ||
        !find_member(r, base, n_base, ".quant_map", INGOT_F32, 16 * 4, &members[QUANT_MAP])) {
        return false;
    }
    return !q->nested ||
           (find_member(r, base, n_base, ".nested_absmax", INGOT_F32,
                        ceil_div(n_blocks, q->nested_block) * 4, &members[NESTED_ABSMAX]) &&
            find_member(r, base, n_base, ".nested_quant_map", INGOT_F32, 256 * 4,
                        &members[NESTED_MAP]));
}

/* ------------------------------------------------------------------ the coding */

static struct coding_slot run_table(uint64_t length)
{
    /* The table is set when the composite stays where it is. */
    return (struct coding_slot){.has_table = true, .group = GROUP_RUN, .group_cols = length};
}

static void set_coding(struct composite *c, const struct quant_state *q)
{
    c->coding = dialect_book(4, 0);
    snprintf(c->coding.name, sizeof c->coding.name, "%s-bnb%s", q->type, q->nested ? "" : "-f32");
    if (q->block != 64) {
        const size_t n = strlen(c->coding.name);
        snprintf(c->coding.name + n, sizeof c->coding.name - n, "-g%u", (unsigned)q->block);
    }
    c->coding.slots[SLOT_SCALE] = run_table(q->block);
    c->tables[0] = dialect_f32();
    if (!q->nested) return;
    c->tables[0] = dialect_book(8, 1);
    c->tables[0].slots[SLOT_SCALE] = run_table(q->nested_block);
    c->tables[0].slots[SLOT_BIAS] =
        (struct coding_slot){.has_constant = true, .constant = q->offset};
    c->tables[1] = dialect_f32();
}

/* The half byte behind an odd number of codes: kernels differ in what they leave there. */
static ingot_status read_rest(struct recognition *r, uint32_t codes, uint64_t n, uint8_t *rest,
                              ingot_error *error)
{
    uint8_t last = 0;
    *rest = 0;
    if (n % 2 == 0) return INGOT_OK;
    const ingot_status status = model_read_raw(r->source, codes, n / 2, 1, &last, error);
    *rest = last & 0x0f;
    return status;
}

static ingot_status add_parts(struct recognition *r, const struct quant_state *q,
                              const uint32_t members[N_MEMBERS], ingot_error *error)
{
    struct composite *c = &r->composite;
    struct packed_form codes = {PACKED_CODES, true, 0, 0};
    const struct packed_form scales = {PACKED_CODES, false, 0, 1};
    const struct packed_form nested = {PACKED_CODES, false, 0, 2};
    const struct packed_form levels = {PACKED_CODEBOOK, false, 0, 0};
    const struct packed_form nested_levels = {PACKED_CODEBOOK, false, 0, 1};
    ingot_status status = read_rest(r, members[CODES], q->n, &codes.rest, error);
    if (status == INGOT_OK) {
        status = dialect_add_part(r, members[CODES], PART_CODES, &codes, error);
    }
    if (status == INGOT_OK) {
        status = dialect_add_part(r, members[ABSMAX], PART_CODES, &scales, error);
    }
    c->books[0] = c->n_parts;
    if (status == INGOT_OK) {
        status = dialect_add_part(r, members[QUANT_MAP], PART_CODEBOOK, &levels, error);
    }
    if (status == INGOT_OK && q->nested) {
        status = dialect_add_part(r, members[NESTED_ABSMAX], PART_CODES, &nested, error);
        c->books[1] = c->n_parts;
        if (status == INGOT_OK) {
            status = dialect_add_part(r, members[NESTED_MAP], PART_CODEBOOK, &nested_levels, error);
        }
    }
    if (status == INGOT_OK) status = dialect_add_part(r, r->index, PART_TEXT, NULL, error);
    return status;
}

/* Runs go over the whole flattened tensor: it is one matrix, also of experts. */
static bool set_shape(struct recognition *r, const struct quant_state *q)
{
    struct composite *c = &r->composite;
    c->dtype = q->dtype;
    c->rank = q->rank;
    memcpy(c->dims, q->dims, sizeof c->dims);
    model_layout(c->name, c->name_bytes, c->rank, &c->stack, &c->split);
    c->stack = 0;
    return stack_of(c->rank, c->dims, c->stack, c->split, &c->shape) || refuse(r, "too large");
}

static ingot_status recognise(struct recognition *r, bool *found, ingot_error *error)
{
    static const char *const suffixes[] = {".quant_state.bitsandbytes__nf4",
                                           ".quant_state.bitsandbytes__fp4"};
    enum { MAX_TEXT = 4096 };
    struct quant_state q = {.dtype = INGOT_F32};
    uint32_t members[N_MEMBERS], n_base = 0;
    uint8_t bytes[MAX_TEXT];
    struct model_tensor t;
    model_tensor(r->source, r->index, &t);
    if (!dialect_ends(&t, suffixes[0], &n_base) && !dialect_ends(&t, suffixes[1], &n_base)) {
        return INGOT_OK;
    }
    if (!t.raw || t.dtype != INGOT_U8 || t.stored_bytes > MAX_TEXT) {
        refuse(r, "its quant_state is no text of at most 4096 bytes");
        return INGOT_OK;
    }
    ingot_status status = model_read_raw(r->source, r->index, 0, t.stored_bytes, bytes, error);
    if (status != INGOT_OK) return status;
    const struct byte_buffer text = {.data = bytes, .n_bytes = t.stored_bytes};
    if (!read_state(r, &text, &q) || !find_members(r, t.name, n_base, &q, members)) {
        return INGOT_OK;
    }
    r->composite.name = t.name;
    r->composite.name_bytes = n_base;
    if (!set_shape(r, &q)) return INGOT_OK;
    set_coding(&r->composite, &q);
    status = add_parts(r, &q, members, error);
    *found = status == INGOT_OK;
    return status;
}

const struct dialect dialect_bitsandbytes = {"bitsandbytes", recognise};
