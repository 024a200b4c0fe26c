/* The reference decoder as all backends may call it. */
#include "runtime/backend.h"

#include "runtime/cpu_level.h"

bool resident_is_decodable(const struct resident_dense *dense, const char **why)
{
    return cpu_plain_supports(dense, why);
}

void resident_decode(const struct resident_dense *dense, uint64_t row, uint64_t first_col,
                     uint64_t n_cols, float *dst)
{
    cpu_plain_kernel.decode(dense, row, first_col, n_cols, dst);
}

void resident_decode_kept(const struct resident_dense *values, uint64_t first, uint64_t row,
                          const uint32_t *cols, uint64_t n, float *dst)
{
    cpu_plain_decode_kept(values, first, row, cols, n, dst);
}

float resident_entry(const struct resident_table *table, uint64_t row, uint64_t col)
{
    return cpu_plain_entry(table, row, col);
}
