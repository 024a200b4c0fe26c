/* What the runtime asks of a compute backend, and the form in which a matrix reaches it.
 * A backend is one table of functions; runtime/backends.c lists them. */
#ifndef INGOT_BACKEND_H
#define INGOT_BACKEND_H

#include "format/coding.h"
#include "format/ingot.h"

/* Planes are readable this many bytes past their end, so that wide loads need no tail case. */
enum { RESIDENT_SLACK_BYTES = 64 };

/* One plane of codes: rows of `row_bytes` bytes. */
struct resident_plane {
    const uint8_t *data;
    uint64_t row_bytes; /* a multiple of 4 for widths under 8 bits */
    uint8_t bits;
};

struct resident_dense;

/* One entry a group of a slot. The group of weight (r, c) is an entry (row, column) of a grid:
 *
 *     blocks             r / group_rows, c / group_cols
 *     runs               0, (r * run_cols + c) / group_cols
 *     a column index     r / group_rows, index[c]
 *
 * The entries are n_rows x n_cols f16 or f32 at `data`, or, when data is NULL, those of `nested`.
 * Both are NULL when the slot has no table. */
struct resident_table {
    const void *data;
    ingot_dtype format; /* of data: INGOT_F16 or INGOT_F32 */
    uint64_t n_rows;    /* of the grid */
    uint64_t n_cols;
    uint64_t group_rows;
    uint64_t group_cols;
    uint64_t run_cols;     /* runs: the columns of a row; else 0 */
    const uint32_t *index; /* a column index, each entry below n_cols; else NULL */
    const struct resident_dense *nested;
};

/* Codes that are in their file still. `read` writes rows [first_row, first_row + n_rows) of each
 * plane of codes, or with `signs` of sign codes, to memory of the caller, n_rows * row_bytes a
 * plane, and checks what it reads; any number of threads may call it at once. */
struct resident_unread {
    ingot_status (*read)(const struct resident_unread *unread, uint64_t first_row, uint64_t n_rows,
                         bool signs, uint8_t *const planes[], ingot_error *error);
    uint64_t grain; /* rows that are checked and decompressed together; 0: each row by itself */
};

/* Codes of one coding. The slots' constants are read from `coding`, whose table pointers are NULL.
 */
struct resident_dense {
    const struct ingot_coding *coding;
    uint64_t n_rows; /* of the weights that have codes */
    uint64_t n_cols;
    uint32_t n_planes;
    struct resident_plane planes[CODING_MAX_PLANES];
    const struct resident_unread *unread; /* the planes have no data: it reads them; else NULL */
    bool in_place; /* the planes lie in the file: they take no memory, and no other form is made */
    struct resident_table tables[N_SLOTS];
    /* Codebooks: n_entries * max(vector_length, 1) values. Every code is below n_entries. */
    const float *codebook;
    uint32_t n_sign_planes;
    struct resident_plane signs[CODING_MAX_PLANES];
    /* Where codes are held for some rows or columns only: their numbers in the matrix, ascending.
     * Tables are in the matrix's coordinates. */
    const uint32_t *rows;
    const uint32_t *columns;
};

/* Kept values, those of row r being elements [row_offsets[r], row_offsets[r + 1]) of `values`, a
 * single row of n_kept codes whose tables are in the matrix's coordinates. Where they are: bit c of
 * row r of the mask says that weight (r, c) is held; or, when `columns` is not NULL, columns[i] is
 * the column of element i, ascending in a row, and there is no mask. */
struct resident_sparse {
    struct resident_plane mask;  /* bits = 1, rows padded to 32-bit words */
    const uint32_t *row_offsets; /* n_rows + 1 */
    const uint32_t *columns;
    struct resident_dense values;
};

/* multiplier * B * A, A rank x n_cols, B n_rows x rank. */
struct resident_lowrank {
    float multiplier;
    struct resident_dense a;
    struct resident_dense b;
};

enum resident_kind { RESIDENT_DENSE, RESIDENT_SPARSE, RESIDENT_LOWRANK, N_RESIDENT_KINDS };

struct resident_part {
    enum resident_kind kind;
    const float *row_factors;    /* n_rows factors of the part's rows; NULL: none */
    const float *column_factors; /* n_cols of its columns; NULL: none */
    struct resident_dense dense;
    struct resident_sparse sparse;
    struct resident_lowrank lowrank;
};

enum { RESIDENT_MAX_PARTS = 64 };

/* A matrix as the sum of its parts. All pointers belong to whoever made it. */
struct resident_matrix {
    uint64_t n_rows;
    uint64_t n_cols;
    ingot_activations activations;
    uint32_t n_parts;
    struct resident_part parts[RESIDENT_MAX_PARTS];
};

