/* Opening a model: what it takes is planned from the index, then allocated, then loaded. */
#include <string.h>

#include "format/alloc.h"
#include "format/bytes.h"
#include "format/fail.h"
#include "format/log.h"
#include "runtime/lm_state.h"

enum { LEAST_SLOTS = 4096 }; /* rows of the embedding that are kept */

/* ------------------------------------------------------------------ amounts */

/* Sums of products of sizes, which stop at the most that can be counted. */
static uint64_t sum(uint64_t a, uint64_t b)
{
    uint64_t n;
    return add_u64(a, b, &n) ? n : UINT64_MAX;
}

static uint64_t floats(uint64_t n_rows, uint64_t n_each)
{
    uint64_t n;
    return mul_u64(n_rows, n_each, &n) && mul_u64(n, sizeof(float), &n) ? n : UINT64_MAX;
}

/* Arrays of scratch, by their address in the model and the values of a row. */
struct scratch_array {
    void *place; /* of the pointer */
    uint64_t n_each;
};
enum { N_SCRATCH = 15 };

static void list_scratch(struct lm *lm, struct scratch_array arrays[N_SCRATCH])
{
    const struct lm_config *c = &lm->config;
    struct lm_scratch *s = &lm->scratch;
    const uint64_t q = (uint64_t)c->n_heads * c->head_dim,
                   kv = (uint64_t)c->n_kv_heads * c->head_dim;
    const uint64_t ffn = max_u64(c->n_ffn, max_u64(c->n_expert_ffn, c->n_shared_ffn));
    const bool experts = c->n_experts > 0;
    const uint64_t n_used = experts ? c->n_experts_used : 0;
    const struct scratch_array made[N_SCRATCH] = {
        {&s->hidden, c->n_hidden},
        {&s->normed, c->n_hidden},
        {&s->q, q},
        {&s->k, kv},
        {&s->v, kv},
        {&s->attended, q},
        {&s->gate, ffn},
        {&s->up, ffn},
        {&s->added, c->n_hidden},
        {&s->turns, c->rope.n_dims},
        {&s->routed, experts ? c->n_experts : 0},
        {&s->gathered, experts ? c->n_hidden : 0},
        {&s->chosen, n_used},
        {&s->weights, n_used},
        {&s->rows, experts ? 2 : 0}, /* and row_weights */
    };
    memcpy(arrays, made, sizeof made);
}

/* ------------------------------------------------------------------ the walk over all tensors */

/* What is done with each tensor of the model: counted, or loaded. */
struct visit {
    struct lm *lm;
    ingot_status (*matrix)(struct lm *lm, const struct lm_tensor *tensor, struct lm_linear *linear,
                           ingot_error *error);
    ingot_status (*vector)(struct lm *lm, const struct lm_tensor *tensor, float **vector,
                           ingot_error *error);
    ingot_error *error;
};

static ingot_status visit_matrix(const struct visit *v, enum lm_role role, uint32_t layer,
                                 uint32_t expert, struct lm_linear *linear)
{
    struct lm_tensor found;
    const ingot_status status =
        lm_tensor_find(v->lm->file, &v->lm->config, role, layer, expert, &found, v->error);
    if (status != INGOT_OK || found.tensor == INGOT_NONE) return status;
    return v->matrix(v->lm, &found, linear, v->error);
}

static ingot_status visit_vector(const struct visit *v, enum lm_role role, uint32_t layer,
                                 float **vector)
{
    struct lm_tensor found;
    const ingot_status status =
        lm_tensor_find(v->lm->file, &v->lm->config, role, layer, 0, &found, v->error);
    if (status != INGOT_OK || found.tensor == INGOT_NONE) return status;
    return v->vector(v->lm, &found, vector, v->error);
}

static ingot_status visit_experts(const struct visit *v, uint32_t index, struct lm_layer *layer)
{
    ingot_status status = INGOT_OK;
    for (uint32_t e = 0; e < v->lm->config.n_experts && status == INGOT_OK; e++) {
        struct lm_ffn *expert = &layer->experts[e];
        status = visit_matrix(v, LM_EXPERT_GATE, index, e, &expert->gate);
        if (status == INGOT_OK) status = visit_matrix(v, LM_EXPERT_UP, index, e, &expert->up);
        if (status == INGOT_OK) status = visit_matrix(v, LM_EXPERT_DOWN, index, e, &expert->down);
    }
    return status;
}

