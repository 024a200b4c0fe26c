/* Sparse parts on the CPU. */
#ifndef INGOT_CPU_SPARSE_H
#define INGOT_CPU_SPARSE_H

#include "runtime/cpu_dense.h"

/* Kept values without slots. */
struct bare_values {
    struct resident_dense values;
    struct ingot_coding coding;
};

struct cpu_sparse {
    const struct resident_sparse *resident;
    uint64_t n_cols;
    struct cpu_dense values;
    struct bare_values *bare; /* where the values have tables and no list of columns; else NULL */
    const struct cpu_sparse_kernel *kernel; /* NULL: rows are spread out in memory */
    struct cpu_kept kept;                   /* as the kernel takes them */
    void *own;                              /* what the kernel made of them */
    float *scales;                          /* of rows, which it leaves out; NULL: of all */
};

ingot_status cpu_sparse_make(const struct cpu_level *level, const struct resident_sparse *resident,
                             uint64_t n_rows, uint64_t n_cols, struct ingot_pool *pool,
                             const ingot_allocator *allocator, struct cpu_sparse *sparse,
                             uint64_t *resident_bytes, ingot_error *error);
/* At least what values of a coding under a bitmap take besides their resident form. */
uint64_t cpu_sparse_forecast(const struct cpu_level *level, const struct ingot_coding *coding,
                             uint64_t n_rows, uint64_t n_cols);
void cpu_sparse_release(struct cpu_sparse *sparse, const ingot_allocator *allocator);

/* Bytes that x takes when made ready; 0: it is taken as it is. */
uint64_t cpu_sparse_x_bytes(const struct cpu_sparse *sparse, uint64_t n_x);
/* Makes x ready, on the pool. `ready` is aligned to 64. */
void cpu_sparse_x_prepare(const struct cpu_sparse *sparse, struct ingot_pool *pool, const float *x,
                          uint64_t x_stride, uint64_t n_x, void *ready);
void cpu_sparse_add(const struct cpu_sparse *sparse, const void *ready, const struct slice *slice);

#endif
