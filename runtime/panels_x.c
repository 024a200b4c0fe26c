/* x for panels, block by block. */
#include "runtime/panels_x.h"

#include <math.h>

/* The x of the places of a block, times its factors; 0 where there is none. */
static void take_block(const struct panels *p, const float *x, uint64_t block, float *dst)
{
    const uint64_t first = block * PANEL_BLOCK;
    if (p->order == NULL && p->x_factors == NULL && first + PANEL_BLOCK <= p->n_cols) {
        for (uint32_t i = 0; i < PANEL_BLOCK; i++) dst[i] = x[first + i] * p->x_factor;
        return;
    }
    for (uint64_t i = 0; i < PANEL_BLOCK; i++) {
        const uint64_t c = p->order != NULL ? p->order[first + i] : first + i;
        dst[i] = 0.0f;
        if (c >= p->n_cols) continue;
        const float v = p->x_factors != NULL ? x[c] * p->x_factors[c] : x[c];
        dst[i] = v * p->x_factor;
    }
}

uint64_t panels_floats_bytes(const struct panels *p, uint64_t n_x)
{
    return n_x * p->n_blocks * PANEL_BLOCK * sizeof(float);
}

void panels_floats_prepare(const struct panels *p, const float *x, uint64_t x_stride, uint64_t n_x,
                           uint64_t first, uint64_t n, float *ready)
{
    for (uint64_t j = first; j < first + n; j++) {
        for (uint64_t block = 0; block < p->n_blocks; block++) {
            take_block(p, x + j * x_stride, block, ready + panels_floats_at(block, n_x, j));
        }
    }
}

static void make_block(const float x[PANEL_BLOCK], struct x_block *b)
{
    float most = 0.0f;
    bool finite = true;
    for (uint32_t i = 0; i < PANEL_BLOCK; i++) {
        finite = finite && isfinite(x[i]);
        most = fabsf(x[i]) > most ? fabsf(x[i]) : most;
    }
    const float inverse = most > 0x1p-120f && finite ? 127.0f / most : 0.0f;
    b->scale = !finite ? NAN : inverse > 0.0f ? most / 127.0f : 0.0f;
    for (uint32_t h = 0; h < PANEL_BLOCK_HALVES; h++) {
        int32_t sum = 0;
        for (uint32_t i = h * PANEL_HALF; i < (h + 1) * PANEL_HALF; i++) {
            b->integers[i] = finite ? (int8_t)rintf(x[i] * inverse) : 0;
            sum += b->integers[i];
        }
        b->sums[h] = (float)sum * b->scale;
    }
    b->unused = 0;
}

uint64_t panels_blocks_bytes(const struct panels *p, uint64_t n_x)
{
    return ceil_div(n_x * p->n_blocks * sizeof(struct x_block), 64) * 64;
}

void panels_blocks_prepare(const struct panels *p, const float *x, uint64_t x_stride, uint64_t n_x,
                           uint64_t first, uint64_t n, struct x_block *ready)
{
    for (uint64_t j = first; j < first + n; j++) {
        for (uint64_t block = 0; block < p->n_blocks; block++) {
            float values[PANEL_BLOCK];
            take_block(p, x + j * x_stride, block, values);
            make_block(values, &ready[block * n_x + j]);
        }
    }
}
