/* The facts that inspect computes: sums over tensors, the values of one, the entry of a key. Prints
 * nothing. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/inspect.h"
#include "cli/text.h"
#include "format/fail.h"

/* ------------------------------------------------------------------ sums */

static int compare_encodings(const void *left, const void *right)
{
    const struct inspect_sum *a = left;
    const struct inspect_sum *b = right;
    return strcmp(a->encoding, b->encoding);
}

static int compare_bytes(const void *left, const void *right)
{
    const struct inspect_sum *a = left;
    const struct inspect_sum *b = right;
    if (a->stored_bytes != b->stored_bytes) return a->stored_bytes > b->stored_bytes ? -1 : 1;
    return strcmp(a->encoding, b->encoding);
}

static void add_sum(struct inspect_sum *sum, const struct inspect_sum *part)
{
    sum->n_tensors += part->n_tensors;
    sum->n_weights += part->n_weights;
    sum->stored_bytes += part->stored_bytes;
}

/* Joins the sums of single tensors, sorted by encoding; returns how many are left. */
static uint32_t join(struct inspect_sum *sums, uint32_t n)
{
    uint32_t n_joined = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (n_joined > 0 && compare_encodings(&sums[n_joined - 1], &sums[i]) == 0) {
            add_sum(&sums[n_joined - 1], &sums[i]);
        } else {
            sums[n_joined++] = sums[i];
        }
    }
    return n_joined;
}

bool inspect_totals(const struct model *model, struct inspect_totals *totals)
{
    const uint32_t n = model_n_tensors(model);
    struct inspect_totals t = {.encodings = calloc((size_t)n + 1, sizeof *t.encodings)};
    if (!t.encodings) return false;
    for (uint32_t i = 0; i < n; i++) {
        struct inspect_sum *sum = &t.encodings[i];
        struct model_tensor tensor;
        model_tensor(model, i, &tensor);
        *sum = (struct inspect_sum){.encoding = tensor.encoding, .n_tensors = 1};
        if (model_alias_of(model, i) == INGOT_NONE) {
            sum->n_weights = tensor.n_rows * tensor.n_cols;
            sum->stored_bytes = tensor.stored_bytes;
        }
        add_sum(&t.all, sum);
    }
    qsort(t.encodings, n, sizeof *t.encodings, compare_encodings);
    t.n_encodings = join(t.encodings, n);
    qsort(t.encodings, t.n_encodings, sizeof *t.encodings, compare_bytes);
    *totals = t;
    return true;
}

void inspect_totals_release(struct inspect_totals *totals)
{
    free(totals->encodings);
    *totals = (struct inspect_totals){0};
}

double inspect_bits_per_weight(uint64_t n_bytes, uint64_t n_weights)
{
    return n_weights > 0 ? (double)n_bytes * 8 / (double)n_weights : 0;
}

bool inspect_restorable(const struct model *model)
{
    const ingot_file *file = model_container(model);
    return file && ingot_file_find_blob(file, INGOT_BLOB_SOURCE, "", 0) != INGOT_NONE;
}

/* ------------------------------------------------------------------ values */

enum { STEP_VALUES = 1 << 20 };

/* The mean and the sum of squared distances from it are kept as values come (B. P. Welford, 1962),
 * so that nothing cancels. */
struct running {
    struct inspect_values *v;
    uint64_t n_finite;
    double squares;
};

static void add_value(struct running *r, float value)
{
    struct inspect_values *v = r->v;
    const double x = (double)value;
    if (v->n < INSPECT_FIRST_VALUES) v->first[v->n_first++] = value;
    v->n++;
    if (isnan(x) || isinf(x)) {
        v->n_nan += isnan(x) != 0;
        v->n_infinite += isinf(x) != 0;
        return;
    }
    v->n_zero += value == 0;
    if (r->n_finite == 0 || x < v->min) v->min = x;
    if (r->n_finite == 0 || x > v->max) v->max = x;
    r->n_finite++;
    const double distance = x - v->mean;
    v->mean += distance / (double)r->n_finite;
    r->squares += distance * (x - v->mean);
}

ingot_status inspect_values(const struct model *model, uint32_t index,
                            const struct progress *progress, struct inspect_values *values,
                            ingot_error *error)
{
    struct inspect_values v = {0};
    struct running running = {.v = &v};
    struct model_tensor t;
    ingot_status status = INGOT_OK;
    model_tensor(model, index, &t);
    const uint64_t n_cols = max_u64(t.n_cols, 1);
    const uint64_t n_step = max_u64(1, STEP_VALUES / n_cols);
    float *rows = n_cols <= SIZE_MAX / 4 / n_step ? malloc(n_step * n_cols * sizeof *rows) : NULL;
    if (!rows) return ingot_fail_memory(error, n_step * n_cols, "rows");
    for (uint64_t row = 0; row < t.n_rows && t.n_cols > 0; row += n_step) {
        const uint64_t n_rows = min_u64(n_step, t.n_rows - row);
        status = model_decode_f32(model, index, row, n_rows, rows, error);
        if (status != INGOT_OK) break;
        for (uint64_t i = 0; i < n_rows * t.n_cols; i++) add_value(&running, rows[i]);
        progress->report(progress->context, "reading", row + n_rows, t.n_rows);
    }
    free(rows);
    if (status != INGOT_OK) return status;
    if (running.n_finite > 0) v.deviation = sqrt(running.squares / (double)running.n_finite);
    *values = v;
    return INGOT_OK;
}

bool inspect_has_no_values(ingot_status status)
{
    return status == INGOT_UNSUPPORTED || status == INGOT_REFUSED;
}

/* ------------------------------------------------------------------ metadata */

static void offer_key(struct nearest *nearest, char **best, const char *key, uint32_t key_bytes)
{
    char *safe = text_safe(key, key_bytes);
    if (safe) nearest_offer(nearest, safe);
    if (safe && nearest->best == safe) {
        free(*best);
        *best = safe;
    } else {
        free(safe);
    }
}

ingot_status inspect_find_key(const struct model *model, const char *key,
                              struct metadata_value *value, char **nearest, ingot_error *error)
{
    const struct span blob = model_metadata(model);
    struct nearest guess = {.word = key};
    struct metadata_walk walk;
    char *best = NULL;
    ingot_status status = INGOT_END;
    if (blob.n_bytes > 0) status = metadata_open(blob, &walk, error);
    while (status == INGOT_OK) {
        struct metadata_value v;
        const char *found = NULL;
        uint32_t found_bytes = 0;
        status = metadata_next(&walk, &found, &found_bytes, &v, error);
        if (status != INGOT_OK) break;
        if (strlen(key) == found_bytes && memcmp(key, found, found_bytes) == 0) {
            free(best);
            *value = v;
            return INGOT_OK;
        }
        offer_key(&guess, &best, found, found_bytes);
    }
    if (status != INGOT_END) {
        free(best);
        return status;
    }
    *nearest = best;
    return INGOT_NOT_FOUND;
}
