/* Casts: the values themselves in f32, f16 or bf16. */
#include <math.h>

#include "convert/encode.h"
#include "convert/raw_values.h"
#include "format/floats.h"

void plan_cast(const struct preset *preset, ingot_dtype dtype, struct stack_shape stack,
               struct term_plan *plan)
{
    (void)dtype;
    *plan =
        (struct term_plan){.preset = preset, .stack = stack, .coding = raw_coding(preset->dtype)};
    plan->term = (struct writer_term){.kind = TERM_DENSE, .coding = &plan->coding};
}

/* The largest finite f32 that does not round to infinity: half a step above the largest number of
 * the type, less one step of f32. */
static float largest_kept(ingot_dtype dtype)
{
    if (dtype == INGOT_F16) return 65519.996f;
    if (dtype == INGOT_BF16) return f32_from_bits(0x7f7f7fffu);
    return f32_from_bits(0x7f7fffffu);
}

bool cast_values(ingot_dtype dtype, const float *values, uint64_t n, uint8_t *dst, uint64_t *bad)
{
    const float largest = largest_kept(dtype);
    for (uint64_t i = 0; i < n; i++) {
        if (fabsf(values[i]) > largest && !isinf(values[i])) {
            *bad = i;
            return false;
        }
    }
    if (dtype == INGOT_F32) {
        memcpy(dst, values, (size_t)n * sizeof *values);
    } else if (dtype == INGOT_F16) {
        for (uint64_t i = 0; i < n; i++) store_u16(dst + 2 * i, f16_from_f32(values[i]));
    } else {
        for (uint64_t i = 0; i < n; i++) store_u16(dst + 2 * i, bf16_from_f32(values[i]));
    }
    return true;
}

ingot_status encode_cast(const struct encode_input *input, uint8_t *const *streams,
                         ingot_error *error)
{
    uint64_t bad;
    const uint64_t n = input->shape.n_matrices * input->shape.n_rows * input->shape.n_cols;
    const ingot_dtype dtype = input->plan->preset->dtype;
    if (cast_values(dtype, input->values, n, streams[0], &bad)) return INGOT_OK;
    return encode_refuse(input, bad, "would make it infinite", error);
}
