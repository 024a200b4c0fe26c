/* Exact repacking: the type that is found, and that its blocks have the same values. */
#include "tests/convert/conversions.h"

#include <math.h>

#include "convert/blocks.h"
#include "convert/repack.h"
#include "convert/streams.h"
#include "format/floats.h"
#include "tests/support/block_model.h"
#include "tests/support/random.h"

enum { ROWS = 9, COLS = 256, N = ROWS * COLS };

static struct coding_slot slot_of(const struct ingot_coding *table, uint64_t group_cols)
{
    return (struct coding_slot){.has_table = true,
                                .group = GROUP_BLOCK,
                                .group_rows = 1,
                                .group_cols = group_cols,
                                .table = table};
}

static struct ingot_coding integers(uint8_t map, uint8_t bits)
{
    return (struct ingot_coding){.map = map, .bits = bits, .codebook_stream = INGOT_NONE};
}

static struct coding_slot constant_of(float value)
{
    return (struct coding_slot){.has_constant = true, .constant = value};
}

/* Writes a tensor of a coding: random codes; tables of floats hold multiples of 1/8 from -4 to 4,
 * those of 8-bit floats any code below `limit`. */
static void write_coding(const char *path, const struct ingot_coding *coding, uint32_t limit)
{
    const struct writer_term term = {.kind = TERM_DENSE, .coding = coding};
    const struct writer_tensor tensor = {.name = "t",
                                         .name_bytes = 1,
                                         .dtype = INGOT_F32,
                                         .rank = 2,
                                         .dims = {ROWS, COLS},
                                         .split = 1,
                                         .n_terms = 1,
                                         .terms = &term};
    struct streams *streams = calloc(1, sizeof *streams);
    struct random random = {11};
    ingot_writer *writer;
    ingot_error error = {0};
    assert_non_null(streams);
    assert_ok(streams_add(streams, &tensor, &error), &error);
    for (uint32_t i = 0; i < streams->n_streams; i++) {
        const struct stream_shape *s = &streams->list[i].shape;
        uint8_t *data = streams->data[i];
        for (uint64_t k = 0; k < s->n_bytes; k++) data[k] = (uint8_t)random_bits(&random);
        for (uint64_t k = 0; k < s->n_bytes && i > 0 && s->bits == 8; k++) {
            data[k] = (uint8_t)random_below(&random, limit);
        }
        for (uint64_t k = 0; k < s->n_bytes / 4 && s->bits >= 16; k++) {
            const float v = (float)((int32_t)random_below(&random, 65) - 32) / 8;
            if (s->bits == 32) store_f32(data + 4 * k, v);
            if (s->bits == 16) store_u16(data + 4 * k, f16_from_f32(v));
            if (s->bits == 16) store_u16(data + 4 * k + 2, f16_from_f32(-v));
        }
    }
    assert_ok(ingot_writer_create(path, true, INGOT_COMPRESS_NONE, NULL, &writer, &error), &error);
    const struct writer_source source = streams_source(streams);
    assert_ok(ingot_writer_tensor(writer, &tensor, &source, &error), &error);
    assert_ok(ingot_writer_finish(writer, &error), &error);
    ingot_writer_close(writer);
    streams_release(streams);
    free(streams);
}

/* Finds the type and compares values, of the whole and of parts of the bytes. */
static void check_values(const ingot_file *file, uint32_t tensor, const struct repack *r)
{
    struct random random = {5};
    ingot_error error = {0};
    ingot_tensor t;
    ingot_file_tensor(file, tensor, &t);
    const uint64_t n = t.n_rows * t.n_cols;
    uint8_t *blocks = malloc(r->n_bytes), *part = malloc(r->n_bytes);
    float *values = malloc(n * sizeof *values), *expected = malloc(n * sizeof *expected);
    assert_true(blocks && part && values && expected);
    assert_int_equal(r->n_bytes, n / r->type->block_weights * r->type->block_bytes);
    assert_ok(repack_read(r, 0, r->n_bytes, blocks, &error), &error);
    assert_ok(blocks_decode(r->type->id, blocks, t.n_rows, t.n_cols, values, &error), &error);
    assert_ok(ingot_file_decode_f32(file, tensor, 0, t.n_rows, expected, &error), &error);
    for (uint64_t i = 0; i < n; i++) {
        if (isnan(values[i]) && isnan(expected[i])) continue;
        if (r->zero_signs && values[i] == 0 && expected[i] == 0) continue;
        assert_int_equal(f32_bits(values[i]), f32_bits(expected[i]));
    }
    for (uint32_t trial = 0; trial < 30; trial++) {
        const uint64_t offset = random_below(&random, r->n_bytes);
        const uint64_t n_bytes = 1 + random_below(&random, r->n_bytes - offset);
        assert_ok(repack_read(r, offset, n_bytes, part, &error), &error);
        assert_memory_equal(part, blocks + offset, n_bytes);
    }
    free(expected);
    free(values);
    free(part);
    free(blocks);
}

/* The name of the type that a coding is repacked to; "" when there is none. */
static const char *repacked_limit(void **state, const struct ingot_coding *coding, uint32_t limit,
                                  struct repack *r)
{
    char *path = scratch_path(state, "coding.ingot");
    ingot_error error = {0};
    write_coding(path, coding, limit);
    ingot_file *file = open_valid(path);
    assert_ok(repack_find(file, 0, r, &error), &error);
    if (r->type) check_values(file, 0, r);
    ingot_file_close(file);
    free(path);
    return r->type ? r->type->name : "";
}

static const char *repacked(void **state, const struct ingot_coding *coding, struct repack *r)
{
    return repacked_limit(state, coding, 200, r);
}