static ingot_status visit_layer(const struct visit *v, uint32_t index, struct lm_layer *layer)
{
    const struct {
        enum lm_role role;
        struct lm_linear *linear;
    } matrices[] = {
        {LM_ATTN_Q, &layer->q},
        {LM_ATTN_K, &layer->k},
        {LM_ATTN_V, &layer->v},
        {LM_ATTN_O, &layer->o},
        {LM_FFN_GATE, &layer->ffn.gate},
        {LM_FFN_UP, &layer->ffn.up},
        {LM_FFN_DOWN, &layer->ffn.down},
        {LM_ROUTER, &layer->router},
        {LM_SHARED_GATE, &layer->shared.gate},
        {LM_SHARED_UP, &layer->shared.up},
        {LM_SHARED_DOWN, &layer->shared.down},
        {LM_SHARED_ROUTER, &layer->shared_router},
    };
    const struct {
        enum lm_role role;
        float **vector;
    } vectors[] = {
        {LM_ATTN_NORM, &layer->attn_norm},         {LM_FFN_NORM, &layer->ffn_norm},
        {LM_ATTN_Q_NORM, &layer->q_norm},          {LM_ATTN_K_NORM, &layer->k_norm},
        {LM_ATTN_Q_BIAS, &layer->q.bias},          {LM_ATTN_K_BIAS, &layer->k.bias},
        {LM_ATTN_V_BIAS, &layer->v.bias},          {LM_ATTN_O_BIAS, &layer->o.bias},
        {LM_FFN_GATE_BIAS, &layer->ffn.gate.bias}, {LM_FFN_UP_BIAS, &layer->ffn.up.bias},
        {LM_FFN_DOWN_BIAS, &layer->ffn.down.bias},
    };
    ingot_status status = INGOT_OK;
    for (size_t i = 0; i < sizeof matrices / sizeof *matrices && status == INGOT_OK; i++) {
        status = visit_matrix(v, matrices[i].role, index, 0, matrices[i].linear);
    }
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors && status == INGOT_OK; i++) {
        status = visit_vector(v, vectors[i].role, index, vectors[i].vector);
    }
    if (status == INGOT_OK && v->lm->config.layers[index] & LM_LAYER_EXPERTS) {
        status = visit_experts(v, index, layer);
    }
    return status;
}

static ingot_status visit_all(const struct visit *v, float **factors)
{
    struct lm *lm = v->lm;
    struct lm_tensor output;
    ingot_status status = lm_tensor_find(lm->file, &lm->config, LM_OUTPUT, 0, 0, &output, v->error);
    if (status != INGOT_OK) return status;
    /* What stands for the output where there is none is the embedding. */
    status =
        visit_matrix(v, output.tensor == INGOT_NONE ? LM_EMBEDDING : LM_OUTPUT, 0, 0, &lm->output);
    if (status == INGOT_OK) status = visit_vector(v, LM_OUTPUT_NORM, 0, &lm->output_norm);
    if (status == INGOT_OK) status = visit_vector(v, LM_ROPE_FACTORS, 0, factors);
    for (uint32_t i = 0; i < lm->config.n_layers && status == INGOT_OK; i++) {
        status = visit_layer(v, i, &lm->layers[i]);
    }
    return status;
}

/* ------------------------------------------------------------------ counting */

static ingot_matrix_options matrix_options(const struct lm *lm)
{
    return (ingot_matrix_options){.adapters = lm->options.adapters,
                                  .n_adapters = lm->options.n_adapters,
                                  .activations = lm->options.activations};
}

