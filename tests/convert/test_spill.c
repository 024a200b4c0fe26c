/* Memory that spills into files: large blocks leave the anonymous memory of the process, small ones
 * and those of a folder that cannot hold them do not. */
#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "convert/spill.h"
#include "format/alloc.h"

/* Anonymous resident memory of this process, in bytes. */
static uint64_t anonymous_bytes(void)
{
    char line[256];
    unsigned long long kilobytes = 0;
    FILE *status = fopen("/proc/self/status", "r");
    assert_non_null(status);
    while (fgets(line, sizeof line, status)) sscanf(line, "RssAnon: %llu kB", &kilobytes);
    (void)fclose(status);
    return kilobytes * 1024;
}

enum { LARGE = 64 << 20, SLACK = 8 << 20 };

static void check(const char *folder, bool spills)
{
    const ingot_allocator allocator = spill_allocator(folder);
    const uint64_t before = anonymous_bytes();
    uint8_t *large = ingot_allocate_zeroed(&allocator, LARGE, 1);
    uint8_t *small = ingot_allocate(&allocator, 100);
    assert_non_null(large);
    assert_non_null(small);
    memset(large, 1, LARGE);
    memset(small, 2, 100);
    const uint64_t grown = anonymous_bytes() - before;
    if (spills) {
        assert_true(grown < SLACK);
    } else {
        assert_true(grown >= LARGE - SLACK);
    }
    assert_int_equal(large[LARGE - 1], 1);
    assert_int_equal((uintptr_t)large % 16, 0);
    assert_int_equal((uintptr_t)small % 16, 0);
    ingot_release(&allocator, large);
    ingot_release(&allocator, small);
}

static void test_spills(void **state)
{
    (void)state;
    check(".", true);
}

static void test_no_such_folder(void **state)
{
    (void)state;
    check("no/such/folder", false);
}

static void test_too_much(void **state)
{
    (void)state;
    const ingot_allocator allocator = spill_allocator(".");
    assert_null(ingot_allocate(&allocator, UINT64_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spills),
        cmocka_unit_test(test_no_such_folder),
        cmocka_unit_test(test_too_much),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
