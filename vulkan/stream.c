/* Writing to a region of device memory from its first byte to its last. Knows no matrix. */
#include "vulkan/stream.h"

#include <assert.h>
#include <string.h>

#include "format/alloc.h"
#include "format/bytes.h"
#include "format/fail.h"
#include "format/pool.h"
#include "vulkan/commands.h"

static const uint64_t default_slot_bytes = UINT64_C(16) << 20;

struct vk_stream ingot_vk_stream_begin(struct vk_device *device, const struct vk_region *region,
                                       ingot_error *error)
{
    return (struct vk_stream){.device = device,
                              .region = *region,
                              .status = ingot_vk_device_check(device, error),
                              .error = error};
}

/* ------------------------------------------------------------------ slots */

static struct vk_slot *slot_of(const struct vk_stream *stream)
{
    return &stream->device->slots[stream->device->next_slot];
}

/* Makes the next slot free to be filled. */
static void open_slot(struct vk_stream *stream)
{
    struct vk_device *const device = stream->device;
    struct vk_slot *const slot = slot_of(stream);
    const uint64_t wanted = device->instance.options.slot_bytes;
    stream->status = ingot_vk_commands_wait(device, &slot->commands, stream->error);
    if (stream->status != INGOT_OK || slot->memory) return;
    stream->status =
        ingot_vk_block_open(device, MEMORY_HOST,
                            min_u64(wanted ? wanted : default_slot_bytes, device->allocation_bytes),
                            "staging memory", &slot->memory, stream->error);
}

/* Submits the copy of what the slot holds, which are the last bytes written, and goes on to the
 * next slot. */
static void send_slot(struct vk_stream *stream)
{
    struct vk_device *const device = stream->device;
    struct vk_slot *const slot = slot_of(stream);
    if (stream->status != INGOT_OK || stream->n_filled == 0) return;
    stream->status = ingot_vk_commands_begin(device, &slot->commands, stream->error);
    if (stream->status != INGOT_OK) return;
    const VkBufferCopy copy = {.dstOffset =
                                   stream->region.offset + stream->n_written - stream->n_filled,
                               .size = stream->n_filled};
    device->api.CmdCopyBuffer(slot->commands.buffer, slot->memory->buffer,
                              stream->region.block->buffer, 1, &copy);
    stream->status = ingot_vk_commands_submit(device, &slot->commands, stream->error);
    device->next_slot = (device->next_slot + 1) % N_SLOTS_UPLOAD;
    stream->n_filled = 0;
}

/* Where the next bytes go, and how many there is room for; NULL after a failure. */
static uint8_t *find_room(struct vk_stream *stream, uint64_t *n_room)
{
    uint8_t *const mapped = stream->region.block->mapped;
    if (stream->status != INGOT_OK) return NULL;
    if (mapped) {
        *n_room = stream->region.n_bytes - stream->n_written;
        return mapped + stream->region.offset + stream->n_written;
    }
    if (stream->n_filled > 0 && stream->n_filled == slot_of(stream)->memory->n_bytes) {
        send_slot(stream);
    }
    if (stream->status == INGOT_OK && stream->n_filled == 0) open_slot(stream);
    if (stream->status != INGOT_OK) return NULL;
    const struct vk_block *const memory = slot_of(stream)->memory;
    *n_room = memory->n_bytes - stream->n_filled;
    return memory->mapped + stream->n_filled;
}

static void take_room(struct vk_stream *stream, uint64_t n_bytes)
{
    assert(n_bytes <= stream->region.n_bytes - stream->n_written);
    if (!stream->region.block->mapped) stream->n_filled += n_bytes;
    stream->n_written += n_bytes;
}

/* ------------------------------------------------------------------ bytes */

void ingot_vk_stream_write(struct vk_stream *stream, const void *data, uint64_t n_bytes)
{
    const uint8_t *from = data;
    while (n_bytes > 0) {
        uint64_t n = 0;
        uint8_t *const to = find_room(stream, &n);
        if (!to) return;
        n = min_u64(n, n_bytes);
        memcpy(to, from, n);
        take_room(stream, n);
        from += n;
        n_bytes -= n;
    }
}

void ingot_vk_stream_write_zeros(struct vk_stream *stream, uint64_t n_bytes)
{
    while (n_bytes > 0) {
        uint64_t n = 0;
        uint8_t *const to = find_room(stream, &n);
        if (!to) return;
        n = min_u64(n, n_bytes);
        memset(to, 0, n);
        take_room(stream, n);
        n_bytes -= n;
    }
}

/* ------------------------------------------------------------------ rows */

enum { MAX_TASKS = 64 };

/* Rows [first, first + n) on their way to dst, cut where each task begins. */
struct making {
    const struct vk_rows *rows;
    uint64_t first;
    uint64_t n_rows;
    uint64_t task_rows; /* a multiple of the grain */
    uint8_t *dst;
    bool apart; /* made elsewhere, and copied */
    const ingot_allocator *allocator;
    ingot_status status[MAX_TASKS];
    ingot_error why[MAX_TASKS];
};

