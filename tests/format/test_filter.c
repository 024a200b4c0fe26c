/* Every filter, for every set of kernels and many lengths: what it gives is what the specification
 * says, and undoing it gives the bytes back. Nothing is touched past the ends. */
#include "tests/support/unit.h"

#include <stdlib.h>
#include <string.h>

#include "format/filter.h"
#include "tests/support/naive_filter.h"
#include "tests/support/random.h"

static const struct filter_kernels *const all_kernels[] = {
    &filter_kernels_plain,
#ifdef INGOT_X86_64
    &filter_kernels_avx2,
#endif
};
enum { N_KERNELS = sizeof all_kernels / sizeof *all_kernels };

/* Bytes that any filter takes: 2-bit codes below 3. */
static void fill_trits(struct random *random, uint8_t *bytes, uint64_t n_bytes)
{
    for (uint64_t i = 0; i < n_bytes; i++) {
        const uint64_t v = random_bits(random);
        bytes[i] = (uint8_t)(v % 3 | v / 3 % 3 << 2 | v / 9 % 3 << 4 | v / 27 % 3 << 6);
    }
}

static void fill(struct random *random, uint8_t filter, uint8_t *bytes, uint64_t n_bytes)
{
    if (filter == FILTER_TRITS) {
        fill_trits(random, bytes, n_bytes);
        return;
    }
    for (uint64_t i = 0; i < n_bytes; i++) bytes[i] = (uint8_t)random_bits(random);
}

/* Allocations of exactly the lengths, so that a sanitizer sees every byte too many. */
static void check(const struct filter_kernels *kernels, uint8_t filter, uint64_t n_bytes)
{
    struct random random = {n_bytes * 8 + filter};
    struct byte_buffer expected = {0};
    const uint64_t n_filtered = filter_output_bytes(filter, n_bytes);
    uint8_t *raw = malloc(n_bytes + !n_bytes), *filtered = malloc(n_filtered + !n_filtered);
    uint8_t *back = malloc(n_bytes + !n_bytes);
    fill(&random, filter, raw, n_bytes);
    naive_filter(filter, raw, n_bytes, &expected);
    assert_int_equal(n_filtered, expected.n_bytes);
    assert_true(filter_encode(filter, kernels, raw, n_bytes, filtered));
    if (n_filtered) assert_memory_equal(filtered, expected.data, n_filtered);
    assert_true(filter_decode(filter, kernels, filtered, n_bytes, back));
    if (n_bytes) assert_memory_equal(back, raw, n_bytes);
    free(back);
    free(filtered);
    free(raw);
    buffer_release(&expected);
}

static void test_lengths(void **state)
{
    (void)state;
    static const uint64_t lengths[] = {511, 512, 1000, 4093, 4096, 65536, 100003};
    for (size_t k = 0; k < N_KERNELS; k++) {
        if (!all_kernels[k]->available()) {
            print_message("note: kernels %s: skipped, this CPU lacks them\n", all_kernels[k]->name);
            continue;
        }
        for (uint8_t filter = 1; filter < N_FILTERS; filter++) {
            for (uint64_t n = 0; n < 300; n++) check(all_kernels[k], filter, n);
            for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
                check(all_kernels[k], filter, lengths[i]);
            }
        }
    }
}

/* One bit set, at every place: no two bits change places, in any lane of a vector. */
static void test_single_bits(void **state)
{
    (void)state;
    enum { N_BYTES = 1056 };
    uint8_t raw[N_BYTES] = {0}, filtered[N_BYTES * 5 / 4], back[N_BYTES];
    for (size_t k = 0; k < N_KERNELS; k++) {
        if (!all_kernels[k]->available()) continue;
        for (uint32_t bit = 0; bit < N_BYTES * 8; bit++) {
            raw[bit / 8] = (uint8_t)(1 << bit % 8);
            for (uint8_t filter = 1; filter < N_FILTERS; filter++) {
                if (filter == FILTER_TRITS) continue; /* not every bit is a code of it */
                uint32_t n_set = 0;
                assert_true(filter_encode(filter, all_kernels[k], raw, N_BYTES, filtered));
                for (uint64_t i = 0; i < filter_output_bytes(filter, N_BYTES); i++) {
                    n_set += filtered[i] != 0;
                }
                assert_int_equal(n_set, 1);
                assert_true(filter_decode(filter, all_kernels[k], filtered, N_BYTES, back));
                assert_memory_equal(back, raw, N_BYTES);
            }
            raw[bit / 8] = 0;
        }
    }
}

/* A code of 3 anywhere is refused, and so are bytes that no codes give. */
static void test_trits_refused(void **state)
{
    (void)state;
    enum { N_BYTES = 13, N_PACKED = 11 };
    uint8_t raw[N_BYTES] = {0}, packed[N_PACKED], back[N_BYTES];
    for (uint32_t code = 0; code < 4 * N_BYTES; code++) {
        raw[code / 4] = (uint8_t)(3 << code % 4 * 2);
        assert_false(filter_encode(FILTER_TRITS, &filter_kernels_plain, raw, N_BYTES, packed));
        raw[code / 4] = 0;
    }
    assert_true(filter_encode(FILTER_TRITS, &filter_kernels_plain, raw, N_BYTES, packed));
    for (uint32_t i = 0; i < N_PACKED; i++) {
        for (uint32_t v = 0; v < 256; v++) {
            packed[i] = (uint8_t)v;
            /* The last three bytes are 15 digits for 12 codes: three of the last byte's are none.
             */
            const bool good = v < (i == N_PACKED - 1 ? 9 : 243);
            assert_int_equal(
                filter_decode(FILTER_TRITS, &filter_kernels_plain, packed, N_BYTES, back), good);
        }
        packed[i] = 0;
    }
}

/* Bits that no raw byte gives: the upper two of a code, and pairs after the end. */
static void test_fp8_refused(void **state)
{
    (void)state;
    enum { N_BYTES = 11, N_FILTERED = 14 };
    uint8_t filtered[N_FILTERED] = {0}, back[N_BYTES];
    for (uint32_t i = 0; i < N_FILTERED; i++) {
        for (uint32_t bit = 0; bit < 8; bit++) {
            const bool good = i < N_BYTES ? bit < 6 : i < N_FILTERED - 1 || bit < 6;
            filtered[i] = (uint8_t)(1 << bit);
            assert_int_equal(
                filter_decode(FILTER_FP8, &filter_kernels_plain, filtered, N_BYTES, back), good);
        }
        filtered[i] = 0;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_single_bits),
        cmocka_unit_test(test_trits_refused),
        cmocka_unit_test(test_fp8_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
