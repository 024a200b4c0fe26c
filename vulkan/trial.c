/* Kernels tried on the device at hand before they are trusted. */
#include "vulkan/trial.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "format/alloc.h"
#include "format/fail.h"
#include "format/log.h"

/* Far above any bound, far below what a wrong kernel makes. */
static const double tolerance = 1e-3;

static const struct {
    const char *kernel;
    uint32_t n_vectors; /* that make a product take it */
} variants[N_VARIANTS] = {
    [VARIANT_ONE] = {"gemv", 1},
    [VARIANT_FEW] = {"gemv", 3},
    [VARIANT_SOME] = {"gemv", 7},
    [VARIANT_MANY] = {"gemm", TRIAL_MAX_VECTORS},
};

static bool same_specs(const uint32_t a[N_SPECS], const uint32_t b[N_SPECS])
{
    for (uint32_t i = 0; i < N_SPECS; i++) {
        if (i != SPEC_ADD && a[i] != b[i]) return false;
    }
    return true;
}

struct vk_trial *ingot_vk_trial_find(const struct vk_device *device, const char *map,
                                     const uint32_t specs[N_SPECS])
{
    for (struct vk_trial *trial = device->trials; trial; trial = trial->next) {
        if (strcmp(trial->map, map) == 0 && same_specs(trial->specs, specs)) return trial;
    }
    return NULL;
}

static bool is_right(const struct vk_trial *trial, uint32_t n, const float *y)
{
    for (uint32_t j = 0; j < n; j++) {
        for (uint64_t r = 0; r < trial->matrix->n_rows; r++) {
            const double factor = (double)(j + 1);
            const double error =
                fabs((double)y[j * trial->matrix->n_rows + r] - factor * trial->sums[r]);
            if (!(error <= tolerance * factor * trial->magnitudes[r])) return false;
        }
    }
    return true;
}

/* As if the trial had failed: how tests see what happens then. */
static bool is_distrusted(const struct vk_device *device, const struct vk_trial *trial,
                          enum vk_variant variant)
{
    char name[48];
    snprintf(name, sizeof name, "%s_%s", variants[variant].kernel, trial->map);
    const char *const distrusted = device->instance.options.distrusted;
    return distrusted && strcmp(distrusted, name) == 0;
}

ingot_status ingot_vk_trial_run(struct vk_device *device, struct vk_trial *trial,
                                enum vk_variant variant, ingot_error *error)
{
    const uint32_t n = variants[variant].n_vectors;
    const uint64_t n_cols = trial->matrix->n_cols;
    float y[TRIAL_MAX_VECTORS * TRIAL_ROWS] = {0};
    if (trial->tried[variant]) return INGOT_OK;
    float *x = ingot_allocate_zeroed(device->allocator, n * n_cols, sizeof *x);
    if (!x) return ingot_fail_memory(error, n * n_cols * sizeof *x, "trial of a kernel");
    for (uint64_t i = 0; i < n * n_cols; i++) {
        x[i] = (float)(i / n_cols + 1) * trial->x[i % n_cols];
    }
    const ingot_status status = ingot_vk_matmul(device, trial->matrix, x, n, y, error);
    ingot_release(device->allocator, x);
    if (status != INGOT_OK) return status;
    trial->tried[variant] = true;
    trial->wrong[variant] = !is_right(trial, n, y) || is_distrusted(device, trial, variant);
    if (trial->wrong[variant]) {
        ingot_log(device->allocator, INGOT_LOG_WARNING,
                  "%s: kernel %s_%s for %u vectors is wrong on this device, and not used",
                  device->info.name, variants[variant].kernel, trial->map, n);
    }
    return INGOT_OK;
}

void ingot_vk_trial_release(struct vk_device *device, struct vk_trial *trial)
{
    if (!trial) return;
    ingot_vk_matrix_release(device, trial->matrix);
    ingot_release(device->allocator, trial->x);
    ingot_release(device->allocator, trial);
}

void ingot_vk_trials_close(struct vk_device *device)
{
    while (device->trials) {
        struct vk_trial *const first = device->trials;
        device->trials = first->next;
        ingot_vk_trial_release(device, first);
    }
}
