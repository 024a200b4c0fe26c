/* Memory that runs out: at each allocation in turn, opening, reading, validating and writing give
 * everything back and say so. */
#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "format/metadata.h"
#include "format/pool.h"
#include "format/source.h"
#include "tests/support/failing_memory.h"
#include "tests/support/judge.h"
#include "tests/support/made.h"
#include "tests/support/specimen.h"
#include "tests/support/stream_source.h"

/* ---- reading ---- */

static ingot_status open_bytes(void *context, const ingot_allocator *allocator, ingot_error *error)
{
    const struct byte_buffer *bytes = context;
    ingot_file *file = NULL;
    const ingot_status status =
        ingot_file_open_memory(bytes->data, bytes->n_bytes, allocator, &file, error);
    assert_int_equal(file == NULL, status != INGOT_OK);
    ingot_file_close(file);
    return status;
}

static void ignore(void *context, const ingot_error *violation)
{
    (void)context;
    fail_msg("R-%u: %s: %s", violation->rule, violation->field, violation->what);
}

static ingot_status validate_bytes(void *context, const ingot_allocator *allocator,
                                   ingot_error *error)
{
    const struct byte_buffer *bytes = context;
    const struct validate_report report = {.found = ignore};
    ingot_file *file = NULL;
    uint64_t n_violations = 77;
    ingot_status status =
        ingot_file_open_memory(bytes->data, bytes->n_bytes, allocator, &file, error);
    if (status == INGOT_OK) status = ingot_file_validate(file, &report, &n_violations, error);
    assert_int_equal(n_violations, status == INGOT_OK ? 0 : 77);
    ingot_file_close(file);
    return status;
}

/* One tensor of a file. */
struct tensor_of {
    const struct byte_buffer *bytes;
    uint32_t index;
};

static ingot_status decode_tensor(void *context, const ingot_allocator *allocator,
                                  ingot_error *error)
{
    const struct tensor_of *t = context;
    static float values[4096];
    ingot_file *file = NULL;
    ingot_tensor info;
    ingot_status status =
        ingot_file_open_memory(t->bytes->data, t->bytes->n_bytes, allocator, &file, error);
    if (status != INGOT_OK) return status;
    ingot_file_tensor(file, t->index, &info);
    const uint64_t n_rows = info.n_matrices * info.n_rows;
    assert_true(n_rows * info.n_cols <= 4096);
    status = ingot_file_decode_f32(file, t->index, 0, n_rows, values, error);
    ingot_file_close(file);
    return status;
}

static ingot_status read_tensor(void *context, const ingot_allocator *allocator, ingot_error *error)
{
    const struct tensor_of *t = context;
    uint8_t bytes[3];
    ingot_file *file = NULL;
    ingot_status status =
        ingot_file_open_memory(t->bytes->data, t->bytes->n_bytes, allocator, &file, error);
    if (status != INGOT_OK) return status;
    status = ingot_file_read_raw(file, t->index, 2, 3, bytes, error);
    ingot_file_close(file);
    return status;
}

static void test_reading(void **state)
{
    (void)state;
    struct draft d;
    specimen_begin(&d);
    draft_seal(&d);
    assert_true(fail_every_allocation(open_bytes, &d.file) >= 5);
    assert_true(fail_every_allocation(validate_bytes, &d.file) > 20);
    for (uint32_t i = 0; i < N_SPECIMEN_TENSORS; i++) {
        struct tensor_of t = {&d.file, i};
        if (i == TENSOR_OPAQUE || i == TENSOR_REF) continue;
        fail_every_allocation(decode_tensor, &t);
    }
    struct tensor_of packed = {&d.file, TENSOR_PACKED};
    fail_every_allocation(read_tensor, &packed);
    draft_release(&d);
}

/* Types narrower than a byte, and compressed chunks. */
static void test_reading_narrow(void **state)
{
    (void)state;
    static const uint8_t zeros[600];
    const uint64_t dims[2] = {20, 40};
    struct written w;
    ingot_error error;
    written_begin(&w, INGOT_COMPRESS_FAST);
    assert_int_equal(ingot_writer_add(w.writer, "n", INGOT_F6_E3M2, 2, dims, zeros, &error),
                     INGOT_OK);
    written_end(&w);
    struct tensor_of t = {&w.bytes, 0};
    fail_every_allocation(decode_tensor, &t);
    fail_every_allocation(read_tensor, &t);
    written_release(&w);
}

/* ---- source files ---- */

static ingot_status drop(void *context, const void *bytes, uint64_t n_bytes, ingot_error *error)
{
    (void)context;
    (void)bytes;
    (void)n_bytes;
    (void)error;
    return INGOT_OK;
}

