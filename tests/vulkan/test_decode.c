/* The decode snippets of the shaders, compiled here as C from the very same files, against
 * format/floats.h and plain integer decoding: bit for bit, over all codes and positions. Needs no
 * device. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "format/bytes.h"
#include "format/floats.h"

/* What the snippets take from GLSL. */
#define uint uint32_t
#define SHARED_FUNCTION static
#define TO_FLOAT(v) ((float)(v))
#define uintBitsToFloat f32_from_bits
#define floatBitsToUint f32_bits

#include "vulkan/shaders/half.glsl"

#define decode_weight decode_f32
#include "vulkan/shaders/decode_f32.glsl"
enum { F32_PER_WORD = DECODE_PER_WORD };
#undef decode_weight
#undef DECODE_PER_WORD

#define decode_weight decode_f16
#include "vulkan/shaders/decode_f16.glsl"
enum { F16_PER_WORD = DECODE_PER_WORD };
#undef decode_weight
#undef DECODE_PER_WORD

#define decode_weight decode_bf16
#include "vulkan/shaders/decode_bf16.glsl"
enum { BF16_PER_WORD = DECODE_PER_WORD };
#undef decode_weight
#undef DECODE_PER_WORD

/* The specialization constants of the integer map. */
static uint FLIP;
static float ZERO;

#define CODE_BITS 4
#define decode_weight decode_int4
#include "vulkan/shaders/decode_integer.glsl"
enum { INT4_PER_WORD = DECODE_PER_WORD };
#undef CODE_BITS
#undef decode_weight
#undef DECODE_PER_WORD

#define CODE_BITS 8
#define decode_weight decode_int8
#include "vulkan/shaders/decode_integer.glsl"
enum { INT8_PER_WORD = DECODE_PER_WORD };
#undef CODE_BITS
#undef decode_weight
#undef DECODE_PER_WORD

/* Bit for bit, but a NaN for a NaN: what a NaN carries does not survive arithmetic. */
static void assert_same(float decoded, float expected)
{
    if (isnan(expected)) {
        assert_true(isnan(decoded));
    } else {
        assert_int_equal(f32_bits(decoded), f32_bits(expected));
    }
}

static void test_f32(void **state)
{
    (void)state;
    assert_int_equal(F32_PER_WORD, 1);
    /* Every exponent with both signs and a spread of fractions. */
    for (uint32_t high = 0; high < 0x10000; high++) {
        const uint32_t word = high << 16 | (high * 40503u & 0xffffu);
        assert_int_equal(f32_bits(decode_f32(word, 0)), word);
    }
}

static void test_f16(void **state)
{
    (void)state;
    assert_int_equal(F16_PER_WORD, 2);
    for (uint32_t code = 0; code < 0x10000; code++) {
        const float expected = f32_from_f16((uint16_t)code);
        assert_same(decode_f16(code | 0xabcd0000u, 0), expected);
        assert_same(decode_f16(code << 16 | 0xabcdu, 1), expected);
        assert_same(f32_from_half(code), expected);
    }
}

static void test_bf16(void **state)
{
    (void)state;
    assert_int_equal(BF16_PER_WORD, 2);
    for (uint32_t code = 0; code < 0x10000; code++) {
        const float expected = f32_from_bf16((uint16_t)code);
        assert_same(decode_bf16(code | 0xabcd0000u, 0), expected);
        assert_same(decode_bf16(code << 16 | 0xabcdu, 1), expected);
    }
}

/* How plan.c sets the constants for a zero, and what a code then is. */
struct integer_map {
    uint32_t bits;
    bool is_signed;
    float zero;
};

static const struct integer_map integer_maps[] = {
    {4, false, 0.0f}, {4, false, 8.0f},   {4, false, 7.5f},  {4, true, 0.0f}, {8, false, 0.0f},
    {8, true, 0.0f},  {8, false, 128.0f}, {8, false, -3.0f}, {8, true, 1.5f},
};

static float expected_integer(const struct integer_map *map, uint32_t code)
{
    const int32_t range = (int32_t)1 << map->bits;
    int32_t value = (int32_t)code;
    if (map->is_signed && value >= range / 2) value -= range;
    return (float)value - map->zero;
}

static void test_integers(void **state)
{
    (void)state;
    assert_int_equal(INT4_PER_WORD, 8);
    assert_int_equal(INT8_PER_WORD, 4);
    for (size_t m = 0; m < sizeof integer_maps / sizeof *integer_maps; m++) {
        const struct integer_map *map = &integer_maps[m];
        const uint32_t n_codes = 1u << map->bits;
        FLIP = map->is_signed ? n_codes / 2 : 0;
        ZERO = map->zero + (float)FLIP;
        for (uint32_t code = 0; code < n_codes; code++) {
            for (uint32_t j = 0; j < 32 / map->bits; j++) {
                const uint32_t others = 0x5a5aa5a5u & ~((n_codes - 1) << (j * map->bits));
                const uint32_t word = code << (j * map->bits) | others;
                const float decoded = map->bits == 4 ? decode_int4(word, j) : decode_int8(word, j);
                assert_same(decoded, expected_integer(map, code));
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_f32),
        cmocka_unit_test(test_f16),
        cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_integers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