static ingot_status count_matrix(struct lm *lm, const struct lm_tensor *tensor,
                                 struct lm_linear *linear, ingot_error *error)
{
    const ingot_matrix_options options = matrix_options(lm);
    uint64_t n_bytes;
    const ingot_status status = ingot_matrix_forecast(lm->device, lm->file, tensor->tensor,
                                                      tensor->matrix, &options, &n_bytes, error);
    (void)linear;
    if (status == INGOT_OK) lm->memory.matrices = sum(lm->memory.matrices, n_bytes);
    return status;
}

static ingot_status count_vector(struct lm *lm, const struct lm_tensor *tensor, float **vector,
                                 ingot_error *error)
{
    ingot_tensor t;
    (void)vector;
    (void)error;
    ingot_file_tensor(lm->file, tensor->tensor, &t);
    lm->memory.vectors = sum(lm->memory.vectors, floats(1, t.n_cols));
    return INGOT_OK;
}

static void count_rest(struct lm *lm)
{
    struct lm_memory *m = &lm->memory;
    struct scratch_array arrays[N_SCRATCH];
    list_scratch(lm, arrays);
    for (uint32_t i = 0; i < N_SCRATCH; i++) {
        m->scratch = sum(m->scratch, floats(lm->options.n_batch, arrays[i].n_each));
    }
    m->embedding = sum(floats(lm->embedding.n_slots, (uint64_t)lm->config.n_hidden + 1),
                       floats(1, lm->config.n_vocab));
    const uint64_t key = lm_cache_key_bytes(&lm->cache), value = lm_cache_value_bytes(&lm->cache);
    uint64_t both = sum(key, value);
    if (key == 0 || value == 0 || !mul_u64(both, lm->config.n_layers, &both)) both = UINT64_MAX;
    m->cache = both;
    m->total = sum(sum(m->matrices, m->vectors), sum(m->embedding, sum(m->cache, m->scratch)));
}

/* ------------------------------------------------------------------ loading */

static ingot_status load_matrix(struct lm *lm, const struct lm_tensor *tensor,
                                struct lm_linear *linear, ingot_error *error)
{
    ingot_matrix_options options = matrix_options(lm);
    options.lazy = true; /* so that what is lost with a device is loaded again */
    ingot_status status = ingot_matrix_open_with(lm->device, lm->file, tensor->tensor,
                                                 tensor->matrix, &options, &linear->matrix, error);
    if (status == INGOT_OK) status = ingot_matrix_load(linear->matrix, error);
    if (status == INGOT_OK) {
        lm->memory.matrices += ingot_matrix_resident_bytes(linear->matrix);
    }
    return status;
}

static ingot_status load_vector(struct lm *lm, const struct lm_tensor *tensor, float **vector,
                                ingot_error *error)
{
    ingot_tensor t;
    ingot_file_tensor(lm->file, tensor->tensor, &t);
    const uint64_t n_bytes = floats(1, t.n_cols);
    *vector = ingot_allocate(lm->allocator, n_bytes);
    if (*vector == NULL) return ingot_fail_memory(error, n_bytes, "vector");
    return ingot_file_decode(lm->file, tensor->tensor, 0, 1, INGOT_F32, lm->options.adapters,
                             lm->options.n_adapters, *vector, error);
}

static ingot_status take(struct lm *lm, uint64_t n_bytes, const char *what, void *place,
                         ingot_error *error)
{
    void *memory = n_bytes == UINT64_MAX ? NULL : ingot_allocate_zeroed(lm->allocator, n_bytes, 1);
    if (memory == NULL) return ingot_fail_memory(error, n_bytes, what);
    memcpy(place, &memory, sizeof memory);
    return INGOT_OK;
}

static ingot_status take_embedding(struct lm *lm, ingot_error *error)
{
    struct lm_embedding *e = &lm->embedding;
    const struct lm_config *c = &lm->config;
    ingot_status status = take(lm, floats(c->n_vocab, 1), "embedding", &e->slot_of, error);
    if (status == INGOT_OK) {
        status = take(lm, floats(e->n_slots, 1), "embedding", &e->token_of, error);
    }
    if (status == INGOT_OK) {
        status = take(lm, floats(e->n_slots, c->n_hidden), "embedding", &e->rows, error);
    }
    for (uint32_t i = 0; i < c->n_vocab && status == INGOT_OK; i++) e->slot_of[i] = INGOT_NONE;
    for (uint32_t i = 0; i < e->n_slots && status == INGOT_OK; i++) e->token_of[i] = INGOT_NONE;
    return status;
}