static ingot_status restore(void *context, const ingot_allocator *allocator, ingot_error *error)
{
    static const struct byte_sink nowhere = {NULL, drop};
    const struct byte_buffer *bytes = context;
    uint8_t blob[512];
    ingot_file *file = NULL;
    struct source_rebuild *rebuild = NULL;
    struct source_walk walk;
    struct source_file source;
    ingot_blob info;
    ingot_status status =
        ingot_file_open_memory(bytes->data, bytes->n_bytes, allocator, &file, error);
    if (status != INGOT_OK) return status;
    ingot_file_blob(file, BLOB_SOURCE, &info);
    assert_true(info.n_bytes <= sizeof blob);
    const struct span span = {blob, info.n_bytes};
    status = ingot_file_read_blob(file, BLOB_SOURCE, 0, info.n_bytes, blob, error);
    if (status == INGOT_OK) status = source_open(span, &walk, error);
    if (status == INGOT_OK) status = source_rebuild_open(file, NULL, &rebuild, error);
    while (status == INGOT_OK) {
        status = source_next_file(&walk, &source, error);
        if (status != INGOT_OK) break;
        status = source_file_bytes(rebuild, &walk, &source, &nowhere, error);
    }
    source_rebuild_close(rebuild);
    ingot_file_close(file);
    return status == INGOT_END ? INGOT_OK : status;
}

static void test_restoring(void **state)
{
    (void)state;
    struct draft d;
    specimen_begin(&d);
    draft_seal(&d);
    fail_every_allocation(restore, &d.file);
    draft_release(&d);
}

/* ---- writing ---- */

/* What is written: a raw tensor, a narrow one, one in int4 with a codebook for its scales, blobs.
 */
struct to_write {
    struct made made;
    struct ingot_coding coding, scales;
    ingot_compression compression;
    char path[64];           /* empty: to memory */
    struct ingot_pool *pool; /* NULL: none */
};

static const uint64_t dims[2] = {10, 30};

static void prepare(struct to_write *t)
{
    struct random random = {1};
    const struct stack_shape stack = {1, 10, 30};
    *t = (struct to_write){.compression = INGOT_COMPRESS_FAST};
    t->scales = (struct ingot_coding){
        .map = MAP_CODEBOOK, .bits = 3, .format = INGOT_F16, .n_entries = 8, .name = "scales"};
    t->coding = (struct ingot_coding){
        .map = MAP_UINT, .bits = 4, .codebook_stream = INGOT_NONE, .name = "int4"};
    t->coding.slots[SLOT_SCALE] = (struct coding_slot){.has_table = true,
                                                       .group = GROUP_BLOCK,
                                                       .group_rows = 1,
                                                       .group_cols = 16,
                                                       .table = &t->scales};
    made_fill(&t->made, &random, &t->coding, stack, stack);
}

static ingot_status write_coded(struct to_write *t, ingot_writer *writer, ingot_error *error)
{
    static struct term_stream streams[TENSOR_MAX_STREAMS];
    static const uint8_t entries[16] = {0, 0x3c, 0, 0x40};
    const struct writer_term term = {.kind = TERM_DENSE, .coding = &t->coding, .name = "term"};
    const struct writer_tensor tensor = {.name = "coded",
                                         .name_bytes = 5,
                                         .dtype = INGOT_F32,
                                         .rank = 2,
                                         .dims = {10, 30},
                                         .split = 1,
                                         .n_terms = 1,
                                         .terms = &term};
    struct stream_source source = {streams, 0, (const uint8_t *const *)t->made.streams};
    const struct writer_source pull = stream_source(&source);
    ingot_status status =
        ingot_writer_codebook(writer, entries, sizeof entries, &t->scales.codebook_stream, error);
    if (status == INGOT_OK) status = writer_streams(&tensor, streams, &source.n_streams, error);
    if (status == INGOT_OK) status = ingot_writer_tensor(writer, &tensor, &pull, error);
    return status;
}

static ingot_status write_all(struct to_write *t, ingot_writer *writer, ingot_error *error)
{
    static const uint8_t zeros[1200], id[16];
    uint32_t number;
    ingot_status status = write_coded(t, writer, error);
    if (status == INGOT_OK) {
        status = ingot_writer_add(writer, "raw", INGOT_F32, 2, dims, zeros, error);
    }
    if (status == INGOT_OK) {
        status = ingot_writer_add(writer, "narrow", INGOT_F4_E2M1, 2, dims, zeros, error);
    }
    if (status == INGOT_OK) status = ingot_writer_alias(writer, "alias", 5, 0, error);
    if (status == INGOT_OK) status = ingot_writer_base(writer, id, "base", 4, &number, error);
    if (status == INGOT_OK) status = ingot_writer_attach(writer, "blob", zeros, 100, error);
    return status == INGOT_OK ? ingot_writer_finish(writer, error) : status;
}

