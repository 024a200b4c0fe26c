/* The facts of a model as JSON. Computes none that inspect.c does not. */
#include <stdio.h>
#include <string.h>

#include "cli/describe.h"
#include "cli/inspect.h"
#include "cli/json.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "format/records.h"

static void put_container(json_t *root, const struct model *model, bool *failed)
{
    const ingot_file *file = model_container(model);
    if (!file) return;
    const uint8_t *id = ingot_file_content_id(file);
    char version[32];
    char hex[2 * HASH_BYTES + 1];
    snprintf(version, sizeof version, "%u.%u", (unsigned)VERSION_MAJOR,
             (unsigned)ingot_file_minor(file));
    for (size_t i = 0; i < HASH_BYTES; i++) snprintf(hex + 2 * i, 3, "%02x", id[i]);
    json_put(root, "format_version", json_string(version), failed);
    json_put(root, "content_id", json_string(hex), failed);
    json_put(root, "file_bytes", json_count(ingot_file_bytes(file)), failed);
    json_put(root, "restorable", json_boolean(inspect_restorable(model)), failed);
}

static json_t *tensor_json(const struct model *model, uint32_t index, bool *failed)
{
    struct model_tensor t;
    const uint32_t alias_of = model_alias_of(model, index);
    json_t *one = json_object();
    json_t *dims = json_array();
    model_tensor(model, index, &t);
    for (uint32_t i = 0; i < t.rank; i++) json_add(dims, json_count(t.dims[i]), failed);
    json_put_bytes(one, "name", t.name, t.name_bytes, failed);
    json_put(one, "dtype", json_string(ingot_dtype_name(t.dtype)), failed);
    json_put(one, "shape", dims, failed);
    json_put_bytes(one, "encoding", t.encoding, strlen(t.encoding), failed);
    if (t.foreign.name) {
        json_put_bytes(one, "foreign", t.foreign.name, strlen(t.foreign.name), failed);
        json_put(one, "block_weights", json_count(t.foreign.block_weights), failed);
        json_put(one, "block_bytes", json_count(t.foreign.block_bytes), failed);
    }
    json_put(one, "stored_bytes", json_count(t.stored_bytes), failed);
    json_put(one, "bits_per_weight",
             json_number(inspect_bits_per_weight(t.stored_bytes, t.n_rows * t.n_cols)), failed);
    if (alias_of != INGOT_NONE) {
        struct model_tensor other;
        model_tensor(model, alias_of, &other);
        json_put_bytes(one, "alias_of", other.name, other.name_bytes, failed);
    }
    return one;
}

/* "values": null where there are none. */
static void put_values(json_t *object, const struct inspect_values *v, bool *failed)
{
    json_t *values = json_object();
    json_t *first = json_array();
    for (uint32_t i = 0; i < v->n_first; i++) {
        json_add(first, json_number((double)v->first[i]), failed);
    }
    json_put(values, "n", json_count(v->n), failed);
    json_put(values, "n_zero", json_count(v->n_zero), failed);
    json_put(values, "n_nan", json_count(v->n_nan), failed);
    json_put(values, "n_infinite", json_count(v->n_infinite), failed);
    json_put(values, "min", json_number(v->min), failed);
    json_put(values, "max", json_number(v->max), failed);
    json_put(values, "mean", json_number(v->mean), failed);
    json_put(values, "deviation", json_number(v->deviation), failed);
    json_put(values, "first", first, failed);
    json_put(object, "values", values, failed);
}

int inspect_tensor_json(const struct model *model, const char *path, uint32_t index)
{
    struct progress_bar bar = progress_bar_begin(false);
    const struct progress progress = progress_bar_reports(&bar);
    const ingot_file *file = model_container(model);
    struct model_tensor t;
    struct inspect_values values;
    ingot_error error = {0};
    bool failed = false;
    const ingot_status status = inspect_values(model, index, &progress, &values, &error);
    progress_bar_erase(&bar);
    if (status != INGOT_OK && !inspect_has_no_values(status)) return report_error(path, &error);
    model_tensor(model, index, &t);
    json_t *one = tensor_json(model, index, &failed);
    json_put(one, "n_rows", json_count(t.n_rows), &failed);
    json_put(one, "n_cols", json_count(t.n_cols), &failed);
    if (file) json_put(one, "terms", describe_terms_json(file, t.number, &failed), &failed);
    if (status == INGOT_OK) {
        put_values(one, &values, &failed);
    } else {
        json_put(one, "values", json_null(), &failed);
    }
    return json_print(one, failed, EXITS_DONE);
}

static void put_sum(json_t *object, const struct inspect_sum *sum, bool *failed)
{
    json_put(object, "n_tensors", json_count(sum->n_tensors), failed);
    json_put(object, "n_weights", json_count(sum->n_weights), failed);
    json_put(object, "stored_bytes", json_count(sum->stored_bytes), failed);
    json_put(object, "bits_per_weight",
             json_number(inspect_bits_per_weight(sum->stored_bytes, sum->n_weights)), failed);
}

static json_t *encodings_json(const struct inspect_totals *totals, bool *failed)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < totals->n_encodings; i++) {
        const struct inspect_sum *sum = &totals->encodings[i];
        json_t *one = json_object();
        json_put_bytes(one, "encoding", sum->encoding, strlen(sum->encoding), failed);
        put_sum(one, sum, failed);
        json_add(list, one, failed);
    }
    return list;
}

static json_t *attachments_json(const struct model *model, bool *failed)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < model_n_attachments(model); i++) {
        struct model_attachment attachment;
        json_t *one = json_object();
        model_attachment(model, i, &attachment);
        json_put_bytes(one, "name", attachment.name, strlen(attachment.name), failed);
        json_put(one, "n_bytes", json_count(attachment.n_bytes), failed);
        json_add(list, one, failed);
    }
    return list;
}

static json_t *notes_of(const struct model *model, bool *failed)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < model_n_notes(model); i++) {
        json_t *one = json_object();
        json_put_bytes(one, "note", model_note(model, i), strlen(model_note(model, i)), failed);
        json_add(list, one, failed);
    }
    return list;
}

int inspect_json(const struct model *model, const char *path, bool whole)
{
    const struct span metadata = model_metadata(model);
    struct inspect_totals totals;
    ingot_error error = {0};
    ingot_status status = INGOT_OK;
    bool failed = false;
    if (!inspect_totals(model, &totals)) return report_no_memory();
    json_t *root = json_object();
    json_t *tensors = json_array();
    json_t *entries = json_array();
    json_put_bytes(root, "path", path, strlen(path), &failed);
    json_put(root, "format", json_string(model_format(model)), &failed);
    json_put(root, "source_bytes", json_count(model_source_bytes(model)), &failed);
    put_container(root, model, &failed);
    put_sum(root, &totals.all, &failed);
    json_put(root, "encodings", encodings_json(&totals, &failed), &failed);
    for (uint32_t i = 0; i < model_n_tensors(model); i++) {
        json_add(tensors, tensor_json(model, i, &failed), &failed);
    }
    if (metadata.n_bytes > 0) {
        status = describe_metadata_json(metadata, whole, entries, &failed, &error);
    }
    json_put(root, "tensors", tensors, &failed);
    json_put(root, "attachments", attachments_json(model, &failed), &failed);
    json_put(root, "metadata", entries, &failed);
    json_put(root, "notes", notes_of(model, &failed), &failed);
    inspect_totals_release(&totals);
    if (status != INGOT_OK) {
        json_decref(root);
        return report_error(path, &error);
    }
    return json_print(root, failed, EXITS_DONE);
}
