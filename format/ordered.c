/* Batches of half the slots take turns: one is made while the other is taken. */
#include "format/ordered.h"

#include "format/bytes.h"

enum { THREAD_SLOTS = 4, ALL_SLOTS_BYTES = 64 << 20 };

uint32_t ordered_slots(const struct ingot_pool *pool, uint64_t slot_bytes)
{
    const uint32_t n_threads = pool ? ingot_pool_n_threads(pool) : 1;
    if (n_threads == 1) return 1;
    const uint64_t n = max_u64(1, ALL_SLOTS_BYTES / max_u64(1, slot_bytes));
    return (uint32_t)max_u64(2, min_u64(n, (uint64_t)n_threads * THREAD_SLOTS) / 2 * 2);
}

struct batch {
    const struct ordered_job *job;
    uint64_t first;
    uint64_t n;
    uint32_t slot; /* of the first */
};

static struct batch batch_at(const struct ordered_job *job, uint64_t number)
{
    const uint64_t each = job->n_slots / 2, first = number * each;
    const uint64_t n = first < job->n_items ? min_u64(each, job->n_items - first) : 0;
    return (struct batch){job, first, n, number % 2 ? (uint32_t)each : 0};
}

static void make(void *context, uint64_t i)
{
    const struct batch *b = context;
    b->job->make(b->job->context, b->first + i, b->slot + (uint32_t)i);
}

static ingot_status take(const struct batch *b)
{
    ingot_status status = INGOT_OK;
    for (uint64_t i = 0; i < b->n && status == INGOT_OK; i++) {
        status = b->job->take(b->job->context, b->first + i, b->slot + (uint32_t)i);
    }
    return status;
}

static ingot_status one_by_one(const struct ordered_job *job)
{
    ingot_status status = INGOT_OK;
    for (uint64_t i = 0; i < job->n_items && status == INGOT_OK; i++) {
        job->make(job->context, i, 0);
        status = job->take(job->context, i, 0);
    }
    return status;
}

ingot_status ordered_run(struct ingot_pool *pool, const struct ordered_job *job)
{
    if (job->n_slots == 1 || job->n_items == 1) return one_by_one(job);
    ingot_status status = INGOT_OK;
    struct batch current = batch_at(job, 0);
    ingot_pool_run(pool, current.n, make, &current);
    for (uint64_t number = 1; current.n > 0 && status == INGOT_OK; number++) {
        struct batch next = batch_at(job, number);
        if (next.n) ingot_pool_begin(pool, next.n, make, &next);
        status = take(&current);
        ingot_pool_end(pool);
        current = next;
    }
    return status;
}
