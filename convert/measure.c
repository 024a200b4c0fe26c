/* Sums of errors, in double, in an order that depends on the values' places alone. */
#include "convert/measure.h"

#include <math.h>

#include "format/bytes.h"

/* Sums that do not wait for each other: value i goes to lane i % LANES. */
enum { LANES = 8, BLOCK = 512 };

struct lanes {
    double signal[LANES];
    double noise[LANES];
    double max_error[LANES];
};

static bool all_finite(const float *values, uint64_t n)
{
    uint32_t largest = 0;
    for (uint64_t i = 0; i < n; i++) {
        const uint32_t size = f32_bits(values[i]) & 0x7fffffffu;
        largest = size > largest ? size : largest;
    }
    return largest < 0x7f800000u;
}

static uint64_t add_finite(struct lanes *sums, const float source[LANES], const float values[LANES])
{
    uint64_t n_different = 0;
    for (uint32_t k = 0; k < LANES; k++) {
        const double s = (double)source[k];
        const double size = fabs((double)values[k] - s);
        sums->signal[k] += s * s;
        sums->noise[k] += size * size;
        sums->max_error[k] = size > sums->max_error[k] ? size : sums->max_error[k];
        n_different += source[k] != values[k];
    }
    return n_different;
}

static uint64_t add_any(struct lanes *sums, uint32_t lane, float source, float value)
{
    const double s = (double)source;
    if (isfinite(s)) sums->signal[lane] += s * s;
    if (source == value || (isnan(source) && isnan(value))) return 0;
    const double difference = fabs((double)value - s);
    const double size = isfinite(difference) ? difference : INFINITY;
    sums->noise[lane] += size * size;
    if (size > sums->max_error[lane]) sums->max_error[lane] = size;
    return 1;
}

void measure_add(struct tensor_error *e, const float *source, const float *values, uint64_t n)
{
    struct lanes sums = {0};
    for (uint64_t at = 0; at < n; at += BLOCK) {
        const uint64_t n_block = min_u64(BLOCK, n - at);
        const bool finite = all_finite(source + at, n_block) && all_finite(values + at, n_block);
        const uint64_t n_quick = finite ? n_block / LANES * LANES : 0;
        for (uint64_t i = 0; i < n_quick; i += LANES) {
            e->n_different += add_finite(&sums, source + at + i, values + at + i);
        }
        for (uint64_t i = n_quick; i < n_block; i++) {
            e->n_different += add_any(&sums, i % LANES, source[at + i], values[at + i]);
        }
    }
    e->n += n;
    for (uint32_t k = 0; k < LANES; k++) {
        e->signal += sums.signal[k];
        e->noise += sums.noise[k];
        e->max_error = sums.max_error[k] > e->max_error ? sums.max_error[k] : e->max_error;
    }
}

void measure_merge(struct tensor_error *e, const struct tensor_error *part)
{
    e->n += part->n;
    e->n_different += part->n_different;
    e->signal += part->signal;
    e->noise += part->noise;
    e->max_error = part->max_error > e->max_error ? part->max_error : e->max_error;
}

void measure_finish(struct tensor_error *e)
{
    const bool exact = e->noise == 0;
    e->sqnr_db = exact ? INFINITY : 10 * log10(e->signal / e->noise);
    e->relative_error = exact ? 0 : sqrt(e->noise / e->signal);
}
