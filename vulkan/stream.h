/* Writing to a region of device memory from its first byte to its last: straight where it is
 * mapped, else through staging buffers, of which one is filled while the other is copied. */
#ifndef INGOT_VULKAN_STREAM_H
#define INGOT_VULKAN_STREAM_H

#include "vulkan/memory.h"

/* The first failure wins: after it, writes do nothing, and ingot_vk_stream_end tells it. */
struct vk_stream {
    struct vk_device *device;
    struct vk_region region;
    uint64_t n_written;
    uint32_t slot;
    uint64_t n_filled; /* bytes in the slot that are not submitted yet */
    ingot_status status;
    ingot_error *error;
};

/* error may be NULL and must outlive the stream, as must the region's memory. Every stream is
 * ended, and a device has one at a time. */
struct vk_stream ingot_vk_stream_begin(struct vk_device *device, const struct vk_region *region,
                                       ingot_error *error);
void ingot_vk_stream_write(struct vk_stream *stream, const void *data, uint64_t n_bytes);
void ingot_vk_stream_write_zeros(struct vk_stream *stream, uint64_t n_bytes);
/* The stream fails with this, unless it has failed before. */
void ingot_vk_stream_fail(struct vk_stream *stream, ingot_status status);
/* Waits until nothing of the stream is under way. On success the whole region must have been
 * written. */
ingot_status ingot_vk_stream_end(struct vk_stream *stream);

#endif
