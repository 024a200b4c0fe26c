/* The metadata of the files of a GGUF model as one, and the proof of which parts of the files it
 * gives again. */
#include "convert/gguf_cursor.h"
#include "convert/gguf_model.h"
#include "convert/merge_metadata.h"
#include "format/alloc.h"

/* ------------------------------------------------------------------ the proof */

struct proof {
    const uint8_t *head;
    uint64_t at;
    uint64_t end;
    bool differs;
};

static ingot_status prove_bytes(void *context, const void *bytes, uint64_t n_bytes,
                                ingot_error *error)
{
    struct proof *p = context;
    (void)error;
    if (n_bytes > p->end - p->at || memcmp(p->head + p->at, bytes, (size_t)n_bytes) != 0) {
        p->differs = true;
        return INGOT_END;
    }
    p->at += n_bytes;
    return INGOT_OK;
}

/* Whether a run gives its bytes again. */
static bool is_proved(const struct metadata_list *list, const struct gguf_run *run,
                      const uint8_t *head)
{
    struct proof proof = {head, run->begin, run->end, false};
    const struct byte_sink sink = {&proof, prove_bytes};
    return metadata_list_encode(list, &run->range, &sink, NULL) == INGOT_OK && !proof.differs &&
           proof.at == run->end;
}

/* ------------------------------------------------------------------ runs */

/* Entries that follow each other in the file and in the model are one run. */
static void find_runs(struct gguf_shard *shard, const uint32_t *numbers,
                      const struct metadata_list *list)
{
    const struct gguf *g = &shard->gguf;
    for (uint32_t i = 0; i < g->n_entries;) {
        uint32_t n = 1;
        while (i + n < g->n_entries && numbers[i] != INGOT_NONE && numbers[i + n] == numbers[i] + n)
            n++;
        const struct gguf_run run = {
            g->entry_offsets[i], g->entry_offsets[i + n], {numbers[i], n, g->encoding}};
        if (numbers[i] != INGOT_NONE && is_proved(list, &run, shard->head)) {
            shard->runs[shard->n_runs++] = run;
        }
        i += n;
    }
}

static ingot_status prove_shards(struct gguf_model *m, const uint32_t *numbers, ingot_error *error)
{
    struct metadata_list list;
    const struct span blob = {m->files.metadata.data, m->files.metadata.n_bytes};
    ingot_status status = metadata_list_open(blob, m->files.model.allocator, &list, error);
    if (status != INGOT_OK) return status;
    for (uint32_t i = 0; i < m->files.n_shards && status == INGOT_OK; i++) {
        struct gguf_shard *shard = gguf_shard_at(m, i);
        const uint32_t n = shard->gguf.n_entries;
        shard->runs = ingot_allocate_zeroed(m->files.model.allocator, n, sizeof *shard->runs);
        if (shard->runs == NULL) {
            status = ingot_fail_memory(error, n * sizeof *shard->runs, "metadata");
            break;
        }
        find_runs(shard, numbers, &list);
        numbers += n;
    }
    metadata_list_close(&list);
    return status;
}

/* ------------------------------------------------------------------ the whole */

static ingot_status merge(struct gguf_model *m, const struct metadata_part *parts,
                          ingot_error *error)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < m->files.n_shards; i++) n += gguf_shard_at(m, i)->gguf.n_entries;
    uint32_t *numbers = ingot_allocate_zeroed(m->files.model.allocator, n, sizeof *numbers);
    if (numbers == NULL) return ingot_fail_memory(error, n * sizeof *numbers, "metadata");
    /* Which part of a set a file is, is not a fact of the model. */
    ingot_status status = metadata_merge(&m->files.model, parts, m->files.n_shards,
                                         m->files.n_shards > 1 ? gguf_is_split_key : NULL,
                                         &m->files.metadata, numbers, error);
    if (status == INGOT_OK) status = prove_shards(m, numbers, error);
    ingot_release(m->files.model.allocator, numbers);
    return status;
}

ingot_status gguf_merge_metadata(struct gguf_model *m, ingot_error *error)
{
    const ingot_allocator *allocator = m->files.model.allocator;
    const uint32_t n_shards = m->files.n_shards;
    ingot_status status = INGOT_OK;
    uint32_t n_open = 0;
    struct metadata_part *parts = ingot_allocate_zeroed(allocator, n_shards, sizeof *parts);
    if (parts == NULL) return ingot_fail_memory(error, n_shards * sizeof *parts, "metadata");
    while (n_open < n_shards && status == INGOT_OK) {
        const struct gguf_shard *shard = gguf_shard_at(m, n_open);
        const struct byte_buffer *blob = &shard->gguf.metadata;
        struct metadata_part *part = &parts[n_open];
        part->file_name = input_name(shard->base.input);
        status = metadata_list_open((struct span){blob->data, blob->n_bytes}, allocator,
                                    &part->list, error);
        n_open += status == INGOT_OK;
    }
    if (status == INGOT_OK) status = merge(m, parts, error);
    while (n_open > 0) metadata_list_close(&parts[--n_open].list);
    ingot_release(allocator, parts);
    return status;
}
