/* Fuzzes the GGUF head: the input is a whole file. What is accepted must keep the promises of
 * gguf.h, and its metadata must give its bytes again. */
#include <stdlib.h>
#include <string.h>

#include "convert/gguf.h"
#include "tests/fuzz/fuzz.h"

static void check_tensors(const struct gguf *g, uint64_t file_bytes)
{
    uint64_t end = 0;
    if (g->n_ordered > 0 && g->data_offset + g->data_bytes != file_bytes) abort();
    for (uint32_t i = 0; i < g->n_ordered; i++) {
        const struct gguf_tensor *t = &g->tensors[g->by_data[i]];
        if (t->offset < end || !range_within(t->offset, t->n_bytes, g->data_bytes)) abort();
        end = t->offset + t->n_bytes;
    }
    for (uint32_t i = 0; i < g->n_tensors; i++) {
        const struct gguf_tensor *t = &g->tensors[i];
        uint64_t n = 1;
        for (uint32_t k = 0; k < t->rank; k++) n *= t->dims[k];
        if (!range_within(t->name_offset, t->name_bytes, g->names.n_bytes)) abort();
        if (t->type && n / t->type->block_weights * t->type->block_bytes != t->n_bytes) abort();
    }
}

struct comparison {
    const uint8_t *file;
    uint64_t at;
};

static ingot_status compare(void *context, const void *bytes, uint64_t n_bytes, ingot_error *error)
{
    struct comparison *c = context;
    (void)error;
    if (memcmp(c->file + c->at, bytes, (size_t)n_bytes) != 0) abort();
    c->at += n_bytes;
    return INGOT_OK;
}

static void check_metadata(const struct gguf *g, const uint8_t *file)
{
    const struct metadata_range all = {0, g->n_entries, g->encoding};
    struct comparison comparison = {file, g->entry_offsets[0]};
    const struct byte_sink sink = {&comparison, compare};
    struct metadata_list list;
    ingot_error error;
    const struct span blob = {g->metadata.data, g->metadata.n_bytes};
    if (metadata_list_open(blob, NULL, &list, &error) != INGOT_OK) abort();
    if (list.n_entries != g->n_entries) abort();
    if (g->n_entries > 0) {
        if (metadata_list_encode(&list, &all, &sink, &error) != INGOT_OK) abort();
        if (comparison.at != g->entry_offsets[g->n_entries]) abort();
    }
    metadata_list_close(&list);
}

static void parse(const uint8_t *data, size_t n_bytes, enum dialect_assumed dialect)
{
    const struct assumptions assumptions = {dialect};
    struct gguf g;
    ingot_error error;
    uint64_t wanted = 0;
    const struct span half = {data, n_bytes / 2}, whole = {data, n_bytes};
    ingot_status status = gguf_parse(half, n_bytes, &assumptions, NULL, &g, &wanted, &error);
    if (status == INGOT_END && (wanted <= half.n_bytes || wanted > n_bytes)) abort();
    if (status == INGOT_OK) gguf_release(&g);
    status = gguf_parse(whole, n_bytes, &assumptions, NULL, &g, &wanted, &error);
    if (status == INGOT_END) abort();
    if (status != INGOT_OK) return;
    check_tensors(&g, n_bytes);
    check_metadata(&g, data);
    gguf_release(&g);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    parse(data, n_bytes, DIALECT_UNSAID);
    parse(data, n_bytes, DIALECT_OPAQUE);
    return 0;
}
