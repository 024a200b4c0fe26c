/* The logical element types: one row each. Knows nothing of how values are coded. */
#include "format/ingot.h"

static const struct {
    const char *name;
    uint8_t bits;
} dtypes[] = {
    [INGOT_F64] = {"f64", 64},
    [INGOT_F32] = {"f32", 32},
    [INGOT_F16] = {"f16", 16},
    [INGOT_BF16] = {"bf16", 16},
    [INGOT_F8_E5M2] = {"f8_e5m2", 8},
    [INGOT_F8_E4M3] = {"f8_e4m3", 8},
    [INGOT_F6_E3M2] = {"f6_e3m2", 6},
    [INGOT_F6_E2M3] = {"f6_e2m3", 6},
    [INGOT_F4_E2M1] = {"f4_e2m1", 4},
    [INGOT_F8_E8M0] = {"f8_e8m0", 8},
    [INGOT_F8_E4M3FNUZ] = {"f8_e4m3fnuz", 8},
    [INGOT_F8_E5M2FNUZ] = {"f8_e5m2fnuz", 8},
    [INGOT_I8] = {"i8", 8},
    [INGOT_I16] = {"i16", 16},
    [INGOT_I32] = {"i32", 32},
    [INGOT_I64] = {"i64", 64},
    [INGOT_U8] = {"u8", 8},
    [INGOT_U16] = {"u16", 16},
    [INGOT_U32] = {"u32", 32},
    [INGOT_U64] = {"u64", 64},
    [INGOT_BOOL] = {"bool", 8},
    [INGOT_C64] = {"c64", 64},
};

const char *ingot_dtype_name(ingot_dtype dtype)
{
    const size_t i = (size_t)dtype;
    return i < sizeof dtypes / sizeof *dtypes ? dtypes[i].name : NULL;
}

uint32_t ingot_dtype_bits(ingot_dtype dtype)
{
    const size_t i = (size_t)dtype;
    return i < sizeof dtypes / sizeof *dtypes ? dtypes[i].bits : 0;
}

uint64_t ingot_raw_bytes(ingot_dtype dtype, uint64_t n)
{
    const uint32_t bits = ingot_dtype_bits(dtype);
    return n / 8 * bits + (n % 8 * bits + 7) / 8;
}
