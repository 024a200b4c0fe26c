/* Opening and validating, with what was found. */
#include "tests/support/unit.h"

#include "tests/support/judge.h"

#include <stdlib.h>
#include <string.h>

static void keep(void *context, const ingot_error *violation)
{
    struct judgement *j = context;
    if (j->n_found < JUDGE_MAX_FOUND) j->found[j->n_found] = *violation;
    j->n_found++;
}

void judge_file(const ingot_file *file, struct judgement *j)
{
    const struct validate_report report = {.context = j, .found = keep};
    uint64_t n_violations = 0;
    *j = (struct judgement){.opened = true};
    j->status = ingot_file_validate(file, &report, &n_violations, &j->error);
    if (j->status == INGOT_OK) assert_int_equal(n_violations, j->n_found);
}

void judge(const void *bytes, uint64_t n_bytes, struct judgement *j)
{
    uint8_t *copy = malloc(n_bytes ? n_bytes : 1);
    ingot_file *file = NULL;
    ingot_error error = {0};
    assert_non_null(copy);
    if (n_bytes) memcpy(copy, bytes, n_bytes);
    const ingot_status status = ingot_file_open_memory(copy, n_bytes, NULL, &file, &error);
    if (status == INGOT_OK) {
        judge_file(file, j);
        ingot_file_close(file);
    } else {
        assert_null(file);
        assert_int_equal(error.status, status);
        *j = (struct judgement){.status = status, .error = error};
    }
    free(copy);
}

void judge_good(const void *bytes, uint64_t n_bytes)
{
    struct judgement j;
    judge(bytes, n_bytes, &j);
    if (!j.opened) fail_msg("R-%u: %s: %s", j.error.rule, j.error.field, j.error.what);
    assert_int_equal(j.status, INGOT_OK);
    if (j.n_found) {
        fail_msg("R-%u: %s: %s", j.found[0].rule, j.found[0].field, j.found[0].what);
    }
}
