/* What a file's receipt says that tensors lost, held against what was measured. */
#ifndef CLI_CHECK_RECEIPT_H
#define CLI_CHECK_RECEIPT_H

#include "cli/pairs.h"
#include "format/buffer.h"

/* The text of a receipt and of its entries. Begin with {0}; release in any case. */
struct receipt_check {
    struct byte_buffer text;
    struct byte_buffer entries; /* struct span each, by the number of the tensor */
};

/* A file without a receipt, or whose receipt has no list of tensors, has nothing to check. */
ingot_status receipt_check_open(struct receipt_check *check, const struct model *model,
                                ingot_error *error);
void receipt_check_release(struct receipt_check *check);

/* A figure that is not what is measured. */
struct receipt_figure {
    const char *key;
    double stored, measured; /* infinite where nothing is lost */
};

/* False, with the first such figure, when the entry of a tensor deviates from a pair of the source
 * and the model. An entry that names another type of source says nothing about this one. */
bool receipt_check_pair(const struct receipt_check *check, const struct model *source,
                        const struct model *model, const struct pair *pair,
                        struct receipt_figure *figure);

#endif
