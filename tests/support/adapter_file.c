/* The file of adapters: its tensors are rows of a table. */
#include "tests/support/unit.h"

#include <stdlib.h>
#include <string.h>

#include "format/bytes.h"
#include "tests/support/adapter_file.h"

enum { MAX_TERMS = 3, RANK = 2 };
static const float multiplier = 0.5f;

static const struct ingot_coding f32 = {.map = MAP_FLOAT,
                                        .bits = 32,
                                        .format = INGOT_F32,
                                        .codebook_stream = INGOT_NONE,
                                        .name = "f32"};

#define DENSE                              \
    {                                      \
        .kind = TERM_DENSE, .coding = &f32 \
    }
#define LOWRANK(adapter, dora)                                                                 \
    {                                                                                          \
        .kind = TERM_LOWRANK, .combine = COMBINE_ADD, .optional = (adapter) != NULL,           \
        .name = (adapter), .coding = &f32, .coding_b = &f32, .multiplier = 0.5f, .rank = RANK, \
        .magnitude = (dora) ? &f32 : NULL                                                      \
    }
#define SET_ROW(adapter)                                                                \
    {                                                                                   \
        .kind = TERM_SPARSE, .combine = COMBINE_SET, .mask = MASK_ROWS, .coding = &f32, \
        .optional = (adapter) != NULL, .name = (adapter), .n_kept = ADAPTER_COLS        \
    }

static const struct tensor_row {
    const char *name;
    uint32_t n_terms;
    struct writer_term terms[MAX_TERMS];
} tensors[N_ADAPTER_TENSORS] = {
    [ADAPTER_PLAIN] = {"plain", 1, {DENSE}},
    [ADAPTER_BOTH] = {"both", 3, {DENSE, LOWRANK("french", false), LOWRANK("german", false)}},
    [ADAPTER_FRENCH] = {"french", 2, {DENSE, LOWRANK("french", false)}},
    [ADAPTER_UNDER] = {"under", 3, {DENSE, LOWRANK("french", false), LOWRANK(NULL, false)}},
    [ADAPTER_DORA] = {"dora", 3, {DENSE, LOWRANK("m1", true), LOWRANK("m2", true)}},
    [ADAPTER_PATCH] = {"patch", 2, {DENSE, SET_ROW("patch")}},
    [ADAPTER_REPLACED] = {"replaced", 3, {DENSE, LOWRANK("french", false), SET_ROW(NULL)}},
};

float adapter_value(uint32_t tensor, uint32_t term, uint32_t array, uint64_t i)
{
    const uint64_t mixed = tensor * 31 + term * 17 + array * 7 + i * i * 3 + i * 5;
    return ((float)(mixed % 16) - 8) / 8;
}

double adapter_product(uint32_t tensor, uint32_t term, uint64_t row, uint64_t col)
{
    double sum = 0;
    for (uint64_t k = 0; k < RANK; k++) {
        sum += (double)adapter_value(tensor, term, 1, row * RANK + k) *
               (double)adapter_value(tensor, term, 0, k * ADAPTER_COLS + col);
    }
    return (double)multiplier * sum;
}

static void write_tensor(ingot_writer *writer, uint32_t index)
{
    static struct term_stream streams[TENSOR_MAX_STREAMS];
    const struct tensor_row *row = &tensors[index];
    const struct writer_tensor tensor = {.name = row->name,
                                         .name_bytes = (uint32_t)strlen(row->name),
                                         .dtype = INGOT_F32,
                                         .rank = 2,
                                         .dims = {ADAPTER_ROWS, ADAPTER_COLS},
                                         .split = 1,
                                         .n_terms = row->n_terms,
                                         .terms = row->terms};
    uint8_t *data[16] = {NULL};
    struct stream_source source = {streams, 0, (const uint8_t *const *)data};
    const struct writer_source pull = stream_source(&source);
    ingot_error error = {.what = ""};
    assert_int_equal(writer_streams(&tensor, streams, &source.n_streams, &error), INGOT_OK);
    assert_true(source.n_streams <= 16);
    for (uint32_t i = 0, array = 0; i < source.n_streams; i++) {
        const uint32_t term = streams[i].term;
        const uint64_t n = streams[i].shape.n_bytes / 4;
        array = i > 0 && streams[i - 1].term == term ? array + 1 : 0;
        data[i] = malloc((size_t)n * 4);
        assert_non_null(data[i]);
        for (uint64_t k = 0; k < n; k++) {
            store_f32(data[i] + 4 * k, adapter_value(index, term, array, k));
        }
        /* The list of rows. */
        const bool is_list = row->terms[term].kind == TERM_SPARSE && array == 0;
        if (is_list) store_u32(data[i], ADAPTER_SET_ROW);
    }
    const ingot_status status = ingot_writer_tensor(writer, &tensor, &pull, &error);
    if (status != INGOT_OK) fail_msg("%s: %s: %s", row->name, error.field, error.what);
    for (uint32_t i = 0; i < source.n_streams; i++) free(data[i]);
}

void adapter_file_make(struct written *w)
{
    written_begin(w, INGOT_COMPRESS_NONE);
    for (uint32_t i = 0; i < N_ADAPTER_TENSORS; i++) write_tensor(w->writer, i);
    written_end(w);
}
