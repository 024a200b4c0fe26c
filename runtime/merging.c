/* A linked list of symbols and a heap of pairs. A pair whose symbols have changed since it was put
 * there is known by its length and passed over. */
#include "runtime/merging.h"

#include <assert.h>

#include "format/alloc.h"
#include "format/bytes.h"
#include "format/fail.h"

struct candidate {
    double order;
    uint32_t left, right;
    uint32_t token;
    uint32_t n_bytes; /* of both */
};

typedef bool (*find_joint)(const void *context, const struct symbol *left,
                           const struct symbol *right, struct joint *joint);

ingot_status merging_begin(struct merging *merging, uint32_t n, ingot_error *error)
{
    merging->n_symbols = 0;
    merging->n_heap = 0;
    if (n <= merging->capacity) return INGOT_OK;
    const uint64_t capacity = max_u64(64, n < UINT32_MAX / 2 ? (uint64_t)n * 2 : n);
    merging_release(merging);
    merging->symbols = ingot_allocate(merging->allocator, capacity * sizeof *merging->symbols);
    /* Each join takes one pair out and puts at most two in. */
    merging->heap = ingot_allocate(merging->allocator, 2 * capacity * sizeof *merging->heap);
    if (merging->symbols == NULL || merging->heap == NULL) {
        return ingot_fail_memory(error, 2 * capacity * sizeof *merging->heap, "text to tokens");
    }
    merging->capacity = (uint32_t)capacity;
    return INGOT_OK;
}

void merging_release(struct merging *merging)
{
    ingot_release(merging->allocator, merging->symbols);
    ingot_release(merging->allocator, merging->heap);
    merging->symbols = NULL;
    merging->heap = NULL;
    merging->capacity = 0;
}

void merging_symbol(struct merging *merging, uint32_t offset, uint32_t n_bytes, uint32_t token)
{
    assert(merging->n_symbols < merging->capacity);
    const uint32_t i = merging->n_symbols++;
    if (i > 0) merging->symbols[i - 1].next = i;
    merging->symbols[i] =
        (struct symbol){offset, n_bytes, token, i > 0 ? i - 1 : INGOT_NONE, INGOT_NONE};
}

/* ------------------------------------------------------------------ the heap */

static bool is_before(const struct candidate *a, const struct candidate *b)
{
    return a->order < b->order || (a->order == b->order && a->left < b->left);
}

static void push(struct merging *merging, const struct candidate *candidate)
{
    uint64_t i = merging->n_heap++;
    while (i > 0 && is_before(candidate, &merging->heap[(i - 1) / 2])) {
        merging->heap[i] = merging->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    merging->heap[i] = *candidate;
}

static struct candidate pop(struct merging *merging)
{
    struct candidate *heap = merging->heap;
    const struct candidate first = heap[0];
    const struct candidate moved = heap[--merging->n_heap];
    uint64_t i = 0;
    for (uint64_t child = 1; child < merging->n_heap; child = 2 * i + 1) {
        if (child + 1 < merging->n_heap && is_before(&heap[child + 1], &heap[child])) child++;
        if (!is_before(&heap[child], &moved)) break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = moved;
    return first;
}

/* ------------------------------------------------------------------ joining */

static void consider(struct merging *merging, uint32_t left, uint32_t right, find_joint find,
                     const void *context)
{
    if (left == INGOT_NONE || right == INGOT_NONE) return;
    const struct symbol *l = &merging->symbols[left], *r = &merging->symbols[right];
    struct joint joint;
    if (!find(context, l, r, &joint)) return;
    const struct candidate candidate = {joint.order, left, right, joint.token,
                                        l->n_bytes + r->n_bytes};
    push(merging, &candidate);
}

void merging_run(struct merging *merging, find_joint find, const void *context)
{
    struct symbol *symbols = merging->symbols;
    for (uint32_t i = 1; i < merging->n_symbols; i++) consider(merging, i - 1, i, find, context);
    while (merging->n_heap > 0) {
        const struct candidate best = pop(merging);
        struct symbol *left = &symbols[best.left], *right = &symbols[best.right];
        if (left->n_bytes == 0 || right->n_bytes == 0 ||
            left->n_bytes + right->n_bytes != best.n_bytes) {
            continue;
        }
        left->token = best.token;
        left->n_bytes = best.n_bytes;
        left->next = right->next;
        right->n_bytes = 0;
        if (left->next != INGOT_NONE) symbols[left->next].previous = best.left;
        consider(merging, left->previous, best.left, find, context);
        consider(merging, best.left, left->next, find, context);
    }
}
