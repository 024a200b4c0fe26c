/* Composites on their way into a container: taken apart and put together once for the proof, and
 * read again as they are written. */
#include "convert/hold_composite.h"

#include <assert.h>
#include <stdio.h>

#include "convert/names.h"
#include "convert/streams.h"
#include "format/alloc.h"
#include "format/dense_bits.h"
#include "format/fail.h"

enum { STEP_BYTES = 1 << 20 };

uint64_t composite_coded_bytes(const struct composite *composite)
{
    const uint64_t n_bytes = coding_bytes(&composite->coding, composite->shape);
    return n_bytes == UINT64_MAX ? 0 : n_bytes;
}

/* ------------------------------------------------------------------ proof */

struct proof {
    const struct composite *composite;
    const struct composite_part *part;
    uint32_t stream;
    const struct stream_shape *shape;
    uint8_t *plane;
    uint8_t *packed;
    uint8_t *source;
    ingot_error *error;
};

/* Packs elements [first, first + n) of the plane, first being a multiple of 8, bit by bit. */
static ingot_status pack_step(struct proof *p, uint64_t first, uint64_t n)
{
    const struct stream_shape *s = p->shape;
    const struct part_reader reader = composite_reader(p->composite);
    const uint64_t first_byte = (first / s->n_cols * s->row_bits + first % s->n_cols * s->bits) / 8;
    const uint64_t last = first + n - 1;
    const uint64_t end_bit = last / s->n_cols * s->row_bits + (last % s->n_cols + 1) * s->bits;
    const ingot_status status =
        composite_read_stream(p->composite, p->stream, s, &reader, first_byte,
                              ceil_div(end_bit, 8) - first_byte, p->plane, p->error);
    for (uint64_t i = 0; i < n && status == INGOT_OK; i++) {
        const uint64_t at =
            (first + i) / s->n_cols * s->row_bits + (first + i) % s->n_cols * s->bits;
        dense_store(p->packed, i * s->bits, s->bits,
                    dense_load(p->plane, at - first_byte * 8, s->bits));
    }
    return status;
}

static ingot_status prove_step(struct proof *p, uint64_t first, uint64_t n, uint64_t n_all)
{
    const uint8_t bits = p->shape->bits;
    const uint64_t offset = first * bits / 8, n_bytes = ceil_div(n * bits, 8);
    const struct part_reader reader = composite_reader(p->composite);
    memset(p->packed, 0, (size_t)n_bytes);
    ingot_status status = pack_step(p, first, n);
    if (status != INGOT_OK) return status;
    if (p->part->form.first_high) turn_codes(p->packed, n_bytes, bits);
    if (first + n == n_all) {
        p->packed[n_bytes - 1] = (uint8_t)(p->packed[n_bytes - 1] | p->part->form.rest);
    }
    status = reader.read(reader.context, p->part, offset, n_bytes, p->source, p->error);
    if (status != INGOT_OK || memcmp(p->packed, p->source, (size_t)n_bytes) == 0) return status;
    return ingot_fail(p->error, INGOT_INVALID, offset,
                      name_shown(p->composite->name, p->composite->name_bytes).text,
                      "its codes do not come back; --assume dialect=plain keeps its tensors apart");
}

/* Elements of 8 bits and more are the plane as they are. */
static ingot_status prove_stream(const struct composite *c, uint32_t stream,
                                 const struct stream_shape *shape, ingot_error *error)
{
    struct proof p = {.composite = c,
                      .part = composite_stream_part(c, stream),
                      .stream = stream,
                      .shape = shape,
                      .error = error};
    const uint64_t n_all = shape->n_rows * shape->n_cols;
    const uint64_t step = (uint64_t)STEP_BYTES * 8 / shape->bits / 8 * 8;
    ingot_status status = INGOT_OK;
    if (shape->bits >= 8) return INGOT_OK;
    /* Padding grows a plane by 1/8 at most, and a row more at each end. */
    p.plane = ingot_allocate(NULL, 2 * STEP_BYTES + shape->row_bits / 8);
    p.packed = ingot_allocate(NULL, STEP_BYTES);
    p.source = ingot_allocate(NULL, STEP_BYTES);
    if (p.plane == NULL || p.packed == NULL || p.source == NULL) {
        status = ingot_fail_memory(error, 4 * STEP_BYTES, "codes");
    }
    for (uint64_t at = 0; at < n_all && status == INGOT_OK; at += step) {
        status = prove_step(&p, at, min_u64(step, n_all - at), n_all);
    }
    ingot_release(NULL, p.source);
    ingot_release(NULL, p.packed);
    ingot_release(NULL, p.plane);
    return status;
}

/* ------------------------------------------------------------------ writing */

/* A part on its way: each byte is hashed when it first passes, in order. */
struct passing_part {
    XXH3_state_t *hash;
    uint64_t hashed_bytes;
};

struct holding {
    struct conversion *c;
    const struct composite *composite;
    struct stream_shape shapes[CODING_MAX_STREAMS];
    uint32_t n_streams;
    struct passing_part passing[COMPOSITE_MAX_PARTS];
    uint64_t passed_bytes;
};

