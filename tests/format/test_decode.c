/* The reference decoder against a second one that was written from the specification alone: random
 * codings over random shapes, bit for bit, and the errors of codes that are out of range. */
#include "tests/support/unit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "format/decode.h"
#include "format/rules.h"
#include "tests/support/formula.h"
#include "tests/support/made.h"

/* One coding over one stack, with its streams. */
struct subject {
    struct made made;
    const struct ingot_coding *coding;
    struct stack_shape stack;
    struct naive_bytes bytes;
    struct memory_streams memory;
};

static void open_subject(struct subject *s)
{
    s->bytes = (struct naive_bytes){(const uint8_t *const *)s->made.streams,
                                    (const uint8_t *const *)s->made.codebooks};
    s->memory = (struct memory_streams){s->bytes.streams, s->bytes.codebooks};
}

static uint64_t random_extent(struct random *random, uint64_t most)
{
    if (random_one_in(random, 20)) return 0;
    if (random_one_in(random, 8)) return 1;
    return 1 + random_below(random, most);
}

static struct stack_shape random_stack(struct random *random)
{
    struct stack_shape stack = {1, random_extent(random, 9), random_extent(random, 70)};
    if (random_one_in(random, 3)) stack.n_matrices = random_extent(random, 4);
    if (random_one_in(random, 8)) stack.n_cols = random_below(random, 3) * 32;
    /* Longer than the blocks in which the decoder takes codes. */
    if (random_one_in(random, 40)) stack.n_cols = 510 + random_below(random, 600);
    return stack;
}

static struct stack_part random_part(struct random *random, struct stack_shape stack)
{
    const uint64_t n_rows = stack.n_matrices * stack.n_rows;
    struct stack_part part = {0, n_rows, 0, stack.n_cols};
    if (n_rows && random_one_in(random, 2)) {
        part.first_row = random_below(random, n_rows);
        part.n_rows = random_below(random, n_rows - part.first_row + 1);
    }
    if (stack.n_cols && random_one_in(random, 2)) {
        part.first_col = random_below(random, stack.n_cols);
        part.n_cols = random_below(random, stack.n_cols - part.first_col + 1);
    }
    return part;
}

/* The part by the naive decoder. */
static struct naive_result expect(const struct subject *s, struct stack_part part, float *dst)
{
    struct naive_result result = {0};
    for (uint64_t r = 0; r < part.n_rows; r++) {
        for (uint64_t c = 0; c < part.n_cols; c++) {
            const uint64_t row = part.first_row + r;
            const struct place at = {row / s->stack.n_rows, row % s->stack.n_rows,
                                     part.first_col + c};
            dst[r * part.n_cols + c] =
                naive_value(s->coding, s->stack, at, s->stack, at, 0, &s->bytes, &result);
        }
    }
    return result;
}

struct tally {
    uint64_t n_values, n_numbers; /* finite and not zero */
    uint64_t n_failed;
};

static void check_part(const struct subject *s, struct stack_part part, struct tally *tally)
{
    const uint64_t n = part.n_rows * part.n_cols;
    const struct stream_provider provider = memory_provider(&s->memory, NULL);
    float *expected = malloc(n * sizeof *expected + 1);
    float *found = malloc(n * sizeof *found + 1);
    ingot_error error;
    const struct naive_result result = expect(s, part, expected);
    const ingot_status status =
        coding_decode(s->coding, s->stack, 0, &provider, part, found, &error);
    if (result.rule) assert_int_not_equal(status, INGOT_OK);
    if (!s->made.stray) assert_int_equal(status, INGOT_OK);
    if (status != INGOT_OK) {
        assert_int_equal(status, INGOT_INVALID);
        assert_true(error.rule == R_430 || error.rule == R_431);
        tally->n_failed++;
    }
    for (uint64_t i = 0; i < n && status == INGOT_OK; i++) {
        tally->n_values++;
        tally->n_numbers += isfinite(found[i]) && found[i] != 0.0f;
        if (same_f32(found[i], expected[i])) continue;
        fail_msg("map %u of %u bits, value %llu of a part of %llu x %llu: %a, not %a",
                 s->coding->map, s->coding->bits, (unsigned long long)i,
                 (unsigned long long)part.n_rows, (unsigned long long)part.n_cols, (double)found[i],
                 (double)expected[i]);
    }
    free(found);
    free(expected);
}

