/* bitsandbytes' 4-bit weights: codes of the flattened tensor in bytes, the first of two in the high
 * half; scales of runs of them, which may be 8-bit codes themselves; the levels of both; and a JSON
 * of the shape. */
#include <stdio.h>
#include <string.h>

#include "convert/bitsandbytes_state.h"
#include "convert/dialect.h"
#include "convert/levels.h"
#include "convert/metadata_scalar.h"
#include "convert/model_kind.h"
#include "format/writer.h"
#include "format/fail.h"

static bool refuse(struct recognition *r, const char *why)
{
    snprintf(r->why_not, sizeof r->why_not, "%s", why);
    return false;
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

/* "nf4-bnb", "fp4-bnb-f32-g128" */
static void label_of(const char *type, bool nested, uint64_t block, char label[32])
{
    char group[16] = "";
    if (block != 64) snprintf(group, sizeof group, "-g%u", (unsigned)block);
    snprintf(label, 32, "%s-bnb%s%s", type, nested ? "" : "-f32", group);
}

static void set_coding(struct composite *c, const struct quant_state *q)
{
    c->coding = dialect_book(4, 0);
    label_of(q->type, q->nested, q->block, c->coding.name);
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
    const char *why = quant_state_read((struct span){bytes, t.stored_bytes}, &q);
    if (why) refuse(r, why);
    if (why || !find_members(r, t.name, n_base, &q, members)) return INGOT_OK;
    r->composite.name = t.name;
    r->composite.name_bytes = n_base;
    if (!set_shape(r, &q)) return INGOT_OK;
    set_coding(&r->composite, &q);
    status = add_parts(r, &q, members, error);
    *found = status == INGOT_OK;
    return status;
}

/* ------------------------------------------------------------------ out */

/* What a tensor of a container is as one of the dialect. */
struct outgoing {
    const char *type; /* "nf4" */
    const char *dtype;
    uint64_t block;
    bool nested;
    uint64_t nested_block;
    float offset;
    uint8_t levels[16 * 4];
    uint8_t nested_levels[256 * 4];
};

static bool read_book(struct dialect_export *x, const struct ingot_coding *coding, uint32_t n_bytes,
                      uint8_t *dst)
{
    return coding->format == INGOT_F32 && coding->n_entries == n_bytes / 4 &&
           export_book(x, coding, n_bytes, dst);
}

/* Programs have levels of their own by the name of the type, and do not look at those in the file:
 * so they must be the same. */
static bool find_type(struct dialect_export *x, struct outgoing *out)
{
    static const struct codebook *const known[] = {&codebook_nf4, &codebook_fp4};
    if (x->coding->map != MAP_CODEBOOK || x->coding->bits != 4 ||
        !read_book(x, x->coding, sizeof out->levels, out->levels)) {
        return export_refuse(x, "it has no f32 codebook of 16 levels");
    }
    for (size_t i = 0; i < sizeof known / sizeof *known && out->type == NULL; i++) {
        bool same = true;
        for (uint32_t k = 0; k < 16; k++) {
            same = same && load_f32(out->levels + 4 * k) == known[i]->entries[k];
        }
        if (same) out->type = known[i]->name;
    }
    return out->type || export_refuse(x, "its levels are neither NF4's nor FP4's");
}

/* The length of runs of the flattened tensor that share an entry; 0 when it is no such table. */
static uint64_t run_of(const struct coding_slot *slot, struct stack_shape stack)
{
    if (slot->inverse_table || slot->has_constant) return 0;
    if (slot->group == GROUP_RUN && stack.n_matrices == 1) return slot->group_cols;
    if (slot->group != GROUP_BLOCK || slot->group_rows != 1) return 0;
    const uint64_t group = slot->group_cols ? slot->group_cols : stack.n_cols;
    return group && stack.n_cols % group == 0 ? group : 0;
}

static bool find_nesting(struct dialect_export *x, struct outgoing *out)
{
    const struct ingot_coding *table = x->coding->slots[SLOT_SCALE].table;
    const struct coding_slot *scale = &table->slots[SLOT_SCALE];
    const struct coding_slot *bias = &table->slots[SLOT_BIAS];
    struct stack_shape grid;
    const char *why = "its scales are neither floats nor 8-bit codes of 256 f32 levels and runs";
    out->nested = !export_plain_float(table);
    if (!out->nested) return true;
    if (table->map != MAP_CODEBOOK || table->bits != 8 || !scale->has_table || bias->has_table ||
        bias->inverse_constant || table->slots[SLOT_ZERO].has_table ||
        table->slots[SLOT_ZERO].has_constant || !export_plain_float(scale->table) ||
        !read_book(x, table, sizeof out->nested_levels, out->nested_levels) ||
        !slot_grid(&x->coding->slots[SLOT_SCALE], x->stack, &grid)) {
        return export_refuse(x, why);
    }
    out->offset = bias->has_constant ? bias->constant : 0;
    out->nested_block = run_of(scale, grid);
    return out->nested_block || export_refuse(x, why);
}

static bool fits(struct dialect_export *x, struct outgoing *out)
{
    const struct coding_slot *slots = x->coding->slots;
    if (!find_type(x, out)) return false;
    for (uint32_t i = 0; i < N_SLOTS; i++) {
        if (slots[i].has_table != (i == SLOT_SCALE) || slots[i].has_constant) {
            return export_refuse(x, "it has more than a scale");
        }
    }
    out->block = run_of(&slots[SLOT_SCALE], x->stack);
    if (out->block < 32 || out->block > 4096 || (out->block & (out->block - 1)) != 0) {
        return export_refuse(x, "its scales are not of runs of 32, 64, ... 4096 weights");
    }
    out->dtype = quant_state_dtype(x->described.dtype);
    if (out->dtype == NULL) return export_refuse(x, "it is not f32, f16 or bf16");
    if (x->described.rank == 0 || x->stack.n_cols == 0) return export_refuse(x, "it is empty");
    return find_nesting(x, out);
}

static struct scalar_text number_text(float v)
{
    const double wide = (double)v;
    uint8_t bytes[8];
    memcpy(bytes, &wide, sizeof bytes);
    const struct metadata_value value = {.type = META_F64, .bytes = {bytes, sizeof bytes}};
    return metadata_scalar_text(&value);
}

static void put_state(const struct dialect_export *x, const struct outgoing *out,
                      struct byte_buffer *text)
{
    char part[128];
    snprintf(part, sizeof part, "{\"quant_type\": \"%s\", \"blocksize\": %u, \"dtype\": \"%s\", ",
             out->type, (unsigned)out->block, out->dtype);
    buffer_append(text, part, strlen(part));
    for (uint32_t i = 0; i < x->described.rank; i++) {
        snprintf(part, sizeof part, "%s%llu", i ? ", " : "\"shape\": [",
                 (unsigned long long)x->described.dims[i]);
        buffer_append(text, part, strlen(part));
    }
    buffer_append(text, "]", 1);
    if (out->nested) {
        snprintf(part, sizeof part,
                 ", \"nested_blocksize\": %llu, \"nested_dtype\": \"float32\", \"nested_offset\": ",
                 (unsigned long long)out->nested_block);
        buffer_append(text, part, strlen(part));
        const struct scalar_text number = number_text(out->offset);
        buffer_append(text, number.at, strlen(number.at));
    }
    buffer_append(text, "}", 1);
}

static struct export_part *add_held(struct dialect_export *x, const char *suffix, ingot_dtype dtype,
                                    const void *bytes, uint64_t n_bytes)
{
    struct export_part *part = export_add(x, EXPORT_BYTES, suffix);
    if (part == NULL) return NULL;
    part->dtype = dtype;
    part->rank = 1;
    part->dims[0] = n_bytes / (dtype == INGOT_F32 ? 4 : 1);
    part->n_bytes = n_bytes;
    buffer_append(&part->bytes, bytes, n_bytes);
    return part->bytes.failed ? NULL : part;
}

static struct export_part *add_sequence(struct dialect_export *x, const char *suffix,
                                        uint32_t number, bool codes)
{
    struct export_part *part = export_add(x, codes ? EXPORT_CODES : EXPORT_F32, suffix);
    if (part == NULL || !coding_sequence(x->coding, x->stack, number, &part->sequence)) return NULL;
    const struct stack_shape shape = part->sequence.shape;
    const uint64_t n = shape.n_matrices * shape.n_rows * shape.n_cols;
    part->dtype = codes ? INGOT_U8 : INGOT_F32;
    part->n_bytes = codes ? sequence_bytes(&part->sequence) : 4 * n;
    part->rank = 1;
    part->dims[0] = codes ? part->n_bytes : n;
    return part;
}

static bool add_all(struct dialect_export *x, const struct outgoing *out)
{
    struct byte_buffer text = {.allocator = NULL};
    char suffix[64];
    struct export_part *codes = add_sequence(x, "", 0, true);
    if (codes == NULL) return false;
    codes->first_high = true;
    codes->rank = 2;
    codes->dims[1] = 1;
    bool added = add_sequence(x, ".absmax", 1, out->nested) &&
                 add_held(x, ".quant_map", INGOT_F32, out->levels, sizeof out->levels);
    if (added && out->nested) {
        added = add_sequence(x, ".nested_absmax", 2, false) &&
                add_held(x, ".nested_quant_map", INGOT_F32, out->nested_levels,
                         sizeof out->nested_levels);
    }
    snprintf(suffix, sizeof suffix, ".quant_state.bitsandbytes__%s", out->type);
    put_state(x, out, &text);
    added = added && !text.failed && add_held(x, suffix, INGOT_U8, text.data, text.n_bytes);
    buffer_release(&text);
    return added;
}

static ingot_status export(struct dialect_export *x, ingot_error *error)
{
    struct outgoing out = {.type = NULL};
    if (!fits(x, &out)) return INGOT_OK;
    label_of(out.type, out.nested, out.block, x->label);
    return add_all(x, &out) ? INGOT_OK : ingot_fail_memory(error, sizeof out, "tensor");
}

const struct dialect dialect_bitsandbytes = {"bitsandbytes", recognise, export};
