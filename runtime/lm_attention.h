/* Attention over the keys and values of all positions so far, which it stores as well. Knows no
 * layer and no weights. */
#ifndef INGOT_LM_ATTENTION_H
#define INGOT_LM_ATTENTION_H

#include "format/pool.h"
#include "runtime/lm_config.h"
#include "runtime/lm_kernels.h"

/* Keys and values of one layer, f16 or f32. Of each head, keys lie in blocks of LM_KEY_BLOCK
 * positions, a block as head_dim rows of LM_KEY_BLOCK: so that one kernel multiplies with keys and
 * values. Values lie as rows of head_dim, filled up to v_stride. */
enum { LM_KEY_BLOCK = 32 };

struct lm_cache_shape {
    ingot_dtype dtype; /* INGOT_F16 or INGOT_F32 */
    uint32_t n_kv_heads;
    uint32_t head_dim;
    uint32_t v_stride;
    uint64_t n_positions; /* a multiple of LM_KEY_BLOCK */
};

/* Room for n_positions at least. */
struct lm_cache_shape lm_cache_shape(const struct lm_config *config, ingot_dtype dtype,
                                     uint64_t n_positions);
/* Bytes of the keys and of the values of one layer; 0 when that is more than can be counted. */
uint64_t lm_cache_key_bytes(const struct lm_cache_shape *shape);
uint64_t lm_cache_value_bytes(const struct lm_cache_shape *shape);

struct lm_attention {
    const struct lm_kernels *kernels;
    const struct lm_cache_shape *shape;
    void *keys; /* of the layer */
    void *values;
    uint32_t n_heads;
    uint32_t n_tokens;
    uint64_t first_position; /* of the first token */
    uint32_t window;         /* positions that are seen; 0: all up to the own one */
    const float *q;          /* n_tokens x n_heads x head_dim */
    const float *k;          /* n_tokens x n_kv_heads x head_dim */
    const float *v;
    float *out; /* n_tokens x n_heads x head_dim */
};

/* Stores k and v, then out = softmax(q k^T / sqrt(head_dim)) v for each token and head. The result
 * does not depend on the pool. */
void lm_attend(const struct lm_attention *attention, struct ingot_pool *pool);

#endif