static ingot_status take_memory(struct lm *lm, ingot_error *error)
{
    struct scratch_array arrays[N_SCRATCH];
    ingot_status status = take_embedding(lm, error);
    list_scratch(lm, arrays);
    for (uint32_t i = 0; i < N_SCRATCH && status == INGOT_OK; i++) {
        status = take(lm, floats(lm->options.n_batch, arrays[i].n_each), "scratch", arrays[i].place,
                      error);
    }
    if (status != INGOT_OK) return status;
    lm->scratch.row_weights = (float *)(void *)(lm->scratch.rows + lm->options.n_batch);
    for (uint32_t i = 0; i < lm->config.n_layers && status == INGOT_OK; i++) {
        struct lm_layer *layer = &lm->layers[i];
        status = take(lm, lm_cache_key_bytes(&lm->cache), "keys", &layer->keys, error);
        if (status == INGOT_OK) {
            status = take(lm, lm_cache_value_bytes(&lm->cache), "values", &layer->values, error);
        }
    }
    return status;
}

/* ------------------------------------------------------------------ opening and closing */

/* A model with its configuration and no memory but for its layers. */
static ingot_status start(const ingot_file *file, ingot_device *device,
                          const struct lm_options *options, const ingot_allocator *allocator,
                          struct lm **lm, ingot_error *error)
{
    struct lm *made = ingot_allocate_zeroed(allocator, 1, sizeof *made);
    if (made == NULL) return ingot_fail_memory(error, sizeof *made, "model");
    made->allocator = allocator;
    made->file = file;
    made->device = device;
    made->options = *options;
    ingot_status status = lm_config_read(file, allocator, &made->config, error);
    struct lm_config *c = &made->config;
    if (status == INGOT_OK && c->n_vocab == 0) status = lm_vocabulary(file, c, &c->n_vocab, error);
    if (status == INGOT_OK) status = lm_tensors_known(file, c, error);
    if (status != INGOT_OK) goto done;
    struct lm_options *o = &made->options;
    if (o->n_context == 0) o->n_context = c->n_context ? c->n_context : LM_DEFAULT_CONTEXT;
    if (o->n_batch == 0) o->n_batch = LM_DEFAULT_BATCH;
    if (o->n_batch > o->n_context) o->n_batch = o->n_context;
    made->cache = lm_cache_shape(c, o->cache, o->n_context);
    made->embedding.n_slots = (uint32_t)min_u64(c->n_vocab, max_u64(o->n_batch, LEAST_SLOTS));
    made->layers = ingot_allocate_zeroed(allocator, c->n_layers, sizeof *made->layers);
    if (made->layers == NULL) status = ingot_fail_memory(error, c->n_layers, "layers");
    for (uint32_t i = 0; i < c->n_layers && status == INGOT_OK; i++) {
        if (!(c->layers[i] & LM_LAYER_EXPERTS)) continue;
        struct lm_layer *layer = &made->layers[i];
        layer->experts = ingot_allocate_zeroed(allocator, c->n_experts, sizeof *layer->experts);
        if (layer->experts == NULL) status = ingot_fail_memory(error, c->n_experts, "experts");
    }
done:
    if (status == INGOT_OK) {
        *lm = made;
    } else {
        lm_close(made);
    }
    return status;
}

static ingot_status count_all(struct lm *lm, ingot_error *error)
{
    const struct visit visit = {lm, count_matrix, count_vector, error};
    ingot_status status =
        lm_tensor_find(lm->file, &lm->config, LM_EMBEDDING, 0, 0, &lm->embedding.tensor, error);
    if (status == INGOT_OK) status = visit_all(&visit, NULL);
    if (status == INGOT_OK) count_rest(lm);
    return status;
}

