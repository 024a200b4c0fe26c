/* The batches. Three take turns: one fills, one is packed, one is written out. */
#include "format/chunk_queue.h"

#include <assert.h>
#include <stdatomic.h>

#include "format/alloc.h"
#include "format/fail.h"

/* A batch is full at so many bytes a thread or items. */
enum { THREAD_BYTES = 2 * SLAB_BYTES, BATCH_ITEMS = 256, N_BATCHES = 3 };

struct batch {
    uint32_t n_items;
    uint32_t item_capacity;
    uint64_t raw_bytes; /* of the room for raw bytes that are taken */
    struct room raw;
    struct room packed;
    struct chunk_item *items;
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

/* Of an empty batch. */
static ingot_status make_item_room(struct chunk_queue *q, struct batch *b, uint32_t n_items,
                                   ingot_error *error)
{
    if (n_items <= b->item_capacity) return INGOT_OK;
    ingot_release(q->w->allocator, b->items);
    b->item_capacity = 0;
    b->items = ingot_allocate_zeroed(q->w->allocator, n_items, sizeof *b->items);
    if (b->items == NULL) return ingot_fail_memory(error, n_items * sizeof *b->items, "batch");
    b->item_capacity = n_items;
    return INGOT_OK;
}

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
        if (status == INGOT_OK) status = make_item_room(q, q->batches[i], BATCH_ITEMS, error);
    }
    const uint32_t n_packers = w->packer ? q->n_threads : 0;
    for (uint32_t i = 0; i < n_packers && status == INGOT_OK; i++) {
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
    if (q->w->packer == NULL) return INGOT_OK;
    for (uint32_t i = 0; i < b->n_items; i++) n_bytes += packer_bound(b->items[i].n_bytes);
    const ingot_status status = room_reserve(q->w, &b->packed, n_bytes, error);
    if (status != INGOT_OK) return status;
    uint8_t *p = b->packed.bytes;
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

ingot_status queue_room(struct chunk_queue *q, uint64_t room_bytes, uint32_t n_chunks,
                        uint8_t **room, ingot_error *error)
{
    struct batch *b = q->batches[FILLING];
    ingot_status status = INGOT_OK;
    if (b->n_items > 0 &&
        (n_chunks > b->item_capacity - b->n_items || room_bytes > b->raw.n_bytes - b->raw_bytes)) {
        status = turn(q, error);
        b = q->batches[FILLING];
    }
    if (status == INGOT_OK && b->n_items == 0) {
        status = room_reserve(q->w, &b->raw, max_u64(q->batch_bytes, room_bytes), error);
        if (status == INGOT_OK) status = make_item_room(q, b, n_chunks, error);
    }
    if (status == INGOT_OK) *room = b->raw.bytes + b->raw_bytes;
    return status;
}

ingot_status queue_put(struct chunk_queue *q, const struct chunk_item *item, ingot_error *error)
{
    struct batch *b = q->batches[FILLING];
    if (b->n_items == b->item_capacity) {
        assert(item->n_bytes == 0);
        const ingot_status status = turn(q, error);
        if (status != INGOT_OK) return status;
        b = q->batches[FILLING];
    }
    assert(item->n_bytes == 0 || item->raw == b->raw.bytes + b->raw_bytes);
    b->items[b->n_items++] = *item;
    b->raw_bytes += chunk_room_bytes(item->n_bytes);
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
        room_release(q->w, &q->batches[i]->packed);
        room_release(q->w, &q->batches[i]->raw);
        ingot_release(allocator, q->batches[i]->items);
        ingot_release(allocator, q->batches[i]);
    }
    for (uint32_t i = 0; q->packers && i < q->n_threads; i++) packer_close(q->packers[i]);
    ingot_release(allocator, q->packers);
    ingot_release(allocator, q);
}
