/* What the loaders of resident forms share: for runtime/resident*.c alone. */
#ifndef INGOT_RESIDENT_LOAD_H
#define INGOT_RESIDENT_LOAD_H

#include "format/decode.h"
#include "format/reader.h"
#include "runtime/resident.h"
#include "runtime/stream_rows.h"

/* One matrix of one tensor of one file: that of the caller, or one that it refers to. */
struct load {
    const ingot_file *file;
    uint32_t tensor_index;
    struct store *store;
    ingot_error *error;
    const struct resident_options *options;
    ingot_tensor tensor;
    struct stack_shape stack;
    uint64_t matrix_index;
    bool leaves_unread; /* the codes of dense terms */
};

/* INGOT_UNSUPPORTED: the tensor has this. */
ingot_status load_refuse(const struct load *load, const char *what);
/* n_bytes of the store. */
ingot_status load_take(const struct load *load, uint64_t n_bytes, void **memory);
/* n elements of element_bytes. */
ingot_status load_take_array(const struct load *load, uint64_t n, uint64_t element_bytes,
                             void **memory);

static inline struct row_source load_source(const struct load *load, uint32_t stream)
{
    return (struct row_source){load->file, stream, load->options->pool};
}

/* Bytes of the file for the reference decoder. Starts as {load, {.allocator = ...}}; the store
 * holds all that was asked for. */
struct load_bytes {
    const struct load *load;
    struct store store;
};
struct stream_provider load_provider(struct load_bytes *bytes);

/* Values of a coding over a stack, whose first stream is `stream`: the rows of the part. */
ingot_status load_values(const struct load *load, const struct ingot_coding *coding,
                         struct stack_shape stack, uint32_t stream, struct stack_part part,
                         float *dst);

/* The matrix's part of a coding over a stack, whose streams begin with `stream`. */
ingot_status load_dense(const struct load *load, const struct ingot_coding *coding,
                        struct stack_shape stack, uint32_t stream, struct resident_dense *dense);

/* The same, but that the codes are unread: they are read when the backend asks for them. */
ingot_status load_unread(const struct load *load, const struct ingot_coding *coding,
                         struct stack_shape stack, uint32_t stream, struct resident_dense *dense);

/* The same in steps, where codes and tables have shapes of their own: the coding's parameters,
 * codebook and column index, after which *stream is that of the codes; the codes of rows
 * [first_row, first_row + n_rows) of `codes`; the tables over `stack`. */
ingot_status load_coding(const struct load *load, const struct ingot_coding *coding,
                         struct stack_shape stack, uint32_t *stream, const uint32_t **index,
                         struct resident_dense *dense);
ingot_status load_code_rows(const struct load *load, const struct ingot_coding *coding,
                            struct stack_shape codes, uint64_t first_row, uint64_t n_rows,
                            uint32_t *stream, struct resident_dense *dense);
/* Codes of more than 32 bits, as the f32 that their map makes of them. */
ingot_status load_wide_codes(const struct load *load, const struct ingot_coding *coding,
                             struct stack_shape codes, struct stack_part part, uint32_t *stream,
                             struct resident_dense *dense);
ingot_status load_tables(const struct load *load, const struct ingot_coding *coding,
                         struct stack_shape stack, uint32_t stream, const uint32_t *index,
                         struct resident_dense *dense);
/* Codes are below the number of entries of their codebook. */
ingot_status load_check_codes(const struct load *load, const struct resident_dense *dense);

/* A sparse term as a part: kept values, or the dense codes of some rows or columns. */
ingot_status load_sparse(const struct load *load, const struct file_term *term,
                         struct resident_part *part);

#endif
