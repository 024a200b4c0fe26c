/* Ingot: a compression-aware model container. Public interface of libingot.
 *
 * Everything the library does is reached from here: reading a file, writing one, and multiplying
 * straight from it on the CPU or on a Vulkan device.
 *
 * Conventions
 *   - Functions that can fail return an ingot_status and fill *error when error is not NULL.
 *     On failure, outputs are left as they were.
 *   - Sizes carry their unit in the name: _bytes, _bits; n_ is a count.
 *   - Matrices are row-major. A weight of shape [out, in] has `out` rows and `in` columns.
 *   - The library never prints, exits, reads the environment or sets errno.
 *   - Any number of threads may share an ingot_file, an ingot_metadata and an ingot_device with its
 *     matrices, but for closing them. A writer belongs to one thread at a time.
 *   - Results depend neither on the number of threads nor on what other threads do.
 *   - An index that is not there fails an assert. NULL is taken for errors, allocators, options and
 *     where there are no bytes; elsewhere it is a mistake of the caller.
 *   - What a call takes by pointer is the caller's and may go when the call returns, unless its
 *     comment says that it must outlive something.
 */
#ifndef INGOT_H
#define INGOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define INGOT_VERSION "0.1.0"

/* ------------------------------------------------------------------ status */

typedef enum ingot_status {
    INGOT_OK = 0,
    INGOT_END = 1,         /* there is no more; not a failure */
    INGOT_INVALID = 2,     /* the input breaks a rule of its format */
    INGOT_DAMAGED = 3,     /* a checksum does not match */
    INGOT_UNSUPPORTED = 4, /* well formed, but this build cannot do it */
    INGOT_NOT_FOUND = 5,
    INGOT_EXISTS = 6, /* the target exists and was not to be replaced */
    INGOT_NO_MEMORY = 7,
    INGOT_IO = 8,      /* the system could not read or write */
    INGOT_DEVICE = 9,  /* no such compute device, or it failed */
    INGOT_REFUSED = 10 /* the input is fine, but what was asked of it cannot be done */
} ingot_status;

/* What failed and where. `rule` is the number of the broken rule of the specification (0: none),
 * `offset` the byte in the input the failure is about (INGOT_NO_OFFSET: none). */
#define INGOT_NO_OFFSET UINT64_MAX
typedef struct ingot_error {
    ingot_status status;
    uint32_t rule;
    uint64_t offset;
    char field[96];
    char what[256];
} ingot_error;

/* The name of a status, such as "damaged". Never NULL. */
const char *ingot_status_name(ingot_status status);

/* ------------------------------------------------------------------ hooks */

/* What deserves to be known and is no failure. */
typedef enum ingot_log_level {
    INGOT_LOG_WARNING = 1, /* something will not be as expected: a base file is missing */
    INGOT_LOG_INFO = 2     /* what was chosen: a device, a matrix and its memory */
} ingot_log_level;

/* Memory comes from the first two: allocate returns NULL when there is none, release takes NULL.
 * With both NULL, and where a NULL ingot_allocator * is given, it comes from malloc. Encoders, and
 * the libraries below (zstd, LAPACK, drivers), take their working memory from malloc in any case.
 *
 * log, unless it is NULL, hears messages: one line each, without a line end, which live until it
 * returns. All three may be called from any thread, several at a time. */
typedef struct ingot_allocator {
    void *(*allocate)(void *context, size_t n_bytes);
    void (*release)(void *context, void *memory);
    void *context;
    void (*log)(void *context, ingot_log_level level, const char *message);
} ingot_allocator;

/* ------------------------------------------------------------------ tensors */

#define INGOT_MAX_RANK 8
#define INGOT_NONE UINT32_MAX

/* Logical element types. The numbers are those of the specification. */
typedef enum ingot_dtype {
    INGOT_F64 = 1,
    INGOT_F32 = 2,
    INGOT_F16 = 3,
    INGOT_BF16 = 4,
    INGOT_F8_E5M2 = 5,
    INGOT_F8_E4M3 = 6,
    INGOT_F6_E3M2 = 7,
    INGOT_F6_E2M3 = 8,
    INGOT_F4_E2M1 = 9,
    INGOT_F8_E8M0 = 10,
    INGOT_F8_E4M3FNUZ = 11,
    INGOT_F8_E5M2FNUZ = 12,
    INGOT_I8 = 16,
    INGOT_I16 = 17,
    INGOT_I32 = 18,
    INGOT_I64 = 19,
    INGOT_U8 = 20,
    INGOT_U16 = 21,
    INGOT_U32 = 22,
    INGOT_U64 = 23,
    INGOT_BOOL = 24,
    INGOT_C64 = 25
} ingot_dtype;

