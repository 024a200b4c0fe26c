/* Open addressing over pairs of tokens, at most half full. */
#include "runtime/merges.h"

#include "format/alloc.h"
#include "format/fail.h"

ingot_status merges_begin(struct merges *merges, uint64_t n, ingot_error *error)
{
    uint64_t n_places = 16;
    while (n_places / 2 < n) n_places *= 2;
    merges->places = ingot_allocate(merges->allocator, n_places * sizeof *merges->places);
    if (merges->places == NULL) {
        return ingot_fail_memory(error, n_places * sizeof *merges->places, "merges");
    }
    merges->n_places = n_places;
    for (uint64_t i = 0; i < n_places; i++) merges->places[i].left = INGOT_NONE;
    return INGOT_OK;
}

static struct merge *place_of(const struct merges *merges, uint32_t left, uint32_t right)
{
    const uint64_t key = (uint64_t)left << 32 | right;
    uint64_t i = key * UINT64_C(0x9E3779B97F4A7C15) >> 20;
    for (;; i++) {
        struct merge *place = &merges->places[i & (merges->n_places - 1)];
        if (place->left == INGOT_NONE || (place->left == left && place->right == right)) {
            return place;
        }
    }
}

void merges_add(struct merges *merges, const struct merge *merge)
{
    struct merge *place = place_of(merges, merge->left, merge->right);
    if (place->left == INGOT_NONE) *place = *merge;
}

const struct merge *merges_find(const struct merges *merges, uint32_t left, uint32_t right)
{
    if (merges->n_places == 0 || left == INGOT_NONE || right == INGOT_NONE) return NULL;
    const struct merge *place = place_of(merges, left, right);
    return place->left == INGOT_NONE ? NULL : place;
}

void merges_release(struct merges *merges)
{
    ingot_release(merges->allocator, merges->places);
}
