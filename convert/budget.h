/* Encodings under a size: of each tensor's candidates the one that, over the whole model, leaves
 * the least error in that many bytes. Knows numbers alone. */
#ifndef INGOT_CONVERT_BUDGET_H
#define INGOT_CONVERT_BUDGET_H

#include "format/ingot.h"

enum { BUDGET_MAX_OPTIONS = 12 };

struct budget_option {
    uint64_t n_bytes;
    double error;
};

/* Tensors that share their choice: their bytes and errors are summed. */
struct budget_group {
    uint32_t n_options;
    struct budget_option options[BUDGET_MAX_OPTIONS];
    uint32_t chosen; /* set by budget_choose */
};

/* Chooses for all groups at most max_bytes together. Options off a group's lower convex hull are
 * not taken; steps along the hulls are, by error saved a byte, until the next would be too much:
 * what one multiplier for all gives. Then what still fits. The result depends on the numbers alone.
 * False, with *least, when the smallest options of all are too much; INGOT_NO_MEMORY is a false
 * with *least 0. */
bool budget_choose(struct budget_group *groups, uint32_t n_groups, uint64_t max_bytes,
                   uint64_t *least);

#endif
