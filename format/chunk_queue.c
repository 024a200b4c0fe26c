/* The batches. Three take turns: one fills, one is packed, one is written out. */
#include "format/chunk_queue.h"

#include <stdatomic.h>
#include <string.h>

#include "format/alloc.h"
#include "format/fail.h"

/* A batch is full at so many bytes a thread or items. */
enum { THREAD_BYTES = 2 * SLAB_BYTES, BATCH_ITEMS = 256, N_BATCHES = 3 };

struct batch {
    uint32_t n_items;
    uint64_t raw_bytes;
    uint64_t raw_capacity;
    uint64_t packed_capacity;
    uint8_t *raw;
    uint8_t *packed;
    struct chunk_item items[BATCH_ITEMS];
};

struct chunk_queue {
    struct chunk_writer *w;
    struct ingot_pool *pool;
    uint64_t batch_bytes;
    struct batch *batches[N_BATCHES]; /* that fills, that is packed, that is written out */
    struct packer **packers;          /* one a thread */
    uint32_t n_threads;
    atomic_uint_fast32_t next; /* item to pack */
    ingot_status status;       /* the first failure */
    ingot_error why;
};

enum { FILLING, PACKING, FINISHING };

ingot_status queue_create(struct chunk_writer *w, struct ingot_pool *pool,
                          struct chunk_queue **queue, ingot_error *error)
{
    struct chunk_queue *q = ingot_allocate_zeroed(w->allocator, 1, sizeof *q);
    if (q == NULL) return ingot_fail_memory(error, sizeof *q, "chunk queue");
    ingot_status status = INGOT_OK;
    q->w = w;
    q->pool = pool;
    q->n_threads = ingot_pool_n_threads(pool);
    q->batch_bytes = (uint64_t)q->n_threads * THREAD_BYTES;
    atomic_init(&q->next, 0);
    q->packers = ingot_allocate_zeroed(w->allocator, q->n_threads, sizeof *q->packers);
    if (q->packers == NULL) status = ingot_fail_memory(error, q->n_threads, "packers");
    for (uint32_t i = 0; i < N_BATCHES && status == INGOT_OK; i++) {
        q->batches[i] = ingot_allocate_zeroed(w->allocator, 1, sizeof *q->batches[i]);
        if (q->batches[i] == NULL) status = ingot_fail_memory(error, sizeof(struct batch), "batch");
    }
    for (uint32_t i = 0; i < q->n_threads && status == INGOT_OK; i++) {
        status = packer_create(w->compression, w->allocator, &q->packers[i], error);
    }
    if (status != INGOT_OK) {
        queue_close(q);
        return status;
    }
    *queue = q;
    return INGOT_OK;
}

/* Task 0 writes out a batch; the others, one a thread, pack what is next of the other. */
static void finish_batch(struct chunk_queue *q)
{
    struct batch *b = q->batches[FINISHING];
    for (uint32_t i = 0; i < b->n_items; i++) {
        if (q->status == INGOT_OK) {
            q->status = item_finish(q->w, &b->items[i], &q->why);
        } else {
            item_abandon(&b->items[i]);
        }
    }
    b->n_items = 0;
    b->raw_bytes = 0;
}

static void work(void *context, uint64_t i)
{
    struct chunk_queue *q = context;
    struct batch *b = q->batches[PACKING];
    if (i == 0) {
        finish_batch(q);
        return;
    }
    for (;;) {
        const uint32_t k = (uint32_t)atomic_fetch_add(&q->next, 1);
        if (k >= b->n_items) return;
        item_pack(&b->items[k], q->packers[i - 1]);
    }
}

/* Room for the packed forms of a batch, one after another. */
static ingot_status make_packed_room(struct chunk_queue *q, struct batch *b, ingot_error *error)
{
    uint64_t n_bytes = 0;
    for (uint32_t i = 0; i < b->n_items; i++) n_bytes += packer_bound(b->items[i].n_bytes);
    if (n_bytes > b->packed_capacity) {
        ingot_release(q->w->allocator, b->packed);
        b->packed_capacity = 0;
        b->packed = ingot_allocate(q->w->allocator, n_bytes);
        if (b->packed == NULL) return ingot_fail_memory(error, n_bytes, "compressed chunks");
        b->packed_capacity = n_bytes;
    }
    uint8_t *p = b->packed;
    for (uint32_t i = 0; i < b->n_items; i++) {
        b->items[i].packed = p;
        p += packer_bound(b->items[i].n_bytes);
    }
    return INGOT_OK;
}

