/* MXFP4 as gpt-oss and Hugging Face write it: blocks of 16 bytes, of two codes each, the first in
 * the low half; and one power of two for each. */
#include <stdio.h>
#include <string.h>

#include "convert/dialect.h"
#include "convert/model_kind.h"
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

const struct dialect dialect_mxfp4 = {"mxfp4", recognise};
