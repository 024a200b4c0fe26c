/* Fuzzes imatrices of both forms: what is accepted gives weights that are finite and above 0, of
 * mean 1, or refuses the shape. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "convert/imatrix.h"
#include "format/alloc.h"
#include "tests/fuzz/fuzz.h"

static void check_weights(const struct imatrix *imatrix, const char *name, uint64_t n_matrices,
                          uint64_t n_cols)
{
    float *weights = NULL;
    ingot_error error = {0};
    const ingot_status status = imatrix_weights(imatrix, name, (uint32_t)strlen(name), n_matrices,
                                                n_cols, &weights, &error);
    if (status != INGOT_OK && status != INGOT_REFUSED) abort();
    if (status != INGOT_OK && weights) abort();
    for (uint64_t i = 0; weights && i < n_matrices * n_cols; i++) {
        if (!isfinite(weights[i]) || !(weights[i] > 0)) abort();
    }
    ingot_release(NULL, weights);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    static const char *const names[] = {"a", "blk.0.attn_q.weight",
                                        "model.layers.0.self_attn.q_proj.weight"};
    struct imatrix *imatrix = NULL;
    ingot_error error = {0};
    const struct span bytes = {data, n_bytes};
    const ingot_status status = imatrix_parse(bytes, &imatrix, &error);
    if (status != INGOT_OK) {
        if (error.status != status || error.field[0] == 0) abort();
        return 0;
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        check_weights(imatrix, names[i], 1, 4);
        check_weights(imatrix, names[i], 2, 2);
        check_weights(imatrix, names[i], 1, 1);
    }
    (void)imatrix_n_entries(imatrix);
    imatrix_close(imatrix);
    return 0;
}
