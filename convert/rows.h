/* Rows of a tensor as f32, on their way from a source to an encoder: hashed as they pass, and
 * refused where f32 cannot hold them. Knows no format and no encoding. */
#ifndef INGOT_CONVERT_ROWS_H
#define INGOT_CONVERT_ROWS_H

#include "convert/hash.h"
#include "convert/model.h"

struct row_reader {
    const struct model *model;
    uint32_t index;
    struct model_tensor tensor;
    XXH3_state_t *hash;
    uint64_t hashed_rows; /* rows [0, hashed_rows) are in the hash */
    uint8_t *bytes;       /* of a part of the rows, when the tensor is held raw */
};

/* Take about this many values at a time when rows are gone through. */
enum { ROWS_STEP_VALUES = 1 << 20 };

ingot_status rows_open(const struct model *model, uint32_t index, struct row_reader *reader,
                       ingot_error *error);
void rows_close(struct row_reader *reader);
/* How many rows to take at a time: at least one. */
uint64_t rows_step(const struct row_reader *reader);
/* Rows [first_row, first_row + n_rows) of the stack. Rows may be read again; the hash takes them
 * the first time, provided that they first come in order. A finite f64 value past the range of f32
 * is INGOT_REFUSED. */
ingot_status rows_read(struct row_reader *reader, uint64_t first_row, uint64_t n_rows, float *dst,
                       ingot_error *error);
/* The same in two halves. Bytes of a row as rows_take gives them: logical ones of a tensor held
 * raw, else values as f32. */
uint64_t rows_row_bytes(const struct row_reader *reader);
/* Reads rows and hashes them as rows_read does. */
ingot_status rows_take(struct row_reader *reader, uint64_t first_row, uint64_t n_rows,
                       uint8_t *bytes, ingot_error *error);
/* The values of bytes that rows_take gave; of many threads at once. */
ingot_status rows_values(const struct row_reader *reader, uint64_t first_row, uint64_t n_rows,
                         const uint8_t *bytes, float *dst, ingot_error *error);
/* The hash of the logical bytes of a tensor held raw, else of its values as f32. All rows must have
 * been read. */
void rows_hash(const struct row_reader *reader, uint8_t hash[16]);

#endif
