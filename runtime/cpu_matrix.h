/* A matrix on the CPU: its parts with the form chosen for each, and multiplying with it. */
#ifndef INGOT_CPU_MATRIX_H
#define INGOT_CPU_MATRIX_H

#include "format/pool.h"
#include "runtime/cpu_level.h"

struct cpu_device {
    const ingot_allocator *allocator;
    const struct cpu_level *level;
    struct ingot_pool *pool;
    void *scratch;
    uint8_t *scratch_aligned; /* to 64 bytes */
    uint64_t scratch_bytes;   /* from there on */
};

/* Makes the scratch at least so large; what it held is lost. False: there is no memory. */
bool cpu_device_scratch(struct cpu_device *device, uint64_t n_bytes);

/* struct ingot_backend's matrix_upload, matrix_release and matmul. */
ingot_status cpu_matrix_upload(void *device, const struct resident_matrix *matrix, void **uploaded,
                               uint64_t *resident_bytes, struct kept_parts *kept,
                               ingot_error *error);
void cpu_matrix_release(void *device, void *uploaded);
ingot_status cpu_matmul(void *device, void *uploaded, const float *x, uint64_t n, float *y,
                        ingot_error *error);

#endif
