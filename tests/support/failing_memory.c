/* Allocations that fail one after the other. */
#include "tests/support/unit.h"

#include "tests/support/failing_memory.h"

#include <pthread.h>
#include <stdlib.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void *allocate(void *context, size_t n_bytes)
{
    struct failing_memory *m = context;
    pthread_mutex_lock(&mutex);
    const uint64_t call = m->n_calls++;
    const bool fails = call == m->fail_at || (m->for_good && call > m->fail_at);
    if (fails) {
        m->has_failed = true;
    } else {
        m->n_live++;
    }
    pthread_mutex_unlock(&mutex);
    return fails ? NULL : malloc(n_bytes);
}

static void release(void *context, void *memory)
{
    struct failing_memory *m = context;
    if (memory == NULL) return;
    pthread_mutex_lock(&mutex);
    assert_true(m->n_live > 0);
    m->n_live--;
    pthread_mutex_unlock(&mutex);
    free(memory);
}

ingot_allocator failing_allocator(struct failing_memory *memory)
{
    return (ingot_allocator){.allocate = allocate, .release = release, .context = memory};
}

uint64_t fail_every_allocation(ingot_status (*attempt)(void *context,
                                                       const ingot_allocator *allocator,
                                                       ingot_error *error),
                               void *context)
{
    for (uint64_t n = 0;; n++) {
        for (int for_good = 0; for_good < 2; for_good++) {
            struct failing_memory memory = {.fail_at = n, .for_good = for_good};
            const ingot_allocator allocator = failing_allocator(&memory);
            ingot_error error = {.status = INGOT_OK};
            const ingot_status status = attempt(context, &allocator, &error);
            if (memory.n_live != 0) {
                fail_msg("allocation %llu failed and %llu others were not released",
                         (unsigned long long)n, (unsigned long long)memory.n_live);
            }
            if (!memory.has_failed) {
                assert_int_equal(status, INGOT_OK);
                return n;
            }
            if (status != INGOT_NO_MEMORY || error.status != INGOT_NO_MEMORY || !error.what[0]) {
                fail_msg("allocation %llu failed and the status is %s, the error %s: %s",
                         (unsigned long long)n, ingot_status_name(status),
                         ingot_status_name(error.status), error.what);
            }
        }
    }
}