/* Name as in the specification ("bf16"), or NULL for a number that names no type. */
const char *ingot_dtype_name(ingot_dtype dtype);
/* Bits of one element, or 0 for a number that names no type. */
uint32_t ingot_dtype_bits(ingot_dtype dtype);

/* What the index says of one tensor. The pointers live as long as the file. */
typedef struct ingot_tensor {
    const char *name; /* name_bytes bytes, no terminator; any bytes are allowed */
    uint32_t name_bytes;
    ingot_dtype dtype; /* what the values mean; how they are coded is each term's affair */
    uint32_t rank;
    uint64_t dims[INGOT_MAX_RANK];
    uint64_t n_matrices; /* the tensor as a stack of matrices: n_matrices x n_rows x n_cols */
    uint64_t n_rows;
    uint64_t n_cols;
    uint32_t n_terms;
    uint32_t alias_of;     /* an earlier tensor with the same terms, or INGOT_NONE */
    uint64_t coded_bytes;  /* codes, tables and masks, before lossless compression */
    uint64_t stored_bytes; /* the same as they lie in the file (equal chunks counted each time) */
    char encoding[96];     /* for people: "int4-g32", "sparse(bf16)", "int4-g32 + lowrank(r16)" */
} ingot_tensor;

/* ------------------------------------------------------------------ reading */

typedef struct ingot_file ingot_file;

/* Maps a file and proves its whole index. *file is closed with ingot_file_close. The file must not
 * be changed while it is open. allocator may be NULL and must outlive the file. */
ingot_status ingot_file_open(const char *path, const ingot_allocator *allocator, ingot_file **file,
                             ingot_error *error);
/* The same for bytes in memory, which belong to the caller and must outlive the file.
 *
 * A file may hold tensors that refer to another file (a base). ingot_file_open looks for bases
 * under the names that the file gives, beside it; the ones with the right content id are opened and
 * closed with it. Without its base a file opens all the same; only reading such a tensor fails
 * then. */
ingot_status ingot_file_open_memory(const void *data, size_t n_bytes,
                                    const ingot_allocator *allocator, ingot_file **file,
                                    ingot_error *error);
void ingot_file_close(ingot_file *file);
/* Opens bytes in memory over bases that are open already; they must outlive the file. Those that
 * the file does not name are ignored. */
ingot_status ingot_file_open_over(const void *data, size_t n_bytes, const ingot_file *const *bases,
                                  uint32_t n_bases, const ingot_allocator *allocator,
                                  ingot_file **file, ingot_error *error);

uint32_t ingot_file_n_tensors(const ingot_file *file);
/* index < ingot_file_n_tensors(file). */
void ingot_file_tensor(const ingot_file *file, uint32_t index, ingot_tensor *tensor);
/* INGOT_NOT_FOUND when no tensor has that name. */
ingot_status ingot_file_find(const ingot_file *file, const char *name, size_t name_bytes,
                             uint32_t *index);

/* Decodes rows [first_row, first_row + n_rows) of the stack (n_matrices * n_rows rows in all) to
 * n_rows * n_cols floats, row after row, and checks every byte it reads. Adapters are off. dst
 * belongs to the caller; on failure it may be partly written. The error of a damaged tensor names
 * it. */
ingot_status ingot_file_decode_f32(const ingot_file *file, uint32_t tensor, uint64_t first_row,
                                   uint64_t n_rows, float *dst, ingot_error *error);
/* The same in another type and with adapters on. dtype is INGOT_F32, INGOT_F16 or INGOT_BF16: the
 * f32 values, rounded to the nearest, ties to even, and to infinity past the largest. adapters are
 * n_adapters names; those that the tensor has no term of change nothing. INGOT_REFUSED when two
 * terms that renormalize (DoRA) would be on. */
ingot_status ingot_file_decode(const ingot_file *file, uint32_t tensor, uint64_t first_row,
                               uint64_t n_rows, ingot_dtype dtype, const char *const *adapters,
                               uint32_t n_adapters, void *dst, ingot_error *error);

