/* What a format gives the rest of the converter: one struct of functions a format. For the files of
 * convert/ that are formats, and model.c. */
#ifndef INGOT_CONVERT_MODEL_KIND_H
#define INGOT_CONVERT_MODEL_KIND_H

#include "convert/model.h"
#include "format/compiler.h"

/* Each function does what the function of model.h of the same name says. */
struct model_kind {
    const char *format;
    void (*close)(struct model *model);
    const ingot_file *(*container)(const struct model *model);
    uint32_t (*n_tensors)(const struct model *model);
    void (*tensor)(const struct model *model, uint32_t index, struct model_tensor *tensor);
    /* NULL where no tensor is ever one. */
    const struct composite *(*composite)(const struct model *model, uint32_t index);
    ingot_status (*find)(const struct model *model, const char *name, size_t name_bytes,
                         uint32_t *index);
    ingot_status (*decode_f32)(const struct model *model, uint32_t index, uint64_t first_row,
                               uint64_t n_rows, float *dst, ingot_error *error);
    ingot_status (*read_raw)(const struct model *model, uint32_t index, uint64_t offset,
                             uint64_t n_bytes, void *dst, ingot_error *error);
    /* NULL where no tensor is ever foreign. */
    ingot_status (*read_foreign)(const struct model *model, uint32_t index, uint64_t offset,
                                 uint64_t n_bytes, void *dst, ingot_error *error);
    /* NULL where no tensor has a place. */
    bool (*place)(const struct model *model, uint32_t index, struct model_place *place);
    struct span (*metadata)(const struct model *model);
    uint32_t (*n_attachments)(const struct model *model);
    void (*attachment)(const struct model *model, uint32_t index,
                       struct model_attachment *attachment);
    ingot_status (*read_attachment)(const struct model *model, uint32_t index, uint64_t offset,
                                    uint64_t n_bytes, void *dst, ingot_error *error);
    ingot_status (*source_blob)(const struct model *model, const uint32_t *attachment_blobs,
                                const struct progress *progress, struct source_passing *passing,
                                struct byte_buffer *out, struct model_hashes *hashes,
                                ingot_error *error);
    ingot_status (*unchanged)(const struct model *model, ingot_error *error);
    uint64_t (*source_bytes)(const struct model *model);
};

/* The first member of every format's model. */
struct model {
    const struct model_kind *kind;
    const ingot_allocator *allocator;
    uint32_t n_notes;
    struct byte_buffer notes; /* each ends with a zero byte */
};

/* Adds a note; the first failure to do so is told by notes.failed. */
void model_add_note(struct model *model, const char *format, ...) INGOT_PRINTF(2, 3);

/* Dimensions that are the stack and that end the rows of a tensor of a format that does not say
 * [spec 5.2]. A vector is one row. From rank 2 on the first dimension counts rows, as in [out, in]
 * and in convolutions; experts, which come as [experts, out, in], are a stack. */
void model_layout(const char *name, uint32_t name_bytes, uint32_t rank, uint8_t *stack,
                  uint8_t *split);

/* decode_f32 of a tensor held raw, through read_raw. */
ingot_status model_decode_raw(const struct model *model, uint32_t index, uint64_t first_row,
                              uint64_t n_rows, float *dst, ingot_error *error);
/* decode_f32 of a tensor of a foreign type that is carried and not understood. */
ingot_status model_refuse_foreign(const struct model_tensor *tensor, ingot_error *error);

/* Sets n_rows and n_cols from the dimensions and the split. */
void model_set_rows(struct model_tensor *tensor);

/* Puts the name of a source file before what an error says. */
void model_blame(ingot_error *error, const char *file_name);

/* A file or a part of one, given in pieces to whoever hashes it. */
enum { PIECE_BYTES = 1 << 20 };

#endif
