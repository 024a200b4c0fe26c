/* Forms of tensors in source files: what gives bytes again, and what breaks a rule. */
#include "tests/support/unit.h"

#include <string.h>

#include "format/output.h"
#include "tests/support/form_files.h"
#include "tests/support/judge.h"
#include "tests/support/packed_model.h"

static void assert_ok(ingot_status status, const ingot_error *error)
{
    if (status != INGOT_OK) fail_msg("%s: %s", error->field, error->what);
}

/* The rule that a file breaks; 0 for none. */
static uint32_t rule_of(const struct form_file *f)
{
    static struct judgement judged;
    struct byte_buffer bytes = {0};
    form_file_make(f, &bytes);
    judge(bytes.data, bytes.n_bytes, &judged);
    buffer_release(&bytes);
    if (!judged.opened || judged.status != INGOT_OK) fail_msg("%s", judged.error.what);
    return judged.n_found ? judged.found[0].rule : 0;
}

static void test_forms(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < n_form_files; i++) {
        const uint32_t rule = rule_of(&form_files[i]);
        if (rule != form_files[i].rule) fail_msg("case %u: R-%u", i, rule);
    }
}

/* Codes at any offset, in pieces of any length. */
static void test_pieces(void **state)
{
    static const struct ingot_coding nine = {
        .map = MAP_UINT, .bits = 9, .codebook_stream = INGOT_NONE};
    struct byte_buffer bytes = {0};
    struct output *output;
    struct code_sequence sequence;
    struct file_term term;
    ingot_writer *writer;
    ingot_file *file;
    ingot_error error = {0};
    uint32_t index;
    uint8_t whole[12] = {0}, part[12];
    (void)state;
    assert_ok(output_to_memory(&bytes, NULL, &output, &error), &error);
    assert_ok(ingot_writer_over(output, INGOT_COMPRESS_NONE, NULL, &writer, &error), &error);
    packed_model_write(writer, NULL);
    assert_ok(ingot_writer_finish(writer, &error), &error);
    ingot_writer_close(writer);
    assert_ok(ingot_file_open_memory(bytes.data, bytes.n_bytes, NULL, &file, &error), &error);
    assert_ok(ingot_file_find(file, "nine", 4, &index), &error);
    ingot_file_term(file, index, 0, &term);
    assert_true(coding_sequence(&nine, (struct stack_shape){1, 2, 5}, 0, &sequence));
    assert_false(coding_sequence(&nine, (struct stack_shape){1, 2, 5}, 1, &sequence));
    assert_int_equal(sequence_bytes(&sequence), sizeof whole);
    assert_ok(sequence_read(file, term.first_stream, &sequence, 0, 12, whole, &error), &error);
    for (uint64_t begin = 0; begin < 12; begin++) {
        for (uint64_t n = 0; n <= 12 - begin; n++) {
            memset(part, 0xee, sizeof part);
            assert_ok(sequence_read(file, term.first_stream, &sequence, begin, n, part, &error),
                      &error);
            assert_memory_equal(part, whole + begin, n);
        }
    }
    ingot_file_close(file);
    buffer_release(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
