/* Writing to a region of device memory from its first byte to its last: straight where it is
 * mapped, else through a ring of staging buffers, of which one is filled while the others are
 * copied. */
#ifndef INGOT_VULKAN_STREAM_H
#define INGOT_VULKAN_STREAM_H

#include "vulkan/memory.h"

/* The first failure wins: after it, writes do nothing, and ingot_vk_stream_end tells it. */
struct vk_stream {
    struct vk_device *device;
    struct vk_region region;
    uint64_t n_written;
    uint64_t n_filled; /* bytes in the slot that are not submitted yet */
    ingot_status status;
    ingot_error *error;
};

/* Rows that are made where they go: `make` writes all bytes of rows [first, first + n_rows). It is
 * called by several threads at once, each with rows of its own. */
struct vk_rows {
    ingot_status (*make)(const void *context, uint64_t first, uint64_t n_rows, uint8_t *dst,
                         ingot_error *error);
    const void *context;
    uint64_t n_rows;
    uint64_t row_bytes;
    uint64_t grain; /* calls begin at multiples of it where they can; 0: where they like */
};

/* error may be NULL and must outlive the stream, as must the region's memory. Every stream is
 * ended, and a device has one at a time. */
struct vk_stream ingot_vk_stream_begin(struct vk_device *device, const struct vk_region *region,
                                       ingot_error *error);
void ingot_vk_stream_write(struct vk_stream *stream, const void *data, uint64_t n_bytes);
void ingot_vk_stream_write_zeros(struct vk_stream *stream, uint64_t n_bytes);
/* By the threads of the device's pool; of several failures that of the first rows is told. */
void ingot_vk_stream_write_rows(struct vk_stream *stream, const struct vk_rows *rows);
/* The stream fails with this, unless it has failed before. */
void ingot_vk_stream_fail(struct vk_stream *stream, ingot_status status);
/* On success the whole region must have been written. Copies may be under way still: kernels wait
 * for them, and ingot_vk_queues_settle does. */
ingot_status ingot_vk_stream_end(struct vk_stream *stream);

#endif
