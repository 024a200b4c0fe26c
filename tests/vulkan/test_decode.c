/* The decode snippets of the shaders, compiled here as C from the very same files, against
 * format/floats.h and plain integer decoding: bit for bit, over all codes and positions. Needs no
 * device. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "format/bytes.h"
#include "format/floats.h"

/* What the snippets take from GLSL. */
#define uint uint32_t
#define SHARED_FUNCTION static
#define TO_FLOAT(v) ((float)(v))
#define uintBitsToFloat f32_from_bits
#define floatBitsToUint f32_bits

#define TO_INT(v) ((int32_t)(v))
#define TO_UINT(v) ((uint32_t)(v))
#define FLOOR(v) floorf(v)

/* The specialization constants of the integer map. */
static uint FLIP;
static float ZERO;

#include "vulkan/shaders/brain.glsl"
#include "vulkan/shaders/codes.glsl"
#include "vulkan/shaders/dot.glsl"
#include "vulkan/shaders/half.glsl"
#include "vulkan/shaders/integer.glsl"
#include "vulkan/shaders/narrow.glsl"
#include "vulkan/shaders/pair.glsl"
#include "vulkan/shaders/vector.glsl"

/* Bit for bit, but a NaN for a NaN: what a NaN carries does not survive arithmetic. */
static void assert_same(float decoded, float expected)
{
    if (isnan(expected)) {
        assert_true(isnan(decoded));
    } else {
        assert_int_equal(f32_bits(decoded), f32_bits(expected));
    }
}

static void test_f16(void **state)
{
    (void)state;
    for (uint32_t code = 0; code < 0x10000; code++) {
        assert_same(f32_from_half(code), f32_from_f16((uint16_t)code));
    }
}

static void test_to_f16(void **state)
{
    (void)state;
    /* Around every f16, its neighbours and the ties between them; and a spread of all f32. */
    for (uint32_t code = 0; code < 0x10000; code++) {
        const uint32_t bits = f32_bits(f32_from_f16((uint16_t)code));
        for (uint32_t near = 0; near < 9; near++) {
            const float value = f32_from_bits(bits + near * 0x800u - 0x1000u + near % 3 - 1u);
            const uint32_t expected = f16_from_f32(value);
            const uint32_t found = half_from_f32(value);
            if (isnan(value)) {
                assert_true((found & 0x7fffu) > 0x7c00u);
            } else {
                assert_int_equal(found, expected);
            }
        }
    }
    for (uint64_t bits = 0; bits <= UINT32_MAX; bits += 65521) {
        const float value = f32_from_bits((uint32_t)bits);
        if (!isnan(value)) assert_int_equal(half_from_f32(value), f16_from_f32(value));
    }
}

static void test_bf16(void **state)
{
    (void)state;
    for (uint32_t code = 0; code < 0x10000; code++) {
        const float expected = f32_from_bf16((uint16_t)code);
        assert_same(f32_from_brain(code | 0xabcd0000u, 0), expected);
        assert_same(f32_from_brain(code << 16 | 0xabcdu, 1), expected);
    }
}

static void test_planes(void **state)
{
    (void)state;
    static const uint32_t widths[] = {1, 2, 4, 8, 16};
    for (size_t w = 0; w < 5; w++) {
        const uint32_t bits = widths[w];
        for (uint32_t j = 0; j < 96; j++) {
            const uint32_t word = 0x9e3779b9u * (j + 1);
            const uint32_t expected = word >> (j % (32 / bits) * bits) & ((1u << bits) - 1);
            assert_int_equal(plane_element(word, j, bits), expected);
        }
    }
}

static void test_vectors(void **state)
{
    (void)state;
    for (uint32_t code = 0; code < 256; code++) {
        for (uint32_t j = 0; j < 4; j++) {
            assert_same(signed_byte(code << (8 * j), j), (float)(int8_t)code);
        }
        uint32_t n_ones = 0;
        for (uint32_t i = 0; i < 7; i++) n_ones += code >> i & 1;
        const uint32_t low = code & 0x7fu;
        assert_int_equal(all_signs(low, 7), low | (n_ones % 2) << 7);
        assert_int_equal(all_signs(code, 8), code);
        for (uint32_t j = 0; j < 8; j++) {
            assert_same(with_sign(3.5f, code, j), code >> j & 1 ? -3.5f : 3.5f);
        }
    }
}

/* How layout.c sets the constants for a zero, and what a code then is. */
static const struct {
    bool is_signed;
    float zero;
} integer_maps[] = {{false, 0.0f}, {false, 8.0f}, {false, 7.5f}, {false, 128.0f},   {false, -3.0f},
                    {true, 0.0f},  {true, 1.5f},  {true, -2.0f}, {false, 100000.0f}};

