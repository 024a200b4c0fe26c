/* Integers with a scale: symmetric over a row, or signed and over a group of a row. The scale is
 * rounded to its stored type first, and the codes are found with the stored scale. */
#include <math.h>

#include "convert/encode.h"
#include "format/floats.h"

/* Weights that share a signed scale. */
enum { GROUP = 32 };

/* A float to the nearest integer, ties to even, for |v| < 2^22. Adding 1.5 * 2^23 leaves no room
 * for a fraction, so that the addition itself rounds. Weights are at most 254 steps of their scale,
 * which is what the rounding of the smallest scales can make of 127. */
static float round_even(float v)
{
    return (v + 0x1.8p23f) - 0x1.8p23f;
}

static int32_t clamp(int32_t v, int32_t low, int32_t high)
{
    v = v < low ? low : v;
    return v > high ? high : v;
}

static struct coding_slot scale_table(const struct ingot_coding *table, uint32_t group_cols)
{
    return (struct coding_slot){.has_table = true,
                                .group = GROUP_BLOCK,
                                .group_rows = 1,
                                .group_cols = group_cols,
                                .table = table};
}

static void plan_integer(const struct preset *preset, struct stack_shape stack, uint8_t map,
                         ingot_dtype scale, struct term_plan *plan)
{
    *plan = (struct term_plan){.preset = preset, .stack = stack, .table = raw_coding(scale)};
    plan->coding =
        (struct ingot_coding){.map = map, .bits = preset->bits, .codebook_stream = INGOT_NONE};
    memcpy(plan->coding.name, preset->label, strlen(preset->label) + 1);
    plan->coding.slots[SLOT_SCALE] = scale_table(&plan->table, preset->group_cols);
    plan->term = (struct writer_term){.kind = TERM_DENSE, .coding = &plan->coding};
}

/* ------------------------------------------------------------------ a row, two's complement */

void plan_row_integer(const struct preset *preset, ingot_dtype dtype, struct stack_shape stack,
                      struct term_plan *plan)
{
    (void)dtype;
    plan_integer(preset, stack, MAP_INT, INGOT_F32, plan);
}

/* One row: scale = largest magnitude / 127, code = w / scale to the nearest. A row of zeros, or of
 * weights so small that the scale is 0, has codes 0. */
static float encode_row(const float *w, uint64_t n, uint8_t *codes)
{
    float largest = 0.0f;
    for (uint64_t i = 0; i < n; i++) {
        const float size = fabsf(w[i]);
        largest = size > largest ? size : largest;
    }
    float scale = largest / 127.0f;
    if (scale == 0.0f) return 0.0f;
    /* Rounded up at the very end of the range, 127 steps would be infinite. */
    if (isinf(scale * 127.0f)) scale = nextafterf(scale, 0.0f);
    for (uint64_t i = 0; i < n; i++) {
        codes[i] = (uint8_t)clamp((int32_t)round_even(w[i] / scale), -127, 127);
    }
    return scale;
}

ingot_status encode_row_integer(const struct encode_input *input, uint8_t *const *streams,
                                ingot_error *error)
{
    const uint64_t n_rows = input->shape.n_matrices * input->shape.n_rows;
    const uint64_t n_cols = input->shape.n_cols;
    const ingot_status status = encode_check_finite(input, error);
    if (status != INGOT_OK) return status;
    for (uint64_t r = 0; r < n_rows; r++) {
        const float scale = encode_row(input->values + r * n_cols, n_cols, streams[0] + r * n_cols);
        store_f32(streams[1] + 4 * r, scale);
    }
    return INGOT_OK;
}

/* ------------------------------------------------------------------ a group, signed scale */

void plan_group_integer(const struct preset *preset, ingot_dtype dtype, struct stack_shape stack,
                        struct term_plan *plan)
{
    (void)dtype;
    plan_integer(preset, stack, MAP_UINT, INGOT_F16, plan);
    plan->coding.slots[SLOT_ZERO] = (struct coding_slot){.has_constant = true, .constant = 8.0f};
}

/* The scale of a group as f16 bits: that which gives the weight of largest magnitude (the first of
 * them) the code 0, which stands for -8. Zeros, and weights so small that the scale is 0, have
 * scale +0. Sets *largest to that weight's place. A short group is filled up with zeros. */
static uint16_t group_scale(const float w[GROUP], uint64_t *largest)
{
    int32_t sizes[GROUP]; /* magnitudes order as their bits */
    int32_t most = 0;
    uint64_t at = 0;
    memcpy(sizes, w, sizeof sizes);
    for (uint32_t i = 0; i < GROUP; i++) {
        sizes[i] &= INT32_MAX;
        most = sizes[i] > most ? sizes[i] : most;
    }
    while (sizes[at] < most) at++;
    *largest = at;
    const uint16_t scale = f16_from_f32(w[at] / -8.0f);
    return (scale & 0x7fffu) == 0 ? 0 : scale;
}

/* Loops over a whole group, so that a compiler can see how long they are. */
static void group_codes(const float w[GROUP], float scale, uint8_t codes[GROUP])
{
    if (scale == 0.0f) {
        memset(codes, 8, GROUP);
        return;
    }
    int32_t steps[GROUP];
    for (uint32_t i = 0; i < GROUP; i++) steps[i] = (int32_t)round_even(w[i] / scale) + 8;
    for (uint32_t i = 0; i < GROUP; i++) codes[i] = (uint8_t)clamp(steps[i], 0, 15);
}

/* Puts n codes at nibble `first` on of a plane of width 4 that is zero:
 *
 *     byte  i/2      bits 0-3: code i, i even      bits 4-7: code i, i odd  */
static void put_codes(const uint8_t *codes, uint64_t n, uint8_t *plane, uint64_t first)
{
    if (first % 2 == 0 && n == GROUP) {
        for (uint32_t i = 0; i < GROUP; i += 2) {
            plane[(first + i) / 2] = (uint8_t)(codes[i] | codes[i + 1] << 4);
        }
        return;
    }
    for (uint64_t i = 0; i < n; i++) {
        plane[(first + i) / 2] |= (uint8_t)(codes[i] << (first + i) % 2 * 4);
    }
}

ingot_status encode_group_integer(const struct encode_input *input, uint8_t *const *streams,
                                  ingot_error *error)
{
    const uint64_t n_cols = input->shape.n_cols;
    struct stream_shape plane;
    uint8_t *scales = streams[1];
    float filled[GROUP] = {0.0f}; /* the short group of a row */
    ingot_status status = encode_check_finite(input, error);
    if (status != INGOT_OK || !plane_shape(4, input->shape, &plane)) return status;
    for (uint64_t r = 0; r < plane.n_rows; r++) {
        const float *row = input->values + r * n_cols;
        for (uint64_t c = 0; c < n_cols; c += GROUP, scales += 2) {
            const uint64_t n = min_u64(GROUP, n_cols - c);
            const float *w = row + c;
            uint8_t codes[GROUP];
            uint64_t largest;
            if (n < GROUP) w = memcpy(filled, w, (size_t)n * sizeof *w);
            const uint16_t bits = group_scale(w, &largest);
            if ((bits & 0x7c00u) == 0x7c00u) {
                return encode_refuse(input, r * n_cols + c + largest,
                                     "has f16 scales, which cannot reach it", error);
            }
            group_codes(w, f32_from_f16(bits), codes);
            put_codes(codes, n, streams[0], r * plane.row_bits / 4 + c);
            store_u16(scales, bits);
        }
    }
    return INGOT_OK;
}