/* Every type's own coding is that type. */
static void test_types(void **state)
{
    char *path = scratch_path(state, "blocks.ingot");
    struct block_part parts[BLOCK_TYPES_MAX];
    const uint32_t n_parts = block_model_types(parts);
    ingot_writer *writer;
    ingot_error error = {0};
    assert_ok(ingot_writer_create(path, true, INGOT_COMPRESS_NONE, NULL, &writer, &error), &error);
    for (uint32_t i = 0; i < n_parts; i++) block_model_fixture(&parts[i]);
    block_model_write(writer, parts, n_parts);
    assert_ok(ingot_writer_finish(writer, &error), &error);
    ingot_writer_close(writer);
    ingot_file *file = open_valid(path);
    for (uint32_t i = 0; i < n_parts; i++) {
        struct repack r;
        assert_ok(repack_find(file, i, &r, &error), &error);
        assert_non_null(r.type);
        assert_string_equal(r.type->name, parts[i].type->name);
        check_values(file, i, &r);
        free(parts[i].blocks);
    }
    ingot_file_close(file);
    free(path);
}

static void test_integers(void **state)
{
    const struct ingot_coding f16 = raw_coding(INGOT_F16), f32 = raw_coding(INGOT_F32);
    const struct ingot_coding u4 = integers(MAP_UINT, 4);
    struct ingot_coding c = integers(MAP_UINT, 4);
    struct repack r;
    c.slots[SLOT_SCALE] = slot_of(&f16, 32);
    c.slots[SLOT_ZERO] = constant_of(8);
    assert_string_equal(repacked(state, &c, &r), "Q4_0");
    assert_true(r.same_streams);
    c.slots[SLOT_SCALE] = slot_of(&f32, 128);
    assert_string_equal(repacked(state, &c, &r), "Q4_0");
    assert_false(r.same_streams);
    c.slots[SLOT_SCALE] = slot_of(&f16, 0);
    assert_string_equal(repacked(state, &c, &r), "Q4_0");
    c.slots[SLOT_SCALE] = constant_of(0.25f);
    assert_string_equal(repacked(state, &c, &r), "Q4_0");
    c.slots[SLOT_SCALE] = slot_of(&f16, 64);
    c.slots[SLOT_ZERO] = slot_of(&u4, 64);
    assert_string_equal(repacked(state, &c, &r), "Q5_0");
    c.slots[SLOT_ZERO] = (struct coding_slot){0};
    assert_string_equal(repacked(state, &c, &r), "Q5_0");
    c.slots[SLOT_BIAS] = slot_of(&f16, 32);
    assert_string_equal(repacked(state, &c, &r), "Q4_1");
    c = integers(MAP_INT, 4);
    c.slots[SLOT_SCALE] = slot_of(&f16, 32);
    assert_string_equal(repacked(state, &c, &r), "Q4_0");
    c = integers(MAP_INT, 8);
    c.slots[SLOT_SCALE] = slot_of(&f32, 0);
    assert_string_equal(repacked(state, &c, &r), "Q8_0");
    c = integers(MAP_UINT, 2);
    c.slots[SLOT_SCALE] = slot_of(&f16, 64);
    c.slots[SLOT_ZERO] = constant_of(1);
    assert_string_equal(repacked(state, &c, &r), "Q2_0");
    c = integers(MAP_UINT, 5);
    c.slots[SLOT_SCALE] = slot_of(&f32, 32);
    c.slots[SLOT_BIAS] = slot_of(&f32, 32);
    assert_string_equal(repacked(state, &c, &r), "Q5_1");
}

/* OCP's MXFP4 differs from ggml's in the sign of a zero, and in a scale that is not a number. */
static void test_mxfp4(void **state)
{
    const struct ingot_coding scales = raw_coding(INGOT_F8_E8M0);
    struct ingot_coding c = raw_coding(INGOT_F4_E2M1);
    struct repack r;
    c.slots[SLOT_SCALE] = slot_of(&scales, 128); /* groups that no type has */
    assert_string_equal(repacked(state, &c, &r), "");
    c.slots[SLOT_SCALE] = slot_of(&scales, 32);
    assert_string_equal(repacked(state, &c, &r), "MXFP4");
    assert_true(r.same_streams && r.zero_signs);
    assert_string_equal(repacked_limit(state, &c, 256, &r), "");
}

/* What no type holds is told apart, and why. */
static void test_refused(void **state)
{
    const struct ingot_coding f16 = raw_coding(INGOT_F16);
    struct ingot_coding c = integers(MAP_UINT, 4);
    struct repack r;
    c.slots[SLOT_ZERO] = constant_of(7.5f);
    c.slots[SLOT_SCALE] = slot_of(&f16, 32);
    assert_string_equal(repacked(state, &c, &r), "");
    assert_true(strlen(r.why_not) > 0);
    c.slots[SLOT_ZERO] = constant_of(8);
    c.slots[SLOT_SCALE] = slot_of(&f16, 16);
    assert_string_equal(repacked(state, &c, &r), "");
    c.slots[SLOT_SCALE] = constant_of(0.1f); /* not an f16 */
    assert_string_equal(repacked(state, &c, &r), "");
    assert_non_null(strstr(r.why_not, "not an f16"));
    c = raw_coding(INGOT_F16);
    assert_string_equal(repacked(state, &c, &r), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_types, scratch_begin, scratch_end),
        cmocka_unit_test_setup_teardown(test_integers, scratch_begin, scratch_end),
        cmocka_unit_test_setup_teardown(test_mxfp4, scratch_begin, scratch_end),
        cmocka_unit_test_setup_teardown(test_refused, scratch_begin, scratch_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
