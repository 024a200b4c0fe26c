/* A growing run of bytes. The first failed growth is remembered; later appends do nothing. */
#ifndef INGOT_BUFFER_H
#define INGOT_BUFFER_H

#include "format/ingot.h"

struct byte_buffer {
    const ingot_allocator *allocator;
    uint8_t *data;
    uint64_t n_bytes;
    uint64_t capacity;
    bool failed; /* no memory: the contents are not to be used */
};

/* Starts empty: struct byte_buffer b = {.allocator = allocator}; */
void buffer_append(struct byte_buffer *buffer, const void *bytes, uint64_t n_bytes);
void buffer_u8(struct byte_buffer *buffer, uint8_t v);
void buffer_u16(struct byte_buffer *buffer, uint16_t v);
void buffer_u32(struct byte_buffer *buffer, uint32_t v);
void buffer_u64(struct byte_buffer *buffer, uint64_t v);
/* Makes room for n_bytes more. Room that is never filled costs no memory on most systems. */
void buffer_reserve(struct byte_buffer *buffer, uint64_t n_bytes);
/* Appends zeros up to a multiple of `alignment`. */
void buffer_align(struct byte_buffer *buffer, uint64_t alignment);
void buffer_release(struct byte_buffer *buffer);

#endif
