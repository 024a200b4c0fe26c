/* Broken files for each rule of the specification: everything else about them is right, and the
 * library names that rule and no other. */
#include "tests/support/unit.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "format/coding.h"
#include "format/reader.h"
#include "format/rules.h"
#include "tests/support/judge.h"
#include "tests/support/rule_edits.h"
#include "tests/support/rule_files.h"

/* Checksum rules say that bytes changed after they were written. */
static ingot_status status_of(uint32_t rule)
{
    const bool damage = rule == R_104 || rule == R_124 || rule == R_201 || rule == R_310;
    return damage ? INGOT_DAMAGED : INGOT_INVALID;
}

/* Whether an error is about that rule and says where and what. */
static bool fits(const ingot_error *error, uint32_t rule, uint64_t n_bytes)
{
    return error->rule == rule && error->status == status_of(rule) && error->field[0] &&
           error->what[0] && (error->offset == INGOT_NO_OFFSET || error->offset <= n_bytes);
}

/* Returns whether the library names the rule and no other; prints what it says else. */
static bool names_rule(const struct draft *d, uint32_t rule)
{
    static struct judgement j;
    judge(d->file.data, d->file.n_bytes, &j);
    if (!j.opened) {
        if (fits(&j.error, rule, d->file.n_bytes)) return true;
        print_message("opening says R-%u, %s: %s\n", j.error.rule, j.error.field, j.error.what);
        return false;
    }
    if (j.status != INGOT_OK) {
        print_message("validation ends with %s\n", ingot_status_name(j.status));
        return false;
    }
    bool good = j.n_found > 0 && j.n_found <= JUDGE_MAX_FOUND;
    if (j.n_found == 0) print_message("nothing is found\n");
    for (uint64_t i = 0; i < j.n_found && i < JUDGE_MAX_FOUND; i++) {
        if (fits(&j.found[i], rule, d->file.n_bytes)) continue;
        print_message("the validator says R-%u, %s: %s\n", j.found[i].rule, j.found[i].field,
                      j.found[i].what);
        good = false;
    }
    return good;
}

static void test_edits(void **state)
{
    (void)state;
    uint32_t n_failed = 0;
    for (uint32_t i = 0; i < n_rule_edits; i++) {
        const struct rule_edit *edit = &rule_edits[i];
        struct draft d;
        rule_edit_make(&d, edit);
        if (!names_rule(&d, edit->rule)) {
            print_message("... for R-%u: place %u, record %u, offset %u = 0x%llx\n", edit->rule,
                          edit->place, edit->record, edit->offset, (unsigned long long)edit->value);
            n_failed++;
        }
        draft_release(&d);
    }
    assert_int_equal(n_failed, 0);
}

static void test_files(void **state)
{
    (void)state;
    uint32_t n_failed = 0;
    for (uint32_t i = 0; i < n_rule_files; i++) {
        struct draft d;
        rule_files[i].make(&d);
        if (!names_rule(&d, rule_files[i].rule)) {
            print_message("... for R-%u: file %u\n", rule_files[i].rule, i);
            n_failed++;
        }
        draft_release(&d);
    }
    assert_int_equal(n_failed, 0);
}

/* ---- what must not be refused ---- */

static void test_specimen_is_good(void **state)
{
    (void)state;
    struct draft d;
    specimen_begin(&d);
    draft_seal(&d);
    judge_good(d.file.data, d.file.n_bytes);
    draft_release(&d);
}

/* Fields whose other values a reader takes as well. */
static void test_allowed_edits(void **state)
{
    (void)state;
    static const struct rule_edit allowed[] = {
        {0, EDIT_HEADER, 0, 10, 2, 1}, /* later minor versions */
        {0, EDIT_HEADER, 0, 10, 2, UINT16_MAX},
        {0, EDIT_HEADER, 0, 12, 4, 0xffff0000},            /* flags that may be ignored */
        {0, EDIT_DIRECTORY, 0, 8 + 40 * 8, 4, UINT32_MAX}, /* another unknown section */
        {0, EDIT_DIRECTORY, 0, 8 + 40 * 8 + 4, 4, 2},      /* safe to copy */
        {0, EDIT_DIRECTORY, 0, 8 + 40 * 7 + 4, 4, 3},
        {0, DRAFT_BLOBS, BLOB_REPEAT, 0, 4, 99},  /* a blob to be skipped */
        {0, DRAFT_BLOBS, BLOB_REPEAT, 4, 4, 1},   /* an attachment must be understood */
        {0, DRAFT_TENSORS, TENSOR_INT4, 0, 8, 0}, /* a tensor without a name */
        {0, DRAFT_CODINGS, CODING_INT4, 20, 4, 31},
        {0, DRAFT_CODINGS, CODING_INT4, 36, 4, 0x80000000}, /* a zero of -0 */
        {0, DRAFT_STREAMS, STREAM_DENSE, 24, 8, 0},         /* no promise of a stride */
        {0, DRAFT_TERMS, TERM_AT_LORA, 1, 1, 2},
        {0, DRAFT_TENSORS, TENSOR_INT4, 8, 1, INGOT_I64}, /* the dtype is apart from the map */
    };
    for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++) {
        struct draft d;
        rule_edit_make(&d, &allowed[i]);
        judge_good(d.file.data, d.file.n_bytes);
        draft_release(&d);
    }
}

