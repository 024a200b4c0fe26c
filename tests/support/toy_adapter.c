/* The adapter's values, its terms in a file, and its sum with the weights. */
#include "tests/support/toy_adapter.h"

#include <stdlib.h>
#include <string.h>

#include "format/bytes.h"
#include "tests/support/stream_source.h"
#include "tests/support/unit.h"

enum { RANK = 3, N_STREAMS = 3 /* codes, A, B */ };
static const float multiplier = 0.25f;

static const struct ingot_coding f32 = {.map = MAP_FLOAT,
                                        .bits = 32,
                                        .format = INGOT_F32,
                                        .codebook_stream = INGOT_NONE,
                                        .name = "f32"};

bool toy_adapter_holds(const char *name)
{
    static const char *const held[] = {"q_proj.weight", "v_proj.weight", "1.mlp.down_proj.weight",
                                       "embed_tokens.weight", "lm_head.weight"};
    for (size_t i = 0; i < sizeof held / sizeof *held; i++) {
        if (strstr(name, held[i]) != NULL) return true;
    }
    return false;
}

/* Element i of A (0) or B (1): n / 8, n from -8 to 8. */
static float factor(const char *name, uint32_t array, uint64_t i)
{
    const uint64_t mixed = strlen(name) * 13 + array * 7 + i * i * 3 + i * 5;
    return ((float)(mixed % 17) - 8) / 8;
}

void toy_adapter_write(const struct toy_lm *toy, ingot_writer *writer, const char *name,
                       const uint64_t *dims, const float *data)
{
    const struct writer_term terms[] = {
        {.kind = TERM_DENSE, .coding = &f32},
        {.kind = TERM_LOWRANK,
         .combine = COMBINE_ADD,
         .optional = true,
         .name = toy->adapter,
         .coding = &f32,
         .coding_b = &f32,
         .multiplier = multiplier,
         .rank = RANK},
    };
    const struct writer_tensor tensor = {.name = name,
                                         .name_bytes = (uint32_t)strlen(name),
                                         .dtype = INGOT_F32,
                                         .rank = 2,
                                         .dims = {dims[0], dims[1]},
                                         .split = 1,
                                         .n_terms = 2,
                                         .terms = terms};
    const uint64_t n_values[N_STREAMS] = {dims[0] * dims[1], RANK * dims[1], dims[0] * RANK};
    struct term_stream streams[TENSOR_MAX_STREAMS];
    uint8_t *bytes[N_STREAMS];
    struct stream_source source = {streams, 0, (const uint8_t *const *)bytes};
    const struct writer_source pull = stream_source(&source);
    assert_int_equal(writer_streams(&tensor, streams, &source.n_streams, NULL), INGOT_OK);
    assert_int_equal(source.n_streams, N_STREAMS);
    for (uint32_t s = 0; s < N_STREAMS; s++) {
        assert_int_equal(streams[s].shape.n_bytes, n_values[s] * 4);
        bytes[s] = calloc(n_values[s], 4);
        assert_non_null(bytes[s]);
        for (uint64_t i = 0; i < n_values[s]; i++) {
            store_f32(bytes[s] + 4 * i, s == 0 ? data[i] : factor(name, s - 1, i));
        }
    }
    assert_int_equal(ingot_writer_tensor(writer, &tensor, &pull, NULL), INGOT_OK);
    for (uint32_t s = 0; s < N_STREAMS; s++) free(bytes[s]);
}

static void merge(const struct toy_tensor *t)
{
    for (uint64_t row = 0; row < t->dims[0]; row++) {
        for (uint64_t col = 0; col < t->dims[1]; col++) {
            double sum = 0;
            for (uint64_t k = 0; k < RANK; k++) {
                sum += (double)factor(t->name, 1, row * RANK + k) *
                       (double)factor(t->name, 0, k * t->dims[1] + col);
            }
            float *value = t->data + row * t->dims[1] + col;
            *value = (float)((double)*value + (double)multiplier * sum);
        }
    }
}

void toy_adapter_merge(struct toy_lm *toy)
{
    for (uint32_t i = 0; i < toy->n_tensors; i++) {
        if (toy_adapter_holds(toy->tensors[i].name)) merge(&toy->tensors[i]);
    }
}
