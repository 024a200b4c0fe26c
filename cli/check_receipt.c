/* Receipts against measurements. */
#include "cli/check_receipt.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "convert/json_text.h"
#include "format/alloc.h"
#include "format/fail.h"
#include "format/reader.h"

/* Stored figures have nine digits. */
static const double TOLERANCE = 1e-7;

ingot_status receipt_check_open(struct receipt_check *check, const struct model *model,
                                ingot_error *error)
{
    static const char *const keys[] = {"tensors"};
    const ingot_file *file = model_container(model);
    const uint32_t index =
        file ? ingot_file_find_blob(file, INGOT_BLOB_RECEIPT, "", 0) : INGOT_NONE;
    ingot_blob blob;
    struct span tensors;
    if (index == INGOT_NONE) return INGOT_OK;
    ingot_file_blob(file, index, &blob);
    check->text.data = ingot_allocate(NULL, blob.n_bytes);
    if (check->text.data == NULL) return ingot_fail_memory(error, blob.n_bytes, "receipt");
    check->text.n_bytes = blob.n_bytes;
    const ingot_status status =
        ingot_file_read_blob(file, index, 0, blob.n_bytes, check->text.data, error);
    const struct span text = {check->text.data, check->text.n_bytes};
    if (status != INGOT_OK || !json_text_members(text, keys, 1, &tensors)) return status;
    if (tensors.n_bytes == 0 || !json_text_elements(tensors, &check->entries)) {
        buffer_release(&check->entries);
        check->entries = (struct byte_buffer){0};
    }
    return check->entries.failed ? ingot_fail_memory(error, blob.n_bytes, "receipt") : INGOT_OK;
}

void receipt_check_release(struct receipt_check *check)
{
    buffer_release(&check->entries);
    buffer_release(&check->text);
}

/* A number, or infinity where there is none: JSON has no other way to say it. */
static double number_of(struct span text)
{
    char digits[64] = "";
    if (text.n_bytes == 0 || text.n_bytes >= sizeof digits) return (double)INFINITY;
    memcpy(digits, text.data, (size_t)text.n_bytes);
    return strtod(digits, NULL);
}

static bool is_string(struct span text, const char *string)
{
    return json_text_is(text, string, strlen(string));
}

static bool same(double a, double b)
{
    if (isinf(a) || isinf(b)) return isinf(a) && isinf(b);
    return fabs(a - b) <= TOLERANCE * fmax(fabs(a), fabs(b));
}

bool receipt_check_pair(const struct receipt_check *check, const struct model *source,
                        const struct model *model, const struct pair *pair,
                        struct receipt_figure *figure)
{
    static const char *const keys[] = {"source_dtype",   "source_encoding", "encoding",
                                       "sqnr_db",        "relative_error",  "max_error",
                                       "bits_per_weight"};
    enum { DTYPE, SOURCE_ENCODING, ENCODING, FIGURES, N_KEYS = 7, N_FIGURES = N_KEYS - FIGURES };
    struct span values[N_KEYS], entry;
    struct model_tensor from, to;
    ingot_tensor described;
    if (pair->a == INGOT_NONE || pair->b == INGOT_NONE || !pair->measured) return true;
    model_tensor(source, pair->a, &from);
    model_tensor(model, pair->b, &to);
    if (to.number >= check->entries.n_bytes / sizeof entry) return true;
    memcpy(&entry, check->entries.data + to.number * sizeof entry, sizeof entry);
    if (!json_text_members(entry, keys, N_KEYS, values)) return true;
    if (values[ENCODING].n_bytes == 0 || !is_string(values[DTYPE], ingot_dtype_name(from.dtype)) ||
        (from.raw ? values[SOURCE_ENCODING].n_bytes > 0
                  : !is_string(values[SOURCE_ENCODING], from.encoding))) {
        return true;
    }
    ingot_file_tensor(model_container(model), to.number, &described);
    const double n_weights = (double)to.n_rows * (double)to.n_cols;
    const double measured[N_FIGURES] = {pair->error.sqnr_db, pair->error.relative_error,
                                        pair->error.max_error,
                                        (double)described.coded_bytes * 8 / n_weights};
    for (uint32_t i = 0; i < N_FIGURES; i++) {
        const double stored = number_of(values[FIGURES + i]);
        if (same(stored, measured[i])) continue;
        *figure = (struct receipt_figure){keys[FIGURES + i], stored, measured[i]};
        return false;
    }
    return true;
}
