/* What the library says of a file in memory: opened and, when that goes well, validated. */
#ifndef INGOT_TESTS_SUPPORT_JUDGE_H
#define INGOT_TESTS_SUPPORT_JUDGE_H

#include "format/reader.h"

enum { JUDGE_MAX_FOUND = 64 };

struct judgement {
    bool opened;
    ingot_status status;                /* of opening, or of validating */
    ingot_error error;                  /* when it was not opened */
    uint64_t n_found;                   /* violations by the validator */
    ingot_error found[JUDGE_MAX_FOUND]; /* the first of them */
};

/* The bytes are copied to memory of exactly their length, so that a read past them is found. */
void judge(const void *bytes, uint64_t n_bytes, struct judgement *j);

/* The same for a file that is open. */
void judge_file(const ingot_file *file, struct judgement *j);

/* Fails the test when the file breaks any rule. */
void judge_good(const void *bytes, uint64_t n_bytes);

#endif
