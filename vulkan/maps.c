/* The maps that kernels exist for: one row for each, chosen by a coding's parameters. */
#include "vulkan/maps.h"

#include <stddef.h>

static const struct vk_map maps[] = {
    {MAP_FLOAT, 32, INGOT_F32, 0, "gemv_f32", "sparse_f32"},
    {MAP_FLOAT, 16, INGOT_F16, 0, "gemv_f16", "sparse_f16"},
    {MAP_FLOAT, 16, INGOT_BF16, 0, "gemv_bf16", "sparse_bf16"},
    {MAP_UINT, 8, 0, 0, "gemv_int8", NULL},
    {MAP_INT, 8, 0, 0x80, "gemv_int8", NULL},
    {MAP_UINT, 4, 0, 0, "gemv_int4", NULL},
    {MAP_INT, 4, 0, 0x8, "gemv_int4", NULL},
};

const struct vk_map *ingot_vk_map_find(const struct ingot_coding *coding)
{
    for (size_t i = 0; i < sizeof maps / sizeof *maps; i++) {
        const struct vk_map *row = &maps[i];
        const bool format_fits = row->format == 0 || row->format == coding->format;
        if (row->map == coding->map && row->bits == coding->bits && format_fits) return row;
    }
    return NULL;
}
