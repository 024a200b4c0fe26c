/* The parts of the validator; ingot_file_validate in reader.h is the whole. */
#ifndef INGOT_VALIDATE_H
#define INGOT_VALIDATE_H

#include "format/file.h"
#include "format/intern.h"
#include "format/rules.h"
#include "format/source_follow.h"

struct validation {
    const ingot_file *file;
    const struct validate_report *report;
    struct source_follow *follow; /* of the source files, as chunks are checked; may be NULL */
    uint64_t n_violations;
    uint64_t done_bytes;
    uint64_t total_bytes;
};

/* Counts and reports a violation. Returns INGOT_OK for what the input is to blame for, and the
 * status itself for what it is not (no memory). */
ingot_status violation(struct validation *v, ingot_status status, const ingot_error *error);

ingot_status validate_tensors(struct validation *v);
ingot_status validate_blobs(struct validation *v);
/* The text of a receipt (8.3). Its memory is that of the largest value in it. */
ingot_status validate_receipt(struct span bytes, const ingot_allocator *allocator,
                              ingot_error *error);

/* Whether `key` is new among those seen; else the rule is broken at the offset. */
ingot_status validate_unique(struct intern *seen, const char *key, uint32_t n_bytes,
                             enum ingot_rule rule, uint64_t offset, ingot_error *error);

#endif
