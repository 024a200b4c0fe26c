/* Sums of errors, in double, in the order of the values. */
#include "convert/measure.h"

#include <math.h>

void measure_add(struct tensor_error *e, const float *source, const float *values, uint64_t n)
{
    double signal = e->signal;
    double noise = e->noise;
    double max_error = e->max_error;
    for (uint64_t i = 0; i < n; i++) {
        const double s = (double)source[i];
        if (isfinite(s)) signal += s * s;
        if (source[i] == values[i] || (isnan(source[i]) && isnan(values[i]))) continue;
        const double difference = fabs((double)values[i] - s);
        const double size = isfinite(difference) ? difference : INFINITY;
        e->n_different++;
        noise += size * size;
        max_error = size > max_error ? size : max_error;
    }
    e->n += n;
    e->signal = signal;
    e->noise = noise;
    e->max_error = max_error;
}

void measure_finish(struct tensor_error *e)
{
    const bool exact = e->noise == 0;
    e->sqnr_db = exact ? INFINITY : 10 * log10(e->signal / e->noise);
    e->relative_error = exact ? 0 : sqrt(e->noise / e->signal);
}