static uint64_t whole_grains(const struct vk_rows *rows, uint64_t n)
{
    const uint64_t grain = max_u64(rows->grain, 1);
    return ceil_div(n, grain) * grain;
}

/* Tasks begin at multiples of task_rows of all rows, but for the first. */
static void make_task(void *context, uint64_t i)
{
    struct making *const making = context;
    const uint64_t base = making->first / making->task_rows + i;
    const uint64_t end = making->first + making->n_rows;
    const uint64_t first = max_u64(base * making->task_rows, making->first);
    const uint64_t n = min_u64((base + 1) * making->task_rows, end) - first;
    uint8_t *const dst = making->dst + (first - making->first) * making->rows->row_bytes;
    making->status[i] = making->rows->make(making->rows->context, first, n, dst, &making->why[i]);
}

static ingot_status make_rows(struct vk_stream *stream, const struct vk_rows *rows, uint64_t first,
                              uint64_t n_rows, uint8_t *dst, bool apart)
{
    enum { LEAST_TASK_BYTES = 1 << 18 };
    struct ingot_pool *const pool = stream->device->readers;
    const ingot_allocator *const allocator = stream->device->allocator;
    ingot_status status = INGOT_OK;
    struct making *making = ingot_allocate(allocator, sizeof *making);
    if (!making) return ingot_fail_memory(stream->error, sizeof *making, "rows of a matrix");
    const uint64_t least = max_u64(LEAST_TASK_BYTES / max_u64(rows->row_bytes, 1), 1);
    making->rows = rows;
    making->first = first;
    making->n_rows = n_rows;
    making->task_rows = whole_grains(rows, max_u64(least, ceil_div(n_rows, MAX_TASKS - 2)));
    making->dst = dst;
    making->apart = apart;
    making->allocator = allocator;
    const uint64_t n_tasks =
        (first + n_rows - 1) / making->task_rows - first / making->task_rows + 1;
    assert(n_tasks <= MAX_TASKS);
    if (pool) {
        ingot_pool_run(pool, n_tasks, make_task, making);
    } else {
        for (uint64_t i = 0; i < n_tasks; i++) make_task(making, i);
    }
    for (uint64_t i = 0; i < n_tasks && status == INGOT_OK; i++) {
        status = making->status[i];
        if (status != INGOT_OK && stream->error) *stream->error = making->why[i];
    }
    ingot_release(allocator, making);
    return status;
}

/* A row that no slot holds. */
static void write_long_row(struct vk_stream *stream, const struct vk_rows *rows, uint64_t row)
{
    uint8_t *const memory = ingot_allocate(stream->device->allocator, rows->row_bytes);
    if (!memory) {
        stream->status = ingot_fail_memory(stream->error, rows->row_bytes, "row");
        return;
    }
    stream->status = make_rows(stream, rows, row, 1, memory, false);
    if (stream->status == INGOT_OK) ingot_vk_stream_write(stream, memory, rows->row_bytes);
    ingot_release(stream->device->allocator, memory);
}

/* Where the next bytes go. */
static bool is_cached(const struct vk_stream *stream)
{
    const struct vk_block *const block = stream->region.block;
    return block->mapped ? block->cached : slot_of(stream)->memory->cached;
}

void ingot_vk_stream_write_rows(struct vk_stream *stream, const struct vk_rows *rows)
{
    if (rows->row_bytes == 0) return;
    for (uint64_t row = 0; row < rows->n_rows;) {
        uint64_t n_room = 0;
        uint8_t *const to = find_room(stream, &n_room);
        if (!to) return;
        uint64_t n = min_u64(n_room / rows->row_bytes, rows->n_rows - row);
        /* Up to a multiple of the grain, so that nothing is read twice. */
        const uint64_t over = rows->grain ? (row + n) % rows->grain : 0;
        if (row + n < rows->n_rows && over < n) n -= over;
        if (n > 0) {
            stream->status = make_rows(stream, rows, row, n, to, !is_cached(stream));
            if (stream->status != INGOT_OK) return;
            take_room(stream, n * rows->row_bytes);
        } else if (stream->n_filled > 0) {
            send_slot(stream);
        } else {
            write_long_row(stream, rows, row);
            n = 1;
        }
        row += n;
    }
}

/* ------------------------------------------------------------------ ending */

void ingot_vk_stream_fail(struct vk_stream *stream, ingot_status status)
{
    if (stream->status == INGOT_OK) stream->status = status;
}

ingot_status ingot_vk_stream_end(struct vk_stream *stream)
{
    send_slot(stream);
    assert(stream->status != INGOT_OK || stream->n_written == stream->region.n_bytes);
    return stream->status;
}