/* Adapters: the terms of tensors that are off unless they are asked for by their name, of which one
 * adapter has as many as it changes tensors. The distinct names, in the order of their bytes. */
uint32_t ingot_file_n_adapters(const ingot_file *file);
/* index < ingot_file_n_adapters(file). The name has no terminator and lives as long as the file. */
void ingot_file_adapter(const ingot_file *file, uint32_t index, const char **name,
                        uint32_t *name_bytes);

/* Bytes of a tensor of `n` elements in its logical dtype, little-endian and densely packed. */
uint64_t ingot_raw_bytes(ingot_dtype dtype, uint64_t n);
/* Copies the logical bytes [offset, offset + n_bytes) of a tensor held raw, bit for bit, in C
 * order. INGOT_REFUSED when the tensor is not held raw (its values are then only in f32). */
ingot_status ingot_file_read_raw(const ingot_file *file, uint32_t tensor, uint64_t offset,
                                 uint64_t n_bytes, void *dst, ingot_error *error);
/* Points *data at all ingot_raw_bytes of a tensor held raw where they lie in the file, which they
 * do when it was written without compression, as one run; for as long as the file is open. Nothing
 * is read or checked: ingot_file_verify does that. In a file opened by its path, *data is aligned
 * to 64 bytes. INGOT_REFUSED, saying why, when they do not lie so; types of less than 8 bits never
 * do. */
ingot_status ingot_file_view_raw(const ingot_file *file, uint32_t tensor, const void **data,
                                 ingot_error *error);

/* Compares every stored byte of a tensor, also of one in a base that it refers to, with its
 * checksum. INGOT_DAMAGED names the tensor and the offset of the first bad chunk. */
ingot_status ingot_file_verify(const ingot_file *file, uint32_t tensor, ingot_error *error);
/* Checks every rule of the specification that opening did not: all chunks, padding, masks,
 * metadata, hashes. The error is the first violation; the log hears of all of them. */
ingot_status ingot_file_verify_all(const ingot_file *file, ingot_error *error);

/* ------------------------------------------------------------------ metadata and attachments */

/* Types of metadata values. The numbers are those of the specification. */
typedef enum ingot_value_type {
    INGOT_VALUE_U8 = 0,
    INGOT_VALUE_I8 = 1,
    INGOT_VALUE_U16 = 2,
    INGOT_VALUE_I16 = 3,
    INGOT_VALUE_U32 = 4,
    INGOT_VALUE_I32 = 5,
    INGOT_VALUE_F32 = 6,
    INGOT_VALUE_BOOL = 7,
    INGOT_VALUE_STRING = 8,
    INGOT_VALUE_ARRAY = 9,
    INGOT_VALUE_U64 = 10,
    INGOT_VALUE_I64 = 11,
    INGOT_VALUE_F64 = 12
} ingot_value_type;

/* One value. A value that was read may be handed to a writer as it is. */
typedef struct ingot_value {
    ingot_value_type type;
    ingot_value_type element_type; /* arrays */
    uint64_t n_elements;           /* arrays */
    /* Scalars: unsigned ones and bools in u, signed ones in i, floats in f. */
    uint64_t u;
    int64_t i;
    double f;
    /* Strings: the text, without terminator. Arrays: the elements one after the other, numbers
     * little-endian, not aligned, bools a byte; a string is its length as a u64 and its bytes; an
     * array is its element type as a u32, the number of its elements and of its bytes as u64, and
     * its elements. */
    const void *data;
    uint64_t n_bytes;
} ingot_value;

typedef struct ingot_metadata ingot_metadata;

/* Reads and proves the metadata of a file, in which a key stands once; a file without any has no
 * entries. *metadata is closed with ingot_metadata_close; it may outlive the file, but not its
 * allocator. */
ingot_status ingot_metadata_open(const ingot_file *file, ingot_metadata **metadata,
                                 ingot_error *error);
/* Takes NULL. */
void ingot_metadata_close(ingot_metadata *metadata);
uint64_t ingot_metadata_n_entries(const ingot_metadata *metadata);
/* Entry `index`, in the order of the file. What key and value point to lives as long as the
 * metadata; the key has no terminator. */
void ingot_metadata_entry(const ingot_metadata *metadata, uint64_t index, const char **key,
                          uint32_t *key_bytes, ingot_value *value);
