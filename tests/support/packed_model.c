/* Packed codes. Each tensor's codes are drawn first; its planes and the source's bytes are made of
 * them bit by bit, here and without the functions under test. */
#include "tests/support/packed_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "convert/hash.h"
#include "tests/support/naive.h"
#include "tests/support/random.h"

enum { MAX_SEQUENCES = 8, MAX_CODES = 512, BOOK_ENTRIES = 256 };

static void check(ingot_status status, const ingot_error *error)
{
    if (status == INGOT_OK) return;
    fprintf(stderr, "packed: %s: %s\n", error->field, error->what);
    abort();
}

/* ---- the tensors ---- */

/* A sequence of codes, as chapter 8.7 counts them. */
struct sequence {
    uint8_t bits;
    struct stack_shape shape;
    uint64_t below; /* codes are; 0: any */
    uint32_t book;  /* 1 + the stream of its codebook, or 0 */
};

struct segment {
    uint8_t what, order, rest;
    uint32_t sequence;
};

struct packed_tensor {
    const char *name;
    uint64_t n_rows, n_cols;
    struct ingot_coding coding;
    struct ingot_coding tables[2];
    uint32_t n_sequences;
    struct sequence sequences[MAX_SEQUENCES];
    uint32_t n_segments;
    struct segment segments[MAX_SEQUENCES];
};

static struct ingot_coding plain(uint8_t map, uint8_t bits, uint8_t format)
{
    return (struct ingot_coding){
        .map = map, .bits = bits, .format = format, .codebook_stream = INGOT_NONE};
}

static struct ingot_coding codebook(uint8_t bits, uint32_t n_entries, uint32_t stream)
{
    struct ingot_coding coding = plain(MAP_CODEBOOK, bits, INGOT_F32);
    coding.n_entries = n_entries;
    coding.codebook_stream = stream;
    return coding;
}

static struct coding_slot table(uint8_t group, uint32_t group_rows, uint64_t group_cols,
                                const struct ingot_coding *coding)
{
    return (struct coding_slot){.has_table = true,
                                .group = group,
                                .group_rows = group_rows,
                                .group_cols = group_cols,
                                .table = coding};
}

/* As bitsandbytes with double quantization, in small. */
static void make_nested(struct packed_tensor *t, uint32_t levels, uint32_t scales)
{
    *t = (struct packed_tensor){.name = "nested", .n_rows = 5, .n_cols = 13};
    t->coding = codebook(4, 16, levels);
    t->tables[0] = codebook(8, BOOK_ENTRIES, scales);
    t->tables[1] = plain(MAP_FLOAT, 32, INGOT_F32);
    t->coding.slots[SLOT_SCALE] = table(GROUP_RUN, 0, 16, &t->tables[0]);
    t->tables[0].slots[SLOT_SCALE] = table(GROUP_RUN, 0, 4, &t->tables[1]);
    t->tables[0].slots[SLOT_BIAS] = (struct coding_slot){.has_constant = true, .constant = 0.25f};
    t->n_sequences = 3;
    t->sequences[0] = (struct sequence){4, {1, 5, 13}, 0, 1 + levels};
    t->sequences[1] = (struct sequence){8, {1, 1, 5}, 0, 1 + scales};
    t->sequences[2] = (struct sequence){32, {1, 1, 2}, 0x7f800000, 0};
    t->n_segments = 5;
    static const struct segment segments[] = {
        {0, 1, 7, 0}, {0, 0, 0, 1}, {1, 0, 0, 0}, {0, 0, 0, 2}, {1, 0, 0, 1}};
    memcpy(t->segments, segments, sizeof segments);
}

/* Planes of 4 and 2 bits, both padded. */
static void make_padded(struct packed_tensor *t)
{
    *t = (struct packed_tensor){.name = "padded", .n_rows = 3, .n_cols = 44};
    t->coding = plain(MAP_UINT, 6, 0);
    t->tables[0] = plain(MAP_INT, 4, 0);
    t->coding.slots[SLOT_BIAS] = table(GROUP_BLOCK, 1, 8, &t->tables[0]);
    t->n_sequences = 2;
    t->sequences[0] = (struct sequence){6, {1, 3, 44}, 0, 0};
    t->sequences[1] = (struct sequence){4, {1, 3, 6}, 0, 0};
    t->n_segments = 3;
    static const struct segment segments[] = {{0, 0, 0, 0}, {0, 1, 0, 1}, {0, 0, 0, 1}};
    memcpy(t->segments, segments, sizeof segments);
}

