/* Golden files: one made by hand with every feature, others as the writer makes them. */
#include "tests/support/golden.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/metadata.h"
#include "format/output.h"
#include "format/writer.h"
#include "tests/support/block_model.h"
#include "tests/support/packed_model.h"
#include "tests/support/specimen.h"

static void check(ingot_status status, const ingot_error *error)
{
    if (status == INGOT_OK) return;
    fprintf(stderr, "golden: %s: %s\n", error->field, error->what);
    abort();
}

/* A hand-made file with every feature, which no writer emits. */
static void make_every_feature(struct byte_buffer *file)
{
    struct draft d;
    specimen_begin(&d);
    draft_seal(&d);
    buffer_append(file, d.file.data, d.file.n_bytes);
    draft_release(&d);
}

static ingot_writer *begin(struct byte_buffer *file, ingot_compression compression)
{
    ingot_error error;
    struct output *output;
    ingot_writer *writer;
    check(output_to_memory(file, NULL, &output, &error), &error);
    check(ingot_writer_over(output, compression, NULL, &writer, &error), &error);
    return writer;
}

static void end(ingot_writer *writer)
{
    ingot_error error;
    check(ingot_writer_finish(writer, &error), &error);
    ingot_writer_close(writer);
}

/* Bytes that are every code of every small format, over and over. */
static void fill(uint8_t *bytes, size_t n_bytes, uint32_t step)
{
    for (size_t i = 0; i < n_bytes; i++) bytes[i] = (uint8_t)(i * step + i / 256);
}

/* One tensor of each type, of every rank up to 8, and empty ones. */
static void make_raw(struct byte_buffer *file)
{
    static uint8_t bytes[3 * 88 * 8];
    ingot_writer *writer = begin(file, INGOT_COMPRESS_NONE);
    ingot_error error;
    for (uint32_t dtype = 0; dtype < 64; dtype++) {
        const uint64_t dims[2] = {3, 88};
        const char *name = ingot_dtype_name((ingot_dtype)dtype);
        if (name == NULL) continue;
        fill(bytes, sizeof bytes, 2 * dtype + 1);
        check(ingot_writer_add(writer, name, (ingot_dtype)dtype, 2, dims, bytes, &error), &error);
    }
    for (uint32_t rank = 0; rank <= INGOT_MAX_RANK; rank++) {
        const uint64_t dims[INGOT_MAX_RANK] = {2, 1, 3, 2, 1, 2, 2, 1};
        char name[16];
        snprintf(name, sizeof name, "rank%u", rank);
        check(ingot_writer_add(writer, name, INGOT_F32, rank, dims, bytes, &error), &error);
    }
    const uint64_t empty[2] = {0, 7}, narrow[2] = {7, 0};
    check(ingot_writer_add(writer, "no rows", INGOT_BF16, 2, empty, bytes, &error), &error);
    check(ingot_writer_add(writer, "no columns", INGOT_I8, 2, narrow, bytes, &error), &error);
    check(ingot_writer_attach(writer, "folder/config.json", "{}", 2, &error), &error);
    check(ingot_writer_attach(writer, "empty", "", 0, &error), &error);
    end(writer);
}

/* Slabs, compressed chunks, equal tensors, an alias, metadata. */
static void make_chunks(struct byte_buffer *file)
{
    enum { ROWS = 700, COLS = 1000 };
    const uint64_t dims[2] = {ROWS, COLS};
    ingot_writer *writer = begin(file, INGOT_COMPRESS_FAST);
    ingot_error error;
    float *values = calloc((size_t)ROWS * COLS, sizeof *values);
    if (values == NULL) abort();
    for (uint32_t i = 0; i < (uint32_t)ROWS * COLS; i++) values[i] = (float)(i / COLS);
    struct byte_buffer metadata = {0};
    metadata_begin(&metadata, 2);
    metadata_put_string(&metadata, "format", 6, "pt", 2);
    metadata_put_string(&metadata, "", 0, "an empty key", 12);
    const struct span blob = {metadata.data, metadata.n_bytes};
    const struct byte_source source = memory_bytes(&blob);
    check(ingot_writer_blob(writer, INGOT_BLOB_METADATA, NULL, NULL, metadata.n_bytes, &source,
                            NULL, &error),
          &error);
    check(ingot_writer_add(writer, "steps", INGOT_F32, 2, dims, values, &error), &error);
    check(ingot_writer_add(writer, "the same steps", INGOT_F32, 2, dims, values, &error), &error);
    check(ingot_writer_alias(writer, "alias of steps", 14, 0, &error), &error);
    end(writer);
    buffer_release(&metadata);
    free(values);
}

