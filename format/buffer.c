/* A growing run of bytes. */
#include "format/buffer.h"

#include "format/alloc.h"
#include "format/bytes.h"

static bool reserve(struct byte_buffer *buffer, uint64_t n_bytes)
{
    uint64_t wanted;
    if (buffer->failed || !add_u64(buffer->n_bytes, n_bytes, &wanted)) {
        buffer->failed = true;
        return false;
    }
    if (wanted <= buffer->capacity) return true;
    const uint64_t grown = max_u64(max_u64(256, wanted), buffer->capacity + buffer->capacity / 2);
    uint8_t *data = ingot_allocate(buffer->allocator, grown);
    if (data == NULL) {
        buffer->failed = true;
        return false;
    }
    if (buffer->n_bytes) memcpy(data, buffer->data, (size_t)buffer->n_bytes);
    ingot_release(buffer->allocator, buffer->data);
    buffer->data = data;
    buffer->capacity = grown;
    return true;
}

void buffer_reserve(struct byte_buffer *buffer, uint64_t n_bytes)
{
    (void)reserve(buffer, n_bytes);
}

void buffer_append(struct byte_buffer *buffer, const void *bytes, uint64_t n_bytes)
{
    if (!reserve(buffer, n_bytes) || n_bytes == 0) return;
    memcpy(buffer->data + buffer->n_bytes, bytes, (size_t)n_bytes);
    buffer->n_bytes += n_bytes;
}

void buffer_u8(struct byte_buffer *buffer, uint8_t v)
{
    buffer_append(buffer, &v, 1);
}

void buffer_u16(struct byte_buffer *buffer, uint16_t v)
{
    uint8_t bytes[2];
    store_u16(bytes, v);
    buffer_append(buffer, bytes, sizeof bytes);
}

void buffer_u32(struct byte_buffer *buffer, uint32_t v)
{
    uint8_t bytes[4];
    store_u32(bytes, v);
    buffer_append(buffer, bytes, sizeof bytes);
}

void buffer_u64(struct byte_buffer *buffer, uint64_t v)
{
    uint8_t bytes[8];
    store_u64(bytes, v);
    buffer_append(buffer, bytes, sizeof bytes);
}

void buffer_align(struct byte_buffer *buffer, uint64_t alignment)
{
    while (!buffer->failed && buffer->n_bytes % alignment != 0) buffer_u8(buffer, 0);
}

void buffer_release(struct byte_buffer *buffer)
{
    ingot_release(buffer->allocator, buffer->data);
    *buffer = (struct byte_buffer){.allocator = buffer->allocator};
}