/* Drafts are refused by name; what a later version may have added is told to be of one. */
static void test_versions(void **state)
{
    static const struct {
        uint32_t version; /* minor above major */
        uint32_t rule;
        const char *told;
    } rows[] = {
        {0x00010000, 102, "draft"}, {0x00000002, 102, "version 2.0"}, {0x00010001, 401, "1.1"}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct rule_edit edit = {0, EDIT_HEADER, 0, 8, 4, rows[i].version};
        static struct judgement j;
        struct draft d;
        rule_edit_make(&d, &edit);
        if (rows[i].rule == 401) { /* a map that nobody knows, under that header */
            uint8_t header[64];
            memcpy(header, d.file.data, sizeof header);
            draft_release(&d);
            specimen_begin(&d);
            draft_set(&d, DRAFT_CODINGS, CODING_F32, 0, 1, 77);
            draft_seal(&d);
            memcpy(d.file.data, header, sizeof header);
            memcpy(d.file.data + d.file.n_bytes - 96 + 32, header + 56, 8);
            draft_fix_trailer(&d);
        }
        judge(d.file.data, d.file.n_bytes, &j);
        assert_false(j.opened);
        assert_int_equal(j.error.rule, rows[i].rule);
        if (strstr(j.error.what, rows[i].told) == NULL) fail_msg("%s", j.error.what);
        draft_release(&d);
    }
}

/* Complex values that are left as bits: a lone ref, and a ref with a patch. */
static void test_complex_refs(void **state)
{
    (void)state;
    struct draft d;
    specimen_begin(&d);
    const uint32_t raw = draft_coding(&d, MAP_UINT, 64, 0, "c64");
    for (uint32_t n_terms = 1; n_terms <= 2; n_terms++) {
        const uint32_t ref = draft_term(&d, TERM_REF, COMBINE_FIRST, UINT32_MAX, 0, 0);
        draft_set(&d, DRAFT_TERMS, ref, 60, 4, 0);
        draft_set_string(&d, DRAFT_TERMS, ref, 64, "complex", 7);
        if (n_terms == 2) {
            draft_term(&d, TERM_DENSE, COMBINE_XOR, raw, draft_stream(&d, "8 bytes.", 8, 8), 1);
        }
        draft_tensor(&d, n_terms == 1 ? "lone" : "patched", INGOT_C64, n_terms, 1, 1, 1);
    }
    draft_seal(&d);
    judge_good(d.file.data, d.file.n_bytes);
    draft_release(&d);
}

/* A chunk of 64 MiB is allowed. */
static void test_largest_chunk(void **state)
{
    (void)state;
    enum { N_BYTES = 67108864, ROOM = 65536 };
    uint8_t *zeros = calloc(1, N_BYTES), *packed = malloc(ROOM);
    const size_t n = ZSTD_compress(packed, ROOM, zeros, N_BYTES, 1);
    struct draft d;
    assert_false(ZSTD_isError(n));
    draft_begin(&d);
    draft_blob(&d, INGOT_BLOB_ATTACHMENT, "zeros",
               draft_packed_stream(&d, zeros, N_BYTES, packed, (uint32_t)n));
    draft_seal(&d);
    judge_good(d.file.data, d.file.n_bytes);
    draft_release(&d);
    free(packed);
    free(zeros);
}

/* ---- completeness ---- */

/* Rules that no file can break alone, and why. */
static const struct {
    uint32_t rule;
    const char *why;
} without_case[] = {
    {0, "none so far"},
};

static bool has_case(uint32_t rule)
{
    for (uint32_t i = 0; i < n_rule_edits; i++) {
        if (rule_edits[i].rule == rule) return true;
    }
    for (uint32_t i = 0; i < n_rule_files; i++) {
        if (rule_files[i].rule == rule) return true;
    }
    for (size_t i = 0; i < sizeof without_case / sizeof *without_case; i++) {
        if (without_case[i].rule == rule) return true;
    }
    return false;
}

static void test_every_rule_has_a_case(void **state)
{
    (void)state;
    static const uint32_t rules[] = {
#define RULE(number, text) number,
#include "rules.inc"
#undef RULE
    };
    static const char *const texts[] = {
#define RULE(number, text) text,
#include "rules.inc"
#undef RULE
    };
    uint32_t n_missing = 0;
    assert_null(ingot_rule_text(0));
    assert_null(ingot_rule_text(999));
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        assert_string_equal(ingot_rule_text(rules[i]), texts[i]);
        if (has_case(rules[i])) continue;
        print_message("R-%u has no case: %s\n", rules[i], ingot_rule_text(rules[i]));
        n_missing++;
    }
    for (size_t i = 0; i < sizeof without_case / sizeof *without_case; i++) {
        if (without_case[i].rule == 0) continue;
        print_message("note: R-%u has no case: %s\n", without_case[i].rule, without_case[i].why);
    }
    print_message("%zu rules, %u cases\n", sizeof rules / sizeof *rules,
                  n_rule_edits + n_rule_files);
    assert_int_equal(n_missing, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_specimen_is_good),
        cmocka_unit_test(test_allowed_edits),
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_complex_refs),
        cmocka_unit_test(test_largest_chunk),
        cmocka_unit_test(test_edits),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_every_rule_has_a_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
