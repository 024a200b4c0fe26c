/* Kernels tried on the device at hand before they are trusted: a few rows of the first matrix that
 * asks for a kernel are multiplied, and compared with the reference decoder. Drivers have been seen
 * to compile wrongly what others compile right. */
#ifndef INGOT_VULKAN_TRIAL_H
#define INGOT_VULKAN_TRIAL_H

#include "vulkan/matrix.h"

enum { TRIAL_ROWS = 2, TRIAL_MAX_VECTORS = 65 };

struct vk_trial {
    char map[24];
    bool is_list;
    uint32_t specs[N_SPECS];  /* without SPEC_ADD */
    struct vk_matrix *matrix; /* at most TRIAL_ROWS rows */
    float *x;                 /* one vector; the others are whole multiples of it */
    double sums[TRIAL_ROWS];
    double magnitudes[TRIAL_ROWS];
    bool tried[N_VARIANTS];
    bool wrong[N_VARIANTS];
    struct vk_trial *next;
};

/* The trial of a map, of the list kernel or of the others, and its constants; or NULL. */
struct vk_trial *ingot_vk_trial_find(const struct vk_device *device, const char *map, bool is_list,
                                     const uint32_t specs[N_SPECS]);
/* Tries a variant, if that was not done before; sets trial->wrong. */
ingot_status ingot_vk_trial_run(struct vk_device *device, struct vk_trial *trial, uint32_t variant,
                                ingot_error *error);
/* Takes NULL. */
void ingot_vk_trial_release(struct vk_device *device, struct vk_trial *trial);
/* Of all of the device. */
void ingot_vk_trials_close(struct vk_device *device);

#endif
