/* Tensors of blocks. */
#include "convert/blocks.h"

#include <assert.h>

#include "format/alloc.h"
#include "format/decode.h"
#include "format/fail.h"

/* Streams of some rows in memory. */
struct room {
    struct block_coding coding;
    struct stream_shape shapes[CODING_MAX_STREAMS];
    struct block_rows rows;
    uint8_t *streams[BLOCK_MAX_STREAMS];
};

static ingot_status number_book(void *context, enum block_book book, uint32_t *stream,
                                ingot_error *error)
{
    (void)context;
    (void)error;
    *stream = book;
    return INGOT_OK;
}

static void room_release(struct room *room)
{
    for (uint32_t i = 0; i < BLOCK_MAX_STREAMS; i++) ingot_release(NULL, room->streams[i]);
}

static ingot_status room_make(struct room *room, uint32_t type, struct stack_shape stack,
                              ingot_error *error)
{
    const struct block_books books = {NULL, number_book};
    uint32_t n_streams;
    *room = (struct room){0};
    ingot_status status = block_coding_make(type, &books, &room->coding, error);
    if (status != INGOT_OK) return status;
    const struct block_layout *layout = block_layout_of(type);
    if (!coding_streams(&room->coding.coding, stack, room->shapes, &n_streams) ||
        !block_streams_fit(layout, stack, room->shapes, n_streams)) {
        return ingot_fail(error, INGOT_INVALID, INGOT_NO_OFFSET, "blocks",
                          "rows of %llu weights are not whole blocks of %u",
                          (unsigned long long)stack.n_cols, layout->n_weights);
    }
    room->rows =
        (struct block_rows){layout, room->shapes, stack.n_rows, stack.n_cols / layout->n_weights};
    for (uint32_t i = 0; i < n_streams; i++) {
        room->streams[i] = ingot_allocate_zeroed(NULL, room->shapes[i].n_bytes, 1);
        if (room->streams[i] == NULL) {
            room_release(room);
            return ingot_fail_memory(error, room->shapes[i].n_bytes, "streams of blocks");
        }
    }
    return INGOT_OK;
}

/* ---- values ---- */

struct held_books {
    uint8_t *books[N_BLOCK_BOOKS];
};

static ingot_status hold_book(void *context, enum block_book book, uint32_t *stream,
                              ingot_error *error)
{
    struct held_books *held = context;
    *stream = book;
    if (held->books[book]) return INGOT_OK;
    held->books[book] = ingot_allocate(NULL, BLOCK_BOOK_MAX_BYTES);
    if (held->books[book] == NULL)
        return ingot_fail_memory(error, BLOCK_BOOK_MAX_BYTES, "codebook");
    block_book_write(book, held->books[book]);
    return INGOT_OK;
}

ingot_status blocks_decode(uint32_t type, const uint8_t *blocks, uint64_t n_rows, uint64_t n_cols,
                           float *dst, ingot_error *error)
{
    struct held_books held = {{0}};
    const struct block_books books = {&held, hold_book};
    const struct stack_shape stack = {1, n_rows, n_cols};
    const struct stack_part all = {0, n_rows, 0, n_cols};
    struct room room;
    ingot_status status = room_make(&room, type, stack, error);
    if (status != INGOT_OK) return status;
    status = block_coding_make(type, &books, &room.coding, error);
    if (status == INGOT_OK) {
        const struct memory_streams memory = {(const uint8_t *const *)room.streams,
                                              (const uint8_t *const *)held.books};
        const struct stream_provider provider = memory_provider(&memory, NULL);
        blocks_apart(&room.rows, blocks, room.streams);
        status = coding_decode(&room.coding.coding, stack, 0, &provider, all, dst, error);
    }
    for (uint32_t i = 0; i < N_BLOCK_BOOKS; i++) ingot_release(NULL, held.books[i]);
    room_release(&room);
    return status;
}
