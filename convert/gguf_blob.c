/* The source blob of GGUF files: which of their bytes are metadata, and which are tensors. */
#include "convert/gguf_model.h"
#include "convert/source_reading.h"
#include "format/fail.h"

static ingot_status read_head(struct source_reading *r, const struct gguf_shard *shard)
{
    uint8_t hash[16];
    ingot_status status = INGOT_OK;
    for (uint32_t i = 0; i < shard->n_runs && status == INGOT_OK; i++) {
        const struct gguf_run *run = &shard->runs[i];
        if (run->begin > r->offset) status = reading_literal(r, run->begin - r->offset, hash);
        if (status == INGOT_OK) {
            status = reading_metadata(r, run->end - run->begin, &run->range);
        }
    }
    if (status == INGOT_OK) {
        status = reading_literal(r, shard->gguf.head_bytes - r->offset, hash);
    }
    if (status != INGOT_OK) return status;
    /* What the runs give again was proved of the head as it was then. */
    reading_hash(r, hash);
    if (memcmp(hash, shard->head_hash, sizeof hash) == 0) return INGOT_OK;
    return ingot_fail(r->error, INGOT_REFUSED, 0, input_name(r->input),
                      "the source changed while it was read: its head is another");
}

ingot_status gguf_read_shard(struct source_reading *r, const struct model_shard *base,
                             struct model_hashes *hashes)
{
    const struct gguf_shard *shard = (const struct gguf_shard *)base;
    const struct gguf *g = &shard->gguf;
    ingot_status status = read_head(r, shard);
    for (uint32_t i = 0; i < g->n_tensors && status == INGOT_OK; i++) {
        if (g->tensors[i].n_bytes == 0) hash_of(NULL, 0, hashes->tensors[base->first_tensor + i]);
    }
    for (uint32_t i = 0; i < g->n_ordered && status == INGOT_OK; i++) {
        const struct gguf_tensor *t = &g->tensors[g->by_data[i]];
        const uint32_t tensor = base->first_tensor + g->by_data[i];
        const bool swaps = g->encoding.big_endian && t->type && t->type->dtype;
        status = reading_gap(r, g->data_offset + t->offset - r->offset);
        if (status != INGOT_OK) break;
        status = reading_tensor(r, t->n_bytes, tensor, swaps ? t->type->block_bytes : 1,
                                hashes->tensors[tensor]);
    }
    if (status == INGOT_OK) status = reading_gap(r, input_bytes(r->input) - r->offset);
    return status;
}
