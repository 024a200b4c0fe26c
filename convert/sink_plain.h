/* What targets have in common that are one header and then each tensor as one run of bytes: plain
 * numbers, or the blocks that it came in. For the files sink_*.c that are such targets. */
#ifndef INGOT_CONVERT_SINK_PLAIN_H
#define INGOT_CONVERT_SINK_PLAIN_H

#include "convert/dialect.h"
#include "convert/repack.h"
#include "convert/sink.h"
#include "format/output.h"

/* A tensor as the file is to hold it. */
struct plain_tensor {
    uint32_t index;                     /* in the model */
    bool cast;                          /* its values, in dtype; else its own bytes */
    bool foreign;                       /* those of foreign blocks */
    const struct encoding *encoding;    /* what its blocks are made by, or NULL */
    const struct gguf_type *block_type; /* when there is one */
    const struct repack *repack; /* blocks that hold its values exactly, or NULL; the sink's */
    /* One of several tensors that it becomes: as its source has them, or as a dialect has them. */
    const struct composite *composite;
    struct dialect_export *exported; /* the sink's, owned by part 0 */
    uint32_t part;
    ingot_dtype dtype;
    uint32_t type; /* the format's number for what it holds */
    const char *name;
    uint32_t name_bytes;
    uint32_t rank;
    uint64_t dims[INGOT_MAX_RANK];
    uint64_t offset; /* after the header */
    uint64_t n_bytes;
};

struct refusal {
    char why[320];
};

struct plain_sink {
    struct conversion *c;
    const struct plain_format *format;
    struct output *output;
    struct ingot_pool *pool; /* when any tensor has an encoding */
    uint32_t n_tensors;
    struct plain_tensor *tensors;
    uint32_t capacity;
    uint64_t alignment; /* of the tensors' bytes; the last one is filled up to it as well */
    struct byte_buffer header;
    uint32_t n_metadata_lost;
    ingot_error *error;
};

struct plain_format {
    const char *name;         /* in messages: "safetensors" */
    bool has_blocks;          /* of ggml: a tensor that they hold exactly is repacked */
    bool has_parts;           /* several tensors may be what one is */
    ingot_dtype vector_dtype; /* that any cast gives tensors of one dimension; 0: the cast's own */
    /* Fills in p->type. False, and why, when the format cannot hold the tensor so. */
    bool (*place)(const struct model_tensor *t, struct plain_tensor *p, struct refusal *refusal);
    /* The order of tensors in the file; NULL: the model's. */
    int (*order)(const void *left, const void *right);
    /* Sets the alignment; NULL: it is 1. */
    ingot_status (*align)(struct plain_sink *s);
    /* Fills in the header, all bytes before the first tensor's. */
    ingot_status (*header)(struct plain_sink *s);
};

/* False when memory is lacking. */
bool plain_append(struct plain_sink *s, const struct plain_tensor *p);
/* Places a tensor that becomes several, of which p is what is known; *placed is false when it is
 * none, and then why may be told. */
ingot_status plain_place_parts(struct plain_sink *s, const struct model_tensor *t,
                               const struct plain_tensor *p, struct refusal *refusal, bool *placed);
ingot_status plain_read_part(const struct plain_tensor *p, uint64_t offset, uint64_t n_bytes,
                             void *dst, ingot_error *error);
/* Of all parts. */
uint64_t plain_parts_bytes(const struct plain_tensor *p);
/* INGOT_REFUSED when two have one name, which parts may make. */
ingot_status plain_check_names(const struct plain_sink *s);

/* Writes the blocks of a tensor that has an encoding, with the error that they make. Takes memory
 * for the encoded tensor. */
ingot_status sink_encode_blocks(struct plain_sink *s, const struct plain_tensor *p,
                                struct tensor_error *e);
/* INGOT_REFUSED, after a call of the options' refused for each of them, when there are tensors that
 * the format cannot hold. */
ingot_status plain_write(struct conversion *c, const struct plain_format *format,
                         ingot_error *error);
ingot_status plain_plan(struct conversion *c, const struct plain_format *format,
                        struct convert_plan *plan, ingot_error *error);

#endif
