/* Fuzzes the safetensors header: the input is the header and, in its first byte, how much data
 * follows. What is accepted must keep the promises of safetensors.h. */
#include <stdlib.h>

#include "convert/safetensors.h"
#include "tests/fuzz/fuzz.h"

static void check(const struct safetensors *st, uint64_t data_bytes)
{
    uint64_t end = 0;
    for (uint32_t i = 0; i < st->n_entries; i++) {
        const struct safetensors_entry *e = safetensors_entry_at(st, i);
        uint64_t n = 1;
        for (uint32_t k = 0; k < e->rank; k++) n *= e->dims[k];
        if (e->begin > e->end || e->end > data_bytes) abort();
        if (ingot_raw_bytes((ingot_dtype)e->dtype, n) != e->end - e->begin) abort();
        if (!range_within(e->name_offset, e->name_bytes, st->names.n_bytes)) abort();
    }
    for (uint32_t i = 0; i < st->n_ordered; i++) {
        const struct safetensors_entry *e = safetensors_entry_at(st, st->by_data[i]);
        if (e->begin < end) abort();
        end = e->end;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    struct safetensors st;
    ingot_error error;
    if (n_bytes == 0) return 0;
    /* Seeds are plain headers with 64 bytes of data; a mutated first byte gives another length. */
    const uint64_t data_bytes = data[0] == '{' ? 64 : data[0];
    const struct span header = {data + (data[0] != '{'), n_bytes - (data[0] != '{')};
    if (safetensors_parse(header, data_bytes, NULL, &st, &error) != INGOT_OK) return 0;
    check(&st, data_bytes);
    safetensors_release(&st);
    return 0;
}
