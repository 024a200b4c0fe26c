/* A model that is made of another one: what most of its calls have in common, which is to pass on.
 * For the files that are such models. */
#ifndef INGOT_CONVERT_MODEL_OVER_H
#define INGOT_CONVERT_MODEL_OVER_H

#include "convert/model_kind.h"

/* The first member of each. */
struct model_over {
    struct model model;
    struct model_kind kind; /* with the name of the format of the model under it */
    struct model *under;
    uint32_t n_tensors;
};

/* Of zeroed memory. */
void model_over_begin(struct model_over *over, const struct model_kind *kind, struct model *under,
                      const ingot_allocator *allocator);
/* Takes the notes of the model under it, which model.notes.failed may tell of. */
void model_over_take_notes(struct model_over *over);
struct model *model_under(const struct model *model);

const ingot_file *model_over_container(const struct model *model);
uint32_t model_over_n_tensors(const struct model *model);
struct span model_over_metadata(const struct model *model);
ingot_status model_over_unchanged(const struct model *model, ingot_error *error);
uint64_t model_over_source_bytes(const struct model *model);

uint32_t model_over_n_attachments(const struct model *model);
void model_over_attachment(const struct model *model, uint32_t index,
                           struct model_attachment *attachment);
ingot_status model_over_read_attachment(const struct model *model, uint32_t index, uint64_t offset,
                                        uint64_t n_bytes, void *dst, ingot_error *error);

/* Those of them that none replaces, as rows of its model_kind. */
#define MODEL_OVER_CALLS                                                  \
    .container = model_over_container, .n_tensors = model_over_n_tensors, \
    .metadata = model_over_metadata, .unchanged = model_over_unchanged,   \
    .source_bytes = model_over_source_bytes

/* And of those that have all attachments. */
#define MODEL_OVER_ATTACHMENTS                                                      \
    .n_attachments = model_over_n_attachments, .attachment = model_over_attachment, \
    .read_attachment = model_over_read_attachment

#endif