/* What a backend may leave to the reference decoder, which lives on the host. `why` names what
 * stands in the way. */
bool resident_is_decodable(const struct resident_dense *dense, const char **why);
/* Columns [first_col, first_col + n_cols) of a row of codes, exactly as the coding has them. */
void resident_decode(const struct resident_dense *dense, uint64_t row, uint64_t first_col,
                     uint64_t n_cols, float *dst);
/* Kept values [first, first + n) of one row of the matrix, at these columns. */
void resident_decode_kept(const struct resident_dense *values, uint64_t first, uint64_t row,
                          const uint32_t *cols, uint64_t n, float *dst);
/* The entry of weight (row, col) of the matrix. */
float resident_entry(const struct resident_table *table, uint64_t row, uint64_t col);
/* The codes of columns [first_col, first_col + n) of a row, of planes of at most 32 bits in all. */
void resident_codes(const struct resident_plane *planes, uint32_t n_planes, uint64_t row,
                    uint64_t first_col, uint32_t n, uint32_t *codes);

struct backend_options {
    uint32_t n_threads;    /* 0: one per core */
    const char *cpu_level; /* NULL: the best */
};

/* Bit i stands for part i: a dense part, a sparse part or the A of a low-rank part, and its B. */
struct kept_parts {
    uint64_t parts;
    uint64_t b;
};

/* Unless said otherwise, functions are called from one thread at a time per device. */
struct ingot_backend {
    const char *name;
    /* Number of devices; sets 0 and returns INGOT_OK when the machine has none of this kind. */
    ingot_status (*count)(const ingot_allocator *allocator, uint32_t *n, ingot_error *error);
    /* Describes device `index` < count without opening it. Sets every field but `index`. */
    ingot_status (*describe)(const ingot_allocator *allocator, uint32_t index,
                             ingot_device_info *info, ingot_error *error);
    ingot_status (*open)(uint32_t index, const struct backend_options *options,
                         const ingot_allocator *allocator, void **device, ingot_error *error);
    void (*close)(void *device); /* takes NULL */
    /* Its threads, for whoever has the device to himself. NULL: it has none. */
    struct ingot_pool *(*pool)(void *device);
    /* Multiplies by planes where they lie in the file, and takes no memory for them. */
    bool reads_in_place;
    /* Takes parts whose codes are unread. */
    bool takes_unread;
    /* At least what a row of n_cols weights of a dense coding takes, without tables and codebooks,
     * where that is not what its planes take; `codebook` has the values, if there are any. NULL: it
     * is. */
    uint64_t (*row_bytes)(const struct ingot_coding *coding, const float *codebook, uint64_t n_rows,
                          uint64_t n_cols);
    /* Sets *n_bytes to at least what a dense coding of n_rows x n_cols codes takes in a form of the
     * device's own, 0 where it has none. `codebook` has the values of a codebook of vectors, else
     * it is NULL. Returns whether it is certain to take that form. NULL: there are no such forms.
     */
    bool (*own_form)(void *device, const struct ingot_coding *coding, uint64_t n_rows,
                     uint64_t n_cols, const float *codebook, uint64_t *n_bytes);
    /* At least what kept values of a coding under a bitmap take besides their resident form. NULL:
     * nothing. */
    uint64_t (*kept_bytes)(void *device, const struct ingot_coding *coding, uint64_t n_rows,
                           uint64_t n_cols);
    /* Copies what it needs out of `matrix`, whose pointers die after the call, but for those of the
     * parts that it names in *kept, and for factors and the numbers of columns: they live until
     * matrix_release. */
    ingot_status (*matrix_upload)(void *device, const struct resident_matrix *matrix,
                                  void **uploaded, uint64_t *resident_bytes,
                                  struct kept_parts *kept, ingot_error *error);
    void (*matrix_release)(void *device, void *uploaded); /* takes NULL */
    /* After INGOT_DEVICE: whether that came of a device that was lost, which is there again, with
     * nothing of what was uploaded before; uploaded (NULL: an upload failed) is to be released and
     * uploaded anew. NULL: devices are never lost. */
    bool (*recover)(void *device, const void *uploaded);
    /* y (n x n_rows) = x (n x n_cols) * W^T, both in host memory. */
    ingot_status (*matmul)(void *device, void *uploaded, const float *x, uint64_t n, float *y,
                           ingot_error *error);
};

extern const struct ingot_backend ingot_backend_cpu;
extern const struct ingot_backend ingot_backend_vulkan; /* only in builds with vulkan/ */

#endif