/* The worked example of the specification's chapter 12: one tensor, "w", of 2 x 4 weights in 8-bit
 * integers with one f32 scale a row. */
static ingot_status worked_rows(void *context, uint64_t first_row, uint64_t n_rows,
                                uint8_t *const *dst, ingot_error *error)
{
    static const uint8_t codes[2][4] = {{0x01, 0x02, 0x7f, 0x81}, {0x00, 0xff, 0x10, 0xf0}};
    static const float scales[2] = {0.5f, -2.0f};
    (void)context;
    (void)error;
    for (uint64_t r = 0; r < n_rows; r++) {
        memcpy(dst[0] + 4 * r, codes[first_row + r], 4);
        memcpy(dst[1] + 4 * r, &scales[first_row + r], 4);
    }
    return INGOT_OK;
}

static void make_worked(struct byte_buffer *file)
{
    const struct ingot_coding scale = {.map = MAP_FLOAT,
                                       .bits = 32,
                                       .format = INGOT_F32,
                                       .codebook_stream = INGOT_NONE,
                                       .name = "f32"};
    struct ingot_coding coding = {
        .map = MAP_INT, .bits = 8, .codebook_stream = INGOT_NONE, .name = "int8-row"};
    coding.slots[SLOT_SCALE] = (struct coding_slot){
        .has_table = true, .group = GROUP_BLOCK, .group_rows = 1, .table = &scale};
    const struct writer_term term = {.kind = TERM_DENSE, .coding = &coding};
    const struct writer_tensor tensor = {.name = "w",
                                         .name_bytes = 1,
                                         .dtype = INGOT_BF16,
                                         .rank = 2,
                                         .dims = {2, 4},
                                         .split = 1,
                                         .n_terms = 1,
                                         .terms = &term};
    const struct writer_source source = {.rows = worked_rows};
    ingot_writer *writer = begin(file, INGOT_COMPRESS_NONE);
    ingot_error error;
    check(ingot_writer_tensor(writer, &tensor, &source, &error), &error);
    end(writer);
}

/* The blocks of fixtures/blocks as streams, and as the source file that they were. */
static void make_blocks(struct byte_buffer *file)
{
    struct block_part parts[BLOCK_TYPES_MAX];
    const uint32_t n_parts = block_model_types(parts);
    ingot_writer *writer = begin(file, INGOT_COMPRESS_FAST);
    for (uint32_t i = 0; i < n_parts; i++) block_model_fixture(&parts[i]);
    block_model_write(writer, parts, n_parts);
    end(writer);
    for (uint32_t i = 0; i < n_parts; i++) free(parts[i].blocks);
}

/* Codes, tables and codebooks as a source file packs them. */
static void make_packed(struct byte_buffer *file)
{
    ingot_writer *writer = begin(file, INGOT_COMPRESS_NONE);
    packed_model_write(writer, NULL);
    end(writer);
}

const struct golden golden_files[] = {
    {"worked", false, make_worked},
    {"every-feature", true, make_every_feature},
    {"raw", false, make_raw},
    {"chunks", true, make_chunks},
    {"blocks", true, make_blocks},
    {"packed", false, make_packed},
    {NULL, false, NULL},
};
