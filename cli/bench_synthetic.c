/* Made-up weights, through the converter like any others: written raw, encoded, mapped and
 * unlinked. */
#include "cli/bench_synthetic.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "convert/convert.h"
#include "format/bytes.h"
#include "format/fail.h"

bool synthetic_parse(const char *text, uint64_t *n_rows, uint64_t *n_cols)
{
    char *end = NULL;
    if (text[0] < '0' || text[0] > '9') return false;
    const unsigned long long rows = strtoull(text, &end, 10);
    if (*end != 'x' || end[1] < '0' || end[1] > '9') return false;
    const unsigned long long cols = strtoull(end + 1, &end, 10);
    uint64_t n;
    if (*end != '\0' || rows == 0 || cols == 0 || !mul_u64(rows, cols, &n) || n > 1ull << 36) {
        return false;
    }
    *n_rows = rows;
    *n_cols = cols;
    return true;
}

/* Sums of eight numbers from -1 to 1, which are nearly normal, of deviation 0.02: by splitmix64. */
static uint16_t weight(uint64_t i)
{
    uint64_t z = i * UINT64_C(0x9e3779b97f4a7c15) + 1;
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    z ^= z >> 31;
    int32_t sum = 0;
    for (int k = 0; k < 8; k++) sum += (int32_t)(z >> 8 * k & 255) - 127;
    return (uint16_t)(f32_bits((float)sum * 1e-4f) >> 16);
}

static ingot_status write_raw(const char *path, uint64_t n_rows, uint64_t n_cols,
                              ingot_error *error)
{
    const uint64_t dims[2] = {n_rows, n_cols};
    const uint64_t n = n_rows * n_cols;
    ingot_writer *writer = NULL;
    uint8_t *weights = malloc(n * 2);
    if (weights == NULL) return ingot_fail_memory(error, n * 2, "synthetic weights");
    for (uint64_t i = 0; i < n; i++) store_u16(weights + 2 * i, weight(i));
    ingot_status status =
        ingot_writer_create(path, true, INGOT_COMPRESS_NONE, NULL, &writer, error);
    if (status == INGOT_OK) {
        status = ingot_writer_add(writer, "synthetic", INGOT_BF16, 2, dims, weights, error);
    }
    if (status == INGOT_OK) status = ingot_writer_finish(writer, error);
    ingot_writer_close(writer);
    free(weights);
    return status;
}

static ingot_status encode(const char *raw, const char *coded, const char *encoding,
                           uint32_t n_threads, ingot_error *error)
{
    const struct convert_options options = {
        .encode = encoding,
        .compression = INGOT_COMPRESS_NONE,
        .n_threads = n_threads,
    };
    struct model *model = NULL;
    struct convert_result result;
    ingot_status status = model_open(&raw, 1, NULL, &model, error);
    if (status != INGOT_OK) return status;
    status = convert_model(model, coded, &options, &result, error);
    model_close(model);
    return status;
}

ingot_status synthetic_open(uint64_t n_rows, uint64_t n_cols, const char *encoding,
                            uint32_t n_threads, ingot_file **file, ingot_error *error)
{
    const char *base = getenv("TMPDIR");
    char folder[512], raw[560], coded[560];
    snprintf(folder, sizeof folder, "%.400s/ingot-bench-XXXXXX", base != NULL ? base : "/tmp");
    if (mkdtemp(folder) == NULL) {
        return ingot_fail(error, INGOT_IO, INGOT_NO_OFFSET, "temporary folder",
                          "%.200s cannot be made", folder);
    }
    snprintf(raw, sizeof raw, "%s/raw.ingot", folder);
    snprintf(coded, sizeof coded, "%s/coded.ingot", folder);
    ingot_status status = write_raw(raw, n_rows, n_cols, error);
    if (status == INGOT_OK && encoding != NULL) {
        status = encode(raw, coded, encoding, n_threads, error);
    }
    if (status == INGOT_OK) {
        status = ingot_file_open(encoding != NULL ? coded : raw, NULL, file, error);
    }
    unlink(coded);
    unlink(raw);
    rmdir(folder);
    return status;
}