static void make_index(struct packed_tensor *t)
{
    *t = (struct packed_tensor){.name = "index", .n_rows = 4, .n_cols = 7};
    t->coding = plain(MAP_UINT, 2, 0);
    t->coding.index_bits = 16;
    t->tables[0] = plain(MAP_FLOAT, 16, INGOT_BF16);
    t->coding.slots[SLOT_SCALE] = table(GROUP_COLUMN_INDEX, 0, 3, &t->tables[0]);
    t->n_sequences = 3;
    t->sequences[0] = (struct sequence){16, {1, 1, 7}, 3, 0};
    t->sequences[1] = (struct sequence){2, {1, 4, 7}, 0, 0};
    t->sequences[2] = (struct sequence){16, {1, 1, 3}, 0x7f80, 0};
    t->n_segments = 4;
    static const struct segment segments[] = {
        {0, 0, 0, 0}, {0, 1, 0, 1}, {0, 0, 0, 2}, {0, 0, 0, 1}};
    memcpy(t->segments, segments, sizeof segments);
}

static void make_signs(struct packed_tensor *t, uint32_t vectors)
{
    *t = (struct packed_tensor){.name = "signs", .n_rows = 3, .n_cols = 20};
    t->coding = codebook(5, 32, vectors);
    t->coding.map = MAP_VECTOR;
    t->coding.vector_length = 4;
    t->coding.signs = 7;
    t->n_sequences = 2;
    t->sequences[0] = (struct sequence){5, {1, 3, 5}, 0, 1 + vectors};
    t->sequences[1] = (struct sequence){7, {1, 3, 3}, 0, 0};
    t->n_segments = 3;
    static const struct segment segments[] = {{0, 0, 0xf8, 0}, {0, 0, 0x80, 1}, {1, 0, 0, 0}};
    memcpy(t->segments, segments, sizeof segments);
}

static void make_plain(struct packed_tensor *t, const char *name, uint8_t bits, uint64_t n_rows,
                       uint64_t n_cols, struct segment segment)
{
    *t = (struct packed_tensor){.name = name, .n_rows = n_rows, .n_cols = n_cols};
    t->coding = plain(MAP_UINT, bits, 0);
    t->n_sequences = 1;
    t->sequences[0] = (struct sequence){bits, {1, n_rows, n_cols}, 0, 0};
    t->n_segments = 1;
    t->segments[0] = segment;
}

static void make_tensors(struct packed_tensor tensors[N_PACKED_TENSORS], const uint32_t books[3])
{
    make_nested(&tensors[0], books[0], books[1]);
    make_padded(&tensors[1]);
    make_index(&tensors[2]);
    make_signs(&tensors[3], books[2]);
    make_plain(&tensors[4], "nine", 9, 2, 5, (struct segment){0, 0, 0xa8, 0});
    make_plain(&tensors[5], "one", 1, 3, 11, (struct segment){0, 1, 0x55, 0});
}

/* ---- codes, planes and bytes ---- */

static uint64_t n_codes(const struct sequence *s)
{
    return s->shape.n_matrices * s->shape.n_rows * s->shape.n_cols;
}

static void set_bit(uint8_t *bytes, uint64_t bit, uint64_t value)
{
    bytes[bit / 8] = (uint8_t)(bytes[bit / 8] | (value & 1) << bit % 8);
}

static void draw(const struct sequence *s, uint64_t seed, uint64_t codes[MAX_CODES])
{
    struct random random = {seed};
    if (n_codes(s) > MAX_CODES) abort();
    for (uint64_t i = 0; i < n_codes(s); i++) {
        codes[i] = random_bits(&random) & (UINT64_MAX >> (64 - s->bits));
        if (s->below) codes[i] %= s->below;
    }
}