static ingot_status pass(void *context, const struct composite_part *part, uint64_t offset,
                         uint64_t n_bytes, void *dst, ingot_error *error)
{
    struct holding *h = context;
    struct passing_part *passing = &h->passing[part - h->composite->parts];
    const ingot_status status =
        model_read_raw(h->composite->source, part->source, offset, n_bytes, dst, error);
    if (status != INGOT_OK) return status;
    assert(offset <= passing->hashed_bytes);
    const uint64_t seen = min_u64(passing->hashed_bytes - offset, n_bytes);
    XXH3_128bits_update(passing->hash, (const uint8_t *)dst + seen, (size_t)(n_bytes - seen));
    passing->hashed_bytes = max_u64(passing->hashed_bytes, offset + n_bytes);
    h->passed_bytes += n_bytes - seen;
    conversion_report(h->c, h->passed_bytes);
    return INGOT_OK;
}

static ingot_status fill(void *context, uint32_t stream, uint64_t offset, uint64_t n_bytes,
                         uint8_t *dst, ingot_error *error)
{
    struct holding *h = context;
    const struct part_reader reader = {h, pass};
    return composite_read_stream(h->composite, stream, &h->shapes[stream], &reader, offset, n_bytes,
                                 dst, error);
}

static ingot_status rows(void *context, uint64_t first_row, uint64_t n_rows, uint8_t *const *dst,
                         ingot_error *error)
{
    struct holding *h = context;
    ingot_status status = INGOT_OK;
    for (uint32_t i = 0; i < h->n_streams && status == INGOT_OK; i++) {
        if (dst[i] == NULL) continue;
        const struct stream_range range = stream_rows(&h->shapes[i], first_row, n_rows);
        status = fill(h, i, range.offset, range.n_bytes, dst[i], error);
    }
    return status;
}

/* A composite's coding with the writer's codebooks. */
struct written_coding {
    struct ingot_coding coding;
    struct ingot_coding tables[2];
};

static ingot_status write_books(const struct composite *c, ingot_writer *writer,
                                struct written_coding *w, ingot_error *error)
{
    struct ingot_coding *const all[] = {&w->coding, &w->tables[0], &w->tables[1]};
    *w = (struct written_coding){c->coding, {c->tables[0], c->tables[1]}};
    w->coding.slots[SLOT_SCALE].table = &w->tables[0];
    if (w->tables[0].slots[SLOT_SCALE].has_table) {
        w->tables[0].slots[SLOT_SCALE].table = &w->tables[1];
    }
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (all[i]->map != MAP_CODEBOOK) continue;
        const struct byte_buffer *book = &c->parts[c->books[all[i]->codebook_stream]].bytes;
        const ingot_status status = ingot_writer_codebook(writer, book->data, book->n_bytes,
                                                          &all[i]->codebook_stream, error);
        if (status != INGOT_OK) return status;
    }
    return INGOT_OK;
}

static void hash_parts(struct holding *h, uint8_t hash[16])
{
    uint8_t all[COMPOSITE_MAX_PARTS][16];
    const struct composite *c = h->composite;
    for (uint32_t i = 0; i < c->n_parts; i++) {
        const struct byte_buffer *bytes = &c->parts[i].bytes;
        if (c->parts[i].kind == PART_CODES) {
            hash_digest(h->passing[i].hash, all[i]);
        } else {
            hash_of(bytes->data, bytes->n_bytes, all[i]);
        }
    }
    hash_of(all, 16 * (uint64_t)c->n_parts, hash);
}

static ingot_status write_tensor(struct holding *h, const struct writer_tensor *tensor,
                                 ingot_writer *writer, ingot_error *error)
{
    struct written_coding coding;
    const struct writer_source source = {h, fill, rows, false};
    const struct writer_term term = {.kind = TERM_DENSE, .coding = &coding.coding};
    struct writer_tensor written = *tensor;
    written.n_terms = 1;
    written.terms = &term;
    written.rescale = NULL;
    const ingot_status status = write_books(h->composite, writer, &coding, error);
    return status == INGOT_OK ? ingot_writer_tensor(writer, &written, &source, error) : status;
}

ingot_status hold_composite(struct conversion *c, uint32_t index,
                            const struct writer_tensor *tensor, ingot_writer *writer,
                            uint8_t hash[16], uint64_t *coded_bytes, ingot_error *error)
{
    const struct composite *composite = model_composite(c->model, index);
    struct holding *h = ingot_allocate_zeroed(NULL, 1, sizeof *h);
    ingot_status status = INGOT_OK;
    if (h == NULL) return ingot_fail_memory(error, sizeof *h, "tensor");
    h->c = c;
    h->composite = composite;
    if (!coding_streams(&composite->coding, composite->shape, h->shapes, &h->n_streams)) {
        status = ingot_fail(error, INGOT_INVALID, INGOT_NO_OFFSET, tensor->name, "too large");
    }
    for (uint32_t i = 0; i < h->n_streams && status == INGOT_OK; i++) {
        status = prove_stream(composite, i, &h->shapes[i], error);
    }
    for (uint32_t i = 0; i < composite->n_parts && status == INGOT_OK; i++) {
        h->passing[i].hash = XXH3_createState();
        if (h->passing[i].hash == NULL) status = ingot_fail_memory(error, 0, "hash");
        if (h->passing[i].hash) XXH3_128bits_reset(h->passing[i].hash);
    }
    if (status == INGOT_OK) status = write_tensor(h, tensor, writer, error);
    if (status == INGOT_OK) {
        hash_parts(h, hash);
        *coded_bytes = composite_coded_bytes(composite);
    }
    for (uint32_t i = 0; i < composite->n_parts; i++) XXH3_freeState(h->passing[i].hash);
    ingot_release(NULL, h);
    return status;
}
