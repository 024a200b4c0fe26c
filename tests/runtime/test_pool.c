/* The thread pool: every task once, on any number of threads, run after run; and nothing left when
 * memory runs out. */
#include "tests/support/unit.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "format/pool.h"
#include "tests/runtime/scarce.h"

static const uint32_t thread_counts[] = {1, 2, 3, 7};
enum { N_THREAD_COUNTS = sizeof thread_counts / sizeof *thread_counts, MAX_TASKS = 1000 };

/* Plain integers: a pool that runs a task twice, or returns before it ended, is a race. */
struct tally {
    uint32_t n_runs[MAX_TASKS];
};

static void count_task(void *context, uint64_t i)
{
    struct tally *tally = context;
    tally->n_runs[i]++;
}

static void every_task_runs_once(void **state)
{
    (void)state;
    static const uint64_t n_tasks[] = {0, 1, 2, 3, 17, MAX_TASKS};
    for (uint32_t t = 0; t < N_THREAD_COUNTS; t++) {
        struct ingot_pool *pool;
        assert_int_equal(ingot_pool_create(thread_counts[t], NULL, &pool, NULL), INGOT_OK);
        assert_int_equal(ingot_pool_n_threads(pool), thread_counts[t]);
        for (size_t k = 0; k < sizeof n_tasks / sizeof *n_tasks; k++) {
            struct tally tally = {{0}};
            ingot_pool_run(pool, n_tasks[k], count_task, &tally);
            for (uint64_t i = 0; i < MAX_TASKS; i++) {
                assert_int_equal(tally.n_runs[i], i < n_tasks[k] ? 1 : 0);
            }
        }
        ingot_pool_close(pool);
    }
}

/* Runs follow each other faster than workers wake up, so some join late or never. */
static void runs_follow_each_other(void **state)
{
    (void)state;
    enum { N_RUNS = 2000, N_TASKS = 8 };
    struct ingot_pool *pool;
    struct tally tally = {{0}};
    assert_int_equal(ingot_pool_create(3, NULL, &pool, NULL), INGOT_OK);
    for (uint32_t run = 1; run <= N_RUNS; run++) {
        ingot_pool_run(pool, N_TASKS, count_task, &tally);
        for (uint32_t i = 0; i < N_TASKS; i++) assert_int_equal(tally.n_runs[i], run);
    }
    ingot_pool_close(pool);
}

static void sum_task(void *context, uint64_t i)
{
    volatile double sum = 0;
    for (uint64_t k = 0; k < (i % 7 == 0 ? 20000u : 10u); k++) sum = sum + (double)k;
    ((double *)context)[i] = sum;
}

static void uneven_tasks_all_end(void **state)
{
    (void)state;
    double expected[64], found[64];
    struct ingot_pool *pool;
    for (uint64_t i = 0; i < 64; i++) sum_task(expected, i);
    assert_int_equal(ingot_pool_create(7, NULL, &pool, NULL), INGOT_OK);
    for (uint32_t run = 0; run < 50; run++) {
        memset(found, 0, sizeof found);
        ingot_pool_run(pool, 64, sum_task, found);
        assert_memory_equal(found, expected, sizeof found);
    }
    ingot_pool_close(pool);
}

static void *use_own_pool(void *failed)
{
    struct ingot_pool *pool;
    struct tally tally = {{0}};
    if (ingot_pool_create(2, NULL, &pool, NULL) != INGOT_OK) return failed;
    for (uint32_t run = 0; run < 100; run++) ingot_pool_run(pool, 100, count_task, &tally);
    ingot_pool_close(pool);
    for (uint32_t i = 0; i < 100; i++) {
        if (tally.n_runs[i] != 100) return failed;
    }
    return NULL;
}

static void pools_do_not_know_each_other(void **state)
{
    (void)state;
    pthread_t threads[3];
    int failed;
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, use_own_pool, &failed), 0);
    }
    for (uint32_t i = 0; i < 3; i++) {
        void *result;
        assert_int_equal(pthread_join(threads[i], &result), 0);
        assert_null(result);
    }
}

static void zero_threads_is_one_per_core(void **state)
{
    (void)state;
    struct ingot_pool *pool;
    assert_int_equal(ingot_pool_create(0, NULL, &pool, NULL), INGOT_OK);
    assert_true(ingot_pool_n_threads(pool) >= 1);
    ingot_pool_close(pool);
    ingot_pool_close(NULL);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    ingot_status status = INGOT_NO_MEMORY;
    for (int n = 0; status != INGOT_OK; n++) {
        assert_true(n < 100);
        struct scarce scarce = {n, 0};
        const ingot_allocator allocator = scarce_allocator(&scarce);
        struct ingot_pool *pool = NULL;
        ingot_error error = {.status = INGOT_OK};
        status = ingot_pool_create(2, &allocator, &pool, &error);
        if (status == INGOT_OK) {
            ingot_pool_close(pool);
        } else {
            assert_int_equal(status, INGOT_NO_MEMORY);
            assert_int_equal(error.status, INGOT_NO_MEMORY);
            assert_null(pool);
        }
        assert_int_equal(scarce.n_held, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_task_runs_once),
        cmocka_unit_test(runs_follow_each_other),
        cmocka_unit_test(uneven_tasks_all_end),
        cmocka_unit_test(pools_do_not_know_each_other),
        cmocka_unit_test(zero_threads_is_one_per_core),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
