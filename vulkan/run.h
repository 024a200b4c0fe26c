/* The passes of a matrix as they are recorded: shared by the product and by what times it. */
#ifndef INGOT_VULKAN_RUN_H
#define INGOT_VULKAN_RUN_H

#include "vulkan/matrix.h"

/* One batch of vectors under way. */
struct vk_run {
    struct vk_device *device;
    const struct vk_matrix *matrix;
    uint64_t n_vectors;
    uint64_t spent; /* weights visited by what is recorded */
    bool can_slice; /* there is room for the results of slices */
    ingot_error *error;
};

/* Room for the results of slices; where there is none, products are not split. To be asked for
 * before recording begins. */
bool ingot_vk_run_reserve(const struct vk_run *run);
/* Records all passes; may submit what is recorded and go on. */
ingot_status ingot_vk_run_passes(struct vk_run *run);

#endif
