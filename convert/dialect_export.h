/* Tensors of a container as a dialect's plain tensors, where those can hold their values exactly.
 */
#ifndef INGOT_CONVERT_DIALECT_EXPORT_H
#define INGOT_CONVERT_DIALECT_EXPORT_H

#include "convert/composite.h"
#include "format/sequences.h"

enum export_kind {
    EXPORT_CODES, /* of a sequence, packed */
    EXPORT_F32,   /* the entries of a table of plain floats, as f32 */
    EXPORT_BYTES  /* held here */
};

struct export_part {
    uint8_t kind; /* enum export_kind */
    char *name;   /* the whole name, not terminated; owned */
    uint32_t name_bytes;
    ingot_dtype dtype;
    uint32_t rank;
    uint64_t dims[INGOT_MAX_RANK];
    uint64_t n_bytes;
    bool first_high;               /* EXPORT_CODES */
    struct code_sequence sequence; /* EXPORT_CODES, EXPORT_F32 */
    struct byte_buffer bytes;      /* EXPORT_BYTES */
};

struct dialect_export {
    const ingot_file *file;
    uint32_t tensor;
    uint32_t first_stream;
    const struct ingot_coding *coding;
    struct stack_shape stack;
    ingot_tensor described;
    char label[32];      /* what it is then, for people */
    bool zero_signs;     /* some values that are 0 may become -0 */
    ingot_status status; /* of what was read to find out; then *error is set */
    ingot_error *error;
    char why_not[128]; /* it cannot be one of the dialect: why; else empty */
    uint32_t n_parts;
    struct export_part parts[COMPOSITE_MAX_PARTS];
};

struct dialect;
/* NULL when there is none of that name. */
const struct dialect *dialect_named(const char *name);
/* The names, joined by ", ". */
void dialect_names(char *text, size_t text_bytes);

/* Fills in *out, whose why_not says whether the tensor can be written so. Release it. */
ingot_status dialect_export_open(const struct dialect *dialect, const ingot_file *file,
                                 uint32_t tensor, struct dialect_export *out, ingot_error *error);
void dialect_export_release(struct dialect_export *x);
ingot_status dialect_export_read(const struct dialect_export *x, uint32_t part, uint64_t offset,
                                 uint64_t n_bytes, void *dst, ingot_error *error);

/* ------------------------------------------------------------------ for the dialects */

/* False, with that reason. */
bool export_refuse(struct dialect_export *x, const char *why);
/* A part whose name is the tensor's and then suffix; its bytes, dtype and shape are to follow. NULL
 * when memory is lacking. */
struct export_part *export_add(struct dialect_export *x, enum export_kind kind, const char *suffix);
/* The entries of a codebook, which are to be n_bytes long; false when they are not, or reading
 * failed. */
bool export_book(struct dialect_export *x, const struct ingot_coding *coding, uint64_t n_bytes,
                 uint8_t *dst);
/* Whether a coding is plain f32, f16 or bf16. */
bool export_plain_float(const struct ingot_coding *coding);

#endif
