/* The one place where threads are made. Owns its workers from create to close; knows nothing of
 * what they compute. Between runs workers look for the next one for a moment, as small runs follow
 * each other closely, and then sleep. */
#include "format/pool.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "format/alloc.h"
#include "format/compiler.h"
#include "format/fail.h"

/* One call of ingot_pool_run. `next` is the first task that nobody has taken yet. */
struct run {
    void (*task)(void *context, uint64_t i);
    void *context;
    uint64_t n_tasks;
    atomic_uint_fast64_t next;
};

/* The newest run in one word, so that joining and leaving it take no lock:
 *
 *     63 .. 32 its number | 31 open: still takes workers | 30 .. 0 workers inside
 */
enum { NUMBER_SHIFT = 32 };
static const uint64_t OPEN = UINT64_C(1) << 31, INSIDE = (UINT64_C(1) << 31) - 1;

enum { LOOKS = 1 << 12 }; /* before sleep: about a tenth of a millisecond */

struct ingot_pool {
    const ingot_allocator *allocator;
    uint32_t n_threads; /* with the calling one */
    uint32_t n_started;
    uint32_t n_looks; /* 0 where threads would take each other's cores */
    bool begun;       /* the calling thread's: a run waits for its end */
    pthread_t *workers;
    struct run run;
    atomic_uint_fast64_t newest;
    atomic_bool closing;
    /* Sleep. Who is about to, says so before the last look, and who changes what is looked at,
     * asks afterwards who sleeps: one of both sees the other. */
    atomic_uint n_asleep; /* workers */
    atomic_bool caller_asleep;
    pthread_mutex_t mutex;
    pthread_cond_t begun_runs;
    pthread_cond_t ended;
};

/* Cores that this process may use. */
static uint32_t n_cores(void)
{
#ifdef CPU_COUNT
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) {
        const int n_allowed = CPU_COUNT(&allowed);
        if (n_allowed > 0) return (uint32_t)n_allowed;
    }
#endif
    const long n = sysconf(_SC_NPROCESSORS_ONLN);
    return n > 0 ? (uint32_t)n : 1;
}

/* Takes tasks until none is left. */
static void work(struct run *run)
{
    for (;;) {
        const uint64_t i = atomic_fetch_add(&run->next, 1);
        if (i >= run->n_tasks) return;
        run->task(run->context, i);
    }
}

/* Whether there is a run that a worker was not in, whose last one was n_seen. */
static bool can_join(const struct ingot_pool *pool, uint64_t n_seen)
{
    const uint64_t newest = atomic_load(&pool->newest);
    return (newest & OPEN) != 0 && newest >> NUMBER_SHIFT != n_seen;
}

static bool is_awaited(const struct ingot_pool *pool, uint64_t n_seen)
{
    return atomic_load(&pool->closing) || can_join(pool, n_seen);
}

static void await_run(struct ingot_pool *pool, uint64_t n_seen)
{
    for (uint32_t i = 0; i < pool->n_looks; i++) {
        if (is_awaited(pool, n_seen)) return;
        INGOT_PAUSE();
    }
    pthread_mutex_lock(&pool->mutex);
    atomic_fetch_add(&pool->n_asleep, 1);
    while (!is_awaited(pool, n_seen)) pthread_cond_wait(&pool->begun_runs, &pool->mutex);
    atomic_fetch_sub(&pool->n_asleep, 1);
    pthread_mutex_unlock(&pool->mutex);
}

/* Waits for a run and enters it; false: the pool is closing. */
static bool join_run(struct ingot_pool *pool, uint64_t *n_seen)
{
    for (;;) {
        await_run(pool, *n_seen);
        if (atomic_load(&pool->closing)) return false;
        uint_fast64_t newest = atomic_load(&pool->newest);
        if ((newest & OPEN) == 0) continue; /* it ended meanwhile */
        if (!atomic_compare_exchange_strong(&pool->newest, &newest, newest + 1)) continue;
        *n_seen = newest >> NUMBER_SHIFT;
        return true;
    }
}

static void leave_run(struct ingot_pool *pool)
{
    const uint64_t before = atomic_fetch_sub(&pool->newest, 1);
    if ((before & INSIDE) != 1 || !atomic_load(&pool->caller_asleep)) return;
    pthread_mutex_lock(&pool->mutex);
    pthread_cond_signal(&pool->ended);
    pthread_mutex_unlock(&pool->mutex);
}

static void *worker(void *argument)
{
    struct ingot_pool *pool = argument;
    uint64_t n_seen = 0;
    while (join_run(pool, &n_seen)) {
        work(&pool->run);
        leave_run(pool);
    }
    return NULL;
}

/* Starts the workers with all signals blocked, which are for the caller's threads, but for those
 * that tell of what a thread itself did: a mapped file that became shorter may be read here. */
