/* A model in any supported format, seen the same way: tensors that are read lazily, metadata,
 * attached files. Who uses it does not know the format; each format is one file and one row in
 * model.c. */
#ifndef INGOT_MODEL_H
#define INGOT_MODEL_H

#include "convert/assume.h"
#include "format/buffer.h"
#include "format/bytes.h"
#include "format/ingot.h"

struct model;

/* Hears how far a long job is: done of total bytes, called often. */
struct progress {
    void *context;
    void (*report)(void *context, const char *what, uint64_t done_bytes, uint64_t total_bytes);
};

/* The blocks of a foreign format, whose bytes are carried as they are. */
struct model_foreign {
    const char *name; /* "ggml:Q4_K"; lives as long as the model; NULL: the tensor is not foreign */
    uint32_t block_weights; /* along the rows; 0 when the type's blocks are not known */
    uint32_t block_bytes;
    uint64_t n_bytes; /* of the whole tensor, rows one after the other */
};

struct model_tensor {
    const char *name;
    uint32_t name_bytes;
    uint32_t number; /* in the source: differs from the index where some were left out */
    ingot_dtype dtype;
    uint32_t rank;
    uint64_t dims[INGOT_MAX_RANK];
    uint8_t stack; /* the tensor as a stack of matrices, as in the specification's chapter 5 */
    uint8_t split;
    uint64_t n_rows; /* over the whole stack */
    uint64_t n_cols;
    uint64_t stored_bytes;        /* in the source, with tables and masks */
    const char *encoding;         /* for people: "bf16", "int4-g32"; lives as long as the model */
    bool raw;                     /* model_read_raw works: the bits are those of dtype */
    struct model_foreign foreign; /* model_read_foreign works where it has a name */
};

struct model_attachment {
    const char *name; /* a safe path */
    uint64_t n_bytes;
};

/* Opens one or more paths as one model: an .ingot file, safetensors files, the parts of a GGUF file
 * or the first of them, a folder, or an archive that holds one. */
ingot_status model_open(const char *const *paths, uint32_t n_paths,
                        const ingot_allocator *allocator, struct model **model, ingot_error *error);
/* The same, with what the user said of sources that leave a doubt. */
ingot_status model_open_assuming(const char *const *paths, uint32_t n_paths,
                                 const struct assumptions *assumptions,
                                 const ingot_allocator *allocator, struct model **model,
                                 ingot_error *error);
void model_close(struct model *model);
const char *model_format(const struct model *model); /* "safetensors", "ingot" */
/* The open container when the model is an .ingot file, else NULL. */
const ingot_file *model_container(const struct model *model);

uint32_t model_n_tensors(const struct model *model);
void model_tensor(const struct model *model, uint32_t index, struct model_tensor *tensor);
ingot_status model_find(const struct model *model, const char *name, size_t name_bytes,
                        uint32_t *index);
/* What a tensor that the source holds as several ones is made of (see composite.h), as long as the
 * model lives; NULL for any other. */
struct composite;
const struct composite *model_composite(const struct model *model, uint32_t index);
/* The tensor that this one is another name of; INGOT_NONE when there is none, or it is left out. */
uint32_t model_alias_of(const struct model *model, uint32_t index);
/* Rows of the stack as f32. */
ingot_status model_decode_f32(const struct model *model, uint32_t index, uint64_t first_row,
                              uint64_t n_rows, float *dst, ingot_error *error);
/* Logical bytes, in C order. */
ingot_status model_read_raw(const struct model *model, uint32_t index, uint64_t offset,
                            uint64_t n_bytes, void *dst, ingot_error *error);

/* Bytes of a tensor of a foreign type: INGOT_REFUSED of any other. */
ingot_status model_read_foreign(const struct model *model, uint32_t index, uint64_t offset,
                                uint64_t n_bytes, void *dst, ingot_error *error);

/* The metadata as a blob [spec 8.1]; lives as long as the model. */
struct span model_metadata(const struct model *model);

uint32_t model_n_attachments(const struct model *model);
void model_attachment(const struct model *model, uint32_t index,
                      struct model_attachment *attachment);
ingot_status model_read_attachment(const struct model *model, uint32_t index, uint64_t offset,
                                   uint64_t n_bytes, void *dst, ingot_error *error);

/* Where the bytes of a tensor lie, all of them and as model_read_raw or model_read_foreign gives
 * them. The input belongs to the model. */
struct input;
struct model_place {
    const struct input *input;
    uint64_t offset;
    uint64_t n_bytes;
};
/* False when that is not known. */
bool model_place(const struct model *model, uint32_t index, struct model_place *place);

/* XXH3-128 of the bytes of each tensor and each attachment, in canonical order, as they were when
 * the hash of their file was made. The caller owns both arrays, one entry a tensor or attachment.
 */
struct model_hashes {
    uint8_t (*tensors)[16];
    uint8_t (*attachments)[16];
};
/* Appends the source blob [spec 8.2]: tensor i of the model is tensor i of the container, and
 * attachment i is blob attachment_blobs[i]. Reads every source file once for its hash, and gives
 * the hashes of their parts from the same reading; but of a file that has passed not its tensors,
 * whose hashes are left as they are. INGOT_NOT_FOUND when the model is a container that has no
 * source blob. progress and passing may be NULL. */
struct source_passing;
ingot_status model_source_blob(const struct model *model, const uint32_t *attachment_blobs,
                               const struct progress *progress, struct source_passing *passing,
                               struct byte_buffer *out, struct model_hashes *hashes,
                               ingot_error *error);
/* INGOT_REFUSED when a source file changed since it was opened. */
ingot_status model_unchanged(const struct model *model, ingot_error *error);

/* Length of all source files together. */
uint64_t model_source_bytes(const struct model *model);

/* What was decided or left out when the model was opened, for people: one sentence each. The text
 * lives as long as the model. */
uint32_t model_n_notes(const struct model *model);
const char *model_note(const struct model *model, uint32_t index);

#endif
