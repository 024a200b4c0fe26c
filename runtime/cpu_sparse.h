/* Sparse parts on the CPU. */
#ifndef INGOT_CPU_SPARSE_H
#define INGOT_CPU_SPARSE_H

#include "runtime/cpu_dense.h"

struct cpu_sparse {
    const struct resident_sparse *resident;
    uint64_t n_cols;
    struct cpu_dense values;
    const struct cpu_sparse_kernel *kernel; /* NULL: rows are spread out in memory */
    float scale;                            /* that the kernel leaves out */
};

ingot_status cpu_sparse_make(const struct cpu_level *level, const struct resident_sparse *resident,
                             uint64_t n_rows, uint64_t n_cols, struct cpu_sparse *sparse,
                             uint64_t *resident_bytes, ingot_error *error);
void cpu_sparse_add(const struct cpu_sparse *sparse, const struct slice *slice);

#endif