/* The streams that the library lists are those that the specification's text asks for. */
static void check_streams(const struct subject *s)
{
    struct stream_shape shapes[CODING_MAX_STREAMS];
    uint32_t n = 0;
    assert_true(coding_streams(s->coding, s->stack, shapes, &n));
    assert_int_equal(n, s->made.n_streams);
    for (uint32_t i = 0; i < n; i++) assert_int_equal(shapes[i].n_bytes, s->made.stream_bytes[i]);
}

static void check_random(uint64_t seed, uint32_t n_codings, bool stray, struct tally *tally)
{
    static const struct made_limits limits = {.vectors = true, .codebooks = true};
    struct random random = {seed};
    for (uint32_t i = 0; i < n_codings; i++) {
        struct subject s = {.made = {.stray = stray}, .stack = random_stack(&random)};
        s.coding = made_coding(&s.made, &random, s.stack, &limits);
        made_fill(&s.made, &random, s.coding, s.stack, s.stack);
        open_subject(&s);
        check_streams(&s);
        const struct stack_part whole = {0, s.stack.n_matrices * s.stack.n_rows, 0, s.stack.n_cols};
        check_part(&s, whole, tally);
        for (int k = 0; k < 3; k++) check_part(&s, random_part(&random, s.stack), tally);
        made_release(&s.made);
    }
}

static void test_random_codings(void **state)
{
    (void)state;
    struct tally tally = {0};
    check_random(1, 3000, false, &tally);
    assert_int_equal(tally.n_failed, 0);
    /* The comparison must be about numbers, not about infinities and zeros. */
    assert_true(tally.n_values > 1000000);
    assert_true(tally.n_numbers > tally.n_values / 3);
    print_message("%llu values, %llu of them finite and not zero\n",
                  (unsigned long long)tally.n_values, (unsigned long long)tally.n_numbers);
}

static void test_stray_codes(void **state)
{
    (void)state;
    struct tally tally = {0};
    check_random(2, 1000, true, &tally);
    assert_true(tally.n_failed > 100);
    assert_true(tally.n_values > 100000);
}

/* ---- every width and format once, without slots ---- */

static void check_plain(struct random *random, struct ingot_coding coding)
{
    static const struct stack_shape stacks[] = {{1, 1, 1}, {1, 3, 37}, {2, 5, 64}, {1, 2, 33}};
    struct tally tally = {0};
    for (size_t i = 0; i < sizeof stacks / sizeof *stacks; i++) {
        struct subject s = {.stack = stacks[i], .coding = &coding};
        made_fill(&s.made, random, &coding, s.stack, s.stack);
        open_subject(&s);
        const struct stack_part whole = {0, s.stack.n_matrices * s.stack.n_rows, 0, s.stack.n_cols};
        check_part(&s, whole, &tally);
        made_release(&s.made);
    }
}

static void test_every_width(void **state)
{
    (void)state;
    struct random random = {3};
    for (uint32_t bits = 1; bits <= 64; bits++) {
        struct ingot_coding coding = {
            .map = MAP_UINT, .bits = (uint8_t)bits, .codebook_stream = INGOT_NONE};
        check_plain(&random, coding);
        coding.map = MAP_INT;
        check_plain(&random, coding);
    }
    for (ingot_dtype format = INGOT_F64; format <= INGOT_F8_E5M2FNUZ; format++) {
        const struct ingot_coding coding = {.map = MAP_FLOAT,
                                            .bits = (uint8_t)ingot_dtype_bits(format),
                                            .format = (uint8_t)format,
                                            .codebook_stream = INGOT_NONE};
        check_plain(&random, coding);
    }
}

