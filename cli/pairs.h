/* Two models, tensor by tensor. */
#ifndef CLI_PAIRS_H
#define CLI_PAIRS_H

#include <jansson.h>

#include "cli/progress.h"
#include "cli/table.h"
#include "convert/convert.h"

enum pair_verdict {
    PAIR_SAME_BITS,   /* both held in the same form, every bit equal */
    PAIR_SAME_VALUES, /* every value equal */
    PAIR_DIFFERENT,
    PAIR_REFUSED, /* could not be compared: why */
    PAIR_ONLY_A,
    PAIR_ONLY_B,
    N_PAIR_VERDICTS
};

/* All pointers die with the call that gets them. */
struct pair {
    enum pair_verdict verdict;
    bool both_raw;    /* bits could be compared */
    bool same_blocks; /* one holds the other's foreign blocks as streams */
    bool reshaped;    /* the shapes are equal but for dimensions of 1 */
    const char *name; /* in A, or in B when it is only there */
    uint32_t name_bytes;
    uint32_t a; /* index in model A, or INGOT_NONE */
    uint32_t b;
    bool measured; /* error is set */
    struct tensor_error error;
    ingot_error why;
};

struct pair_visitor {
    void *context;
    void (*visit)(void *context, const struct pair *pair);
    const uint32_t *partners; /* of each tensor of A, that of B or INGOT_NONE; each at most once.
                                 NULL: the one of the same name */
    uint64_t counts[N_PAIR_VERDICTS]; /* filled by pairs_visit */
    uint64_t n_reshaped;              /* likewise */
};

/* Visits the tensors of A in order, then those that only B has. Fails when the system does. */
ingot_status pairs_visit(const struct model *a, const struct model *b, struct progress_bar *bar,
                         struct pair_visitor *visitor, ingot_error *error);

/* Results kept for printing. Begin with {0} and pairs_list_begin; visit with pairs_list_visit. */
struct pairs_list {
    const struct model *a;
    const struct model *b;
    struct table table;
    json_t *json; /* NULL: keep the table, else the array */
    bool failed;
};
void pairs_list_begin(struct pairs_list *list, const struct model *a, const struct model *b,
                      bool as_json);
void pairs_list_visit(void *context, const struct pair *pair);
/* "28 tensors: 20 identical, 8 different" on stdout, and as n_identical... */
void pairs_print_totals(const struct pair_visitor *visitor);
void pairs_put_totals(json_t *object, const struct pair_visitor *visitor, bool *failed);
void pairs_list_release(struct pairs_list *list);

#endif
