/* MXFP4 as gpt-oss and Hugging Face write it: blocks of 16 bytes, of two codes each, the first in
 * the low half; and one power of two for each. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "convert/dialect.h"
#include "convert/model_kind.h"
#include "convert/raw_values.h"
#include "format/writer.h"
#include "format/fail.h"

enum { BLOCK_BYTES = 16, BLOCK_WEIGHTS = 32 };

/* The names of a pair of tensors. */
static const struct {
    const char *blocks, *scales;
} pairs[] = {{"_blocks", "_scales"}, {".blocks", ".scales"}};

static bool shapes_fit(const struct model_tensor *blocks, const struct model_tensor *scales)
{
    if (blocks->rank < 2 || blocks->rank != scales->rank + 1) return false;
    if (blocks->dims[blocks->rank - 1] != BLOCK_BYTES) return false;
    return memcmp(blocks->dims, scales->dims, scales->rank * sizeof *scales->dims) == 0;
}

static bool set_shape(struct composite *c, const struct model_tensor *scales)
{
    c->dtype = INGOT_BF16; /* what programs make of them */
    c->rank = scales->rank;
    memcpy(c->dims, scales->dims, sizeof c->dims);
    if (!mul_u64(c->dims[c->rank - 1], BLOCK_WEIGHTS, &c->dims[c->rank - 1])) return false;
    model_layout(c->name, c->name_bytes, c->rank, &c->stack, &c->split);
    return stack_of(c->rank, c->dims, c->stack, c->split, &c->shape) &&
           c->shape.n_cols % BLOCK_WEIGHTS == 0;
}

static void set_coding(struct composite *c)
{
    c->coding = (struct ingot_coding){
        .map = MAP_FLOAT, .bits = 4, .format = INGOT_F4_E2M1, .codebook_stream = INGOT_NONE};
    snprintf(c->coding.name, sizeof c->coding.name, "mxfp4");
    c->coding.slots[SLOT_SCALE] = (struct coding_slot){
        .has_table = true, .group = GROUP_BLOCK, .group_rows = 1, .group_cols = BLOCK_WEIGHTS};
    c->tables[0] = (struct ingot_coding){
        .map = MAP_FLOAT, .bits = 8, .format = INGOT_F8_E8M0, .codebook_stream = INGOT_NONE};
}

static ingot_status recognise(struct recognition *r, bool *found, ingot_error *error)
{
    static const struct packed_form codes = {PACKED_CODES, false, 0, 0};
    static const struct packed_form scales = {PACKED_CODES, false, 0, 1};
    struct composite *c = &r->composite;
    struct model_tensor t, other;
    uint32_t index, n_base;
    model_tensor(r->source, r->index, &t);
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        if (!dialect_ends(&t, pairs[i].blocks, &n_base) ||
            !dialect_find(r->source, t.name, n_base, pairs[i].scales, &other, &index)) {
            continue;
        }
        c->name = t.name;
        c->name_bytes = n_base;
        if (!t.raw || !other.raw || t.dtype != INGOT_U8 || other.dtype != INGOT_U8 ||
            !shapes_fit(&t, &other) || !set_shape(c, &other)) {
            snprintf(r->why_not, sizeof r->why_not,
                     "blocks are to be u8 [..., n, 16] and scales u8 [..., n]");
            return INGOT_OK;
        }
        set_coding(c);
        ingot_status status = dialect_add_part(r, r->index, PART_CODES, &codes, error);
        if (status == INGOT_OK) status = dialect_add_part(r, index, PART_CODES, &scales, error);
        *found = status == INGOT_OK;
        return status;
    }
    return INGOT_OK;
}

/* ------------------------------------------------------------------ out */

static bool is_float(const struct ingot_coding *coding, ingot_dtype format)
{
    return coding->map == MAP_FLOAT && coding->format == format;
}

/* ggml has codebooks in place of both floats: of twice the values, and of half. */
static float twice_e2m1(uint32_t code)
{
    static const float values[] = {0, 1, 2, 3, 4, 6, 8, 12};
    return code < 8 ? values[code] : -values[code - 8];
}

static float half_e8m0(uint32_t code)
{
    return ldexpf(1, (int)code - 128);
}