/* INGOT_NOT_FOUND when there is no such key. */
ingot_status ingot_metadata_find(const ingot_metadata *metadata, const char *key, size_t key_bytes,
                                 ingot_value *value);
/* Walks the elements of an array: *offset is 0 before the first call. INGOT_END after the last. */
ingot_status ingot_value_next(const ingot_value *array, uint64_t *offset, ingot_value *element);

/* A blob: attachments (tokenizer, config) and the file's own sections. */
typedef enum ingot_blob_kind {
    INGOT_BLOB_METADATA = 1,
    INGOT_BLOB_SOURCE = 2,
    INGOT_BLOB_RECEIPT = 3,
    INGOT_BLOB_ATTACHMENT = 4
} ingot_blob_kind;
typedef struct ingot_blob {
    uint32_t kind; /* an ingot_blob_kind, or one this build does not know */
    const char *name;
    uint32_t name_bytes;
    uint64_t n_bytes;
} ingot_blob;
uint32_t ingot_file_n_blobs(const ingot_file *file);
void ingot_file_blob(const ingot_file *file, uint32_t index, ingot_blob *blob);
/* The attachment of that name, as a blob. INGOT_NOT_FOUND when there is none. */
ingot_status ingot_file_find_attachment(const ingot_file *file, const char *name, size_t name_bytes,
                                        uint32_t *index);
/* Reads bytes [offset, offset + n_bytes) of a blob into dst. */
ingot_status ingot_file_read_blob(const ingot_file *file, uint32_t index, uint64_t offset,
                                  uint64_t n_bytes, void *dst, ingot_error *error);

/* ------------------------------------------------------------------ writing */

typedef struct ingot_writer ingot_writer;
typedef enum ingot_compression {
    INGOT_COMPRESS_NONE = 0,
    INGOT_COMPRESS_FAST = 1, /* a chunk is compressed when that saves 3 % */
    INGOT_COMPRESS_MAX = 2   /* when it saves 0.5 %; tries all there is, and is slow */
} ingot_compression;

/* Starts a file. It is written under a temporary name beside `path`, and gets its own name in
 * ingot_writer_finish. path "-" writes to standard output. With replace false, an existing
 * target is INGOT_EXISTS; one that is not a regular file is INGOT_REFUSED.
 *
 * A call that is refused before anything is written, such as for a name that is there already,
 * leaves the writer as it was. After one that fails while it writes (memory, the disk, a value that
 * an encoding cannot hold) it can only be closed: all calls are INGOT_REFUSED then, as they are
 * once it is finished. So what gets its name is always whole. */
ingot_status ingot_writer_create(const char *path, bool replace, ingot_compression compression,
                                 const ingot_allocator *allocator, ingot_writer **writer,
                                 ingot_error *error);
/* Adds a tensor held raw: data is ingot_raw_bytes(dtype, product of dims) bytes in C order. */
ingot_status ingot_writer_add(ingot_writer *writer, const char *name, ingot_dtype dtype,
                              uint32_t rank, const uint64_t *dims, const void *data,
                              ingot_error *error);
/* Adds a tensor encoded: data is the same as for ingot_writer_add, of INGOT_F64, INGOT_F32,
 * INGOT_F16 or INGOT_BF16. encoding is what `ingot convert --encode` takes, such as "int4" or
 * "int4+lowrank16"; "f32", "f16" and "bf16" change the tensor's type to theirs, all others keep it.
 * INGOT_UNSUPPORTED for an encoding that is not known, INGOT_REFUSED for a value that it cannot
 * hold. Any coding that no encoding makes is written by a converter, not through this interface: a
 * coding is a dozen fields that stand in relations to each other and to streams in bit-exact
 * layouts. */
ingot_status ingot_writer_add_encoded(ingot_writer *writer, const char *name, ingot_dtype dtype,
                                      uint32_t rank, const uint64_t *dims, const void *data,
                                      const char *encoding, ingot_error *error);
/* How many threads encode, the calling one included; 0, the default, takes one per available core.
 * The file does not depend on it. To be set before the first tensor is encoded. */
void ingot_writer_set_threads(ingot_writer *writer, uint32_t n_threads);
/* How tensors added from now on are read as matrices: the first `stack` dimensions number them,
 * those up to `split` count their rows, and the rest their columns. For experts of [n, out, in]
 * that is 1, 2. Tensors of fewer than `split` dimensions, and all where split is 0, which is the
 * default, have rows in their first dimension; a vector is one row. */
