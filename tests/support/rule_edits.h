/* Rules of the specification and, for each, single fields of the specimen that break it and nothing
 * else, all checksums being right. What takes more than one field is in
 * rule_files.h. */
#ifndef INGOT_TESTS_SUPPORT_RULE_EDITS_H
#define INGOT_TESTS_SUPPORT_RULE_EDITS_H

#include "tests/support/specimen.h"

/* Where a field is. Places up to DRAFT_FILES are records of that section; these are the others. */
enum edit_place {
    EDIT_STREAM = 100, /* raw bytes of stream `record`; hashes follow */
    EDIT_HEADER,       /* the header; its checksums follow */
    EDIT_DIRECTORY,    /* the index; its checksum follows */
    EDIT_TRAILER,      /* the trailer; its checksum follows */
    EDIT_FILE_BYTES,   /* the file; nothing follows */
    EDIT_TRAILER_BYTES /* the trailer; nothing follows */
};

struct rule_edit {
    uint32_t rule;
    uint32_t place;
    uint32_t record;
    uint32_t offset;
    uint32_t n_bytes;
    uint64_t value;
};

extern const struct rule_edit rule_edits[];
extern const uint32_t n_rule_edits;

/* Makes the specimen with that one field changed, and seals it. */
void rule_edit_make(struct draft *d, const struct rule_edit *edit);

#endif
