/* Rules of the specification and, for each, files that break it and nothing else. What one changed
 * field of the specimen can do is in rule_edits.h. */
#ifndef INGOT_TESTS_SUPPORT_RULE_FILES_H
#define INGOT_TESTS_SUPPORT_RULE_FILES_H

#include "tests/support/specimen.h"

struct rule_file {
    uint32_t rule;
    /* Begins, fills and seals a draft. */
    void (*make)(struct draft *d);
};

extern const struct rule_file rule_files[];
extern const uint32_t n_rule_files;

#endif