static ingot_status start_workers(struct ingot_pool *pool, ingot_error *error)
{
    sigset_t all, before;
    static const int own[] = {SIGBUS, SIGSEGV, SIGFPE, SIGILL, SIGABRT};
    sigfillset(&all);
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) sigdelset(&all, own[i]);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failure = 0;
    while (pool->n_started + 1 < pool->n_threads && failure == 0) {
        failure = pthread_create(&pool->workers[pool->n_started], NULL, worker, pool);
        if (failure == 0) pool->n_started++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failure == 0) return INGOT_OK;
    return ingot_fail(error, INGOT_IO, INGOT_NO_OFFSET, "thread pool",
                      "thread %lu of %lu could not be started: %s",
                      (unsigned long)pool->n_started + 2, (unsigned long)pool->n_threads,
                      strerror(failure));
}

ingot_status ingot_pool_create(uint32_t n_threads, const ingot_allocator *allocator,
                               struct ingot_pool **pool, ingot_error *error)
{
    struct ingot_pool *made = ingot_allocate_zeroed(allocator, 1, sizeof *made);
    if (made == NULL) return ingot_fail_memory(error, sizeof *made, "thread pool");
    made->allocator = allocator;
    made->n_threads = n_threads ? n_threads : n_cores();
    made->n_looks = made->n_threads <= n_cores() ? LOOKS : 0;
    pthread_mutex_init(&made->mutex, NULL);
    pthread_cond_init(&made->begun_runs, NULL);
    pthread_cond_init(&made->ended, NULL);
    atomic_init(&made->run.next, 0);
    atomic_init(&made->newest, 0);
    atomic_init(&made->closing, false);
    atomic_init(&made->n_asleep, 0);
    atomic_init(&made->caller_asleep, false);

    ingot_status status = INGOT_OK;
    const uint64_t n_workers = made->n_threads - 1;
    made->workers = ingot_allocate_zeroed(allocator, n_workers, sizeof *made->workers);
    if (made->workers == NULL) {
        status = ingot_fail_memory(error, n_workers * sizeof *made->workers, "thread pool");
        goto done;
    }
    status = start_workers(made, error);
    if (status != INGOT_OK) goto done;
    *pool = made;
    made = NULL;
done:
    ingot_pool_close(made);
    return status;
}

void ingot_pool_close(struct ingot_pool *pool)
{
    if (pool == NULL) return;
    ingot_pool_end(pool);
    atomic_store(&pool->closing, true);
    pthread_mutex_lock(&pool->mutex);
    pthread_cond_broadcast(&pool->begun_runs);
    pthread_mutex_unlock(&pool->mutex);
    for (uint32_t i = 0; i < pool->n_started; i++) pthread_join(pool->workers[i], NULL);
    pthread_cond_destroy(&pool->ended);
    pthread_cond_destroy(&pool->begun_runs);
    pthread_mutex_destroy(&pool->mutex);
    ingot_release(pool->allocator, pool->workers);
    ingot_release(pool->allocator, pool);
}

uint32_t ingot_pool_n_threads(const struct ingot_pool *pool)
{
    return pool->n_threads;
}

void ingot_pool_begin(struct ingot_pool *pool, uint64_t n_tasks,
                      void (*task)(void *context, uint64_t i), void *context)
{
    ingot_pool_end(pool);
    const uint64_t n_before = atomic_load(&pool->newest);
    assert((n_before & (OPEN | INSIDE)) == 0); /* one run at a time */
    pool->run.task = task;
    pool->run.context = context;
    pool->run.n_tasks = n_tasks;
    atomic_store(&pool->run.next, 0);
    pool->begun = true;
    atomic_store(&pool->newest, (((n_before >> NUMBER_SHIFT) + 1) << NUMBER_SHIFT) | OPEN);
    if (atomic_load(&pool->n_asleep) == 0) return;
    pthread_mutex_lock(&pool->mutex);
    pthread_cond_broadcast(&pool->begun_runs);
    pthread_mutex_unlock(&pool->mutex);
}

static bool has_workers(const struct ingot_pool *pool)
{
    return (atomic_load(&pool->newest) & INSIDE) != 0;
}

static void await_workers(struct ingot_pool *pool)
{
    for (uint32_t i = 0; i < pool->n_looks; i++) {
        if (!has_workers(pool)) return;
        INGOT_PAUSE();
    }
    pthread_mutex_lock(&pool->mutex);
    atomic_store(&pool->caller_asleep, true);
    while (has_workers(pool)) pthread_cond_wait(&pool->ended, &pool->mutex);
    atomic_store(&pool->caller_asleep, false);
    pthread_mutex_unlock(&pool->mutex);
}

void ingot_pool_end(struct ingot_pool *pool)
{
    if (!pool->begun) return;
    work(&pool->run);
    /* No task is left to take, so a worker that wakes up only now must not join. Those inside have
     * ended their tasks when they are out. */
    atomic_fetch_and(&pool->newest, ~OPEN);
    await_workers(pool);
    pool->begun = false;
}

void ingot_pool_run(struct ingot_pool *pool, uint64_t n_tasks,
                    void (*task)(void *context, uint64_t i), void *context)
{
    ingot_pool_end(pool);
    if (pool->n_threads == 1 || n_tasks <= 1) {
        for (uint64_t i = 0; i < n_tasks; i++) task(context, i);
        return;
    }
    ingot_pool_begin(pool, n_tasks, task, context);
    ingot_pool_end(pool);
}
