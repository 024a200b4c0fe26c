/* Two models, tensor by tensor: bit for bit where both hold a tensor raw in the same type, else by
 * the measured error. Knows no format. */
#include "cli/pairs.h"

#include <stdlib.h>
#include <string.h>

#include "cli/report.h"
#include "convert/gguf_types.h"
#include "format/block_tensor.h"
#include "format/bytes.h"

enum { RAW_STEP_BYTES = 1 << 20 };

struct comparison {
    const struct model *a;
    const struct model *b;
    struct progress_bar *bar;
    uint64_t done_weights; /* of the tensors before this one */
    uint64_t tensor_weights;
    uint64_t total_weights;
    uint8_t *bytes_a; /* RAW_STEP_BYTES each */
    uint8_t *bytes_b;
    bool *paired; /* tensors of B that have been compared */
};

typedef ingot_status read_bits(const struct model *model, uint32_t index, uint64_t offset,
                               uint64_t n_bytes, void *dst, ingot_error *error);

static const char phase[] = "comparing";

/* A tensor reports in units of its own; the bar counts weights. */
static void report_within(void *context, const char *what, uint64_t done, uint64_t total)
{
    (void)what;
    const struct comparison *c = context;
    const double share = total > 0 ? (double)done / (double)total : 1;
    const uint64_t within = (uint64_t)(share * (double)c->tensor_weights);
    progress_bar_report(c->bar, phase, c->done_weights + within, c->total_weights);
}

/* How both tensors' bits are read when they are held in the same form; else NULL. */
static read_bits *bits_reader(const struct model_tensor *a, const struct model_tensor *b,
                              uint64_t *n_bytes)
{
    const struct model_foreign *f = &a->foreign;
    const struct model_foreign *g = &b->foreign;
    if (!shapes_match(a, b)) return NULL;
    if (a->raw && b->raw && a->dtype == b->dtype) {
        *n_bytes = ingot_raw_bytes(a->dtype, a->n_rows * a->n_cols);
        return model_read_raw;
    }
    if (!f->name || !g->name || strcmp(f->name, g->name) != 0 || f->n_bytes != g->n_bytes) {
        return NULL;
    }
    *n_bytes = f->n_bytes;
    return model_read_foreign;
}

static ingot_status compare_bits(const struct comparison *c, const struct pair *pair,
                                 read_bits *read, uint64_t n_bytes, bool *same, ingot_error *error)
{
    bool equal = true;
    for (uint64_t offset = 0; offset < n_bytes && equal; offset += RAW_STEP_BYTES) {
        const uint64_t n = min_u64(n_bytes - offset, RAW_STEP_BYTES);
        ingot_status status = read(c->a, pair->a, offset, n, c->bytes_a, error);
        if (status == INGOT_OK) {
            status = read(c->b, pair->b, offset, n, c->bytes_b, error);
        }
        if (status != INGOT_OK) return status;
        equal = memcmp(c->bytes_a, c->bytes_b, (size_t)n) == 0;
    }
    *same = equal;
    return INGOT_OK;
}

/* Whether a container holds, as streams, blocks of the type that a tensor of another model has. */
static bool holds_blocks(const struct model *model, const struct model_tensor *tensor,
                         const struct model_tensor *foreign, struct block_tensor *blocks)
{
    static const char ggml[] = "ggml:";
    const size_t n_prefix = sizeof ggml - 1;
    const ingot_file *file = model_container(model);
    const char *name = foreign->foreign.name;
    if (file == NULL || name == NULL || tensor->foreign.name || tensor->raw ||
        strncmp(name, ggml, n_prefix) != 0 || !shapes_match(tensor, foreign)) {
        return false;
    }
    const struct gguf_type *type = gguf_type_named(name + n_prefix, strlen(name) - n_prefix);
    return type && block_tensor_open(file, tensor->number, type->id, blocks, NULL) == INGOT_OK &&
           blocks->n_rows * blocks->n_blocks * blocks->layout->n_bytes == foreign->foreign.n_bytes;
}

static ingot_status compare_blocks(const struct comparison *c, const struct block_tensor *blocks,
                                   const struct model *foreign, uint32_t index, bool *same,
                                   ingot_error *error)
{
    const uint64_t n_blocks = blocks->n_rows * blocks->n_blocks;
    const uint64_t block_bytes = blocks->layout->n_bytes;
    const uint64_t n_step = RAW_STEP_BYTES / block_bytes;
    *same = true;
    for (uint64_t k = 0; k < n_blocks && *same; k += n_step) {
        const uint64_t n = min_u64(n_step, n_blocks - k);
        ingot_status status = block_tensor_read(blocks, k, n, c->bytes_a, error);
        if (status == INGOT_OK) {
            status = model_read_foreign(foreign, index, k * block_bytes, n * block_bytes,
                                        c->bytes_b, error);
        }
        if (status != INGOT_OK) return status;
        *same = memcmp(c->bytes_a, c->bytes_b, (size_t)(n * block_bytes)) == 0;
    }
    return INGOT_OK;
}

/* Compares bits where that can be done. */
static ingot_status compare_held(const struct comparison *c, const struct model_tensor *a,
                                 const struct model_tensor *b, struct pair *pair, bool *same,
                                 ingot_error *error)
{
    struct block_tensor blocks;
    uint64_t n_bytes = 0;
    read_bits *const read = bits_reader(a, b, &n_bytes);
    pair->both_raw = read != NULL;
    if (read) return compare_bits(c, pair, read, n_bytes, same, error);
    if (holds_blocks(c->a, a, b, &blocks)) {
        pair->same_blocks = true;
        return compare_blocks(c, &blocks, c->b, pair->b, same, error);
    }
    if (holds_blocks(c->b, b, a, &blocks)) {
        pair->same_blocks = true;
        return compare_blocks(c, &blocks, c->a, pair->a, same, error);
    }
    return INGOT_OK;
}

