/* Attention by blocks of keys, with a running maximum and sum for each row of q, so that memory
 * does not grow with the context [Milakov & Gimelshein 2018, arXiv 1805.02867]. */
#include "runtime/lm_attention.h"

#include <math.h>
#include <string.h>

#include "format/bytes.h"
#include "format/floats.h"

enum { MAX_ROWS = 32, V_ALIGN = 8 }; /* rows of q in one task */

struct lm_cache_shape lm_cache_shape(const struct lm_config *config, ingot_dtype dtype,
                                     uint64_t n_positions)
{
    return (struct lm_cache_shape){
        .dtype = dtype,
        .n_kv_heads = config->n_kv_heads,
        .head_dim = config->head_dim,
        .v_stride = (config->head_dim + V_ALIGN - 1) / V_ALIGN * V_ALIGN,
        .n_positions = ceil_div(n_positions, LM_KEY_BLOCK) * LM_KEY_BLOCK,
    };
}

static uint64_t element_bytes(const struct lm_cache_shape *shape)
{
    return shape->dtype == INGOT_F16 ? 2 : 4;
}

static uint64_t cache_bytes(const struct lm_cache_shape *shape, uint64_t n_each)
{
    uint64_t n = 0;
    if (!mul_u64(n_each, (uint64_t)shape->n_kv_heads * element_bytes(shape), &n) ||
        !mul_u64(n, shape->n_positions, &n)) {
        return 0;
    }
    return n;
}

uint64_t lm_cache_key_bytes(const struct lm_cache_shape *shape)
{
    return cache_bytes(shape, shape->head_dim);
}

uint64_t lm_cache_value_bytes(const struct lm_cache_shape *shape)
{
    return cache_bytes(shape, shape->v_stride);
}

static void put(void *base, ingot_dtype dtype, uint64_t at, float value)
{
    if (dtype == INGOT_F16) {
        ((uint16_t *)base)[at] = f16_from_f32(value);
    } else {
        ((float *)base)[at] = value;
    }
}

static void store_token(const struct lm_attention *a, uint32_t token)
{
    const struct lm_cache_shape *s = a->shape;
    const uint64_t position = a->first_position + token;
    const uint64_t block = position / LM_KEY_BLOCK, in_block = position % LM_KEY_BLOCK;
    for (uint32_t head = 0; head < s->n_kv_heads; head++) {
        const uint64_t from = ((uint64_t)token * s->n_kv_heads + head) * s->head_dim;
        const uint64_t key =
            ((uint64_t)head * s->n_positions + block * LM_KEY_BLOCK) * s->head_dim + in_block;
        const uint64_t value = ((uint64_t)head * s->n_positions + position) * s->v_stride;
        for (uint32_t i = 0; i < s->head_dim; i++) {
            put(a->keys, s->dtype, key + (uint64_t)i * LM_KEY_BLOCK, a->k[from + i]);
            put(a->values, s->dtype, value + i, a->v[from + i]);
        }
    }
}

/* ------------------------------------------------------------------ one task */

/* Heads of q that share keys, and tokens, cut into at most MAX_ROWS rows. */
struct cut {
    uint32_t group;    /* heads of q for a head of k */
    uint32_t n_heads;  /* of a task */
    uint32_t n_tokens; /* of a task */
    uint64_t n_parts;  /* of a group */
    uint64_t n_spans;  /* of tokens */
};

static struct cut cut_rows(const struct lm_attention *a)
{
    struct cut c = {.group = a->n_heads / a->shape->n_kv_heads};
    c.n_heads = c.group < MAX_ROWS ? c.group : MAX_ROWS;
    c.n_tokens = MAX_ROWS / c.n_heads;
    c.n_parts = ceil_div(c.group, c.n_heads);
    c.n_spans = ceil_div(a->n_tokens, c.n_tokens);
    return c;
}

struct rows {
    const struct lm_attention *attention;
    uint32_t kv_head;
    uint32_t first_head;
    uint32_t n_heads;
    uint32_t first_token;
    uint32_t n_rows; /* row r: token r / n_heads, head r % n_heads */
    float most[MAX_ROWS];
    float sum[MAX_ROWS];
    float q[MAX_ROWS * LM_MAX_HEAD_DIM];
    float out[MAX_ROWS * LM_MAX_HEAD_DIM];
    float weights[MAX_ROWS * LM_KEY_BLOCK];
};

static uint64_t row_at(const struct rows *rows, uint32_t r)
{
    const struct lm_attention *a = rows->attention;
    const uint64_t token = rows->first_token + r / rows->n_heads;
    return (token * a->n_heads + rows->first_head + r % rows->n_heads) * a->shape->head_dim;
}

static void load_rows(struct rows *rows)
{
    const uint32_t dim = rows->attention->shape->head_dim;
    const float scale = (float)(1.0 / sqrt(dim));
    for (uint32_t r = 0; r < rows->n_rows; r++) {
        const float *q = rows->attention->q + row_at(rows, r);
        for (uint32_t i = 0; i < dim; i++) rows->q[r * dim + i] = q[i] * scale;
        rows->most[r] = -INFINITY;
        rows->sum[r] = 0;
    }
    memset(rows->out, 0, sizeof *rows->out * rows->n_rows * rows->attention->shape->v_stride);
}

