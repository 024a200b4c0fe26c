/* The passes of a matrix as they are recorded: shared by the product and by what times it. */
#ifndef INGOT_VULKAN_RUN_H
#define INGOT_VULKAN_RUN_H

#include "vulkan/product.h"

/* One batch of vectors under way. */
struct vk_run {
    struct vk_device *device;
    const struct vk_matrix *matrix;
    uint64_t n_vectors;
    uint64_t spent;    /* weights visited by what is recorded */
    uint32_t rungs;    /* 1 << RUNG_... of those that may be taken */
    bool can_slice;    /* there is room for the results of slices */
    enum vk_form form; /* that VECTOR_N has... */
    uint32_t order;    /* ...in an order of columns... */
    uint32_t rounded;  /* ...of this vector; N_VECTORS: of none */
    ingot_error *error;
};

/* Sets everything from `rungs` on: tries kernels, measures weights and makes room, all of which has
 * to be done before recording begins. */
ingot_status ingot_vk_run_ready(struct vk_run *run);
/* Records all passes; may submit what is recorded and go on. */
ingot_status ingot_vk_run_passes(struct vk_run *run);

#endif