/* ---- particular cases ---- */

static float decode_one(const struct ingot_coding *coding, const uint8_t *const *streams)
{
    const struct memory_streams memory = {streams, NULL};
    const struct stream_provider provider = memory_provider(&memory, NULL);
    float v = NAN;
    ingot_error error;
    assert_int_equal(coding_decode(coding, (struct stack_shape){1, 1, 1}, 0, &provider,
                                   (struct stack_part){0, 1, 0, 1}, &v, &error),
                     INGOT_OK);
    return v;
}

/* The largest integers round to the nearest f32, ties to even. */
static void test_rounded_integers(void **state)
{
    (void)state;
    static const struct {
        uint8_t map;
        uint64_t code;
        float value;
    } rows[] = {
        {MAP_UINT, UINT64_MAX, 0x1p64f},
        {MAP_UINT, 16777217, 16777216.0f},
        {MAP_UINT, 16777219, 16777220.0f},
        {MAP_UINT, UINT64_C(0x8000008000000000), 0x1p63f},
        {MAP_UINT, UINT64_C(0x8000008000000001), 0x1.000002p63f},
        {MAP_INT, UINT64_MAX, -1.0f},
        {MAP_INT, UINT64_C(1) << 63, -0x1p63f},
        {MAP_INT, UINT64_MAX - 16777216, -16777216.0f},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct ingot_coding coding = {
            .map = rows[i].map, .bits = 64, .codebook_stream = INGOT_NONE};
        uint8_t code[8] = {0};
        made_put(code, 0, 64, rows[i].code);
        const uint8_t *const streams[] = {code};
        assert_true(decode_one(&coding, streams) == rows[i].value);
    }
}

/* Each step rounds by itself: a fused or reordered form would give other bits. */
static void test_steps_round(void **state)
{
    (void)state;
    struct ingot_coding coding = {.map = MAP_UINT, .bits = 8, .codebook_stream = INGOT_NONE};
    coding.slots[SLOT_SCALE] = (struct coding_slot){.has_constant = true, .constant = 0.1f};
    coding.slots[SLOT_BIAS] = (struct coding_slot){.has_constant = true, .constant = -0.3f};
    static const uint8_t three[] = {3};
    const uint8_t *const streams[] = {three};
    /* 3 * f32(0.1) rounds to f32(0.3); fused with the bias it would leave -2^-27. */
    assert_true(same_f32(decode_one(&coding, streams), 0.0f));
    coding.slots[SLOT_SCALE].inverse_constant = true;
    coding.slots[SLOT_SCALE].constant = 10.0f;
    coding.slots[SLOT_BIAS].inverse_constant = true;
    assert_true(decode_one(&coding, streams) == 0.6f);
}

static void test_opaque_is_unsupported(void **state)
{
    (void)state;
    const struct ingot_coding coding = {
        .map = MAP_OPAQUE, .bits = 8, .codebook_stream = INGOT_NONE, .name = "foreign"};
    static const uint8_t bytes[4] = {0};
    const uint8_t *const streams[] = {bytes};
    const struct memory_streams memory = {streams, NULL};
    const struct stream_provider provider = memory_provider(&memory, NULL);
    float values[4];
    ingot_error error;
    const ingot_status status = coding_decode(&coding, (struct stack_shape){1, 1, 4}, 0, &provider,
                                              (struct stack_part){0, 1, 0, 4}, values, &error);
    assert_int_equal(status, INGOT_UNSUPPORTED);
    assert_int_equal(error.rule, 0);
    assert_non_null(strstr(error.what, "foreign"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_codings), cmocka_unit_test(test_stray_codes),
        cmocka_unit_test(test_every_width),    cmocka_unit_test(test_rounded_integers),
        cmocka_unit_test(test_steps_round),    cmocka_unit_test(test_opaque_is_unsupported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
