/* Metadata entries, one by one, and the blob that they become. */
#include <string.h>

#include "format/fail.h"
#include "format/metadata.h"
#include "format/rules.h"
#include "format/writer_state.h"

/* Appends the low n_bytes of a number. */
static void put_number(struct byte_buffer *out, uint64_t v, uint64_t n_bytes)
{
    for (uint64_t i = 0; i < n_bytes; i++) buffer_u8(out, (uint8_t)(v >> 8 * i));
}

static void put_unsigned(struct byte_buffer *out, const ingot_value *value, uint64_t n_bytes)
{
    put_number(out, value->u, n_bytes);
}

static void put_signed(struct byte_buffer *out, const ingot_value *value, uint64_t n_bytes)
{
    put_number(out, (uint64_t)value->i, n_bytes);
}

static void put_f32(struct byte_buffer *out, const ingot_value *value, uint64_t n_bytes)
{
    (void)n_bytes;
    buffer_u32(out, f32_bits((float)value->f));
}

static void put_f64(struct byte_buffer *out, const ingot_value *value, uint64_t n_bytes)
{
    buffer_append(out, &value->f, n_bytes);
}

static void put_string(struct byte_buffer *out, const ingot_value *value, uint64_t n_bytes)
{
    (void)n_bytes;
    buffer_u64(out, value->n_bytes);
    buffer_append(out, value->data, value->n_bytes);
}

static void put_array(struct byte_buffer *out, const ingot_value *value, uint64_t n_bytes)
{
    (void)n_bytes;
    buffer_u32(out, (uint32_t)value->element_type);
    buffer_u64(out, value->n_elements);
    buffer_u64(out, value->n_bytes);
    buffer_append(out, value->data, value->n_bytes);
}

static const struct {
    void (*put)(struct byte_buffer *out, const ingot_value *value, uint64_t n_bytes);
    uint8_t n_bytes;
} types[] = {
    [INGOT_VALUE_U8] = {put_unsigned, 1},   [INGOT_VALUE_I8] = {put_signed, 1},
    [INGOT_VALUE_U16] = {put_unsigned, 2},  [INGOT_VALUE_I16] = {put_signed, 2},
    [INGOT_VALUE_U32] = {put_unsigned, 4},  [INGOT_VALUE_I32] = {put_signed, 4},
    [INGOT_VALUE_F32] = {put_f32, 4},       [INGOT_VALUE_BOOL] = {put_unsigned, 1},
    [INGOT_VALUE_STRING] = {put_string, 0}, [INGOT_VALUE_ARRAY] = {put_array, 0},
    [INGOT_VALUE_U64] = {put_unsigned, 8},  [INGOT_VALUE_I64] = {put_signed, 8},
    [INGOT_VALUE_F64] = {put_f64, 8},
};

/* Whether a scalar's number is one of its type. */
static bool in_range(const ingot_value *value)
{
    const uint32_t bits = types[value->type].n_bytes * 8u;
    if (value->type == INGOT_VALUE_BOOL) return value->u <= 1;
    if (types[value->type].put == put_unsigned) return bits == 64 || value->u >> bits == 0;
    if (types[value->type].put != put_signed || bits == 64) return true;
    const int64_t limit = INT64_C(1) << (bits - 1);
    return value->i >= -limit && value->i < limit;
}

/* Appends an entry and proves it as a reader would. */
static ingot_status put_entry(struct byte_buffer *out, const char *key, const ingot_value *value,
                              ingot_error *error)
{
    const uint64_t begin = out->n_bytes;
    const uint32_t key_bytes = (uint32_t)strlen(key);
    buffer_u32(out, key_bytes);
    buffer_append(out, key, key_bytes);
    buffer_u32(out, (uint32_t)value->type);
    types[value->type].put(out, value, types[value->type].n_bytes);
    if (out->failed) return ingot_fail_memory(error, value->n_bytes, "metadata");

    struct metadata_walk walk = {cursor_over(out->data + begin, out->n_bytes - begin), 1};
    struct metadata_value proved;
    const char *same_key;
    uint32_t same_bytes;
    return metadata_next(&walk, &same_key, &same_bytes, &proved, error);
}

ingot_status ingot_writer_metadata(ingot_writer *writer, const char *key, const ingot_value *value,
                                   ingot_error *error)
{
    uint32_t number = 0;
    bool found;
    ingot_status status = check_in_use(writer, error);
    if (status != INGOT_OK) return status;
    if ((size_t)value->type >= sizeof types / sizeof *types || !in_range(value)) {
        return ingot_fail_rule(error, R_710, INGOT_NO_OFFSET, key,
                               "a value of an unknown type, or past the range of its type");
    }
    if (strlen(key) > UINT16_MAX) {
        return ingot_fail_rule(error, R_711, INGOT_NO_OFFSET, "metadata.key", "too long");
    }
    const uint64_t before = writer->metadata.n_bytes;
    status = put_entry(&writer->metadata, key, value, error);
    if (status == INGOT_OK) {
        status = intern(&writer->metadata_keys, key, strlen(key), &number, &found, error);
        if (status == INGOT_OK && found) {
            status = ingot_fail_rule(error, R_711, INGOT_NO_OFFSET, "metadata.key",
                                     "%.80s is there already", key);
        }
    }
    if (status != INGOT_OK) {
        writer->metadata.n_bytes = before;
        return status;
    }
    writer->n_metadata++;
    return INGOT_OK;
}

ingot_status write_metadata(ingot_writer *writer, ingot_error *error)
{
    struct byte_buffer blob = {.allocator = writer->allocator};
    if (writer->n_metadata == 0) return INGOT_OK;
    metadata_begin(&blob, writer->n_metadata);
    buffer_append(&blob, writer->metadata.data, writer->metadata.n_bytes);
    const struct span span = {blob.data, blob.n_bytes};
    const struct byte_source source = memory_bytes(&span);
    ingot_status status = INGOT_OK;
    if (blob.failed) {
        status = ingot_fail_memory(error, writer->metadata.n_bytes, "metadata");
    } else {
        status = ingot_writer_blob(writer, INGOT_BLOB_METADATA, NULL, NULL, blob.n_bytes, &source,
                                   NULL, error);
    }
    buffer_release(&blob);
    return status;
}
