/* What the rest of the library sees of an open file, beyond ingot.h: terms, codings and streams.
 * Everything returned was proved when the file was opened. */
#ifndef INGOT_READER_H
#define INGOT_READER_H

#include "format/bytes.h"
#include "format/coding.h"
#include "format/ingot.h"

enum term_kind { TERM_DENSE = 1, TERM_SPARSE = 2, TERM_LOWRANK = 3, TERM_REF = 4 };
enum term_combine { COMBINE_FIRST = 0, COMBINE_ADD = 1, COMBINE_SET = 2, COMBINE_XOR = 3 };
enum term_mask {
    MASK_NONE = 0,
    MASK_BITMAP = 1,
    MASK_TWO_OF_FOUR = 2,
    MASK_COLUMNS = 3,
    MASK_ROWS = 4,
    MASK_BLOCKS = 5,
    MASK_LIST = 6
};

/* A term as the index has it. Pointers live as long as the file. */
struct file_term {
    uint32_t number; /* of the term record */
    uint8_t kind;
    uint8_t combine;
    uint8_t mask;
    bool optional;
    const char *name;
    uint32_t name_bytes;
    const struct ingot_coding *coding;    /* NULL for a ref */
    const struct ingot_coding *coding_b;  /* lowrank, else NULL */
    const struct ingot_coding *magnitude; /* lowrank with DoRA, else NULL */
    float multiplier;
    uint32_t rank;
    uint32_t block_rows;
    uint32_t block_cols;
    uint64_t n_kept;
    uint32_t first_stream;
    uint32_t n_streams;
};

struct tensor_layout {
    uint8_t stack; /* leading dimensions that are the stack */
    uint8_t split; /* leading dimensions up to the last row dimension */
    struct stack_shape shape;
};

void ingot_file_term(const ingot_file *file, uint32_t tensor, uint32_t term, struct file_term *out);
struct tensor_layout ingot_file_layout(const ingot_file *file, uint32_t tensor);
/* Whether a tensor is held raw in this file [5.3]. */
bool ingot_file_held_raw(const ingot_file *file, uint32_t tensor);
/* Whether ingot_file_read_raw gives its bits: held raw, or a ref to a tensor whose bits are given,
 * or such a ref and an xor of the bits. */
bool ingot_file_has_raw(const ingot_file *file, uint32_t tensor);

/* The number of bytes, of about that size, by which ingot_file_read_raw decodes no chunk twice. */
uint64_t ingot_file_raw_step(const ingot_file *file, uint32_t tensor, uint64_t about);

/* The coding of the factors that each row of the tensor is multiplied by after the sum of its
 * terms, and its first stream; NULL when there are none. */
const struct ingot_coding *ingot_file_rescale(const ingot_file *file, uint32_t tensor,
                                              uint32_t *first_stream);

/* What a ref term names. Pointers live as long as the file. */
struct file_ref {
    const uint8_t *content_id; /* algorithm 1: 16 bytes */
    const char *name;          /* where the file may be found, beside this one */
    uint32_t name_bytes;
    const char *target; /* the tensor there */
    uint32_t target_bytes;
};
void ingot_file_ref(const ingot_file *file, const struct file_term *term, struct file_ref *ref);

/* The open file and the tensor there that a ref term of `tensor` names, of the same type and shape.
 * INGOT_NOT_FOUND when the file is not at hand. */
ingot_status ingot_file_follow(const ingot_file *file, uint32_t tensor,
                               const struct file_term *term, const ingot_file **base,
                               uint32_t *target, ingot_error *error);

uint64_t ingot_file_stream_bytes(const ingot_file *file, uint32_t stream);
/* Of its chunks as they are stored. */
uint64_t ingot_file_stream_stored_bytes(const ingot_file *file, uint32_t stream);
/* Raw bytes of each chunk of the stream but its last. */
uint64_t ingot_file_chunk_bytes(const ingot_file *file, uint32_t stream);
/* Checks every chunk that the range touches. */
ingot_status ingot_file_read_stream(const ingot_file *file, uint32_t stream, uint64_t offset,
                                    uint64_t n_bytes, void *dst, ingot_error *error);
/* The same on a pool (NULL: on this thread), many chunks at a time. The error is that of the first
 * bad chunk. */
struct ingot_pool;
ingot_status ingot_file_load_stream(const ingot_file *file, uint32_t stream, uint64_t offset,
                                    uint64_t n_bytes, struct ingot_pool *pool, void *dst,
                                    ingot_error *error);
/* Where a range lies in the file, if it is stored and in one piece there, else NULL. Nothing of it
 * is read. */
const uint8_t *ingot_file_stream_place(const ingot_file *file, uint32_t stream, uint64_t offset,
                                       uint64_t n_bytes);
/* Checks every chunk that a range of the stream touches. */
ingot_status ingot_file_check_stream(const ingot_file *file, uint32_t stream, uint64_t offset,
                                     uint64_t n_bytes, struct ingot_pool *pool, ingot_error *error);
/* Lets the system read n_bytes at a place in the file ahead of their use. */
void ingot_file_expect(const ingot_file *file, const uint8_t *place, uint64_t n_bytes);
/* Points *data into the file when the range is stored and lies in one piece there, after checking
 * its chunks; else sets it to NULL. */
ingot_status ingot_file_map_stream(const ingot_file *file, uint32_t stream, uint64_t offset,
                                   uint64_t n_bytes, const uint8_t **data, ingot_error *error);

/* Index of the blob of that kind and (for attachments) name; INGOT_NONE when there is none. */
uint32_t ingot_file_find_blob(const ingot_file *file, uint32_t kind, const char *name,
                              size_t name_bytes);
/* The content id as stored: algorithm 1, 16 bytes. */
const uint8_t *ingot_file_content_id(const ingot_file *file);
uint64_t ingot_file_bytes(const ingot_file *file);
/* The minor version that the file says it is of; the major one is 1. */
uint32_t ingot_file_minor(const ingot_file *file);

/* Checks every rule that opening did not [chapter 11, "data"]: all chunks, hashes, padding, masks,
 * blobs, content id. Each violation goes to `found` (which may be called any number of times);
 * `progress` (may be NULL) hears of the bytes checked so far. Returns INGOT_OK when the whole file
 * could be gone through, whatever was found; *n_violations counts. */
struct validate_report {
    void *context;
    void (*found)(void *context, const ingot_error *violation);
    void (*progress)(void *context, uint64_t done_bytes, uint64_t total_bytes);
    struct ingot_pool *pool; /* decodes chunks ahead; may be NULL */
};
ingot_status ingot_file_validate(const ingot_file *file, const struct validate_report *report,
                                 uint64_t *n_violations, ingot_error *error);

#endif
