/* Sums of errors, in double, in an order that depends on the values' places alone. */
#include "convert/measure.h"

#include <math.h>

#include "convert/sums.h"
#include "format/bytes.h"

enum { BLOCK = 512 };

static uint64_t add_any(struct error_sums *sums, uint32_t lane, float source, float value)
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

/* What is not finite among the values leaves no finite sum. */
static bool are_finite(const struct error_sums *sums)
{
    double sum = 0;
    for (uint32_t k = 0; k < SUM_LANES; k++) sum += sums->noise[k] + sums->signal[k];
    return isfinite(sum);
}

static uint64_t add_block(struct error_sums *sums, const float *source, const float *values,
                          uint64_t n)
{
    const struct error_sums before = *sums;
    uint64_t at = n / SUM_LANES * SUM_LANES;
    uint64_t n_different = sums_kernels_find(NULL)->add_errors(sums, source, values, at);
    if (!are_finite(sums)) {
        *sums = before;
        n_different = 0;
        at = 0;
    }
    for (; at < n; at++) n_different += add_any(sums, at % SUM_LANES, source[at], values[at]);
    return n_different;
}

void measure_add(struct tensor_error *e, const float *source, const float *values, uint64_t n)
{
    struct error_sums sums = {0};
    for (uint64_t at = 0; at < n; at += BLOCK) {
        e->n_different += add_block(&sums, source + at, values + at, min_u64(BLOCK, n - at));
    }
    e->n += n;
    for (uint32_t k = 0; k < SUM_LANES; k++) {
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