void ingot_writer_set_stack(ingot_writer *writer, uint32_t stack, uint32_t split);
/* Adds a metadata entry; entries stand in the file in the order of these calls. INGOT_INVALID for a
 * key that is there already, and for elements of an array that do not fill its bytes. */
ingot_status ingot_writer_metadata(ingot_writer *writer, const char *key, const ingot_value *value,
                                   ingot_error *error);
/* Adds an attachment. */
ingot_status ingot_writer_attach(ingot_writer *writer, const char *name, const void *data,
                                 uint64_t n_bytes, ingot_error *error);
/* Writes index and trailer, syncs, and renames. Afterwards the writer can only be closed. */
ingot_status ingot_writer_finish(ingot_writer *writer, ingot_error *error);
/* Takes NULL. Closing an unfinished writer removes its temporary file. */
void ingot_writer_close(ingot_writer *writer);

/* ------------------------------------------------------------------ computing */

/* A device and its matrices may be used by any number of threads; what runs on a device waits for
 * what is running there. */
typedef struct ingot_device ingot_device;
typedef struct ingot_matrix ingot_matrix;

/* One compute device as listed by ingot_device_list. Device 0.. are Vulkan devices, best first;
 * the CPU is always there and has index INGOT_DEVICE_CPU. */
#define INGOT_DEVICE_CPU UINT32_MAX
typedef struct ingot_device_info {
    uint32_t index;
    char name[256];
    char driver[256];      /* driver name and version; for the CPU its kernel level */
    char kind[16];         /* "cpu", "discrete", "integrated", "virtual", "software" */
    uint64_t memory_bytes; /* largest device-local heap; 0 when unknown */
    bool usable;
    char why_not[128];  /* when not usable */
    char uuid[40];      /* the same on every start; "" when there is none */
    char features[160]; /* of the device, as far as they are used */
    char kernels[96];   /* those it runs, the first choice first */
    char avoids[160];   /* what its driver offers and is known to do badly, with the reasons */
} ingot_device_info;
/* Fills at most `capacity` entries, the CPU last, and sets *n to how many there are. A machine
 * without Vulkan lists the CPU alone. */
ingot_status ingot_device_list(ingot_device_info *devices, uint32_t capacity, uint32_t *n,
                               ingot_error *error);

/* Opens a device. n_threads load its matrices and, on the CPU, multiply, the calling thread
 * included; 0 takes one per available core. cpu_level forces a
 * kernel level by name ("plain"; "avx2", "avx512"; "neon", "neon-dotprod",
 * "neon-i8mm"); NULL takes the best this CPU has. INGOT_DEVICE
 * and a reason when the index is not usable. Threads that share a device take turns with it. */
ingot_status ingot_device_open(uint32_t index, uint32_t n_threads, const char *cpu_level,
                               const ingot_allocator *allocator, ingot_device **device,
                               ingot_error *error);
void ingot_device_close(ingot_device *device);
void ingot_device_describe(const ingot_device *device, ingot_device_info *info);

/* How x may be rounded in products with a matrix. A CPU level without instructions for it, and rows
 * of fewer than some hundred columns, take x as it is. The default is F32: it keeps the bound of
 * ingot_matmul. Measured on normal weights and x with 2048 columns, over all encodings, y has a
 * relative L2 error of at most 4e-7 with F32, 0.003 with BF16 and 0.008 with I8. */
typedef enum ingot_activations {
    INGOT_ACTIVATIONS_F32 = 0, /* as it is: the bound of ingot_matmul holds */
    /* x, and where x has many rows the decoded weights, rounded to bf16; sums in f32. */
    INGOT_ACTIVATIONS_BF16 = 1,
    /* x in 8-bit integers, with one f32 scale for 32 of them, so that an outlier harms no more than
     * its neighbours: on normal data the relative L2 error is below 1 %. Weights stay exact. Where
     * they are no 8-bit integers times scales, as BF16; parts that are not dense, as F32. */
    INGOT_ACTIVATIONS_I8 = 2
    /* On a Vulkan device BF16 stands for f16 with a power of two for each row of x or each 32 of
     * its columns, which rounds less, and I8 is as BF16 where x has many rows and there are matrix
     * units. */
} ingot_activations;

