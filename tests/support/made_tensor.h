/* Tensors made up at random: up to three terms of any kind, mask and coding, maybe with factors of
 * rows.
 */
#ifndef INGOT_TESTS_SUPPORT_MADE_TENSOR_H
#define INGOT_TESTS_SUPPORT_MADE_TENSOR_H

#include "format/writer.h"
#include "tests/support/made.h"

enum { MADE_MAX_TERMS = 3 };

/* A tensor made up at random, with its streams. */
struct made_tensor {
    struct made made;
    struct stack_shape stack;
    struct writer_term terms[MADE_MAX_TERMS];
    struct writer_tensor tensor;
    bool has_magnitude;
};

/* Release its `made` with made_release. */
void made_tensor_make(struct made_tensor *m, struct random *random);
void made_tensor_write(struct made_tensor *m, ingot_writer *writer);

#endif