/* The planes of all sequences, one after the other. */
static void make_planes(const struct packed_tensor *t, uint64_t seed, struct byte_buffer *planes,
                        uint64_t offsets[CODING_MAX_STREAMS])
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < t->n_sequences; i++) {
        const struct sequence *s = &t->sequences[i];
        uint64_t codes[MAX_CODES];
        draw(s, seed + i, codes);
        for (uint32_t width = 64, shift = 0; width > 0; width /= 2) {
            if ((s->bits & width) == 0) continue;
            const uint64_t row_bits = naive_row_bits(width, s->shape.n_cols);
            uint8_t plane[4 * MAX_CODES] = {0};
            for (uint64_t k = 0; k < n_codes(s); k++) {
                const uint64_t row = k / s->shape.n_cols, col = k % s->shape.n_cols;
                for (uint32_t b = 0; b < width; b++) {
                    set_bit(plane, row * row_bits + col * width + b, codes[k] >> (shift + b));
                }
            }
            offsets[n++] = planes->n_bytes;
            buffer_append(planes, plane, naive_plane_bytes(width, s->shape));
            shift += width;
        }
    }
}

static void put_packed(const struct packed_tensor *t, uint64_t seed, const struct segment *segment,
                       struct byte_buffer *out)
{
    const struct sequence *s = &t->sequences[segment->sequence];
    uint64_t codes[MAX_CODES];
    uint8_t bytes[4 * MAX_CODES] = {0};
    const uint64_t n_bytes = (n_codes(s) * s->bits + 7) / 8;
    draw(s, seed + segment->sequence, codes);
    for (uint64_t k = 0; k < n_codes(s); k++) {
        const uint64_t first = k * s->bits;
        /* In the opposite order the first code of a byte ends where the byte does. */
        const uint64_t at = segment->order ? first / 8 * 8 + 8 - s->bits - first % 8 : first;
        for (uint32_t b = 0; b < s->bits; b++) set_bit(bytes, at + b, codes[k] >> b);
    }
    bytes[n_bytes - 1] = (uint8_t)(bytes[n_bytes - 1] | segment->rest);
    buffer_append(out, bytes, n_bytes);
}

/* ---- writing ---- */

struct pulled {
    const uint8_t *planes;
    const uint64_t *offsets;
    struct stream_shape shapes[CODING_MAX_STREAMS];
    uint32_t n_streams;
};

static ingot_status pull_bytes(void *context, uint32_t stream, uint64_t offset, uint64_t n_bytes,
                               uint8_t *dst, ingot_error *error)
{
    const struct pulled *p = context;
    (void)error;
    memcpy(dst, p->planes + p->offsets[stream] + offset, (size_t)n_bytes);
    return INGOT_OK;
}

static ingot_status pull_rows(void *context, uint64_t first_row, uint64_t n_rows,
                              uint8_t *const *dst, ingot_error *error)
{
    const struct pulled *p = context;
    (void)error;
    if (first_row != 0) abort(); /* one slab holds all */
    for (uint32_t i = 0; i < p->n_streams; i++) {
        if (dst[i] == NULL) continue;
        memcpy(dst[i], p->planes + p->offsets[i], (size_t)p->shapes[i].n_bytes);
    }
    (void)n_rows;
    return INGOT_OK;
}

static void add_tensor(ingot_writer *writer, const struct packed_tensor *t, uint64_t seed)
{
    const struct writer_term term = {.kind = TERM_DENSE, .coding = &t->coding};
    const struct writer_tensor tensor = {.name = t->name,
                                         .name_bytes = (uint32_t)strlen(t->name),
                                         .dtype = INGOT_BF16,
                                         .rank = 2,
                                         .dims = {t->n_rows, t->n_cols},
                                         .split = 1,
                                         .n_terms = 1,
                                         .terms = &term};
    uint64_t offsets[CODING_MAX_STREAMS];
    struct byte_buffer planes = {0};
    struct pulled pulled = {.offsets = offsets};
    const struct writer_source source = {&pulled, pull_bytes, pull_rows, false};
    const struct stack_shape stack = {1, t->n_rows, t->n_cols};
    ingot_error error = {0};
    make_planes(t, seed, &planes, offsets);
    pulled.planes = planes.data;
    if (!coding_streams(&t->coding, stack, pulled.shapes, &pulled.n_streams)) abort();
    check(ingot_writer_tensor(writer, &tensor, &source, &error), &error);
    buffer_release(&planes);
}

