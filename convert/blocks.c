/* Tensors of blocks. */
#include "convert/blocks.h"

#include <assert.h>
#include <stdio.h>

#include "format/alloc.h"
#include "format/bytes.h"
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
    for (uint32_t i = 0; i < BLOCK_MAX_STREAMS; i++) {
        ingot_release(NULL, room->streams[i]);
        room->streams[i] = NULL;
    }
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

static void room_clear(struct room *room)
{
    for (uint32_t i = 0; i < room->rows.layout->n_streams; i++) {
        memset(room->streams[i], 0, (size_t)room->shapes[i].n_bytes);
    }
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

/* ---- proof ---- */

/* Rows are read about this many bytes at a time. A tensor is proved when at most one block in
 * EXCEPTIONS_ONE_IN, and a few more, are exceptions. */
enum { STEP_BYTES = 1 << 20, EXCEPTIONS_ONE_IN = 16, EXCEPTIONS_ALWAYS = 8 };

struct proof {
    struct block_import *import;
    const struct block_layout *layout;
    struct room first;
    struct room second;
    uint8_t *blocks;
    uint8_t *again;
    uint64_t most_exceptions;
};

/* The blocks that did not come back: exceptions when their streams do. */
static void find_exceptions(struct proof *p, uint64_t first_row)
{
    struct block_import *import = p->import;
    const struct block_rows *rows = &p->first.rows;
    const uint32_t n_bytes = p->layout->n_bytes;
    blocks_apart(&p->second.rows, p->again, p->second.streams);
    for (uint32_t i = 0; i < p->layout->n_streams; i++) {
        const uint64_t n = rows->n_rows * p->first.shapes[i].row_bits / 8;
        if (memcmp(p->first.streams[i], p->second.streams[i], (size_t)n) == 0) continue;
        snprintf(import->why_not, sizeof import->why_not, "values do not come back");
        return;
    }
    for (uint64_t b = 0; b < rows->n_rows * rows->n_blocks; b++) {
        const uint8_t *block = p->blocks + b * n_bytes;
        if (memcmp(block, p->again + b * n_bytes, n_bytes) == 0) continue;
        if (import->n_exceptions++ >= p->most_exceptions) {
            snprintf(import->why_not, sizeof import->why_not,
                     "more than one block in %d has bytes that are not canonical",
                     EXCEPTIONS_ONE_IN);
            return;
        }
        form_blocks_except(&import->form, first_row * rows->n_blocks + b, block, n_bytes);
    }
}

static ingot_status prove_rows(struct proof *p, uint64_t first_row, uint64_t n_rows,
                               ingot_error *error)
{
    struct block_import *import = p->import;
    const uint64_t row_bytes = p->first.rows.n_blocks * p->layout->n_bytes;
    const ingot_status status = import->bytes.read(import->bytes.context, first_row * row_bytes,
                                                   n_rows * row_bytes, p->blocks, error);
    if (status != INGOT_OK) return status;
    p->first.rows.n_rows = p->second.rows.n_rows = n_rows;
    room_clear(&p->first);
    blocks_apart(&p->first.rows, p->blocks, p->first.streams);
    blocks_together(&p->first.rows, (const uint8_t *const *)p->first.streams, p->again);
    if (memcmp(p->blocks, p->again, (size_t)(n_rows * row_bytes)) == 0) return INGOT_OK;
    room_clear(&p->second);
    find_exceptions(p, first_row);
    return import->form.failed ? ingot_fail_memory(error, import->form.n_bytes, "exceptions")
                               : INGOT_OK;
}

ingot_status block_import_prove(struct block_import *import, ingot_error *error)
{
    struct proof p = {.import = import, .layout = block_layout_of(import->type)};
    const uint64_t all_rows = import->stack.n_matrices * import->stack.n_rows;
    const uint64_t n_blocks = import->stack.n_cols / p.layout->n_weights;
    const uint64_t row_bytes = n_blocks * p.layout->n_bytes;
    const uint64_t step = min_u64(max_u64(1, STEP_BYTES / max_u64(1, row_bytes)), all_rows);
    const struct stack_shape part = {1, step, import->stack.n_cols};
    if (import->stack.n_cols % p.layout->n_weights != 0) {
        snprintf(import->why_not, sizeof import->why_not, "its rows are not whole blocks");
        return INGOT_OK;
    }
    p.most_exceptions = all_rows * n_blocks / EXCEPTIONS_ONE_IN + EXCEPTIONS_ALWAYS;
    form_blocks_begin(&import->form, import->type);
    p.blocks = ingot_allocate(NULL, step * row_bytes);
    p.again = ingot_allocate(NULL, step * row_bytes);
    ingot_status status = p.blocks && p.again
                              ? room_make(&p.first, import->type, part, error)
                              : ingot_fail_memory(error, step * row_bytes, "blocks");
    if (status == INGOT_OK) status = room_make(&p.second, import->type, part, error);
    for (uint64_t row = 0; row < all_rows && status == INGOT_OK && !import->why_not[0];
         row += step) {
        status = prove_rows(&p, row, min_u64(step, all_rows - row), error);
    }
    room_release(&p.second);
    room_release(&p.first);
    ingot_release(NULL, p.again);
    ingot_release(NULL, p.blocks);
    return status;
}

/* ---- writing ---- */

static ingot_status written_book(void *context, enum block_book book, uint32_t *stream,
                                 ingot_error *error)
{
    struct block_books_written *written = context;
    if (written->streams[book] == 0) {
        uint8_t entries[BLOCK_BOOK_MAX_BYTES];
        const uint32_t n_bytes = block_book_write(book, entries);
        const ingot_status status =
            ingot_writer_codebook(written->writer, entries, n_bytes, stream, error);
        if (status != INGOT_OK) return status;
        written->streams[book] = *stream + 1;
    }
    *stream = written->streams[book] - 1;
    return INGOT_OK;
}

/* What the writer pulls from. */
struct pull {
    struct block_import *import;
    const struct block_layout *layout;
    struct stream_shape shapes[CODING_MAX_STREAMS];
    uint8_t *blocks;
    uint64_t capacity;
};

static ingot_status pull_rows(void *context, uint64_t first_row, uint64_t n_rows,
                              uint8_t *const *dst, ingot_error *error)
{
    struct pull *p = context;
    const struct byte_source *bytes = &p->import->bytes;
    const struct block_rows rows = {p->layout, p->shapes, n_rows,
                                    p->import->stack.n_cols / p->layout->n_weights};
    const uint64_t row_bytes = rows.n_blocks * p->layout->n_bytes;
    const uint64_t n_bytes = n_rows * row_bytes;
    if (n_bytes > p->capacity) { /* the first slab is the largest */
        ingot_release(NULL, p->blocks);
        p->blocks = ingot_allocate(NULL, n_bytes);
        p->capacity = p->blocks ? n_bytes : 0;
        if (p->blocks == NULL) return ingot_fail_memory(error, n_bytes, "blocks");
    }
    const ingot_status status =
        bytes->read(bytes->context, first_row * row_bytes, n_bytes, p->blocks, error);
    if (status == INGOT_OK) blocks_apart(&rows, p->blocks, dst);
    return status;
}

/* Streams of no bytes are all that does not follow the rows. */
static ingot_status pull_nothing(void *context, uint32_t stream, uint64_t offset, uint64_t n_bytes,
                                 uint8_t *dst, ingot_error *error)
{
    (void)context;
    (void)offset;
    (void)dst;
    return ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, "blocks",
                      "stream %u of %llu bytes does not follow the rows", stream,
                      (unsigned long long)n_bytes);
}

