/* Logical bytes as f32: quick loops for the four types that weights mostly have, the reference
 * decoder for all others. */
#include "convert/raw_values.h"

#include "format/decode.h"
#include "format/dense_bits.h"
#include "format/fail.h"
#include "format/floats.h"
#include "format/writer.h"

uint32_t dtype_bytes(ingot_dtype dtype)
{
    const uint32_t bits = ingot_dtype_bits(dtype);
    return bits % 8 == 0 ? bits / 8 : 0;
}

bool dtype_is_float(ingot_dtype dtype)
{
    return dtype == INGOT_F64 || dtype == INGOT_F32 || dtype == INGOT_F16 || dtype == INGOT_BF16;
}

static void from_f64(const uint8_t *bytes, uint64_t n, float *dst)
{
    for (uint64_t i = 0; i < n; i++) {
        double v;
        memcpy(&v, bytes + 8 * i, sizeof v);
        dst[i] = (float)v;
    }
}

static void from_f32(const uint8_t *bytes, uint64_t n, float *dst)
{
    memcpy(dst, bytes, (size_t)n * sizeof *dst);
}

static void from_f16(const uint8_t *bytes, uint64_t n, float *dst)
{
    for (uint64_t i = 0; i < n; i++) dst[i] = f32_from_f16(load_u16(bytes + 2 * i));
}

/* Steps of a constant number of rounds, which the compiler makes vectors of. */
static void from_bf16(const uint8_t *restrict bytes, uint64_t n, float *restrict dst)
{
    enum { STEP = 16 };
    uint64_t i = 0;
    for (; n - i >= STEP; i += STEP) {
        for (uint64_t k = i; k < i + STEP; k++) dst[k] = f32_from_bf16(load_u16(bytes + 2 * k));
    }
    for (; i < n; i++) dst[i] = f32_from_bf16(load_u16(bytes + 2 * i));
}

static void (*const quick[])(const uint8_t *bytes, uint64_t n, float *dst) = {
    [INGOT_F64] = from_f64,
    [INGOT_F32] = from_f32,
    [INGOT_F16] = from_f16,
    [INGOT_BF16] = from_bf16,
};

ingot_status raw_values_f32(ingot_dtype dtype, const uint8_t *bytes, uint64_t n, float *dst,
                            ingot_error *error)
{
    if (n == 0) return INGOT_OK;
    if (dtype_is_float(dtype)) {
        quick[dtype](bytes, n, dst);
        return INGOT_OK;
    }
    if (dtype == INGOT_C64 || dtype_bytes(dtype) == 0) {
        return ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, "values",
                          "%s has no values in f32 here", ingot_dtype_name(dtype));
    }
    const struct ingot_coding coding = raw_coding(dtype);
    const struct memory_streams streams = {&bytes, NULL};
    const struct stream_provider provider = memory_provider(&streams, NULL);
    const struct stack_part part = {0, 1, 0, n};
    return coding_decode(&coding, (struct stack_shape){1, 1, n}, 0, &provider, part, dst, error);
}

struct raw_extent raw_extent(ingot_dtype dtype, uint64_t first, uint64_t n)
{
    const uint64_t bits = ingot_dtype_bits(dtype);
    const uint64_t begin = first * bits;
    const uint64_t end = begin + n * bits;
    return (struct raw_extent){begin / 8, ceil_div(end, 8) - begin / 8, (uint32_t)(begin % 8)};
}

ingot_status raw_values_at(ingot_dtype dtype, const uint8_t *bytes, uint32_t first_bit, uint64_t n,
                           float *dst, ingot_error *error)
{
    const uint8_t bits = (uint8_t)ingot_dtype_bits(dtype);
    if (dtype_bytes(dtype) > 0) return raw_values_f32(dtype, bytes, n, dst, error);
    for (uint64_t i = 0; i < n; i++) {
        dst[i] = ingot_float_decode(dtype, dense_load(bytes, first_bit + i * bits, bits));
    }
    return INGOT_OK;
}