/* Sets verdict, error and why. Fails only when the system does. */
static ingot_status compare_pair(struct comparison *c, struct pair *pair, ingot_error *error)
{
    struct model_tensor a;
    struct model_tensor b;
    model_tensor(c->a, pair->a, &a);
    model_tensor(c->b, pair->b, &b);
    c->tensor_weights = a.n_rows * a.n_cols;
    pair->reshaped = shapes_match(&a, &b) && !shapes_equal(&a, &b);
    ingot_error why = {0};
    bool same_bits = false;
    ingot_status status = compare_held(c, &a, &b, pair, &same_bits, &why);
    if (status == INGOT_OK && !same_bits) {
        const struct progress progress = {.context = c, .report = report_within};
        status = compare_tensors(c->a, pair->a, c->b, pair->b, &progress, &pair->error, &why);
        pair->measured = status == INGOT_OK;
    }
    /* Bits that differ in a type without f32 values are a difference all the same. */
    const bool unmeasurable = status == INGOT_UNSUPPORTED || status == INGOT_REFUSED;
    if (same_bits) {
        pair->verdict = PAIR_SAME_BITS;
    } else if (status == INGOT_OK) {
        const bool equal = pair->error.n_different == 0 && !pair->both_raw;
        pair->verdict = equal ? PAIR_SAME_VALUES : PAIR_DIFFERENT;
    } else if (pair->both_raw && unmeasurable) {
        pair->verdict = PAIR_DIFFERENT;
    } else if (exit_status_of(status) == EXITS_SYSTEM) {
        *error = why;
        return status;
    } else {
        pair->verdict = PAIR_REFUSED;
        pair->why = why;
    }
    return INGOT_OK;
}

static void tell(struct pair_visitor *visitor, const struct pair *pair)
{
    visitor->counts[pair->verdict]++;
    visitor->n_reshaped += pair->reshaped;
    visitor->visit(visitor->context, pair);
}

static uint32_t partner_of(const struct comparison *c, const struct pair_visitor *visitor,
                           uint32_t index)
{
    struct model_tensor tensor;
    uint32_t found = 0;
    if (visitor->partners) return visitor->partners[index];
    model_tensor(c->a, index, &tensor);
    const ingot_status status = model_find(c->b, tensor.name, tensor.name_bytes, &found);
    return status == INGOT_OK ? found : INGOT_NONE;
}

static ingot_status visit_a(struct comparison *c, struct pair_visitor *visitor, ingot_error *error)
{
    for (uint32_t i = 0; i < model_n_tensors(c->a); i++) {
        struct model_tensor tensor;
        model_tensor(c->a, i, &tensor);
        struct pair pair = {.verdict = PAIR_ONLY_A, .a = i, .b = partner_of(c, visitor, i)};
        pair.name = tensor.name;
        pair.name_bytes = tensor.name_bytes;
        if (pair.b != INGOT_NONE) {
            const ingot_status status = compare_pair(c, &pair, error);
            if (status != INGOT_OK) return status;
            c->paired[pair.b] = true;
        }
        tell(visitor, &pair);
        c->done_weights += tensor.n_rows * tensor.n_cols;
        progress_bar_report(c->bar, phase, c->done_weights, c->total_weights);
    }
    return INGOT_OK;
}

static void visit_only_b(const struct comparison *c, struct pair_visitor *visitor)
{
    for (uint32_t i = 0; i < model_n_tensors(c->b); i++) {
        struct model_tensor tensor;
        if (c->paired[i]) continue;
        model_tensor(c->b, i, &tensor);
        const struct pair pair = {.verdict = PAIR_ONLY_B,
                                  .name = tensor.name,
                                  .name_bytes = tensor.name_bytes,
                                  .a = INGOT_NONE,
                                  .b = i};
        tell(visitor, &pair);
    }
}

ingot_status pairs_visit(const struct model *a, const struct model *b, struct progress_bar *bar,
                         struct pair_visitor *visitor, ingot_error *error)
{
    struct comparison c = {.a = a, .b = b, .bar = bar};
    ingot_status status = INGOT_OK;
    for (uint32_t i = 0; i < model_n_tensors(a); i++) {
        struct model_tensor tensor;
        model_tensor(a, i, &tensor);
        c.total_weights += tensor.n_rows * tensor.n_cols;
    }
    c.bytes_a = malloc(RAW_STEP_BYTES);
    c.bytes_b = malloc(RAW_STEP_BYTES);
    c.paired = calloc((size_t)model_n_tensors(b) + 1, sizeof *c.paired);
    if (!c.bytes_a || !c.bytes_b || !c.paired) {
        *error = (ingot_error){.status = INGOT_NO_MEMORY, .offset = INGOT_NO_OFFSET};
        status = INGOT_NO_MEMORY;
        goto done;
    }
    status = visit_a(&c, visitor, error);
    if (status == INGOT_OK) visit_only_b(&c, visitor);
done:
    progress_bar_erase(bar);
    free(c.paired);
    free(c.bytes_b);
    free(c.bytes_a);
    return status;
}
