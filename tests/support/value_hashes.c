/* Hashes of tensors' values. */
#include "tests/support/value_hashes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/reader.h"
#include "format/records.h"

static void put_hash(struct byte_buffer *out, const void *bytes, uint64_t n_bytes)
{
    uint8_t hash[HASH_BYTES];
    hash_of(bytes, n_bytes, hash);
    for (size_t i = 0; i < HASH_BYTES; i++) {
        char digits[3];
        snprintf(digits, sizeof digits, "%02x", hash[i]);
        buffer_append(out, digits, 2);
    }
}

static void put_raw(const ingot_file *file, uint32_t index, const ingot_tensor *t,
                    struct byte_buffer *out)
{
    const uint64_t n_bytes = ingot_raw_bytes(t->dtype, t->n_matrices * t->n_rows * t->n_cols);
    uint8_t *bytes = malloc((size_t)n_bytes + 1);
    if (bytes && ingot_file_read_raw(file, index, 0, n_bytes, bytes, NULL) == INGOT_OK) {
        put_hash(out, bytes, n_bytes);
    } else {
        buffer_append(out, "-", 1);
    }
    free(bytes);
}

static void put_values(const ingot_file *file, uint32_t index, const ingot_tensor *t,
                       struct byte_buffer *out)
{
    const uint64_t n_rows = t->n_matrices * t->n_rows, n = n_rows * t->n_cols;
    float *values = malloc((size_t)n * sizeof *values + 1);
    if (values && ingot_file_decode_f32(file, index, 0, n_rows, values, NULL) == INGOT_OK) {
        for (uint64_t i = 0; i < n; i++) {
            if (values[i] != values[i]) values[i] = f32_from_bits(0x7fc00000u);
        }
        put_hash(out, values, n * sizeof *values);
    } else {
        buffer_append(out, "-", 1);
    }
    free(values);
}

void value_hashes(const ingot_file *file, struct byte_buffer *out)
{
    for (uint32_t i = 0; i < ingot_file_n_tensors(file); i++) {
        ingot_tensor t;
        ingot_file_tensor(file, i, &t);
        buffer_append(out, t.name, t.name_bytes);
        buffer_u8(out, '\t');
        if (ingot_file_has_raw(file, i)) {
            put_raw(file, i, &t, out);
        } else {
            put_values(file, i, &t, out);
        }
        buffer_u8(out, '\n');
    }
}
