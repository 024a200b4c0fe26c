/* Source files whose tensors pass on their way into a target, in the order in which they lie there:
 * the files' hashes are made of the same reading, and no second one is needed. A file whose tensors
 * come in another order is lost, and has to be read again. */
#ifndef INGOT_CONVERT_SOURCE_PASSING_H
#define INGOT_CONVERT_SOURCE_PASSING_H

#include "convert/hash.h"
#include "convert/input.h"
#include "convert/model.h"

/* What has passed of one file. */
struct passed_file {
    const struct input *input;
    uint64_t n_bytes;      /* from its first byte on */
    XXH3_state_t *whole;   /* of all of them */
    XXH3_state_t *between; /* of those that are no tensor's */
    uint64_t end;          /* of the tensors, in the order of the model, while they are listed */
    bool lost;
};

struct source_passing;

/* Of a model all of whose tensors will pass, in its order. *passing is NULL when the model does not
 * tell where its tensors lie, or has more files than are worth it. */
ingot_status source_passing_create(const struct model *model, const ingot_allocator *allocator,
                                   struct source_passing **passing, ingot_error *error);
/* Takes NULL. */
void source_passing_close(struct source_passing *passing);

/* The bytes of a tensor from `offset` on, as its file holds them: after those that passed before
 * them. What lies between is read. */
ingot_status source_passing_tensor(struct source_passing *passing, uint32_t tensor, uint64_t offset,
                                   const void *bytes, uint64_t n_bytes, ingot_error *error);
/* NULL when the file is lost, or `passing` is NULL. */
struct passed_file *source_passing_file(struct source_passing *passing, const struct input *input);

/* The next bytes of a file; of_tensor: they belong to one. */
void passed_file_add(struct passed_file *file, const void *bytes, uint64_t n_bytes, bool of_tensor);

#endif
