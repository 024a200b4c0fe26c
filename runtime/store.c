/* A list of blocks. Knows nothing of what is in them. */
#include "runtime/store.h"

#include <stdalign.h>

#include "format/alloc.h"
#include "format/bytes.h"
#include "format/fail.h"
#include "runtime/backend.h"
#include "runtime/large_pages.h"

struct store_block {
    struct store_block *next;
    uint32_t group;
    alignas(max_align_t) uint8_t bytes[];
};

ingot_status store_take(struct store *store, uint64_t n_bytes, const char *what, void **memory,
                        ingot_error *error)
{
    uint64_t total;
    if (!add_u64(n_bytes, sizeof(struct store_block) + RESIDENT_SLACK_BYTES, &total)) {
        return ingot_fail_memory(error, n_bytes, what);
    }
    struct store_block *block = ingot_allocate(store->allocator, total);
    if (block == NULL) return ingot_fail_memory(error, n_bytes, what);
    ask_for_large_pages(block, total);
    block->next = store->blocks;
    block->group = store->group;
    store->blocks = block;
    memset(block->bytes + n_bytes, 0, RESIDENT_SLACK_BYTES);
    *memory = block->bytes;
    return INGOT_OK;
}

ingot_status store_take_array(struct store *store, uint64_t n, uint64_t element_bytes,
                              const char *what, void **memory, ingot_error *error)
{
    uint64_t n_bytes;
    if (!mul_u64(n, element_bytes, &n_bytes)) return ingot_fail_memory(error, UINT64_MAX, what);
    return store_take(store, n_bytes, what, memory, error);
}

void store_release_group(struct store *store, uint32_t group)
{
    for (struct store_block **at = &store->blocks; *at != NULL;) {
        struct store_block *block = *at;
        if (block->group != group) {
            at = &block->next;
            continue;
        }
        *at = block->next;
        ingot_release(store->allocator, block);
    }
}

void store_release(struct store *store)
{
    while (store->blocks != NULL) {
        struct store_block *block = store->blocks;
        store->blocks = block->next;
        ingot_release(store->allocator, block);
    }
}
