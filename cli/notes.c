/* What a conversion told of each tensor, kept for the summary. Owns copies of what it was told, but
 * for the names; converts nothing. */
#include "cli/notes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/json.h"
#include "cli/table.h"
#include "cli/text.h"
#include "format/alloc.h"

static bool grow(struct tensor_notes *notes)
{
    if (notes->n < notes->capacity) return true;
    if (notes->capacity > UINT32_MAX / 2) return false;
    const uint32_t capacity = notes->capacity > 0 ? notes->capacity * 2 : 64;
    struct tensor_note *at = ingot_allocate(notes->allocator, capacity * sizeof *at);
    if (!at) return false;
    if (notes->n > 0) memcpy(at, notes->at, notes->n * sizeof *at);
    ingot_release(notes->allocator, notes->at);
    notes->at = at;
    notes->capacity = capacity;
    return true;
}

void notes_add(struct tensor_notes *notes, const struct model_tensor *tensor, const char *encoding,
               uint64_t coded_bytes, const struct tensor_error *error)
{
    if (notes->failed || !grow(notes)) {
        notes->failed = true;
        return;
    }
    struct tensor_note *note = &notes->at[notes->n++];
    *note = (struct tensor_note){
        .name = tensor->name,
        .name_bytes = tensor->name_bytes,
        .n_weights = tensor->n_rows * tensor->n_cols,
        .coded_bytes = coded_bytes,
        .measured = error != NULL,
        .repacked = error == NULL && coded_bytes > 0 && strcmp(encoding, tensor->encoding) != 0,
    };
    snprintf(note->encoding, sizeof note->encoding, "%s", encoding);
    if (error) note->error = *error;
}

void notes_release(struct tensor_notes *notes)
{
    ingot_release(notes->allocator, notes->at);
    *notes = (struct tensor_notes){.allocator = notes->allocator};
}

static double bits_per_weight(uint64_t n_bytes, uint64_t n_weights)
{
    return n_weights > 0 ? (double)n_bytes * 8 / (double)n_weights : 0;
}

double notes_bits_per_weight(const struct tensor_notes *notes)
{
    uint64_t n_bytes = 0;
    uint64_t n_weights = 0;
    for (uint32_t i = 0; i < notes->n; i++) {
        n_bytes += notes->at[i].coded_bytes;
        n_weights += notes->at[i].n_weights;
    }
    return bits_per_weight(n_bytes, n_weights);
}

uint32_t notes_n_repacked(const struct tensor_notes *notes)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < notes->n; i++) n += notes->at[i].repacked;
    return n;
}

static void add_row(struct table *table, const struct tensor_note *note)
{
    table_bytes(table, note->name, note->name_bytes);
    table_cell(table, "%s", note->encoding);
    table_cell(table, "%.2f", bits_per_weight(note->coded_bytes, note->n_weights));
    if (note->measured) {
        table_cell(table, "%s", text_decibels(note->error.sqnr_db, note->error.n_different).at);
        table_cell(table, "%.3g", note->error.relative_error);
        table_cell(table, "%.3g", note->error.max_error);
    } else {
        table_cell(table, note->repacked ? "repacked" : "kept");
        table_cell(table, "0");
        table_cell(table, "0");
    }
}

static const struct column columns[] = {
    {"tensor", false}, {"encoding", false}, {"bits/weight", true},
    {"SQNR dB", true}, {"rel error", true}, {"max error", true},
};

bool notes_print(const struct tensor_notes *notes, FILE *out)
{
    struct table table = {.columns = columns, .n_columns = sizeof columns / sizeof *columns};
    for (uint32_t i = 0; i < notes->n; i++) add_row(&table, &notes->at[i]);
    const bool printed = table_print(&table, out, 2);
    table_release(&table);
    return printed;
}

/* A NaN is worse than every number. */
static double badness(const struct tensor_note *note)
{
    return note->error.sqnr_db == note->error.sqnr_db ? -note->error.sqnr_db : (double)INFINITY;
}

/* Worst first; equally bad ones in the model's order. */
static int compare_badness(const void *left, const void *right)
{
    const struct tensor_note *a = *(const struct tensor_note *const *)left;
    const struct tensor_note *b = *(const struct tensor_note *const *)right;
    const double bad_a = badness(a);
    const double bad_b = badness(b);
    if (bad_a != bad_b) return bad_a > bad_b ? -1 : 1;
    return a < b ? -1 : a > b;
}

bool notes_print_worst(const struct tensor_notes *notes, uint32_t n_worst, FILE *out)
{
    struct table table = {.columns = columns, .n_columns = sizeof columns / sizeof *columns};
    const struct tensor_note **changed = calloc((size_t)notes->n + 1, sizeof *changed);
    uint32_t n_changed = 0;
    bool printed = true;
    table.failed = !changed;
    for (uint32_t i = 0; changed && i < notes->n; i++) {
        const struct tensor_note *note = &notes->at[i];
        if (note->measured && note->error.n_different > 0) changed[n_changed++] = note;
    }
    if (n_changed > 0) qsort(changed, n_changed, sizeof *changed, compare_badness);
    for (uint32_t i = 0; i < n_changed && i < n_worst; i++) add_row(&table, changed[i]);
    if (n_changed > 0 || table.failed) {
        fputs("worst first:\n", out);
        printed = table_print(&table, out, 2);
    } else {
        fputs("no value changed\n", out);
    }
    table_release(&table);
    free(changed);
    return printed;
}

void error_json(json_t *object, const struct tensor_error *error, bool *failed)
{
    json_put(object, "n_compared", json_count(error->n), failed);
    json_put(object, "n_different", json_count(error->n_different), failed);
    json_put(object, "sqnr_db", json_number(error->sqnr_db), failed);
    json_put(object, "relative_error", json_number(error->relative_error), failed);
    json_put(object, "max_error", json_number(error->max_error), failed);
}

json_t *notes_json(const struct tensor_notes *notes, bool *failed)
{
    json_t *tensors = json_array();
    for (uint32_t i = 0; i < notes->n; i++) {
        const struct tensor_note *note = &notes->at[i];
        json_t *one = json_object();
        json_put_bytes(one, "name", note->name, note->name_bytes, failed);
        json_put_bytes(one, "encoding", note->encoding, strlen(note->encoding), failed);
        json_put(one, "n_weights", json_count(note->n_weights), failed);
        json_put(one, "coded_bytes", json_count(note->coded_bytes), failed);
        json_put(one, "bits_per_weight",
                 json_number(bits_per_weight(note->coded_bytes, note->n_weights)), failed);
        json_put(one, "kept", json_boolean(!note->measured), failed);
        json_put(one, "repacked", json_boolean(note->repacked), failed);
        if (note->measured) error_json(one, &note->error, failed);
        json_add(tensors, one, failed);
    }
    *failed = *failed || notes->failed;
    return tensors;
}