/* What a matrix is opened with; all zero is what ingot_matrix_open takes, and what NULL means. */
typedef struct ingot_matrix_options {
    const char *const *adapters; /* names of the adapters that are on, as in ingot_file_decode */
    uint32_t n_adapters;
    /* Keeps each adapter apart, so that ingot_matrix_switch turns it off and on again.
     * INGOT_REFUSED where an adapter does more than add to the matrix. */
    bool switchable;
    ingot_activations activations; /* INGOT_UNSUPPORTED where the device takes x only as it is */
    /* Loads nothing yet: the first product with the matrix does, or ingot_matrix_load, and then
     * fails as opening would have. The file must outlive the matrix: should the device be lost, it
     * is opened anew, and the next product loads the matrix again. */
    bool lazy;
    /* On the CPU, raw f32, f16 and bf16 that lie in the file as one run (written without
     * compression) stay there and are multiplied by in their place: no copy, no memory but the
     * system's cache, which processes share. Products of many rows of x may take longer than with
     * the form that a copy would have been given. What does not lie so is loaded as ever. The file
     * must outlive the matrix. */
    bool in_place;
    /* What stays in its place is not compared with its checksums, so that loading reads nothing of
     * it: ingot_file_verify does that, at any time. All other bytes are checked in any case. */
    bool unchecked;
} ingot_matrix_options;

/* Loads matrix `matrix_index` of a tensor's stack onto a device: its threads decompress and check
 * every byte; an error of a damaged chunk names the tensor and the chunk's offset. The matrix keeps
 * no pointer into the file. Close it before its device. */
ingot_status ingot_matrix_open(ingot_device *device, const ingot_file *file, uint32_t tensor,
                               uint64_t matrix_index, ingot_matrix **matrix, ingot_error *error);
ingot_status ingot_matrix_open_with(ingot_device *device, const ingot_file *file, uint32_t tensor,
                                    uint64_t matrix_index, const ingot_matrix_options *options,
                                    ingot_matrix **matrix, ingot_error *error);
/* Loads a matrix that was opened to be loaded later, and does nothing to one that is loaded. After
 * a failure it may be tried again. */
ingot_status ingot_matrix_load(ingot_matrix *matrix, ingot_error *error);
/* Sets *n_bytes to at least as many as the matrix would occupy on the device, on the CPU at most a
 * tenth more for matrices of some 100,000 weights, from the index: only codebooks are read. Loading
 * takes about as many again of host memory while it lasts. Fails where it can tell that loading
 * will: a device may still refuse a form of matrix. */
ingot_status ingot_matrix_forecast(const ingot_device *device, const ingot_file *file,
                                   uint32_t tensor, uint64_t matrix_index,
                                   const ingot_matrix_options *options, uint64_t *n_bytes,
                                   ingot_error *error);
void ingot_matrix_close(ingot_matrix *matrix);
uint64_t ingot_matrix_rows(const ingot_matrix *matrix);
uint64_t ingot_matrix_cols(const ingot_matrix *matrix);
/* Bytes the matrix occupies on its device, without what is in its place in the file; 0 while it is
 * not loaded. */
uint64_t ingot_matrix_resident_bytes(const ingot_matrix *matrix);
/* Turns an adapter on or off that a switchable matrix was opened with; else INGOT_NOT_FOUND. */
ingot_status ingot_matrix_switch(ingot_matrix *matrix, const char *adapter, bool on,
                                 ingot_error *error);

/* y = x * W^T: x is n x cols of INGOT_F32, INGOT_F16 or INGOT_BF16, y is n x rows of f32, both
 * row-major, in host memory and the caller's.
 * Error bound: |y - exact| <= 2 * K * 2^-24 * sum |w x| for K columns, w the decoded weights; for a
 * tensor of several terms the sum is over the weights of every term. A coding with a table of zeros
 * or with offsets counts as two terms: code * scale, and offset. It holds for
 * INGOT_ACTIVATIONS_F32. Results do not depend on the number of threads.
 * INGOT_DEVICE, saying what ran last, when the device is lost and the matrix with it, unless its
 * file outlives it (lazy, in_place): then it is loaded again. The device is opened anew, and what
 * is opened on it from then on works. */
ingot_status ingot_matmul(ingot_matrix *matrix, ingot_dtype x_dtype, const void *x, uint64_t n,
                          float *y, ingot_error *error);

#ifdef __cplusplus
}
#endif
#endif
