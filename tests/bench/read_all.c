/* Reads the raw bytes of every tensor of a file into one buffer, in parts on every core, with all
 * checks, and prints how many there were. Usage: read_all FILE */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "format/ordered.h"
#include "format/reader.h"

enum { PART_BYTES = 4 << 20, MAX_SLOTS = 256 };

struct reading {
    const ingot_file *file;
    uint32_t tensor;
    uint64_t n_bytes;
    uint64_t part_bytes;
    uint8_t *slots[MAX_SLOTS];
    ingot_status status[MAX_SLOTS];
    uint64_t sum; /* of first bytes, so that what was read is also looked at */
};

static void read_part(void *context, uint64_t i, uint32_t slot)
{
    struct reading *r = context;
    const uint64_t offset = i * r->part_bytes;
    r->status[slot] =
        ingot_file_read_raw(r->file, r->tensor, offset, min_u64(r->part_bytes, r->n_bytes - offset),
                            r->slots[slot], NULL);
}

static ingot_status take_part(void *context, uint64_t i, uint32_t slot)
{
    struct reading *r = context;
    (void)i;
    r->sum += r->slots[slot][0];
    return r->status[slot];
}

int main(int n_arguments, char **arguments)
{
    struct reading r = {0};
    ingot_file *file;
    struct ingot_pool *pool;
    uint64_t total = 0;
    if (n_arguments != 2) {
        fprintf(stderr, "usage: read_all FILE\n");
        return 2;
    }
    if (ingot_file_open(arguments[1], NULL, &file, NULL) != INGOT_OK ||
        ingot_pool_create(0, NULL, &pool, NULL) != INGOT_OK) {
        return 3;
    }
    const uint32_t n_slots = (uint32_t)min_u64(ordered_slots(pool, PART_BYTES), MAX_SLOTS);
    for (uint32_t i = 0; i < n_slots; i++) {
        r.slots[i] = malloc(2 * PART_BYTES);
        if (r.slots[i] == NULL) return 3;
    }
    r.file = file;
    for (uint32_t i = 0; i < ingot_file_n_tensors(file); i++) {
        ingot_tensor t;
        ingot_file_tensor(file, i, &t);
        r.tensor = i;
        r.n_bytes = ingot_raw_bytes(t.dtype, t.n_matrices * t.n_rows * t.n_cols);
        r.part_bytes = min_u64(ingot_file_raw_step(file, i, PART_BYTES), 2 * PART_BYTES);
        if (r.n_bytes == 0) continue;
        const struct ordered_job job = {&r, ceil_div(r.n_bytes, r.part_bytes), n_slots, read_part,
                                        take_part};
        if (ordered_run(pool, &job) != INGOT_OK) return 1;
        total += r.n_bytes;
    }
    printf("%" PRIu64 " bytes\n", total);
    for (uint32_t i = 0; i < n_slots; i++) free(r.slots[i]);
    ingot_pool_close(pool);
    ingot_file_close(file);
    return 0;
}
