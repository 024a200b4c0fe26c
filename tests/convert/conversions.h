/* Whole conversions for the converter's tests, from file to file. */
#ifndef INGOT_TESTS_CONVERT_CONVERSIONS_H
#define INGOT_TESTS_CONVERT_CONVERSIONS_H

#include "tests/convert/files.h"

#include "convert/convert.h"
#include "format/reader.h"
#include "tests/support/judge.h"

/* Converts one path to another. */
static inline ingot_status convert_path(const char *source, const char *target, const char *encode,
                                        struct convert_result *result, ingot_error *error)
{
    const struct convert_options options = {
        .encode = encode, .compression = INGOT_COMPRESS_FAST, .replace = true};
    struct model *model;
    ingot_status status = model_open(&source, 1, NULL, &model, error);
    if (status != INGOT_OK) return status;
    status = convert_model(model, target, &options, result, error);
    model_close(model);
    return status;
}

/* Opens a container and shows that it breaks no rule. The caller closes it. */
static inline ingot_file *open_valid(const char *path)
{
    struct judgement judged;
    ingot_file *file;
    ingot_error error = {0};
    assert_ok(ingot_file_open(path, NULL, &file, &error), &error);
    judge_file(file, &judged);
    if (judged.n_found) fail_msg("%s: %s", judged.found[0].field, judged.found[0].what);
    return file;
}

/* A file of one f32 matrix named "w". */
static inline void write_matrix(const char *path, uint64_t n_rows, uint64_t n_cols,
                                const float *values)
{
    char header[128];
    const uint64_t n_bytes = n_rows * n_cols * 4;
    snprintf(header, sizeof header,
             "{\"w\":{\"dtype\":\"F32\",\"shape\":[%u,%u],\"data_offsets\":[0,%u]}}",
             (unsigned)n_rows, (unsigned)n_cols, (unsigned)n_bytes);
    safetensors_write(path, header, values, n_bytes);
}

#endif
