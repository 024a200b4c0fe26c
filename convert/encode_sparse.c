/* The weights of largest magnitude behind a bitmap, in the source's type; all others are 0. Needs
 * the whole tensor, since the threshold is the tensor's. */
#include <stdlib.h>

#include "convert/encode.h"
#include "convert/raw_values.h"
#include "format/alloc.h"
#include "format/fail.h"

/* Values are f32 in here: an f64 source keeps no more than that. */
static ingot_dtype value_type(ingot_dtype dtype)
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
        .preset = preset, .stack = stack, .coding = raw_coding(value_type(dtype))};
    plan->term = (struct writer_term){
        .kind = TERM_SPARSE, .mask = MASK_BITMAP, .coding = &plan->coding, .n_kept = whole + rest};
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

ingot_status encode_sparse(const struct encode_input *input, uint8_t *const *streams,
                           ingot_error *error)
{
    const struct term_plan *plan = input->plan;
    const uint64_t n_rows = input->shape.n_matrices * input->shape.n_rows;
    const uint64_t n_cols = input->shape.n_cols;
    const uint64_t n_kept = plan->term.n_kept;
    const ingot_dtype dtype = (ingot_dtype)plan->coding.format;
    const uint32_t value_bytes = dtype_bytes(dtype);
    const uint32_t offset_bytes = n_kept < UINT64_C(1) << 32 ? 4 : 8;
    struct stream_shape bitmap;
    uint64_t kept = 0;
    if (n_kept == 0 || !plane_shape(1, input->shape, &bitmap)) return INGOT_OK;
    uint64_t *counts = ingot_allocate(NULL, 65536 * sizeof *counts);
    if (counts == NULL) return ingot_fail_memory(error, 65536 * sizeof *counts, "selection");
    struct selection s = select_largest(input->values, n_rows * n_cols, n_kept, counts);
    ingot_release(NULL, counts);
    for (uint64_t r = 0; r < n_rows; r++) {
        for (uint64_t c = 0; c < n_cols; c++) {
            const uint64_t i = r * n_cols + c;
            const uint32_t m = magnitude(input->values[i]);
            const uint64_t bit = r * bitmap.row_bits + c;
            uint64_t bad;
            if (m < s.threshold || (m == s.threshold && s.n_equal == 0)) continue;
            if (m == s.threshold) s.n_equal--;
            streams[0][bit / 8] |= (uint8_t)(1u << bit % 8);
            uint8_t *value = streams[2] + kept++ * value_bytes;
            if (!cast_values(dtype, &input->values[i], 1, value, &bad)) {
                return encode_refuse(input, i, "would make it infinite in the source's type",
                                     error);
            }
        }
        uint8_t *offset = streams[1] + (r + 1) * offset_bytes;
        if (offset_bytes == 4) {
            store_u32(offset, (uint32_t)kept);
        } else {
            store_u64(offset, kept);
        }
    }
    return INGOT_OK;
}
