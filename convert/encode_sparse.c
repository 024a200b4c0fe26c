/* The weights of largest magnitude, in the source's type, behind a bitmap or, when they are few, in
 * a list; all others are 0. Needs the whole tensor, since the threshold is the tensor's. */
#include <stdlib.h>

#include "convert/encode.h"
#include "convert/raw_values.h"
#include "format/alloc.h"
#include "format/fail.h"

/* Values that are looked at before those that are kept are stored. */
enum { STEP = 1024 };

/* Values are f32 in here: an f64 source keeps no more than that. */
ingot_dtype sparse_value_type(ingot_dtype dtype)
{
    return dtype == INGOT_F16 || dtype == INGOT_BF16 ? dtype : INGOT_F32;
}

void plan_sparse(const struct preset *preset, ingot_dtype dtype, struct stack_shape stack,
                 struct term_plan *plan)
{
    const uint64_t n = stack.n_matrices * stack.n_rows * stack.n_cols;
    const uint64_t whole = n / 100 * preset->kept_percent;
    const uint64_t rest = (n % 100 * preset->kept_percent + 99) / 100;
    *plan = (struct term_plan){
        .preset = preset, .stack = stack, .coding = raw_coding(sparse_value_type(dtype))};
    plan->term = (struct writer_term){
        .kind = TERM_SPARSE, .mask = preset->mask, .coding = &plan->coding, .n_kept = whole + rest};
}

/* Magnitudes order as the bits without the sign; every NaN counts as the largest. */
static uint32_t magnitude(float v)
{
    const uint32_t bits = f32_bits(v) & 0x7fffffffu;
    return bits > 0x7f800000u ? 0x7f800001u : bits;
}

/* What is kept: every magnitude above `threshold`, and the first n_equal that equal it. */
struct selection {
    uint32_t threshold;
    uint64_t n_equal;
};

/* Finds the n_kept-th largest magnitude (n_kept > 0) by counting: first the high 16 bits, then,
 * among those that share them, the low 16 bits. counts has room for 65,536. */
static struct selection select_largest(const float *values, uint64_t n, uint64_t n_kept,
                                       uint64_t *counts)
{
    uint32_t high = 65535;
    uint32_t low = 65535;
    memset(counts, 0, 65536 * sizeof *counts);
    for (uint64_t i = 0; i < n; i++) counts[magnitude(values[i]) >> 16]++;
    for (; counts[high] < n_kept; high--) n_kept -= counts[high];
    memset(counts, 0, 65536 * sizeof *counts);
    for (uint64_t i = 0; i < n; i++) {
        const uint32_t m = magnitude(values[i]);
        if (m >> 16 == high) counts[m & 0xffff]++;
    }
    for (; counts[low] < n_kept; low--) n_kept -= counts[low];
    return (struct selection){high << 16 | low, n_kept};
}

/* Where the kept ones of a row go: to a bit of the bitmap, or to the list of columns. */
struct places {
    uint8_t *bitmap; /* or NULL */
    uint64_t first_bit;
    uint8_t *columns;
    uint64_t first_col;
};

/* Moves the kept ones of n values to `kept`, notes their places, and returns how many they are.
 * n_before are in the list already. */
static uint64_t keep_values(struct selection *s, const float *values, uint64_t n,
                            const struct places *places, uint64_t n_before, float *kept)
{
    uint64_t n_kept = 0;
    for (uint64_t i = 0; i < n; i++) {
        const uint32_t m = magnitude(values[i]);
        const bool equal = m == s->threshold && s->n_equal > 0;
        const bool keep = m > s->threshold || equal;
        const uint64_t bit = places->first_bit + i;
        s->n_equal -= equal;
        if (places->bitmap) {
            places->bitmap[bit / 8] |= (uint8_t)(keep << bit % 8);
        } else if (keep) {
            store_u32(places->columns + 4 * (n_before + n_kept), (uint32_t)(places->first_col + i));
        }
        kept[n_kept] = values[i];
        n_kept += keep;
    }
    return n_kept;
}

/* The kept values of row r, from number *n_kept of the tensor on. */
static ingot_status encode_row(const struct encode_input *input, struct selection *s, uint64_t r,
                               uint64_t first_bit, uint8_t *const *streams, uint64_t *n_kept,
                               ingot_error *error)
{
    float kept[STEP];
    const ingot_dtype dtype = (ingot_dtype)input->plan->coding.format;
    const uint64_t n_cols = input->shape.n_cols;
    const bool is_list = input->plan->term.mask == MASK_LIST;
    for (uint64_t c = 0; c < n_cols; c += STEP) {
        const float *values = input->values + r * n_cols + c;
        const uint64_t n_step = min_u64(STEP, n_cols - c);
        const struct places places = {is_list ? NULL : streams[0], first_bit + c, streams[1], c};
        const uint64_t n = keep_values(s, values, n_step, &places, *n_kept, kept);
        uint64_t bad;
        if (!cast_values(dtype, kept, n, streams[2] + *n_kept * dtype_bytes(dtype), &bad)) {
            uint64_t at = 0;
            while (f32_bits(values[at]) != f32_bits(kept[bad])) at++;
            return encode_refuse(input, r * n_cols + c + at,
                                 "would make it infinite in the source's type", error);
        }
        *n_kept += n;
    }
    return INGOT_OK;
}

ingot_status encode_sparse(const struct encode_input *input, uint8_t *const *streams,
                           ingot_error *error)
{
    const uint64_t n_rows = input->shape.n_matrices * input->shape.n_rows;
    const uint64_t all_kept = input->plan->term.n_kept;
    uint8_t *offsets = streams[input->plan->term.mask == MASK_LIST ? 0 : 1];
    struct stream_shape bitmap;
    uint64_t n_kept = 0;
    ingot_status status = INGOT_OK;
    if (all_kept == 0 || !plane_shape(1, input->shape, &bitmap)) return INGOT_OK;
    uint64_t *counts = ingot_allocate(NULL, 65536 * sizeof *counts);
    if (counts == NULL) return ingot_fail_memory(error, 65536 * sizeof *counts, "selection");
    struct selection s =
        select_largest(input->values, n_rows * input->shape.n_cols, all_kept, counts);
    ingot_release(NULL, counts);
    for (uint64_t r = 0; r < n_rows && status == INGOT_OK; r++) {
        status = encode_row(input, &s, r, r * bitmap.row_bits, streams, &n_kept, error);
        if (all_kept < UINT64_C(1) << 32) {
            store_u32(offsets + (r + 1) * 4, (uint32_t)n_kept);
        } else {
            store_u64(offsets + (r + 1) * 8, n_kept);
        }
    }
    return status;
}
