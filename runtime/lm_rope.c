/* Rotary positions and their scalings. Formulas: the papers named below, with the constants of
 * transformers' modeling_rope_utils.py where they leave something open. */
#include "runtime/lm_rope.h"

#include <math.h>

static const double pi = 3.14159265358979323846;

static void scale_nothing(const struct lm_rope *rope, uint64_t n_context, struct lm_turns *turns)
{
    (void)rope;
    (void)n_context;
    (void)turns;
}

/* Positions divided by a factor [Chen et al. 2023, arXiv 2306.15595]. */
static void scale_linear(const struct lm_rope *rope, uint64_t n_context, struct lm_turns *turns)
{
    (void)n_context;
    for (uint32_t i = 0; i < turns->n_pairs; i++) turns->frequencies[i] /= rope->factor;
}

/* Wavelengths long against the original context are scaled, short ones not, and those between by
 * parts [Llama 3.1]. */
static void scale_llama3(const struct lm_rope *rope, uint64_t n_context, struct lm_turns *turns)
{
    (void)n_context;
    for (uint32_t i = 0; i < turns->n_pairs; i++) {
        const double wavelength = 2 * pi / turns->frequencies[i];
        const double fits = rope->original_context / wavelength;
        double share =
            (fits - rope->low_freq_factor) / (rope->high_freq_factor - rope->low_freq_factor);
        share = fmin(fmax(share, 0), 1);
        turns->frequencies[i] *= (1 - share) / rope->factor + share;
    }
}

/* The pair that turns `n_turns` times over the original context. */
static double pair_of(const struct lm_rope *rope, double n_turns)
{
    return rope->n_dims * log(rope->original_context / (n_turns * 2 * pi)) / (2 * log(rope->base));
}

static double yarn_magnitude(double factor, double mscale)
{
    return factor <= 1 ? 1 : 0.1 * mscale * log(factor) + 1;
}

/* [Peng et al. 2023, arXiv 2309.00071], section 3. */
static void scale_yarn(const struct lm_rope *rope, uint64_t n_context, struct lm_turns *turns)
{
    (void)n_context;
    double low = pair_of(rope, rope->beta_fast), high = pair_of(rope, rope->beta_slow);
    if (rope->truncate) {
        low = floor(low);
        high = ceil(high);
    }
    low = fmax(low, 0);
    high = fmin(high, rope->n_dims - 1);
    if (!(high > low)) high = low + 0.001;
    for (uint32_t i = 0; i < turns->n_pairs; i++) {
        const double ramp = fmin(fmax((i - low) / (high - low), 0), 1);
        turns->frequencies[i] *= ramp / rope->factor + (1 - ramp);
    }
    turns->magnitude = yarn_magnitude(rope->factor, 1);
    if (rope->mscale > 0 && rope->mscale_all_dim > 0) {
        turns->magnitude = yarn_magnitude(rope->factor, rope->mscale) /
                           yarn_magnitude(rope->factor, rope->mscale_all_dim);
    }
    if (rope->attention_factor > 0) turns->magnitude = rope->attention_factor;
}

/* The base grows with what the context exceeds the trained one by: "dynamic NTK". */
static void scale_dynamic(const struct lm_rope *rope, uint64_t n_context, struct lm_turns *turns)
{
    const double trained = rope->original_context;
    const double length = fmax((double)n_context, trained);
    const double n = rope->n_dims;
    const double base =
        rope->base * pow(rope->factor * length / trained - (rope->factor - 1), n / (n - 2));
    for (uint32_t i = 0; i < turns->n_pairs; i++) turns->frequencies[i] = pow(base, -2.0 * i / n);
}

static void (*const scale[])(const struct lm_rope *, uint64_t, struct lm_turns *) = {
    [LM_ROPE_PLAIN] = scale_nothing,   [LM_ROPE_LINEAR] = scale_linear,
    [LM_ROPE_LLAMA3] = scale_llama3,   [LM_ROPE_YARN] = scale_yarn,
    [LM_ROPE_DYNAMIC] = scale_dynamic,
};

void lm_rope_turns(const struct lm_rope *rope, uint64_t n_context, const float *factors,
                   struct lm_turns *turns)
{
    turns->interleaved = rope->interleaved;
    turns->n_pairs = rope->n_dims / 2;
    turns->magnitude = 1;
    for (uint32_t i = 0; i < turns->n_pairs; i++) {
        turns->frequencies[i] = pow(rope->base, -2.0 * i / rope->n_dims);
    }
    scale[rope->scaling](rope, n_context, turns);
    for (uint32_t i = 0; factors != NULL && i < turns->n_pairs; i++) {
        turns->frequencies[i] /= (double)factors[i];
    }
}

/* Angles are rounded as transformers rounds them, whose models learned with these: at position 255
 * exact ones move logits by 1e-4. */
void lm_rope_table(const struct lm_turns *turns, uint64_t first_position, uint32_t n, float *table)
{
    for (uint32_t t = 0; t < n; t++) {
        float *row = table + (uint64_t)t * 2 * turns->n_pairs;
        for (uint32_t i = 0; i < turns->n_pairs; i++) {
            const float angle = (float)(first_position + t) * (float)turns->frequencies[i];
            row[2 * i] = (float)(cos((double)angle) * turns->magnitude);
            row[2 * i + 1] = (float)(sin((double)angle) * turns->magnitude);
        }
    }
}

void lm_rope_apply(const struct lm_turns *turns, const float *row, float *head)
{
    const uint32_t step = turns->interleaved ? 2 : 1;
    const uint32_t apart = turns->interleaved ? 1 : turns->n_pairs;
    for (uint32_t i = 0; i < turns->n_pairs; i++) {
        const float a = head[i * step], b = head[i * step + apart];
        head[i * step] = a * row[2 * i] - b * row[2 * i + 1];
        head[i * step + apart] = b * row[2 * i] + a * row[2 * i + 1];
    }
}