ingot_status lm_forecast(const ingot_file *file, ingot_device *device,
                         const struct lm_options *options, struct lm_memory *memory,
                         ingot_error *error)
{
    struct lm *lm = NULL;
    ingot_status status = start(file, device, options, NULL, &lm, error);
    if (status == INGOT_OK) status = count_all(lm, error);
    if (status == INGOT_OK) *memory = lm->memory;
    lm_close(lm);
    return status;
}

static ingot_status load_all(struct lm *lm, ingot_error *error)
{
    const struct visit visit = {lm, load_matrix, load_vector, error};
    float *factors = NULL;
    lm->memory.matrices = 0;
    const ingot_status status = visit_all(&visit, &factors);
    lm->memory.total = sum(sum(lm->memory.matrices, lm->memory.vectors),
                           sum(lm->memory.embedding, sum(lm->memory.cache, lm->memory.scratch)));
    if (status == INGOT_OK) {
        lm_rope_turns(&lm->config.rope, lm->options.n_context, factors, &lm->turns);
    }
    ingot_release(lm->allocator, factors);
    return status;
}

ingot_status lm_open(const ingot_file *file, ingot_device *device, const struct lm_options *options,
                     const ingot_allocator *allocator, struct lm **lm, ingot_error *error)
{
    struct lm *made = NULL;
    ingot_status status = start(file, device, options, allocator, &made, error);
    if (status != INGOT_OK) return status;
    made->kernels = lm_kernels_find();
    status = count_all(made, error);
    if (status == INGOT_OK) status = take_memory(made, error);
    if (status == INGOT_OK) status = load_all(made, error);
    if (status != INGOT_OK) {
        lm_close(made);
        return status;
    }
    ingot_log(allocator, INGOT_LOG_INFO, "model of architecture %s: %llu bytes",
              made->config.architecture->name, (unsigned long long)made->memory.total);
    *lm = made;
    return INGOT_OK;
}

static void close_linear(struct lm *lm, struct lm_linear *linear)
{
    ingot_matrix_close(linear->matrix);
    ingot_release(lm->allocator, linear->bias);
}

static void close_ffn(struct lm *lm, struct lm_ffn *ffn)
{
    close_linear(lm, &ffn->gate);
    close_linear(lm, &ffn->up);
    close_linear(lm, &ffn->down);
}

static void close_layer(struct lm *lm, struct lm_layer *layer)
{
    struct lm_linear *linears[] = {&layer->q, &layer->k,      &layer->v,
                                   &layer->o, &layer->router, &layer->shared_router};
    void *memory[] = {layer->attn_norm, layer->ffn_norm, layer->q_norm,
                      layer->k_norm,    layer->keys,     layer->values};
    for (size_t i = 0; i < sizeof linears / sizeof *linears; i++) close_linear(lm, linears[i]);
    for (size_t i = 0; i < sizeof memory / sizeof *memory; i++) {
        ingot_release(lm->allocator, memory[i]);
    }
    close_ffn(lm, &layer->ffn);
    close_ffn(lm, &layer->shared);
    for (uint32_t e = 0; layer->experts != NULL && e < lm->config.n_experts; e++) {
        close_ffn(lm, &layer->experts[e]);
    }
    ingot_release(lm->allocator, layer->experts);
}

void lm_close(struct lm *lm)
{
    if (lm == NULL) return;
    struct scratch_array arrays[N_SCRATCH];
    list_scratch(lm, arrays);
    for (uint32_t i = 0; lm->layers != NULL && i < lm->config.n_layers; i++) {
        close_layer(lm, &lm->layers[i]);
    }
    close_linear(lm, &lm->output);
    ingot_release(lm->allocator, lm->output_norm);
    for (uint32_t i = 0; i < N_SCRATCH; i++) {
        void *memory;
        memcpy(&memory, arrays[i].place, sizeof memory);
        ingot_release(lm->allocator, memory);
    }
    ingot_release(lm->allocator, lm->embedding.rows);
    ingot_release(lm->allocator, lm->embedding.token_of);
    ingot_release(lm->allocator, lm->embedding.slot_of);
    ingot_release(lm->allocator, lm->layers);
    ingot_release(lm->allocator, lm);
}