ingot_status block_import_write(struct block_import *import, const struct writer_tensor *tensor,
                                struct block_books_written *books, uint64_t *coded_bytes,
                                ingot_error *error)
{
    const struct block_books streams = {books, written_book};
    struct block_coding coding;
    struct pull pull = {.import = import, .layout = block_layout_of(import->type)};
    const struct writer_source source = {&pull, pull_nothing, pull_rows, false};
    struct writer_term term = {.kind = TERM_DENSE, .coding = &coding.coding};
    struct writer_tensor written = *tensor;
    uint32_t n_streams;
    assert(!import->why_not[0] && import->form.n_bytes > 0);
    written.n_terms = 1;
    written.terms = &term;
    written.rescale = NULL;
    ingot_status status = block_coding_make(import->type, &streams, &coding, error);
    if (status != INGOT_OK) return status;
    if (!coding_streams(&coding.coding, import->stack, pull.shapes, &n_streams)) {
        return ingot_fail(error, INGOT_INVALID, INGOT_NO_OFFSET, tensor->name, "too large");
    }
    status = ingot_writer_tensor(books->writer, &written, &source, error);
    ingot_release(NULL, pull.blocks);
    if (coded_bytes) *coded_bytes = coding_bytes(&coding.coding, import->stack);
    return status;
}

uint64_t blocks_coded_bytes(uint32_t type, struct stack_shape stack)
{
    const struct block_books books = {NULL, number_book};
    struct block_coding coding;
    block_coding_make(type, &books, &coding, NULL);
    const uint64_t n_bytes = coding_bytes(&coding.coding, stack);
    return n_bytes == UINT64_MAX ? 0 : n_bytes;
}
