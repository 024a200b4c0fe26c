/* Blocks as a source file holds them. */
#include "format/source_blocks.h"

#include "format/alloc.h"
#include "format/block_tensor.h"
#include "format/fail.h"
#include "format/file.h"
#include "format/rules.h"

enum { PIECE_BYTES = 1 << 20 };

void form_blocks_begin(struct byte_buffer *form, uint32_t type)
{
    buffer_u8(form, FORM_BLOCKS);
    buffer_u32(form, type);
}

void form_blocks_except(struct byte_buffer *form, uint64_t block, const uint8_t *bytes,
                        uint32_t n_bytes)
{
    buffer_u64(form, block);
    buffer_append(form, bytes, n_bytes);
}

static ingot_status fail_form(const char *why, ingot_error *error)
{
    return ingot_fail_rule(error, R_725, INGOT_NO_OFFSET, "source.segment.form", "%s", why);
}

/* Exceptions are whole, ascend, and are of blocks that there are. */
static ingot_status check_exceptions(const struct block_tensor *t, struct cursor at,
                                     ingot_error *error)
{
    const uint64_t n_blocks = t->n_rows * t->n_blocks;
    uint64_t least = 0;
    while (cursor_left(&at) > 0) {
        const uint64_t block = cursor_u64(&at);
        cursor_bytes(&at, t->layout->n_bytes);
        if (at.failed) return fail_form("an exception is cut short", error);
        if (block < least || block >= n_blocks) {
            return fail_form("exceptions do not ascend within the blocks", error);
        }
        least = block + 1;
    }
    return INGOT_OK;
}

/* Writes over blocks [first, first + n) those that are exceptions; the cursor moves past them. */
static void put_exceptions(const struct block_tensor *t, struct cursor *at, uint64_t first,
                           uint64_t n, uint8_t *blocks)
{
    const uint32_t n_bytes = t->layout->n_bytes;
    while (cursor_left(at) > 0) {
        struct cursor next = *at;
        const uint64_t block = cursor_u64(&next);
        if (block >= first + n) return;
        memcpy(blocks + (block - first) * n_bytes, cursor_bytes(&next, n_bytes), n_bytes);
        *at = next;
    }
}

ingot_status form_blocks_put(const ingot_file *file, uint32_t tensor, struct span form,
                             const struct byte_sink *sink, ingot_error *error)
{
    struct cursor at = cursor_over(form.data, form.n_bytes);
    struct block_tensor t;
    cursor_u8(&at);
    const uint32_t type = cursor_u32(&at);
    if (at.failed) return fail_form("cut short", error);
    if (block_layout_of(type) == NULL) {
        return ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, "source.segment.form",
                          "blocks of type %u are not known here", type);
    }
    if (block_tensor_open(file, tensor, type, &t, NULL) != INGOT_OK) {
        return fail_form("the tensor does not have the streams of the type", error);
    }
    const uint64_t n_blocks = t.n_rows * t.n_blocks;
    const uint64_t n_piece = PIECE_BYTES / t.layout->n_bytes;
    ingot_status status = check_exceptions(&t, at, error);
    if (status != INGOT_OK) return status;
    uint8_t *piece = ingot_allocate(file->allocator, PIECE_BYTES);
    if (piece == NULL) return ingot_fail_memory(error, PIECE_BYTES, "blocks");
    for (uint64_t done = 0; done < n_blocks && status == INGOT_OK; done += n_piece) {
        const uint64_t n = min_u64(n_piece, n_blocks - done);
        status = block_tensor_read(&t, done, n, piece, error);
        if (status == INGOT_REFUSED) status = fail_form("a code that the type cannot hold", error);
        if (status != INGOT_OK) break;
        put_exceptions(&t, &at, done, n, piece);
        status = sink->put(sink->context, piece, n * t.layout->n_bytes, error);
    }
    ingot_release(file->allocator, piece);
    return status;
}
