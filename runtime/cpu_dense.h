/* Dense codings on the CPU: as panels where the level has them, else as they are, with a kernel. */
#ifndef INGOT_CPU_DENSE_H
#define INGOT_CPU_DENSE_H

#include "format/pool.h"
#include "runtime/cpu_slice.h"

struct cpu_dense {
    const struct resident_dense *resident;
    const struct cpu_kernel *kernel;
    struct panels *panels; /* NULL: the kernel takes the codes as they are */
};

/* Chooses the form and adds its bytes. INGOT_UNSUPPORTED when the reference cannot decode it. */
ingot_status cpu_dense_make(const struct cpu_level *level, const struct resident_dense *resident,
                            struct ingot_pool *pool, const ingot_allocator *allocator,
                            struct cpu_dense *dense, uint64_t *resident_bytes, ingot_error *error);
void cpu_dense_release(struct cpu_dense *dense, const ingot_allocator *allocator);
/* The same without panels, for kept values. */
ingot_status cpu_dense_choose(const struct cpu_level *level, const struct resident_dense *resident,
                              struct cpu_dense *dense, uint64_t *resident_bytes,
                              ingot_error *error);

/* Bytes that x takes when made ready, at most; 0: it is taken as it is. */
uint64_t cpu_dense_x_bytes(const struct cpu_dense *dense, const struct cpu_level *level,
                           enum panel_mode mode, uint64_t n_x);
/* Makes x ready, on the pool. `ready` is aligned to 64. */
void cpu_dense_x_prepare(const struct cpu_dense *dense, const struct cpu_level *level,
                         struct ingot_pool *pool, enum panel_mode mode, const float *x,
                         uint64_t x_stride, uint64_t n_x, void *ready);
/* Adds rows of a slice; its first row is a multiple of PANEL_ROWS. */
void cpu_dense_add(const struct cpu_dense *dense, enum panel_mode mode, const void *ready,
                   const struct slice *slice);

#endif
