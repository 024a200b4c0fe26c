/* A coding: how the values of a matrix are written as codes and tables. [spec chapter 6]
 *
 *     value = ((map(code) - zero) * scale + bias) * post
 *
 * each step one f32 rounding, absent steps skipped. This file owns the parameters and the shapes
 * that follow from them; it knows nothing of files. */
#ifndef INGOT_CODING_H
#define INGOT_CODING_H

#include "format/ingot.h"

enum coding_map {
    MAP_UINT = 1,     /* unsigned integer of `bits` bits */
    MAP_INT = 2,      /* two's complement integer of `bits` bits */
    MAP_FLOAT = 3,    /* float format `format` */
    MAP_CODEBOOK = 4, /* one of n_entries scalars held in the file, in float format `format` */
    MAP_VECTOR = 5,   /* one of n_entries vectors of vector_length weights */
    MAP_OPAQUE = 6    /* foreign bytes, carried whole; the coding's name is the foreign type */
};

enum coding_slot_name { SLOT_ZERO = 0, SLOT_SCALE = 1, SLOT_BIAS = 2, SLOT_POST = 3, N_SLOTS = 4 };

enum coding_group {
    GROUP_NONE = 0,
    GROUP_BLOCK = 1,  /* group_rows x group_cols of one matrix; 0 stands for the whole extent */
    GROUP_TENSOR = 2, /* one entry for the whole stack */
    GROUP_RUN = 3,    /* group_cols weights of the flattened matrix */
    GROUP_COLUMN_INDEX = 4 /* group_rows rows; the column's entry in the column index, which
                              counts group_cols groups */
};

enum { CODING_MAX_DEPTH = 2, CODING_MAX_STREAMS = 128, CODING_MAX_PLANES = 7 };

struct ingot_coding;

struct coding_slot {
    bool has_table;
    bool has_constant;
    bool inverse_table;    /* divide instead of multiply; for bias, subtract instead of add */
    bool inverse_constant; /* the same for the constant */
    uint8_t group;         /* enum coding_group */
    float constant;        /* applied after the table */
    uint32_t group_rows;
    uint64_t group_cols;
    const struct ingot_coding *table; /* the coding of the table's entries */
};

struct ingot_coding {
    uint8_t map;            /* enum coding_map */
    uint8_t bits;           /* width of a code; MAP_FLOAT: of the format; MAP_OPAQUE: 8 */
    uint8_t format;         /* MAP_FLOAT: ingot_dtype of the code; codebooks: of an entry; else 0 */
    uint8_t vector_length;  /* MAP_VECTOR: 4 or 8, else 0 */
    uint8_t signs;          /* MAP_VECTOR: bits of a sign code per 8 weights: 0, 7 or 8 */
    uint8_t index_bits;     /* width of a column index entry: 0 (none), 16 or 32 */
    uint32_t n_entries;     /* codebooks, else 0 */
    uint32_t block_weights; /* MAP_OPAQUE: weights and bytes of a foreign block, 0 when unknown */
    uint32_t block_bytes;
    uint32_t codebook_stream; /* codebooks: the stream of entries, else INGOT_NONE */
    char name[32];            /* for people and, for MAP_OPAQUE, the foreign type */
    struct coding_slot slots[N_SLOTS];
};

/* A stack of matrices. */
struct stack_shape {
    uint64_t n_matrices;
    uint64_t n_rows;
    uint64_t n_cols;
};

/* How one stream of a coding lies: n_rows rows of n_cols elements of `bits` bits, a row every
 * row_bits bits, low bits first. */
struct stream_shape {
    uint8_t bits;
    bool by_rows;    /* row i belongs to the tensor's rows [i * tensor_rows, ...) of the stack */
    bool any_length; /* opaque bytes of unknown block size: n_bytes is 0 and says nothing */
    uint64_t tensor_rows;
    uint64_t n_rows;
    uint64_t n_cols;
    uint64_t row_bits;
    uint64_t n_bytes;
};

/* The shape of a plane of `bits`-bit elements over a stack: rows of narrow planes are padded to
 * 32-bit words unless that adds more than 1/8 [6.4]. False when a size does not fit. */
bool plane_shape(uint8_t bits, struct stack_shape stack, struct stream_shape *out);

/* The widths of the planes that hold codes of `bits` bits, widest (lowest bits) first: the binary
 * digits of `bits`. Returns how many. [6.4] */
uint32_t plane_widths(uint8_t bits, uint8_t widths[CODING_MAX_PLANES]);

/* The grid of table entries of a slot over a stack. */
bool slot_grid(const struct coding_slot *slot, struct stack_shape stack, struct stack_shape *grid);

/* Lists the streams of a coding over a stack in the specification's order [6.5]. False when there
 * are too many or a size does not fit. */
bool coding_streams(const struct ingot_coding *coding, struct stack_shape stack,
                    struct stream_shape streams[CODING_MAX_STREAMS], uint32_t *n_streams);

/* The same where the codes have a shape of their own (the kept values of a sparse term): codes over
 * `codes`, which follow the tensor's rows or not, tables over `stack`. */
bool coding_streams_over(const struct ingot_coding *coding, struct stack_shape codes,
                         bool codes_by_rows, struct stack_shape stack,
                         struct stream_shape streams[CODING_MAX_STREAMS], uint32_t *n_streams);

/* Whether a coding is one that a table may use: a scalar map of at most 256 codebook entries, no
 * column index, no post, and no tables in its tables [6.3]. */
bool coding_fits_table(const struct ingot_coding *coding);

/* True when decoding is copying: an integer or float map, no codebook, no slot. */
bool coding_is_raw(const struct ingot_coding *coding);

/* Bytes of all streams; UINT64_MAX when that does not fit. */
uint64_t coding_bytes(const struct ingot_coding *coding, struct stack_shape stack);

#endif
