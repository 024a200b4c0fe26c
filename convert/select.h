/* A model of which some tensors and attachments are left out. It looks like any other, so nothing
 * else knows of it; only it has no source blob once something is left out. */
#ifndef INGOT_CONVERT_SELECT_H
#define INGOT_CONVERT_SELECT_H

#include "convert/model.h"

/* Patterns as in glob.h. A tensor stays when no include is given or one matches its name, and no
 * exclude does. An attachment stays unless an exclude matches its name: includes are about tensors,
 * and configuration and tokenizer belong to any part of a model. */
struct selection {
    const char *const *includes;
    uint32_t n_includes;
    const char *const *excludes;
    uint32_t n_excludes;
};

/* INGOT_REFUSED, naming it, when a pattern matches nothing. On success *model is the selection of
 * `all`, which it closes with itself; on failure `all` stays the caller's. Notes of `all` are notes
 * of it, and one says what was left out. */
ingot_status model_select(struct model *all, const struct selection *selection,
                          const ingot_allocator *allocator, struct model **model,
                          ingot_error *error);

/* What the model that was opened had and a selection has not; 0 of any other model. */
struct left_out {
    uint32_t n_tensors;
    uint32_t n_attachments;
};
struct left_out model_left_out(const struct model *model);

#endif
