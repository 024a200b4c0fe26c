/* Ten thousand changed bits at random places of a larger file: each is found, and what is damaged
 * is named. A tensor whose bytes changed fails by itself; another one still gives its values. */
#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/file.h"
#include "tests/support/random.h"
#include "tests/support/stream_source.h"

enum { N_FLIPS = 10000, N_TENSORS = 12, ROWS = 40, COLS = 500 };

/* Tensors of 80 KB, every other one compressible; the last two equal, so that their chunks
 * are stored once. */
static void write_large(struct written *w)
{
    static float values[ROWS * COLS];
    const uint64_t dims[2] = {ROWS, COLS};
    struct random random = {7};
    ingot_error error;
    written_begin(w, INGOT_COMPRESS_FAST);
    for (uint32_t i = 0; i < N_TENSORS; i++) {
        char name[32];
        snprintf(name, sizeof name, "layers.%u.weight", i);
        for (uint32_t k = 0; k < ROWS * COLS && i + 1 < N_TENSORS; k++) {
            const uint32_t bits = (uint32_t)random_bits(&random);
            values[k] = i % 2 ? (float)(k % 97) : (float)(int32_t)bits;
        }
        assert_int_equal(ingot_writer_add(w->writer, name, INGOT_F32, 2, dims, values, &error),
                         INGOT_OK);
    }
    assert_int_equal(ingot_writer_attach(w->writer, "notes", values, 1000, &error), INGOT_OK);
    written_end(w);
}

/* The first tensor that has a chunk over an offset, or N_TENSORS. */
static uint32_t tensor_over(const ingot_file *file, uint64_t offset)
{
    for (uint32_t i = 0; i < N_TENSORS; i++) {
        struct file_term term;
        ingot_file_term(file, i, 0, &term);
        const struct stream_record s = stream_at(file, term.first_stream);
        for (uint64_t k = 0; k < stream_n_chunks(&s); k++) {
            const struct chunk_record c =
                chunk_at(file, (uint32_t)(s.first_chunk + k * s.chunk_step));
            if (offset >= c.offset && offset - c.offset < c.stored_bytes) return i;
        }
    }
    return N_TENSORS;
}

struct finding {
    uint32_t n;
    ingot_error first;
};

static void take(void *context, const ingot_error *violation)
{
    struct finding *f = context;
    if (f->n++ == 0) f->first = *violation;
}

/* What a reader says of the file with one changed bit; `hurt` is the tensor it is in. */
static void check_flip(const struct written *w, uint64_t offset, uint32_t hurt)
{
    static float values[ROWS * COLS];
    ingot_file *file;
    ingot_error error;
    const ingot_status status =
        ingot_file_open_memory(w->bytes.data, w->bytes.n_bytes, NULL, &file, &error);
    if (status != INGOT_OK) {
        if (hurt < N_TENSORS) fail_msg("offset %llu: does not open", (unsigned long long)offset);
        return;
    }
    struct finding finding = {0};
    const struct validate_report report = {.context = &finding, .found = take};
    uint64_t n_violations = 0;
    assert_int_equal(ingot_file_validate(file, &report, &n_violations, &error), INGOT_OK);
    if (n_violations == 0) fail_msg("offset %llu: nothing is found", (unsigned long long)offset);
    if (hurt < N_TENSORS) {
        char name[64];
        const uint32_t other = (hurt + 1) % (N_TENSORS - 2);
        snprintf(name, sizeof name, "tensor layers.%u.weight", hurt);
        assert_string_equal(finding.first.field, name);
        assert_true(finding.first.offset <= offset);
        assert_int_equal(ingot_file_decode_f32(file, hurt, 0, ROWS, values, &error), INGOT_DAMAGED);
        if (other != hurt) {
            assert_int_equal(ingot_file_decode_f32(file, other, 0, 1, values, &error), INGOT_OK);
        }
    }
    ingot_file_close(file);
}

static void test_flips(void **state)
{
    (void)state;
    struct written w;
    struct random random = {11};
    ingot_file *file;
    ingot_error error;
    write_large(&w);
    assert_int_equal(ingot_file_open_memory(w.bytes.data, w.bytes.n_bytes, NULL, &file, &error),
                     INGOT_OK);
    for (uint32_t i = 0; i < N_FLIPS; i++) {
        const uint64_t offset = random_below(&random, w.bytes.n_bytes);
        const uint8_t bit = (uint8_t)(1u << random_below(&random, 8));
        /* Looked up before the change, which may be in the index itself. */
        const uint32_t hurt = tensor_over(file, offset);
        w.bytes.data[offset] ^= bit;
        check_flip(&w, offset, hurt);
        w.bytes.data[offset] ^= bit;
    }
    ingot_file_close(file);
    written_release(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_flips)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
