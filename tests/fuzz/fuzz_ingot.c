/* Fuzzes the reader: whatever the bytes are, opening, listing, decoding and validating must end in
 * a status. The mutator of mutate_ingot.c repairs checksums, so that the proofs behind them are
 * reached. */
#include <stdlib.h>

#include "format/bytes.h"
#include "format/reader.h"
#include "tests/fuzz/fuzz.h"

enum { MAX_WEIGHTS = 1 << 16, MAX_BLOB_BYTES = 1 << 20 };

/* Decodes at most MAX_WEIGHTS weights from the first row on, and reads the raw bytes of as many. */
static void read_tensor(const ingot_file *file, uint32_t index)
{
    ingot_tensor t;
    ingot_error error;
    ingot_file_tensor(file, index, &t);
    if (t.n_cols == 0 || t.n_cols > MAX_WEIGHTS) return;
    const uint64_t n_rows = min_u64(t.n_matrices * t.n_rows, MAX_WEIGHTS / t.n_cols);
    float *values = malloc(MAX_WEIGHTS * sizeof *values);
    if (values == NULL) abort();
    (void)ingot_file_decode_f32(file, index, 0, n_rows, values, &error);
    const uint64_t n_bytes = ingot_raw_bytes(t.dtype, n_rows * t.n_cols);
    if (n_bytes <= MAX_WEIGHTS * sizeof *values) {
        (void)ingot_file_read_raw(file, index, 0, n_bytes, values, &error);
    }
    uint32_t found;
    if (ingot_file_find(file, t.name, t.name_bytes, &found) != INGOT_OK || found != index) abort();
    free(values);
}

static void read_blob(const ingot_file *file, uint32_t index)
{
    ingot_blob blob;
    ingot_error error;
    ingot_file_blob(file, index, &blob);
    if (blob.n_bytes > MAX_BLOB_BYTES) return;
    char *bytes = malloc((size_t)blob.n_bytes + 1);
    if (bytes == NULL) abort();
    (void)ingot_file_read_blob(file, index, 0, blob.n_bytes, bytes, &error);
    free(bytes);
}

/* Equal chunks are stored once, so a small file may honestly stand for a very large model; such
 * files are opened and listed, not gone through. */
static bool is_small(const ingot_file *file)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < ingot_file_n_tensors(file); i++) {
        ingot_tensor t;
        ingot_file_tensor(file, i, &t);
        if (!add_u64(total, t.coded_bytes, &total)) return false;
        if (!add_u64(total, t.n_matrices * t.n_rows * t.n_cols, &total)) return false;
    }
    for (uint32_t i = 0; i < ingot_file_n_blobs(file); i++) {
        ingot_blob blob;
        ingot_file_blob(file, i, &blob);
        if (!add_u64(total, blob.n_bytes, &total)) return false;
    }
    return total < 1 << 22;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    ingot_error error;
    ingot_file *file;
    if (ingot_file_open_memory(data, n_bytes, NULL, &file, &error) != INGOT_OK) return 0;
    if (is_small(file)) {
        const struct validate_report nobody = {0};
        uint64_t n_violations;
        for (uint32_t i = 0; i < ingot_file_n_tensors(file); i++) read_tensor(file, i);
        for (uint32_t i = 0; i < ingot_file_n_blobs(file); i++) read_blob(file, i);
        (void)ingot_file_validate(file, &nobody, &n_violations, &error);
    }
    ingot_file_close(file);
    return 0;
}
