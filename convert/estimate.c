/* The sample's file in memory, and what the rows that it lacks would add. */
#include "convert/estimate.h"

#include "convert/thin.h"
#include "format/alloc.h"
#include "format/chunk_writer.h"
#include "format/fail.h"
#include "format/reader.h"
#include "format/records.h"

/* Weights of the sample: of a tensor, and of all, about. A small model is its own sample. */
#define MAX_TENSOR_WEIGHTS (UINT64_C(1) << 18)
#define MIN_TENSOR_WEIGHTS (UINT64_C(1) << 13)
#define MAX_WEIGHTS (UINT64_C(1) << 25)

static uint64_t tensor_weights(const struct model *model)
{
    const uint64_t share = MAX_WEIGHTS / max_u64(model_n_tensors(model), 1);
    return min_u64(max_u64(share, MIN_TENSOR_WEIGHTS), MAX_TENSOR_WEIGHTS);
}

static bool is_small(const struct model *model)
{
    const uint64_t most = tensor_weights(model);
    for (uint32_t i = 0; i < model_n_tensors(model); i++) {
        struct model_tensor t;
        model_tensor(model, i, &t);
        if (t.n_rows * t.n_cols > most) return false;
    }
    return true;
}

/* What is kept must be bytes as they are: streams of a container are copied whole. */
static bool can_be_thin(const struct conversion *c)
{
    for (uint32_t i = 0; i < model_n_tensors(c->model); i++) {
        struct model_tensor t;
        if (conversion_choice(c, i) || model_alias_of(c->model, i) != INGOT_NONE) continue;
        model_tensor(c->model, i, &t);
        if (!t.raw && (t.foreign.name == NULL || model_container(c->model))) return false;
    }
    return true;
}

/* Of so many bytes more of what the sample stored so. */
static double more_bytes(uint64_t all_bytes, uint64_t sample_bytes, uint64_t stored_bytes)
{
    if (all_bytes <= sample_bytes || sample_bytes == 0) return 0;
    const double missing = (double)(all_bytes - sample_bytes);
    return missing * ((double)stored_bytes / (double)sample_bytes) +
           missing / SLAB_BYTES * CHUNK_BYTES;
}

struct estimate {
    const struct conversion *c;
    const ingot_file *file; /* of the sample */
    struct term_stream *streams;
    double sum;
    ingot_error *error;
};

/* Stream by stream: those of different terms do not grow alike. */
static ingot_status add_encoded(struct estimate *e, uint32_t index, const struct encoding *encoding)
{
    struct model_tensor t;
    struct file_term term;
    uint32_t n_streams;
    model_tensor(e->c->model, index, &t);
    const ingot_status status = plan_streams(encoding, &t, e->streams, &n_streams, e->error);
    for (uint32_t i = 0, first = 0; status == INGOT_OK && i < n_streams; i++) {
        if (e->streams[i].term != e->streams[first].term) first = i;
        ingot_file_term(e->file, index, e->streams[i].term, &term);
        const uint32_t stream = term.first_stream + (i - first);
        e->sum += more_bytes(e->streams[i].shape.n_bytes, ingot_file_stream_bytes(e->file, stream),
                             ingot_file_stream_stored_bytes(e->file, stream));
    }
    return status;
}

static void add_kept(struct estimate *e, uint32_t index)
{
    struct model_tensor t;
    ingot_tensor described;
    model_tensor(e->c->model, index, &t);
    ingot_file_tensor(e->file, index, &described);
    e->sum += more_bytes(t.stored_bytes, described.coded_bytes, described.stored_bytes);
}

static ingot_status convert_sample(const struct conversion *c, const struct model *model,
                                   struct byte_buffer *into, ingot_error *error)
{
    struct convert_options silent = *c->options;
    struct convert_result result = {0};
    struct conversion sample = *c;
    silent.progress = NULL;
    silent.tensor_done = NULL;
    silent.note = NULL;
    sample.model = model;
    sample.options = &silent;
    sample.result = &result;
    sample.into = into;
    return sink_ingot(&sample, error);
}

static ingot_status add_missing(const struct conversion *c, const struct byte_buffer *sample,
                                uint64_t *bytes, ingot_error *error)
{
    struct estimate e = {.c = c, .sum = (double)sample->n_bytes, .error = error};
    ingot_file *file = NULL;
    ingot_status status =
        ingot_file_open_memory(sample->data, (size_t)sample->n_bytes, NULL, &file, error);
    e.file = file;
    e.streams = ingot_allocate(NULL, TENSOR_MAX_STREAMS * sizeof *e.streams);
    if (status == INGOT_OK && e.streams == NULL) {
        status = ingot_fail_memory(error, TENSOR_MAX_STREAMS * sizeof *e.streams, "streams");
    }
    for (uint32_t i = 0; status == INGOT_OK && i < model_n_tensors(c->model); i++) {
        const struct encoding *encoding = conversion_choice(c, i);
        if (model_alias_of(c->model, i) != INGOT_NONE) continue;
        if (encoding) {
            status = add_encoded(&e, i, encoding);
        } else {
            add_kept(&e, i);
        }
    }
    if (status == INGOT_OK) *bytes = (uint64_t)e.sum;
    ingot_release(NULL, e.streams);
    ingot_file_close(file);
    return status;
}

/* Of some rows, and what the others add. */
static ingot_status estimate_large(const struct conversion *c, struct byte_buffer *sample,
                                   uint64_t *bytes, ingot_error *error)
{
    struct model *thin;
    ingot_status status = model_thin(c->model, tensor_weights(c->model), &thin, error);
    if (status != INGOT_OK) return status;
    status = convert_sample(c, thin, sample, error);
    model_close(thin);
    return status == INGOT_OK ? add_missing(c, sample, bytes, error) : status;
}

ingot_status estimate_ingot(const struct conversion *c, struct convert_plan *plan,
                            ingot_error *error)
{
    struct byte_buffer sample = {.allocator = NULL};
    ingot_status status = INGOT_OK;
    if (is_small(c->model)) {
        status = convert_sample(c, c->model, &sample, error);
        if (status == INGOT_OK) plan->expected_bytes = sample.n_bytes;
    } else if (can_be_thin(c)) {
        status = estimate_large(c, &sample, &plan->expected_bytes, error);
    }
    buffer_release(&sample);
    return status == INGOT_REFUSED ? INGOT_OK : status;
}
