/* Writing to a region of device memory from its first byte to its last. Knows no matrix. */
#include "vulkan/stream.h"

#include <assert.h>
#include <string.h>

#include "format/bytes.h"
#include "vulkan/commands.h"

static const uint64_t slot_bytes = UINT64_C(8) << 20;

struct vk_stream ingot_vk_stream_begin(struct vk_device *device, const struct vk_region *region,
                                       ingot_error *error)
{
    return (struct vk_stream){.device = device,
                              .region = *region,
                              .status = ingot_vk_device_check(device, error),
                              .error = error};
}

/* Makes the stream's slot free to be filled. */
static void open_slot(struct vk_stream *stream)
{
    struct vk_device *const device = stream->device;
    struct vk_slot *const slot = &device->slots[stream->slot];
    stream->status = ingot_vk_commands_wait(device, &slot->commands, stream->error);
    if (stream->status != INGOT_OK || slot->memory) return;
    stream->status =
        ingot_vk_block_open(device, MEMORY_HOST, min_u64(slot_bytes, device->allocation_bytes),
                            "staging memory", &slot->memory, stream->error);
}

/* Submits the copy of what the slot holds, which are the last bytes written, and goes on to the
 * next slot. */
static void send_slot(struct vk_stream *stream)
{
    struct vk_device *const device = stream->device;
    struct vk_slot *const slot = &device->slots[stream->slot];
    if (stream->status != INGOT_OK || stream->n_filled == 0) return;
    stream->status = ingot_vk_commands_begin(device, &slot->commands, stream->error);
    if (stream->status != INGOT_OK) return;
    const VkBufferCopy copy = {.dstOffset =
                                   stream->region.offset + stream->n_written - stream->n_filled,
                               .size = stream->n_filled};
    device->api.CmdCopyBuffer(slot->commands.buffer, slot->memory->buffer,
                              stream->region.block->buffer, 1, &copy);
    stream->status = ingot_vk_commands_submit(device, &slot->commands, stream->error);
    stream->slot = (stream->slot + 1) % N_SLOTS_UPLOAD;
    stream->n_filled = 0;
}

/* Where at most *n_bytes next bytes go; sets *n_bytes to how many. NULL after a failure. */
static uint8_t *next_bytes(struct vk_stream *stream, uint64_t *n_bytes)
{
    uint8_t *const mapped = stream->region.block->mapped;
    if (stream->status != INGOT_OK) return NULL;
    assert(*n_bytes <= stream->region.n_bytes - stream->n_written);
    uint8_t *at = NULL;
    if (mapped) {
        at = mapped + stream->region.offset + stream->n_written;
    } else {
        if (stream->n_filled == 0) open_slot(stream);
        if (stream->status != INGOT_OK) return NULL;
        const struct vk_block *const memory = stream->device->slots[stream->slot].memory;
        *n_bytes = min_u64(*n_bytes, memory->n_bytes - stream->n_filled);
        at = memory->mapped + stream->n_filled;
        stream->n_filled += *n_bytes;
    }
    stream->n_written += *n_bytes;
    return at;
}

static void send_full_slot(struct vk_stream *stream)
{
    const struct vk_block *const memory = stream->device->slots[stream->slot].memory;
    if (stream->n_filled > 0 && stream->n_filled == memory->n_bytes) send_slot(stream);
}

void ingot_vk_stream_write(struct vk_stream *stream, const void *data, uint64_t n_bytes)
{
    const uint8_t *from = data;
    while (n_bytes > 0) {
        uint64_t n = n_bytes;
        uint8_t *const to = next_bytes(stream, &n);
        if (!to) return;
        memcpy(to, from, n);
        from += n;
        n_bytes -= n;
        send_full_slot(stream);
    }
}

void ingot_vk_stream_write_zeros(struct vk_stream *stream, uint64_t n_bytes)
{
    while (n_bytes > 0) {
        uint64_t n = n_bytes;
        uint8_t *const to = next_bytes(stream, &n);
        if (!to) return;
        memset(to, 0, n);
        n_bytes -= n;
        send_full_slot(stream);
    }
}

void ingot_vk_stream_fail(struct vk_stream *stream, ingot_status status)
{
    if (stream->status == INGOT_OK) stream->status = status;
}

ingot_status ingot_vk_stream_end(struct vk_stream *stream)
{
    send_slot(stream);
    for (uint32_t i = 0; i < N_SLOTS_UPLOAD; i++) {
        /* Also after a failure, because the region is about to be released; then the first failure
         * is the one kept. */
        ingot_error *const error = stream->status == INGOT_OK ? stream->error : NULL;
        const ingot_status waited =
            ingot_vk_commands_wait(stream->device, &stream->device->slots[i].commands, error);
        if (stream->status == INGOT_OK) stream->status = waited;
    }
    assert(stream->status != INGOT_OK || stream->n_written == stream->region.n_bytes);
    return stream->status;
}