static bool has_book(struct dialect_export *x, const struct ingot_coding *coding, uint8_t bits,
                     float (*value)(uint32_t code))
{
    uint8_t bytes[256 * 4];
    float values[256];
    if (coding->map != MAP_CODEBOOK || coding->bits != bits || coding->n_entries != 1u << bits) {
        return false;
    }
    const uint64_t n_bytes = ingot_file_stream_bytes(x->file, coding->codebook_stream);
    if (n_bytes > sizeof bytes || !export_book(x, coding, n_bytes, bytes) ||
        raw_values_f32((ingot_dtype)coding->format, bytes, coding->n_entries, values, NULL) !=
            INGOT_OK) {
        return false;
    }
    for (uint32_t i = 0; i < coding->n_entries; i++) {
        if (values[i] != value(i)) return false;
    }
    return true;
}

/* Whether the coding is one scale per 32 codes of a row, and nothing else. */
static bool is_scaled(const struct dialect_export *x)
{
    const struct coding_slot *scale = &x->coding->slots[SLOT_SCALE];
    for (uint32_t i = 0; i < N_SLOTS; i++) {
        const struct coding_slot *slot = &x->coding->slots[i];
        if (i != SLOT_SCALE && (slot->has_table || slot->has_constant)) return false;
    }
    if (!scale->has_table || scale->has_constant || scale->inverse_table) return false;
    for (uint32_t i = 0; i < N_SLOTS; i++) {
        const struct coding_slot *slot = &scale->table->slots[i];
        if (slot->has_table || slot->has_constant) return false;
    }
    return scale->group == GROUP_BLOCK && scale->group_rows == 1 &&
           scale->group_cols == BLOCK_WEIGHTS && x->stack.n_cols % BLOCK_WEIGHTS == 0;
}

static bool fits(struct dialect_export *x)
{
    const char *why = "it is not 4-bit floats with a power of two per 32 of a row";
    if (!is_scaled(x) || x->described.rank == 0) return export_refuse(x, why);
    const struct ingot_coding *scale = x->coding->slots[SLOT_SCALE].table;
    if (is_float(x->coding, INGOT_F4_E2M1) && is_float(scale, INGOT_F8_E8M0)) return true;
    x->zero_signs = true;
    return (has_book(x, x->coding, 4, twice_e2m1) && has_book(x, scale, 8, half_e8m0)) ||
           export_refuse(x, why);
}

/* The code 255 is a NaN here and 2^127 in ggml's codebook. */
static ingot_status check_scales(struct dialect_export *x, const struct export_part *scales,
                                 ingot_error *error)
{
    uint8_t bytes[4096];
    ingot_status status = INGOT_OK;
    if (!x->zero_signs) return INGOT_OK;
    for (uint64_t at = 0; at < scales->n_bytes && status == INGOT_OK; at += sizeof bytes) {
        const uint64_t n = min_u64(sizeof bytes, scales->n_bytes - at);
        status = dialect_export_read(x, 1, at, n, bytes, error);
        if (status == INGOT_OK && memchr(bytes, 255, (size_t)n)) {
            export_refuse(x, "a scale of it is 2^127, which is a NaN in OCP's MXFP4");
            return INGOT_OK;
        }
    }
    return status;
}

static ingot_status export(struct dialect_export *x, ingot_error *error)
{
    if (!fits(x)) return INGOT_OK;
    struct export_part *blocks = export_add(x, EXPORT_CODES, pairs[0].blocks);
    struct export_part *scales = blocks ? export_add(x, EXPORT_CODES, pairs[0].scales) : NULL;
    if (scales == NULL) return ingot_fail_memory(error, x->described.name_bytes, "name");
    if (x->described.rank == INGOT_MAX_RANK ||
        x->described.dims[x->described.rank - 1] % BLOCK_WEIGHTS != 0) {
        export_refuse(x, "its last dimension is not whole blocks, or it has too many");
        return INGOT_OK;
    }
    scales->dtype = blocks->dtype = INGOT_U8;
    scales->rank = x->described.rank;
    memcpy(scales->dims, x->described.dims, sizeof scales->dims);
    scales->dims[scales->rank - 1] /= BLOCK_WEIGHTS;
    memcpy(blocks->dims, scales->dims, sizeof blocks->dims);
    blocks->rank = scales->rank + 1;
    blocks->dims[blocks->rank - 1] = BLOCK_BYTES;
    if (!coding_sequence(x->coding, x->stack, 0, &blocks->sequence) ||
        !coding_sequence(x->coding, x->stack, 1, &scales->sequence)) {
        export_refuse(x, "it has no codes");
        return INGOT_OK;
    }
    blocks->n_bytes = sequence_bytes(&blocks->sequence);
    scales->n_bytes = sequence_bytes(&scales->sequence);
    snprintf(x->label, sizeof x->label, "mxfp4");
    return check_scales(x, scales, error);
}

const struct dialect dialect_mxfp4 = {"mxfp4", recognise, export};