/* The position of a row, and the first that it sees. */
static uint64_t position_of(const struct rows *rows, uint32_t r)
{
    return rows->attention->first_position + rows->first_token + r / rows->n_heads;
}

static uint64_t first_seen(const struct rows *rows, uint32_t r)
{
    const uint32_t window = rows->attention->window;
    const uint64_t position = position_of(rows, r);
    return window == 0 || position < window ? 0 : position - window + 1;
}

/* Turns the scores of a block into weights, and brings the sums so far to the new maximum. */
static void weigh(struct rows *rows, uint32_t r, uint64_t begin, uint32_t n)
{
    float *w = rows->weights + r * LM_KEY_BLOCK;
    const uint64_t first = first_seen(rows, r), last = position_of(rows, r);
    const uint32_t stride = rows->attention->shape->v_stride;
    float most = rows->most[r];
    for (uint32_t j = 0; j < n; j++) {
        if (begin + j < first || begin + j > last) w[j] = -INFINITY;
        most = w[j] > most ? w[j] : most;
    }
    if (!(most > -INFINITY)) { /* sees none of this block */
        memset(w, 0, n * sizeof *w);
        return;
    }
    if (most > rows->most[r]) {
        const float factor = expf(rows->most[r] - most);
        rows->sum[r] *= factor;
        for (uint32_t i = 0; i < stride; i++) rows->out[r * stride + i] *= factor;
        rows->most[r] = most;
    }
    rows->sum[r] += rows->attention->kernels->exponents(w, n, most);
}

/* The values of other tokens of a stopped computation may be NaN: what is past the last position is
 * not read. */
static void add_block(struct rows *rows, uint64_t begin, uint64_t end)
{
    const struct lm_attention *a = rows->attention;
    const struct lm_cache_shape *s = a->shape;
    const uint32_t n = (uint32_t)min_u64(LM_KEY_BLOCK, end - begin);
    const uint64_t key = ((uint64_t)rows->kv_head * s->n_positions + begin) * s->head_dim;
    const uint64_t value = ((uint64_t)rows->kv_head * s->n_positions + begin) * s->v_stride;
    const bool half = s->dtype == INGOT_F16;
    void (*const multiply)(const struct lm_product *) =
        half ? a->kernels->multiply_f16 : a->kernels->multiply_f32;
    struct lm_product scores = {
        .a = rows->q,
        .a_stride = s->head_dim,
        .n_rows = rows->n_rows,
        .b = (const uint8_t *)a->keys + key * element_bytes(s),
        .b_stride = LM_KEY_BLOCK,
        .n_inner = s->head_dim,
        .c = rows->weights,
        .c_stride = LM_KEY_BLOCK,
        .n_cols = LM_KEY_BLOCK,
    };
    memset(rows->weights, 0, sizeof *rows->weights * rows->n_rows * LM_KEY_BLOCK);
    multiply(&scores);
    for (uint32_t r = 0; r < rows->n_rows; r++) weigh(rows, r, begin, n);
    struct lm_product sums = {
        .a = rows->weights,
        .a_stride = LM_KEY_BLOCK,
        .n_rows = rows->n_rows,
        .b = (const uint8_t *)a->values + value * element_bytes(s),
        .b_stride = s->v_stride,
        .n_inner = n,
        .c = rows->out,
        .c_stride = s->v_stride,
        .n_cols = s->v_stride,
    };
    multiply(&sums);
}

static void attend_task(void *context, uint64_t i)
{
    const struct lm_attention *a = context;
    const struct cut cut = cut_rows(a);
    struct rows rows; /* too much to be cleared */
    const uint64_t part = i / cut.n_spans % cut.n_parts;
    rows.attention = a;
    rows.kv_head = (uint32_t)(i / cut.n_spans / cut.n_parts);
    rows.first_head = rows.kv_head * cut.group + (uint32_t)part * cut.n_heads;
    rows.n_heads = (uint32_t)min_u64(cut.n_heads, cut.group - part * cut.n_heads);
    rows.first_token = (uint32_t)(i % cut.n_spans) * cut.n_tokens;
    const uint64_t n_tokens = min_u64(cut.n_tokens, a->n_tokens - rows.first_token);
    rows.n_rows = (uint32_t)n_tokens * rows.n_heads;
    load_rows(&rows);
    const uint64_t end = a->first_position + rows.first_token + n_tokens;
    const uint64_t first = first_seen(&rows, 0) / LM_KEY_BLOCK * LM_KEY_BLOCK;
    for (uint64_t begin = first; begin < end; begin += LM_KEY_BLOCK) add_block(&rows, begin, end);
    for (uint32_t r = 0; r < rows.n_rows; r++) {
        float *out = a->out + row_at(&rows, r);
        const float inverse = 1.0f / rows.sum[r];
        for (uint32_t k = 0; k < a->shape->head_dim; k++) {
            out[k] = rows.out[r * a->shape->v_stride + k] * inverse;
        }
    }
}

static void store_task(void *context, uint64_t i)
{
    store_token(context, (uint32_t)i);
}

void lm_attend(const struct lm_attention *attention, struct ingot_pool *pool)
{
    struct lm_attention a = *attention;
    const struct cut cut = cut_rows(&a);
    ingot_pool_run(pool, a.n_tokens, store_task, &a);
    ingot_pool_run(pool, a.shape->n_kv_heads * cut.n_parts * cut.n_spans, attend_task, &a);
}
