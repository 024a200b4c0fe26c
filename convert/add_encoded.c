/* A tensor in memory to a writer in another encoding: a model of one tensor, taken through the
 * converter's way. */
#include <string.h>

#include "convert/encode_tensor.h"
#include "convert/model_kind.h"
#include "convert/raw_values.h"
#include "format/fail.h"
#include "format/rules.h"
#include "format/writer.h"

struct one_tensor {
    struct model model;
    struct model_tensor tensor;
    const uint8_t *data;
};

static void describe(const struct model *model, uint32_t index, struct model_tensor *tensor)
{
    (void)index;
    *tensor = ((const struct one_tensor *)model)->tensor;
}

static ingot_status read_raw(const struct model *model, uint32_t index, uint64_t offset,
                             uint64_t n_bytes, void *dst, ingot_error *error)
{
    (void)index;
    (void)error;
    memcpy(dst, ((const struct one_tensor *)model)->data + offset, (size_t)n_bytes);
    return INGOT_OK;
}

/* What encoding a tensor that is held raw asks for. */
static const struct model_kind one_tensor_kind = {
    .format = "memory", .tensor = describe, .read_raw = read_raw};

static ingot_status fill_in(struct one_tensor *one, const ingot_writer *writer, const char *name,
                            ingot_dtype dtype, uint32_t rank, const uint64_t *dims,
                            ingot_error *error)
{
    struct model_tensor *t = &one->tensor;
    struct stack_shape stack;
    if (!dtype_is_float(dtype)) {
        return ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, name,
                          "only f64, f32, f16 and bf16 are encoded");
    }
    if (rank > INGOT_MAX_RANK) {
        return ingot_fail_rule(error, R_602, INGOT_NO_OFFSET, name, "rank %u", rank);
    }
    *t = (struct model_tensor){.name = name,
                               .name_bytes = (uint32_t)strlen(name),
                               .dtype = dtype,
                               .rank = rank,
                               .encoding = ingot_dtype_name(dtype),
                               .raw = true};
    const ingot_status status =
        ingot_writer_layout(writer, name, rank, &t->stack, &t->split, error);
    if (status != INGOT_OK) return status;
    for (uint32_t i = 0; i < rank; i++) t->dims[i] = dims[i];
    if (!stack_of(rank, t->dims, t->stack, t->split, &stack)) {
        return ingot_fail_rule(error, R_603, INGOT_NO_OFFSET, name, "too large a shape");
    }
    t->n_rows = stack.n_matrices * stack.n_rows;
    t->n_cols = stack.n_cols;
    t->stored_bytes = ingot_raw_bytes(dtype, t->n_rows * t->n_cols);
    return INGOT_OK;
}

ingot_status ingot_writer_add_encoded(ingot_writer *writer, const char *name, ingot_dtype dtype,
                                      uint32_t rank, const uint64_t *dims, const void *data,
                                      const char *encoding, ingot_error *error)
{
    struct one_tensor one = {.model = {.kind = &one_tensor_kind}, .data = data};
    struct encoding parsed;
    struct encoded_tensor result;
    struct ingot_pool *pool;
    ingot_status status = encoding_parse(encoding, &parsed, error);
    if (status == INGOT_OK) status = fill_in(&one, writer, name, dtype, rank, dims, error);
    if (status == INGOT_OK) status = ingot_writer_pool(writer, &pool, error);
    if (status != INGOT_OK) return status;
    return encode_tensor(&one.model, 0, &parsed, writer, pool, NULL, NULL, &result, error);
}