static void check_integers(uint32_t bits, bool is_signed, float zero)
{
    const uint32_t n_codes = 1u << bits;
    FLIP = is_signed ? n_codes / 2 : 0;
    ZERO = zero + (float)FLIP;
    for (uint32_t code = 0; code < n_codes; code++) {
        int32_t value = (int32_t)code;
        if (is_signed && code >= n_codes / 2) value -= (int32_t)n_codes;
        assert_same(integer_value(code), (float)value - zero);
        for (uint32_t at = 0; 8 % bits == 0 && at + bits <= 32; at += bits) {
            const uint32_t others = 0x5a5aa5a5u & ~((n_codes - 1) << at);
            assert_same(integer_in_place(code << at | others, at, bits), (float)value - zero);
        }
    }
}

static void test_integers(void **state)
{
    (void)state;
    for (size_t m = 0; m < sizeof integer_maps / sizeof *integer_maps; m++) {
        for (uint32_t bits = 1; bits <= 8; bits++) {
            check_integers(bits, integer_maps[m].is_signed, integer_maps[m].zero);
        }
    }
}

/* 32 codes in planes, the widest first, as a step of a device holds them. */
static void fill_planes(uint32_t bits, const uint32_t codes[32], uint32_t planes[4][8])
{
    uint32_t below = 0;
    memset(planes, 0, 4 * sizeof *planes);
    for (uint32_t p = 0; p < 4; p++) {
        const uint32_t width = 8u >> p;
        if (!(bits & width)) continue;
        for (uint32_t j = 0; j < 32; j++) {
            const uint32_t part = codes[j] >> below & ((1u << width) - 1);
            planes[p][j * width / 32] |= part << j * width % 32;
        }
        below += width;
    }
}

/* Every slot and every pair has the codes of its columns, and every column stands in one of each.
 */
static void check_packed(uint32_t bits, const uint32_t codes[32])
{
    uint32_t planes[4][8];
    uint32_t in_slots = 0, in_pairs = 0;
    const uint32_t widest = widest_plane(bits);
    fill_planes(bits, codes, planes);
    for (uint32_t i = 0; i < 16; i++) {
        uint32_t slot = 0, pair = 0, below = 0;
        for (uint32_t p = 0; p < 4; p++) {
            const uint32_t width = 8u >> p;
            if (!(bits & width)) continue;
            const uint32_t at = pair_column(i, 0, widest) * width / 32;
            pair |= pair_of_plane(planes[p][at], i, width, widest) << below;
            if (i < 8) {
                const uint32_t slot_at = slot_column(i, 0, widest) * width / 32;
                slot |= slot_of_plane(planes[p][slot_at], i, width, widest) << below;
            }
            below += width;
        }
        for (uint32_t j = 0; j < 2; j++) {
            const uint32_t column = pair_column(i, j, widest);
            assert_int_equal(pair >> 16 * j & 0xffff, codes[column]);
            assert_same(f32_from_half(pair_in_place(pair) >> 16 * j & 0xffff),
                        1024.0f + (float)codes[column]);
            in_pairs |= 1u << column;
        }
        for (uint32_t j = 0; i < 8 && j < 4; j++) {
            const uint32_t column = slot_column(i, j, widest);
            assert_int_equal(slot >> 8 * j & 0xff, codes[column]);
            in_slots |= 1u << column;
        }
    }
    assert_int_equal(in_pairs, UINT32_MAX);
    assert_int_equal(in_slots, UINT32_MAX);
}

static void test_packed(void **state)
{
    (void)state;
    uint32_t random = 1;
    for (uint32_t bits = 1; bits <= 8; bits++) {
        for (uint32_t round = 0; round < 64; round++) {
            uint32_t codes[32];
            for (uint32_t j = 0; j < 32; j++) {
                random = random * 1664525u + 1013904223u;
                codes[j] = random >> 24 & ((1u << bits) - 1);
            }
            check_packed(bits, codes);
        }
    }
}

/* A number times its unit has the exponent, but where the unit is held back. */
static void test_units(void **state)
{
    (void)state;
    for (int exponent = -4; exponent <= 12; exponent += 4) {
        for (int e = -126; e <= 127; e++) {
            const float value = ldexpf(1.75f, e);
            const float unit = narrow_unit(f32_bits(value), exponent);
            const int power = exponent - e;
            assert_true(unit == ldexpf(1.0f, power > 100 ? 100 : power < -100 ? -100 : power));
        }
        assert_true(narrow_unit(0, exponent) == 1.0f);
        assert_true(narrow_unit(1, exponent) == 1.0f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_f16),     cmocka_unit_test(test_to_f16),
        cmocka_unit_test(test_bf16),    cmocka_unit_test(test_planes),
        cmocka_unit_test(test_vectors), cmocka_unit_test(test_integers),
        cmocka_unit_test(test_packed),  cmocka_unit_test(test_units),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