/* The entries of a codebook: f32 numbers. */
static void make_book(uint32_t n, float step, uint8_t *bytes)
{
    for (uint32_t i = 0; i < n; i++) {
        const float value = ((float)i - (float)n / 3) * step;
        memcpy(bytes + 4 * i, &value, 4);
    }
}

static const struct {
    uint32_t n_values;
    float step;
} books[3] = {{16, 0.125f}, {BOOK_ENTRIES, 1.0f / 512}, {32 * 4, 0.5f}};

static void put_segment(struct packed_tensor *tensors, uint32_t tensor,
                        const struct segment *segment, const uint32_t streams[3],
                        struct byte_buffer *blob, struct byte_buffer *whole)
{
    const struct packed_tensor *t = &tensors[tensor];
    const struct packed_form packed = {segment->what, segment->order, segment->rest,
                                       segment->sequence};
    struct byte_buffer form = {0};
    form_packed_write(&form, &packed);
    source_put_tensor(blob, tensor, form.data, (uint32_t)form.n_bytes);
    buffer_release(&form);
    if (segment->what == PACKED_CODES) {
        put_packed(t, 1000 * (tensor + 1), segment, whole);
        return;
    }
    for (uint32_t i = 0; i < 3; i++) {
        uint8_t bytes[4 * BOOK_ENTRIES];
        if (t->sequences[segment->sequence].book != 1 + streams[i]) continue;
        make_book(books[i].n_values, books[i].step, bytes);
        buffer_append(whole, bytes, 4 * (uint64_t)books[i].n_values);
        return;
    }
    abort();
}

static void put_segments(struct packed_tensor *tensors, const uint32_t streams[3],
                         const struct byte_buffer *instead, struct byte_buffer *blob,
                         struct byte_buffer *whole)
{
    uint32_t n = 0;
    source_put_literal(blob, "head", 4);
    buffer_append(whole, "head", 4);
    for (uint32_t i = 0; i < N_PACKED_TENSORS; i++) {
        for (uint32_t k = 0; k < tensors[i].n_segments; k++) {
            struct byte_buffer own = {0};
            const bool replaced = instead && n++ == 0;
            put_segment(tensors, i, &tensors[i].segments[k], streams, replaced ? &own : blob,
                        whole);
            if (replaced) source_put_tensor(blob, 0, instead->data, (uint32_t)instead->n_bytes);
            buffer_release(&own);
        }
    }
}

void packed_model_write(ingot_writer *writer, const struct byte_buffer *form)
{
    struct packed_tensor tensors[N_PACKED_TENSORS];
    struct source_file file = {.name = "packed.bin", .name_bytes = 10, .n_segments = 1};
    struct byte_buffer blob = {0}, whole = {0};
    uint32_t streams[3];
    ingot_error error = {0};
    for (uint32_t i = 0; i < 3; i++) {
        uint8_t bytes[4 * BOOK_ENTRIES];
        make_book(books[i].n_values, books[i].step, bytes);
        check(ingot_writer_codebook(writer, bytes, 4 * (uint64_t)books[i].n_values, &streams[i],
                                    &error),
              &error);
    }
    make_tensors(tensors, streams);
    for (uint32_t i = 0; i < N_PACKED_TENSORS; i++) {
        add_tensor(writer, &tensors[i], 1000 * (i + 1));
        file.n_segments += tensors[i].n_segments;
    }
    source_begin(&blob, 1);
    const uint64_t record = blob.n_bytes;
    source_put_file(&blob, &file);
    put_segments(tensors, streams, form, &blob, &whole);
    file.n_bytes = whole.n_bytes;
    hash_of(whole.data, whole.n_bytes, file.hash);
    source_patch_file(&blob, record, &file);
    if (whole.failed || blob.failed) abort();
    const struct span span = {blob.data, blob.n_bytes};
    const struct byte_source source = memory_bytes(&span);
    check(ingot_writer_blob(writer, INGOT_BLOB_SOURCE, NULL, NULL, blob.n_bytes, &source, NULL,
                            &error),
          &error);
    buffer_release(&whole);
    buffer_release(&blob);
}
