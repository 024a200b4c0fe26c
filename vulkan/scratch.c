/* Vectors that a matmul keeps on the device. Knows no matrix. */
#include "vulkan/scratch.h"

#include "format/bytes.h"

/* Every vector of the scratch has room for at least this, so that several rows of x share one
 * submission. */
static const uint64_t min_bytes = UINT64_C(4) << 20;

/* Makes *block at least n_bytes large; on failure it is as it was. */
static ingot_status grow(struct vk_device *device, enum vk_memory_kind kind, uint64_t n_bytes,
                         struct vk_block **block, ingot_error *error)
{
    if (*block && (*block)->n_bytes >= n_bytes) return INGOT_OK;
    struct vk_block *larger = NULL;
    const uint64_t n = max_u64(n_bytes, min_u64(min_bytes, device->allocation_bytes));
    const ingot_status status =
        kind == MEMORY_HOST
            ? ingot_vk_block_open(device, kind, n, "memory for vectors", &larger, error)
            : ingot_vk_block_open_spilling(device, n, "memory for vectors", &larger, error);
    if (status != INGOT_OK) return status;
    ingot_vk_block_close(device, *block);
    *block = larger;
    return INGOT_OK;
}

ingot_status ingot_vk_scratch_reserve(struct vk_device *device, const uint64_t floats[N_VECTORS],
                                      uint64_t n, ingot_error *error)
{
    struct vk_scratch *const scratch = &device->scratch;
    ingot_status status = INGOT_OK;
    for (uint32_t v = 0; v < N_VECTORS && status == INGOT_OK; v++) {
        if (floats[v] == 0) continue;
        status = grow(device, MEMORY_DEVICE, n * floats[v] * 4, &scratch->vectors[v], error);
    }
    if (status != INGOT_OK) return status;
    status = grow(device, MEMORY_HOST, n * floats[VECTOR_X] * 4, &scratch->host_x, error);
    if (status != INGOT_OK) return status;
    return grow(device, MEMORY_HOST, n * floats[VECTOR_Y] * 4, &scratch->host_y, error);
}

uint64_t ingot_vk_scratch_room(const struct vk_device *device, const uint64_t floats[N_VECTORS],
                               uint64_t n)
{
    const struct vk_scratch *const scratch = &device->scratch;
    n = min_u64(n, scratch->host_x->n_bytes / (floats[VECTOR_X] * 4));
    n = min_u64(n, scratch->host_y->n_bytes / (floats[VECTOR_Y] * 4));
    for (uint32_t v = 0; v < N_VECTORS; v++) {
        if (floats[v] != 0) n = min_u64(n, scratch->vectors[v]->n_bytes / (floats[v] * 4));
    }
    return n;
}

void ingot_vk_scratch_close(struct vk_device *device)
{
    for (uint32_t v = 0; v < N_VECTORS; v++) {
        ingot_vk_block_close(device, device->scratch.vectors[v]);
    }
    ingot_vk_block_close(device, device->scratch.host_x);
    ingot_vk_block_close(device, device->scratch.host_y);
    device->scratch = (struct vk_scratch){0};
}
