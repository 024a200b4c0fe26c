/* Checksum and hash of the same bytes in one pass, beside each on its own. */
#include "tests/support/unit.h"

#include <stdlib.h>

#include "format/records.h"
#include "tests/support/random.h"

static void test_both(void **state)
{
    (void)state;
    enum { MOST = 3 << 20 };
    static const uint64_t longer[] = {4096, 65536, 1 << 20, (1 << 20) + 1, MOST};
    struct random random = {7};
    uint8_t *bytes = malloc(MOST);
    for (uint64_t i = 0; i < MOST; i++) bytes[i] = (uint8_t)random_bits(&random);
    for (uint64_t i = 0; i < 1100 + sizeof longer / sizeof *longer; i++) {
        const uint64_t n = i < 1100 ? i : longer[i - 1100];
        uint8_t hash[HASH_BYTES], both[HASH_BYTES];
        hash_of(bytes, n, hash);
        assert_true(checksum_and_hash(bytes, n, both) == checksum_of(bytes, n));
        assert_memory_equal(both, hash, sizeof hash);
    }
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_both)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
