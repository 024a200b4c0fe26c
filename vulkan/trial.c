/* Kernels tried on the device at hand before they are trusted. */
#include "vulkan/trial.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "format/alloc.h"
#include "format/fail.h"
#include "format/log.h"
#include "vulkan/product.h"

/* Of the sum of magnitudes: far above any bound, far below what a wrong kernel makes. */
static const double tolerances[N_RUNGS] = {1e-3, 1e-2, 2e-2, 5e-3};
/* Vectors that make a product take a shape. */
static const uint32_t shape_vectors[N_SHAPES] = {1, 3, 7, 17};

static bool same_specs(const uint32_t a[N_SPECS], const uint32_t b[N_SPECS])
{
    for (uint32_t i = 0; i < N_SPECS; i++) {
        if (i != SPEC_ADD && a[i] != b[i]) return false;
    }
    return true;
}

struct vk_trial *ingot_vk_trial_find(const struct vk_device *device, const char *map, bool is_list,
                                     const uint32_t specs[N_SPECS])
{
    for (struct vk_trial *trial = device->trials; trial; trial = trial->next) {
        if (strcmp(trial->map, map) == 0 && trial->is_list == is_list &&
            same_specs(trial->specs, specs)) {
            return trial;
        }
    }
    return NULL;
}

static bool is_right(const struct vk_trial *trial, uint32_t n, double tolerance, const float *y)
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
static bool is_distrusted(const struct vk_device *device, const struct vk_kernel *kernel)
{
    const char *const distrusted = device->instance.options.distrusted;
    return distrusted && strcmp(distrusted, kernel->shader) == 0;
}

/* So many vectors that the product takes the variant. */
static uint32_t count_vectors(uint32_t variant)
{
    const uint32_t rung = variant / N_SHAPES, shape = variant % N_SHAPES;
    if (rung != RUNG_MATRIX) return shape_vectors[shape];
    return shape == SHAPE_MANY ? TRIAL_MAX_VECTORS : shape_vectors[SHAPE_MANY];
}

ingot_status ingot_vk_trial_run(struct vk_device *device, struct vk_trial *trial, uint32_t variant,
                                ingot_error *error)
{
    const uint32_t rung = variant / N_SHAPES;
    const uint32_t n = count_vectors(variant);
    struct vk_product product;
    const uint64_t n_cols = trial->matrix->n_cols;
    float y[TRIAL_MAX_VECTORS * TRIAL_ROWS] = {0};
    if (trial->tried[variant]) return INGOT_OK;
    float *x = ingot_allocate_zeroed(device->allocator, n * n_cols, sizeof *x);
    if (!x) return ingot_fail_memory(error, n * n_cols * sizeof *x, "trial of a kernel");
    for (uint64_t i = 0; i < n * n_cols; i++) {
        x[i] = (float)(i / n_cols + 1) * trial->x[i % n_cols];
    }
    trial->matrix->rungs = 1u << rung;
    ingot_vk_product_choose(device, trial->matrix->passes, trial->matrix->rungs, n, &product);
    assert(product.variant == variant);
    if (trial->is_list) {
        snprintf(product.kernel.shader, sizeof product.kernel.shader, "list_%s", trial->map);
    }
    const ingot_status status = ingot_vk_matmul(device, trial->matrix, x, n, y, error);
    ingot_release(device->allocator, x);
    if (status != INGOT_OK) return status;
    trial->tried[variant] = true;
    trial->wrong[variant] =
        !is_right(trial, n, tolerances[rung], y) || is_distrusted(device, &product.kernel);
    if (trial->wrong[variant]) {
        ingot_log(device->allocator, INGOT_LOG_WARNING,
                  "%s: kernel %s for %u vectors is wrong on this device, and not used",
                  device->info.name, product.kernel.shader, n);
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
