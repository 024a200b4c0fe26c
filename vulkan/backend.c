/* The Vulkan backend as the runtime sees it: one table of functions. */
#include "runtime/backend.h"

#include "format/alloc.h"
#include "format/fail.h"
#include "format/pool.h"
#include "vulkan/choose.h"
#include "vulkan/layout.h"
#include "vulkan/matrix.h"

static const struct vk_options default_options;

/* Lists devices without opening one: none where there is no Vulkan. Of a candidate, only `info` is
 * of use then. *candidates is released with ingot_release. */
static ingot_status list(const ingot_allocator *allocator, struct vk_candidate **candidates,
                         uint32_t *n, ingot_error *error)
{
    struct vk_instance instance;
    ingot_error why;
    ingot_status status = ingot_vk_instance_open(&default_options, &instance, &why);
    if (status == INGOT_NOT_FOUND) {
        *candidates = NULL;
        *n = 0;
        return INGOT_OK;
    }
    if (status != INGOT_OK) {
        if (error) *error = why;
        return status;
    }
    status = ingot_vk_candidates_list(&instance, allocator, candidates, n, error);
    ingot_vk_instance_close(&instance);
    return status;
}

static ingot_status backend_count(const ingot_allocator *allocator, uint32_t *n, ingot_error *error)
{
    struct vk_candidate *candidates = NULL;
    const ingot_status status = list(allocator, &candidates, n, error);
    ingot_release(allocator, candidates);
    return status;
}

static ingot_status backend_describe(const ingot_allocator *allocator, uint32_t index,
                                     ingot_device_info *info, ingot_error *error)
{
    struct vk_candidate *candidates = NULL;
    uint32_t n = 0;
    ingot_status status = list(allocator, &candidates, &n, error);
    if (status == INGOT_OK && index >= n) {
        status = ingot_fail(error, INGOT_DEVICE, INGOT_NO_OFFSET, "Vulkan device",
                            "there is no device %u, this machine has %u", index, n);
    }
    if (status == INGOT_OK) {
        const uint32_t kept = info->index;
        *info = candidates[index].info;
        info->index = kept;
    }
    ingot_release(allocator, candidates);
    return status;
}

static ingot_status backend_open(uint32_t index, const struct backend_options *options,
                                 const ingot_allocator *allocator, void **device,
                                 ingot_error *error)
{
    struct vk_device *opened = NULL;
    ingot_status status = ingot_vk_device_open(index, &default_options, allocator, &opened, error);
    if (status != INGOT_OK) return status;
    status = ingot_pool_create(options->n_threads, allocator, &opened->readers, error);
    if (status == INGOT_OK) {
        *device = opened;
    } else {
        ingot_vk_device_close(opened);
    }
    return status;
}

static void backend_close(void *device_pointer)
{
    struct vk_device *const device = device_pointer;
    if (!device) return;
    ingot_pool_close(device->readers);
    ingot_vk_device_close(device);
}

static struct ingot_pool *backend_pool(void *device)
{
    return ((struct vk_device *)device)->readers;
}

static ingot_status backend_upload(void *device, const struct resident_matrix *matrix,
                                   void **uploaded, uint64_t *resident_bytes,
                                   struct kept_parts *kept, ingot_error *error)
{
    struct vk_matrix *made = NULL;
    const ingot_status status = ingot_vk_matrix_upload(device, matrix, &made, error);
    if (status != INGOT_OK) return status;
    *uploaded = made;
    *resident_bytes = made->resident_bytes;
    *kept = (struct kept_parts){0};
    return INGOT_OK;
}

static void backend_release(void *device, void *uploaded)
{
    ingot_vk_matrix_release(device, uploaded);
}

static bool backend_recover(void *device_pointer, const void *uploaded)
{
    struct vk_device *const device = device_pointer;
    const struct vk_matrix *const matrix = uploaded;
    if (!device->lost) return matrix && matrix->generation != device->generation;
    return ingot_vk_device_renew(device, NULL) == INGOT_OK;
}

static ingot_status backend_matmul(void *device, void *uploaded, const float *x, uint64_t n,
                                   float *y, ingot_error *error)
{
    return ingot_vk_matmul(device, uploaded, x, n, y, error);
}

const struct ingot_backend ingot_backend_vulkan = {
    .name = "vulkan",
    .count = backend_count,
    .describe = backend_describe,
    .open = backend_open,
    .close = backend_close,
    .pool = backend_pool,
    .takes_unread = true,
    .row_bytes = ingot_vk_layout_row_bytes,
    .matrix_upload = backend_upload,
    .matrix_release = backend_release,
    .recover = backend_recover,
    .matmul = backend_matmul,
};
