/* Forms of tensors in source files, right and broken. */
#include "tests/support/form_files.h"

#include <stdlib.h>

#include "format/output.h"
#include "tests/support/block_model.h"
#include "tests/support/packed_model.h"

/* clang-format off */
const struct form_file form_files[] = {
    /* Kind 2, type, exceptions of 8 + 18 bytes. */
    {NULL, 0, 2, 5, {2, 2, 0, 0, 0}},
    {NULL, 0, 2, 5, {2, 20, 0, 0, 0}}, /* another meaning of the same streams */
    {NULL, 0, 2, 31, {2, 2, 0, 0, 0, 7}},
    {NULL, 0, 2, 5, {2, 77, 0, 0, 0}}, /* unknown: not proved, and no rule broken */
    {"R-723-blocks-exception", 723, 2, 31, {2, 2, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 1}},
    {"R-725-blocks-type", 725, 2, 5, {2, 3, 0, 0, 0}},
    {"R-725-blocks-past-end", 725, 2, 31, {2, 2, 0, 0, 0, 8}},
    {"R-725-blocks-order", 725, 2, 57, {2, 2, 0, 0, 0, 3, [31] = 3}},
    {"R-725-blocks-cut", 725, 2, 30, {2, 2, 0, 0, 0, 3}},
    {NULL, 725, 2, 2, {2, 2}},
    /* Kind 3, what, order, rest, sequence, of 65 codes of 4 bits, 5 of 8, 2 of 32. */
    {NULL, 0, 0, 8, {3, 0, 1, 7, 0, 0, 0, 0}},
    {NULL, 0, 0, 8, {9, 1, 0, 1, 0, 0, 0, 0}}, /* unknown */
    {"R-723-packed-rest", 723, 0, 8, {3, 0, 1, 6, 0, 0, 0, 0}},
    {"R-723-packed-order", 723, 0, 8, {3, 0, 0, 0x70, 0, 0, 0, 0}},
    {"R-722-packed", 722, 0, 8, {3, 0, 0, 0, 1, 0, 0, 0}},
    {NULL, 722, 0, 8, {3, 1, 0, 0, 0, 0, 0, 0}},
    {"R-725-packed-cut", 725, 0, 7, {3, 0, 1, 7, 0, 0, 0}},
    {"R-725-packed-long", 725, 0, 9, {3, 0, 1, 7, 0, 0, 0, 0, 0}},
    {"R-725-packed-what", 725, 0, 8, {3, 2, 0, 0, 0, 0, 0, 0}},
    {NULL, 725, 0, 8, {3, 0, 2, 0, 0, 0, 0, 0}},
    {"R-725-packed-rest", 725, 0, 8, {3, 0, 1, 0x17, 0, 0, 0, 0}}, /* on a code */
    {NULL, 725, 0, 8, {3, 0, 0, 7, 0, 0, 0, 0}},
    {NULL, 725, 0, 8, {3, 0, 0, 1, 1, 0, 0, 0}}, /* codes fill the last byte */
    {"R-725-packed-order", 725, 0, 8, {3, 0, 1, 0, 1, 0, 0, 0}}, /* codes of 8 bits */
    {"R-725-packed-sequence", 725, 0, 8, {3, 0, 0, 0, 3, 0, 0, 0}},
    {NULL, 725, 0, 8, {3, 0, 0, 0, 255, 255, 255, 255}},
    {"R-725-packed-codebook", 725, 0, 8, {3, 1, 0, 0, 2, 0, 0, 0}}, /* of floats */
    {NULL, 725, 0, 8, {3, 1, 1, 0, 0, 0, 0, 0}},
    {NULL, 725, 0, 8, {3, 1, 0, 1, 0, 0, 0, 0}},
};
/* clang-format on */
const uint32_t n_form_files = sizeof form_files / sizeof *form_files;

void form_file_make(const struct form_file *f, struct byte_buffer *file)
{
    struct byte_buffer form = {0};
    struct output *output;
    ingot_writer *writer;
    ingot_error error;
    buffer_append(&form, f->form, f->n_bytes);
    if (output_to_memory(file, NULL, &output, &error) != INGOT_OK ||
        ingot_writer_over(output, INGOT_COMPRESS_NONE, NULL, &writer, &error) != INGOT_OK) {
        abort();
    }
    if (f->blocks) {
        block_model_form(writer, f->blocks, &form);
    } else {
        packed_model_write(writer, &form);
    }
    if (ingot_writer_finish(writer, &error) != INGOT_OK) abort();
    ingot_writer_close(writer);
    buffer_release(&form);
}
