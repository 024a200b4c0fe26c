/* A codebook found for the tensor, by Lloyd's method with scales: groups are fitted with the levels
 * so far, and each level moved to where the weights that took it would have it. A sample of groups
 * is enough; it depends on the shape alone. */
#include <math.h>

#include "convert/encode.h"

enum { N_ROUNDS = 16, SAMPLE_BATCHES = 512 };

/* Levels to begin with: closer together near 0, as normal weights are. */
static void begin_levels(float *entries, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        const float x = (2.0f * (float)i + 1.0f) / (float)n - 1.0f;
        entries[i] = x * (0.6f + 0.4f * fabsf(x));
    }
}

/* What the weights of a batch say of the levels that they took. */
static void count_batch(const struct grid_work *w, const struct grid_batch *b,
                        const float scale[LANES], double *cross, double *square)
{
    for (uint32_t i = 0; i < b->lanes.n; i++) {
        for (uint32_t k = 0; k < LANES; k++) {
            const size_t at = (size_t)i * LANES + k;
            if (i >= b->sizes[k]) continue;
            const uint8_t code = w->codes[b->begins[k] + i];
            const double h = b->lanes.importance ? (double)b->lanes.importance[at] : 1.0;
            const double s = (double)scale[k];
            cross[code] += h * s * (double)b->lanes.weights[at];
            square[code] += h * s * s;
        }
    }
}

static ingot_status improve(struct grid_work *w, float *entries, uint32_t n)
{
    double cross[MAX_LEVELS] = {0};
    double square[MAX_LEVELS] = {0};
    const uint64_t n_batches = ceil_div(w->n_groups, LANES);
    const uint64_t n_sample = min_u64(n_batches, SAMPLE_BATCHES);
    const struct codebook codebook = {"", n, entries};
    float bias[LANES];
    for (uint32_t k = 0; k < LANES; k++) bias[k] = -0.0f;
    w->fit.levels = grid_levels(w->grid, &codebook);
    for (uint64_t i = 0; i < n_sample; i++) {
        const uint64_t batch = i * (n_batches / n_sample) + i * (n_batches % n_sample) / n_sample;
        const struct grid_batch b = grid_load(w, batch * LANES);
        float scale[LANES];
        fit_scales(&w->fit, &b.lanes, scale);
        const ingot_status status = grid_encode(w, &b, scale, bias);
        if (status != INGOT_OK) return status;
        count_batch(w, &b, scale, cross, square);
    }
    for (uint32_t i = 0; i < n; i++) {
        const double moved = cross[i] / square[i];
        if (square[i] > 0 && isfinite(moved)) entries[i] = (float)moved;
    }
    return INGOT_OK;
}

/* The largest magnitude is 1, so that scales are those of the weights. */
static void normalize(float *entries, uint32_t n)
{
    float largest = 0.0f;
    for (uint32_t i = 0; i < n; i++) largest = fmaxf(largest, fabsf(entries[i]));
    for (uint32_t i = 0; i < n && largest > 0.0f; i++) entries[i] /= largest;
}

ingot_status prepare_codebook(const struct encode_input *input, ingot_error *error)
{
    struct term_plan *plan = input->plan;
    struct grid_work w;
    const uint32_t n = plan->learned.n_entries;
    begin_levels(plan->learned_entries, n);
    ingot_status status = encode_check_finite(input, error);
    if (status != INGOT_OK) return status;
    status = grid_open(&w, input, error);
    for (uint32_t i = 0; i < N_ROUNDS && status == INGOT_OK && w.n_groups; i++) {
        status = improve(&w, plan->learned_entries, n);
        normalize(plan->learned_entries, n);
    }
    grid_close(&w);
    return status;
}
