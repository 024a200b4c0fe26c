/* Encodings under a size: hulls, steps, and what no choice could better. */
#include "tests/support/unit.h"

#include <stdio.h>
#include <string.h>

#include "convert/budget.h"
#include "tests/support/random.h"

static uint64_t chosen_bytes(const struct budget_group *groups, uint32_t n, double *error)
{
    uint64_t n_bytes = 0;
    *error = 0;
    for (uint32_t g = 0; g < n; g++) {
        n_bytes += groups[g].options[groups[g].chosen].n_bytes;
        *error += groups[g].options[groups[g].chosen].error;
    }
    return n_bytes;
}

static void test_hull(void **state)
{
    (void)state;
    /* The second option lies above the line from the first to the third, the last loses. */
    struct budget_group group = {4, {{100, 9}, {150, 8}, {200, 1}, {300, 2}}, 0};
    uint64_t least;
    assert_true(budget_choose(&group, 1, 199, &least));
    assert_int_equal(group.chosen, 0);
    assert_int_equal(least, 100);
    assert_true(budget_choose(&group, 1, 200, &least));
    assert_int_equal(group.chosen, 2);
    assert_true(budget_choose(&group, 1, 1000, &least));
    assert_int_equal(group.chosen, 2);
    assert_false(budget_choose(&group, 1, 99, &least));
    assert_int_equal(least, 100);
}

/* Bytes go where they save most, and what is left over to a smaller step. */
static void test_order(void **state)
{
    (void)state;
    struct budget_group groups[3] = {
        {2, {{10, 10}, {20, 5}}, 0},
        {2, {{10, 10}, {20, 1}}, 0},
        {2, {{10, 2}, {15, 1}}, 0},
    };
    uint64_t least;
    assert_true(budget_choose(groups, 3, 40, &least));
    assert_int_equal(groups[0].chosen, 0);
    assert_int_equal(groups[1].chosen, 1);
    assert_int_equal(groups[2].chosen, 0);
    assert_true(budget_choose(groups, 3, 45, &least));
    assert_int_equal(groups[0].chosen, 0);
    assert_int_equal(groups[2].chosen, 1);
    assert_true(budget_choose(groups, 3, 50, &least));
    assert_int_equal(groups[0].chosen, 1);
    assert_int_equal(groups[2].chosen, 0);
}

enum { N = 5, M = 3, ALL = 243 };

/* Against all choices there are: never over the budget, and at most one step's error from the best
 * (the usual bound of the multiplier's choice). */
static void test_all_choices(void **state)
{
    (void)state;
    struct random random = {7};
    for (uint32_t trial = 0; trial < 500; trial++) {
        struct budget_group groups[N] = {0};
        double widest = 0, best = 1e9, error;
        uint64_t least, most = 0;
        for (uint32_t g = 0; g < N; g++) {
            groups[g].n_options = M;
            for (uint32_t k = 0; k < M; k++) {
                groups[g].options[k].n_bytes = 1 + random_bits(&random) % 100;
                groups[g].options[k].error = (double)(random_bits(&random) % 1000);
                if (groups[g].options[k].error > widest) widest = groups[g].options[k].error;
            }
            most += 60;
        }
        const uint64_t budget = random_bits(&random) % most;
        const bool fits = budget_choose(groups, N, budget, &least);
        assert_int_equal(fits, least <= budget);
        for (uint32_t c = 0; c < ALL; c++) {
            struct budget_group other[N];
            uint32_t digits = c;
            memcpy(other, groups, sizeof other);
            for (uint32_t g = 0; g < N; g++, digits /= M) other[g].chosen = digits % M;
            if (chosen_bytes(other, N, &error) <= budget && error < best) best = error;
        }
        if (!fits) {
            assert_true(best >= 1e9);
            continue;
        }
        assert_true(chosen_bytes(groups, N, &error) <= budget);
        assert_true(error <= best + widest);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hull),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_all_choices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
