/* A tensor as blocks of ggml in a plain target: encoded into a container in memory, whose streams
 * are then repacked exactly. */
#include "convert/encode_memory.h"
#include "convert/names.h"
#include "convert/sink_plain.h"
#include "format/alloc.h"
#include "format/fail.h"

enum { PIECE = 1 << 20 };

static ingot_status write_blocks(struct plain_sink *s, const struct plain_tensor *p,
                                 const struct repack *repack)
{
    uint8_t *piece = ingot_allocate(NULL, PIECE);
    ingot_status status = INGOT_OK;
    if (piece == NULL) return ingot_fail_memory(s->error, PIECE, "blocks");
    for (uint64_t done = 0; done < p->n_bytes && status == INGOT_OK; done += PIECE) {
        const uint64_t n = min_u64(PIECE, p->n_bytes - done);
        status = repack_read(repack, done, n, piece, s->error);
        if (status == INGOT_OK) status = output_write(s->output, piece, n, s->error);
    }
    ingot_release(NULL, piece);
    return status;
}

static ingot_status repack(struct plain_sink *s, const struct plain_tensor *p,
                           const struct byte_buffer *container)
{
    ingot_file *file;
    struct repack *r = NULL;
    ingot_status status =
        ingot_file_open_memory(container->data, (size_t)container->n_bytes, NULL, &file, s->error);
    if (status != INGOT_OK) return status;
    r = ingot_allocate_zeroed(NULL, 1, sizeof *r);
    if (r == NULL) {
        status = ingot_fail_memory(s->error, sizeof *r, "blocks");
        goto done;
    }
    status = repack_find(file, 0, r, s->error);
    if (status == INGOT_OK && (r->type != p->block_type || r->n_bytes != p->n_bytes)) {
        status = ingot_fail(s->error, INGOT_REFUSED, INGOT_NO_OFFSET,
                            name_shown(p->name, p->name_bytes).text,
                            "its codes are not blocks of %s: %s", p->block_type->name,
                            r->type ? r->type->name : r->why_not);
    }
    if (status == INGOT_OK) status = write_blocks(s, p, r);
done:
    ingot_release(NULL, r);
    ingot_file_close(file);
    return status;
}

ingot_status sink_encode_blocks(struct plain_sink *s, const struct plain_tensor *p,
                                struct tensor_error *e)
{
    struct byte_buffer container = {.allocator = s->c->options->allocator};
    struct encoded_tensor encoded;
    const struct row_progress progress = conversion_row_progress(s->c);
    ingot_status status = encode_to_memory(s->c->model, p->index, p->encoding, s->pool, &progress,
                                           &container, &encoded, s->error);
    if (status == INGOT_OK) status = repack(s, p, &container);
    if (status == INGOT_OK) {
        *e = encoded.error;
        if (s->c->imatrix && !encoded.weighted) s->c->result->n_unweighted++;
    }
    buffer_release(&container);
    return status;
}
