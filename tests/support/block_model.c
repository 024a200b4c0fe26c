/* Containers of blocks. */
#include "tests/support/block_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "convert/blocks.h"
#include "convert/hash.h"

static void check(ingot_status status, const ingot_error *error)
{
    if (status == INGOT_OK) return;
    fprintf(stderr, "blocks: %s: %s\n", error->field, error->what);
    abort();
}

uint32_t block_model_types(struct block_part parts[BLOCK_TYPES_MAX])
{
    uint32_t n = 0;
    for (uint32_t id = 0; id < 64; id++) {
        if (block_layout_of(id) == NULL) continue;
        parts[n++] = (struct block_part){.type = gguf_type_of(id)};
    }
    return n;
}

uint8_t *block_fixture_read(const struct gguf_type *type, const char *suffix, uint64_t *n_bytes)
{
    char path[64];
    uint8_t part[4096];
    struct byte_buffer bytes = {0};
    snprintf(path, sizeof path, "fixtures/blocks/%s.%s", type->name, suffix);
    for (char *c = path; *c; c++) {
        if (*c >= 'A' && *c <= 'Z') *c = (char)(*c - 'A' + 'a');
    }
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        abort();
    }
    for (size_t n = fread(part, 1, sizeof part, file); n > 0;
         n = fread(part, 1, sizeof part, file)) {
        buffer_append(&bytes, part, n);
    }
    fclose(file);
    if (bytes.failed) abort();
    *n_bytes = bytes.n_bytes;
    return bytes.data;
}

void block_model_fixture(struct block_part *part)
{
    part->blocks = block_fixture_read(part->type, "blocks", &part->n_bytes);
    part->n_rows = 2;
    part->n_cols = part->n_bytes / part->type->block_bytes * part->type->block_weights / 2;
}

static ingot_status read_part(void *context, uint64_t offset, uint64_t n_bytes, void *dst,
                              ingot_error *error)
{
    const struct block_part *part = context;
    (void)error;
    if (!range_within(offset, n_bytes, part->n_bytes)) abort();
    memcpy(dst, part->blocks + offset, n_bytes);
    return INGOT_OK;
}

static void add_part(struct block_books_written *books, struct block_part *part, uint32_t number,
                     struct byte_buffer *source)
{
    struct block_import import = {
        .type = part->type->id,
        .stack = {1, part->n_rows, part->n_cols},
        .bytes = {part, read_part},
    };
    const struct writer_tensor tensor = {.name = part->type->name,
                                         .name_bytes = (uint32_t)strlen(part->type->name),
                                         .dtype = INGOT_F32,
                                         .rank = 2,
                                         .dims = {part->n_rows, part->n_cols},
                                         .split = 1};
    ingot_error error = {0};
    check(block_import_prove(&import, &error), &error);
    if (import.why_not[0]) {
        fprintf(stderr, "blocks: %s: %s\n", part->type->name, import.why_not);
        abort();
    }
    part->n_exceptions = import.n_exceptions;
    check(block_import_write(&import, &tensor, books, NULL, &error), &error);
    source_put_tensor(source, number, import.form.data, (uint32_t)import.form.n_bytes);
    buffer_release(&import.form);
}

static void write_source(ingot_writer *writer, const struct byte_buffer *blob)
{
    const struct span span = {blob->data, blob->n_bytes};
    const struct byte_source source = memory_bytes(&span);
    ingot_error error = {0};
    if (blob->failed) abort();
    check(ingot_writer_blob(writer, INGOT_BLOB_SOURCE, NULL, NULL, blob->n_bytes, &source, NULL,
                            &error),
          &error);
}

void block_model_form(ingot_writer *writer, uint32_t type, const struct byte_buffer *form)
{
    static uint8_t zeros[8 * BLOCK_MAX_BYTES];
    const struct gguf_type *t = gguf_type_of(type);
    struct block_part part = {t, zeros, 2, 4 * (uint64_t)t->block_weights, 8u * t->block_bytes, 0};
    struct source_file file = {
        .name = "x", .name_bytes = 1, .n_bytes = part.n_bytes, .n_segments = 1};
    struct block_books_written books = {.writer = writer};
    struct byte_buffer blob = {0}, own = {0};
    add_part(&books, &part, 0, &own);
    hash_of(zeros, part.n_bytes, file.hash);
    source_begin(&blob, 1);
    source_put_file(&blob, &file);
    source_put_tensor(&blob, 0, form->data, (uint32_t)form->n_bytes);
    write_source(writer, &blob);
    buffer_release(&own);
    buffer_release(&blob);
}

void block_model_write(ingot_writer *writer, struct block_part *parts, uint32_t n_parts)
{
    struct block_books_written books = {.writer = writer};
    struct byte_buffer blob = {0}, bytes = {0};
    struct source_file file = {.name = "blocks.bin", .name_bytes = 10, .n_segments = n_parts};
    source_begin(&blob, 1);
    const uint64_t record = blob.n_bytes;
    source_put_file(&blob, &file);
    for (uint32_t i = 0; i < n_parts; i++) {
        add_part(&books, &parts[i], i, &blob);
        buffer_append(&bytes, parts[i].blocks, parts[i].n_bytes);
    }
    file.n_bytes = bytes.n_bytes;
    hash_of(bytes.data, bytes.n_bytes, file.hash);
    source_patch_file(&blob, record, &file);
    if (bytes.failed) abort();
    write_source(writer, &blob);
    buffer_release(&bytes);
    buffer_release(&blob);
}
