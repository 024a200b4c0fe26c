/* Rows of 4-bit codes: the kernels of every level of the CPU against the plain ones, bit for bit,
 * and codings that take that way against the plain steps of the reference decoder, which go column
 * by column. */
#include "tests/support/unit.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "format/bytes.h"
#include "format/decode.h"
#include "format/floats.h"
#include "format/quick.h"
#include "tests/support/random.h"

enum { COLS = 700, ROWS = 5 };

/* Any bits: numbers of all sizes, and at times NaN and infinity. */
static float any_float(struct random *random)
{
    const uint32_t bits = (uint32_t)random_below(random, UINT64_C(1) << 32);
    return random_one_in(random, 8) ? f32_from_bits(bits)
                                    : f32_from_bits((bits & 0x807fffffu) | 0x3f000000u);
}

/* Of two NaNs in one sum nobody says which is kept. */
static void assert_same(const float *found, const float *wanted, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        if (isnan(found[i]) && isnan(wanted[i])) continue;
        assert_int_equal(f32_bits(found[i]), f32_bits(wanted[i]));
    }
}

static void test_kernels(void **state)
{
    static const char *const names[] = {"avx2", "avx512"};
    const struct quick_kernels *plain = quick_kernels_find("plain");
    struct random random = {7};
    float levels[QUICK_LEVELS], scales[COLS], biases[COLS], wanted[COLS], found[COLS + 1];
    uint8_t codes[COLS / 2 + 1];
    uint32_t n_compared = 0;
    (void)state;
    for (uint32_t round = 0; round < 20000; round++) {
        const struct quick_kernels *other = quick_kernels_find(names[round % 2]);
        if (other == NULL) continue;
        const uint64_t n = 1 + random_below(&random, COLS);
        const uint64_t steps = QUICK_STEP * (1 + random_below(&random, 9));
        const uint64_t group = random_one_in(&random, 3) ? n : steps;
        for (uint32_t i = 0; i < QUICK_LEVELS; i++) levels[i] = any_float(&random);
        for (uint64_t i = 0; i < n; i++) scales[i] = any_float(&random);
        for (uint64_t i = 0; i < n; i++) biases[i] = any_float(&random);
        for (uint64_t i = 0; i < n / 2 + 1; i++) codes[i] = (uint8_t)random_below(&random, 256);
        const struct quick_row row = {.codes = codes,
                                      .n = n,
                                      .group = group,
                                      .levels = levels,
                                      .scales = scales,
                                      .biases = random_one_in(&random, 2) ? biases : NULL,
                                      .subtract = random_one_in(&random, 2)};
        found[n] = 123.0f;
        plain->decode(&row, wanted);
        other->decode(&row, found);
        assert_same(found, wanted, n);
        assert_true(found[n] == 123.0f);
        n_compared++;
    }
    printf("%u rows compared\n", n_compared);
}

/* A coding of 4-bit codes, and its streams filled at random. */
struct subject {
    struct ingot_coding coding, scale, bias;
    uint8_t codes[ROWS * COLS], scales[ROWS * COLS * 2], biases[ROWS * COLS * 2];
    uint8_t entries[QUICK_LEVELS * 4];
};

static struct coding_slot slot_of(const struct ingot_coding *table, uint8_t group, uint64_t cols)
{
    return (struct coding_slot){
        .has_table = true, .group = group, .group_rows = 1, .group_cols = cols, .table = table};
}

static void make_subject(struct random *random, uint64_t n_cols, struct subject *s)
{
    static const uint8_t maps[] = {MAP_UINT, MAP_INT, MAP_FLOAT, MAP_CODEBOOK};
    const uint8_t group = random_one_in(random, 3) ? GROUP_RUN : GROUP_BLOCK;
    uint64_t cols = QUICK_STEP * (1 + random_below(random, 8));
    if (group == GROUP_RUN && n_cols % cols) cols = n_cols;
    if (group == GROUP_BLOCK && random_one_in(random, 4)) cols = 0;
    memset(s, 0, sizeof *s);
    s->scale = (struct ingot_coding){
        .map = MAP_FLOAT, .bits = 16, .format = INGOT_F16, .codebook_stream = INGOT_NONE};
    s->bias = s->scale;
    s->coding = (struct ingot_coding){.map = maps[random_below(random, 4)],
                                      .bits = 4,
                                      .format = INGOT_F4_E2M1,
                                      .codebook_stream = INGOT_NONE};
    if (s->coding.map == MAP_CODEBOOK) {
        s->coding.format = INGOT_F32;
        s->coding.n_entries = QUICK_LEVELS;
        s->coding.codebook_stream = 0;
    }
    if (random_one_in(random, 2)) {
        s->coding.slots[SLOT_ZERO] = (struct coding_slot){.has_constant = true, .constant = 8};
    }
    s->coding.slots[SLOT_SCALE] = slot_of(&s->scale, group, cols);
    if (random_one_in(random, 2)) {
        s->coding.slots[SLOT_BIAS] = slot_of(&s->bias, group, cols);
        s->coding.slots[SLOT_BIAS].inverse_table = random_one_in(random, 2);
    }
    uint8_t *const all[] = {s->codes, s->scales, s->biases};
    const size_t n_bytes[] = {sizeof s->codes, sizeof s->scales, sizeof s->biases};
    for (uint32_t k = 0; k < 3; k++) {
        for (size_t i = 0; i < n_bytes[k]; i++) all[k][i] = (uint8_t)random_below(random, 256);
    }
    for (uint32_t i = 0; i < QUICK_LEVELS; i++) store_f32(s->entries + 4 * i, any_float(random));
}

/* A part that begins after the first column never takes the quick way. */
static void compare_subject(struct random *random, const struct subject *s, uint64_t n_cols)
{
    static float wanted[ROWS * COLS], found[ROWS * COLS];
    const uint8_t *const streams[] = {s->codes, s->scales, s->biases};
    const uint8_t *const codebooks[] = {s->entries};
    const struct memory_streams memory = {streams, codebooks};
    const struct stream_provider provider = memory_provider(&memory, NULL);
    const struct stack_shape stack = {1, ROWS, n_cols};
    const uint64_t first = random_below(random, ROWS), n_rows = ROWS - first;
    ingot_error error = {0};
    const struct stack_part all = {first, n_rows, 0, n_cols};
    assert_int_equal(coding_decode(&s->coding, stack, 0, &provider, all, found, &error), INGOT_OK);
    for (uint64_t r = 0; r < n_rows; r++) {
        for (uint64_t c = 1; c < n_cols; c++) {
            const struct stack_part one = {first + r, 1, c, 1};
            assert_int_equal(coding_decode(&s->coding, stack, 0, &provider, one,
                                           wanted + r * n_cols + c, &error),
                             INGOT_OK);
        }
        assert_same(found + r * n_cols + 1, wanted + r * n_cols + 1, n_cols - 1);
    }
}

static void test_codings(void **state)
{
    static struct subject subject;
    struct random random = {11};
    (void)state;
    for (uint32_t round = 0; round < 300; round++) {
        const uint64_t n_cols = random_one_in(&random, 2) ? 2 + random_below(&random, COLS - 2)
                                                          : 32 * (1 + random_below(&random, 20));
        make_subject(&random, n_cols, &subject);
        compare_subject(&random, &subject, n_cols);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kernels),
        cmocka_unit_test(test_codings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