/* Every batch takes its next step. The batch to fill is empty afterwards. */
static ingot_status turn(struct chunk_queue *q, ingot_error *error)
{
    ingot_pool_end(q->pool);
    const ingot_status status = make_packed_room(q, q->batches[FILLING], error);
    if (status != INGOT_OK) return status;
    struct batch *empty = q->batches[FINISHING];
    q->batches[FINISHING] = q->batches[PACKING];
    q->batches[PACKING] = q->batches[FILLING];
    q->batches[FILLING] = empty;
    if (q->status != INGOT_OK) {
        if (error) *error = q->why;
        return q->status;
    }
    atomic_store(&q->next, 0);
    ingot_pool_begin(q->pool, 1 + (uint64_t)q->n_threads, work, q);
    return INGOT_OK;
}

static ingot_status make_raw_room(struct chunk_queue *q, uint64_t n_bytes, ingot_error *error)
{
    struct batch *b = q->batches[FILLING];
    if (n_bytes <= b->raw_capacity) return INGOT_OK;
    ingot_release(q->w->allocator, b->raw);
    b->raw_capacity = 0;
    b->raw = ingot_allocate(q->w->allocator, n_bytes);
    if (b->raw == NULL) return ingot_fail_memory(error, n_bytes, "chunks");
    b->raw_capacity = n_bytes;
    return INGOT_OK;
}

ingot_status queue_put(struct chunk_queue *q, const struct chunk_item *item, ingot_error *error)
{
    struct batch *b = q->batches[FILLING];
    ingot_status status = INGOT_OK;
    if (b->n_items == BATCH_ITEMS ||
        item->n_bytes > max_u64(b->raw_capacity, q->batch_bytes) - b->raw_bytes) {
        if (b->n_items > 0) status = turn(q, error);
        if (status != INGOT_OK) return status;
        b = q->batches[FILLING];
    }
    if (b->n_items == 0) {
        status = make_raw_room(q, max_u64(q->batch_bytes, item->n_bytes), error);
        if (status != INGOT_OK) return status;
    }
    struct chunk_item *kept = &b->items[b->n_items++];
    *kept = *item;
    kept->raw = b->raw + b->raw_bytes;
    if (item->n_bytes) memcpy(b->raw + b->raw_bytes, item->raw, (size_t)item->n_bytes);
    b->raw_bytes += item->n_bytes;
    return INGOT_OK;
}

ingot_status queue_flush(struct chunk_queue *q, ingot_error *error)
{
    ingot_status status = INGOT_OK;
    for (uint32_t i = 1; i < N_BATCHES && status == INGOT_OK; i++) status = turn(q, error);
    ingot_pool_end(q->pool);
    if (status == INGOT_OK && q->status != INGOT_OK && error) *error = q->why;
    return status == INGOT_OK ? q->status : status;
}

void queue_abandon(struct chunk_queue *q)
{
    ingot_pool_end(q->pool);
    if (q->status == INGOT_OK) {
        q->status = ingot_fail(&q->why, INGOT_REFUSED, INGOT_NO_OFFSET, "writer", "given up");
    }
    for (uint32_t i = 0; i < N_BATCHES; i++) {
        struct batch *b = q->batches[i];
        for (uint32_t k = 0; k < b->n_items; k++) item_abandon(&b->items[k]);
        b->n_items = 0;
        b->raw_bytes = 0;
    }
}

void queue_close(struct chunk_queue *q)
{
    if (q == NULL) return;
    const ingot_allocator *allocator = q->w->allocator;
    const bool complete = q->batches[N_BATCHES - 1] != NULL;
    if (complete) queue_abandon(q);
    for (uint32_t i = 0; i < N_BATCHES && q->batches[i]; i++) {
        ingot_release(allocator, q->batches[i]->packed);
        ingot_release(allocator, q->batches[i]->raw);
        ingot_release(allocator, q->batches[i]);
    }
    for (uint32_t i = 0; q->packers && i < q->n_threads; i++) packer_close(q->packers[i]);
    ingot_release(allocator, q->packers);
    ingot_release(allocator, q);
}