static ingot_status write_file(void *context, const ingot_allocator *allocator, ingot_error *error)
{
    struct to_write *t = context;
    struct byte_buffer bytes = {.allocator = allocator};
    struct output *output = NULL;
    ingot_writer *writer = NULL;
    ingot_status status = INGOT_OK;
    if (t->path[0]) {
        status = ingot_writer_create(t->path, true, t->compression, allocator, &writer, error);
    } else {
        status = output_to_memory(&bytes, allocator, &output, error);
        if (status == INGOT_OK) {
            status = ingot_writer_over(output, t->compression, allocator, &writer, error);
        }
    }
    if (status == INGOT_OK && t->pool) status = ingot_writer_use_pool(writer, t->pool, error);
    if (status == INGOT_OK) status = write_all(t, writer, error);
    ingot_writer_close(writer);
    if (status == INGOT_OK && !t->path[0]) judge_good(bytes.data, bytes.n_bytes);
    /* The file has its name when all went well, and only then. */
    if (t->path[0]) assert_int_equal(unlink(t->path) == 0, status == INGOT_OK);
    buffer_release(&bytes);
    return status;
}

static void test_writing(void **state)
{
    (void)state;
    struct to_write t;
    prepare(&t);
    assert_true(fail_every_allocation(write_file, &t) > 20);
    t.compression = INGOT_COMPRESS_NONE;
    assert_true(fail_every_allocation(write_file, &t) > 20);
    made_release(&t.made);
}

/* With threads that pack, where a failure may show later than it happens. */
static void test_writing_on_threads(void **state)
{
    (void)state;
    struct to_write t;
    prepare(&t);
    assert_int_equal(ingot_pool_create(3, NULL, &t.pool, NULL), INGOT_OK);
    assert_true(fail_every_allocation(write_file, &t) > 20);
    ingot_pool_close(t.pool);
    made_release(&t.made);
}

/* On disk, where nothing may be left behind either. */
static void test_writing_to_disk(void **state)
{
    (void)state;
    struct to_write t;
    char folder[] = "/tmp/ingot-XXXXXX";
    prepare(&t);
    assert_non_null(mkdtemp(folder));
    snprintf(t.path, sizeof t.path, "%s/a.ingot", folder);
    assert_true(fail_every_allocation(write_file, &t) > 20);
    assert_int_equal(rmdir(folder), 0); /* fails when a temporary file is left */
    made_release(&t.made);
}

/* A caller that goes on whatever fails gets a whole file or none. */
static void test_writing_regardless(void **state)
{
    (void)state;
    static const uint8_t zeros[1200];
    static uint8_t mixed[1200];
    for (uint32_t i = 0; i < sizeof mixed; i++) mixed[i] = (uint8_t)(i * i >> 3 & 31);
    struct failing_memory memory = {.has_failed = true};
    uint32_t n_refused = 0;
    for (uint64_t i = 0; memory.has_failed; i++) {
        memory = (struct failing_memory){.fail_at = i};
        const ingot_allocator allocator = failing_allocator(&memory);
        struct byte_buffer bytes = {0};
        struct output *output = NULL;
        ingot_writer *writer = NULL;
        assert_int_equal(output_to_memory(&bytes, NULL, &output, NULL), INGOT_OK);
        if (ingot_writer_over(output, INGOT_COMPRESS_FAST, &allocator, &writer, NULL) != INGOT_OK) {
            continue;
        }
        const ingot_value number = {.type = INGOT_VALUE_U8};
        (void)ingot_writer_add(writer, "a", INGOT_F32, 2, dims, mixed, NULL);
        (void)ingot_writer_attach(writer, "blob", mixed, 300, NULL);
        (void)ingot_writer_metadata(writer, "key", &number, NULL);
        (void)ingot_writer_add(writer, "b", INGOT_F4_E2M1, 2, dims, zeros, NULL);
        const ingot_status status = ingot_writer_finish(writer, NULL);
        if (status == INGOT_OK) judge_good(bytes.data, bytes.n_bytes);
        n_refused += status == INGOT_REFUSED;
        ingot_writer_close(writer);
        assert_int_equal(memory.n_live, 0);
        buffer_release(&bytes);
    }
    assert_true(n_refused > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reading),
        cmocka_unit_test(test_reading_narrow),
        cmocka_unit_test(test_restoring),
        cmocka_unit_test(test_writing),
        cmocka_unit_test(test_writing_on_threads),
        cmocka_unit_test(test_writing_to_disk),
        cmocka_unit_test(test_writing_regardless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
