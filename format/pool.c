/* The one place where threads are made. Owns its workers from create to close; knows nothing of
 * what they compute. Workers sleep between runs. */
#include "format/pool.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "format/alloc.h"
#include "format/fail.h"

/* One call of ingot_pool_run. `next` is the first task that nobody has taken yet. */
struct run {
    void (*task)(void *context, uint64_t i);
    void *context;
    uint64_t n_tasks;
    atomic_uint_fast64_t next;
};

struct ingot_pool {
    const ingot_allocator *allocator;
    uint32_t n_threads; /* with the calling one */
    uint32_t n_started;
    pthread_t *workers;
    pthread_mutex_t mutex; /* guards what follows, but for run.next */
    pthread_cond_t begun_runs;
    pthread_cond_t ended;
    struct run run;
    bool begun;         /* the calling thread's: a run waits for its end */
    uint64_t n_runs;    /* number of the newest run */
    bool open_to_join;  /* the newest run still takes workers */
    uint32_t n_working; /* workers inside it */
    bool closing;
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

static void *worker(void *argument)
{
    struct ingot_pool *pool = argument;
    uint64_t n_seen = 0;
    pthread_mutex_lock(&pool->mutex);
    for (;;) {
        while (!pool->closing && !(pool->open_to_join && pool->n_runs != n_seen)) {
            pthread_cond_wait(&pool->begun_runs, &pool->mutex);
        }
        if (pool->closing) break;
        n_seen = pool->n_runs;
        pool->n_working++;
        pthread_mutex_unlock(&pool->mutex);
        work(&pool->run);
        pthread_mutex_lock(&pool->mutex);
        pool->n_working--;
        if (pool->n_working == 0) pthread_cond_signal(&pool->ended);
    }
    pthread_mutex_unlock(&pool->mutex);
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
    pthread_mutex_init(&made->mutex, NULL);
    pthread_cond_init(&made->begun_runs, NULL);
    pthread_cond_init(&made->ended, NULL);
    atomic_init(&made->run.next, 0);

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
    pthread_mutex_lock(&pool->mutex);
    pool->closing = true;
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
    pthread_mutex_lock(&pool->mutex);
    assert(!pool->open_to_join && pool->n_working == 0); /* one run at a time */
    pool->run.task = task;
    pool->run.context = context;
    pool->run.n_tasks = n_tasks;
    atomic_store(&pool->run.next, 0);
    pool->begun = true;
    pool->n_runs++;
    pool->open_to_join = true;
    pthread_cond_broadcast(&pool->begun_runs);
    pthread_mutex_unlock(&pool->mutex);
}

void ingot_pool_end(struct ingot_pool *pool)
{
    if (!pool->begun) return;
    work(&pool->run);
    /* No task is left to take, so a worker that wakes up only now must not join. Those inside have
     * ended their tasks when they are out. */
    pthread_mutex_lock(&pool->mutex);
    pool->open_to_join = false;
    while (pool->n_working != 0) pthread_cond_wait(&pool->ended, &pool->mutex);
    pthread_mutex_unlock(&pool->mutex);
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
