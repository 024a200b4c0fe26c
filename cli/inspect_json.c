/* The facts of a model as JSON. Computes none that inspect.c does not. */
#include <stdio.h>
#include <string.h>

#include "cli/describe.h"
#include "cli/inspect.h"
#include "cli/json.h"
#include "cli/report.h"
#include "format/records.h"

static void put_container(json_t *root, const struct model *model, bool *failed)
{
    const ingot_file *file = model_container(model);
    if (!file) return;
    const uint8_t *id = ingot_file_content_id(file);
    char version[32];
    char hex[2 * HASH_BYTES + 1];
    snprintf(version, sizeof version, "%u.%u", (unsigned)VERSION_MAJOR, (unsigned)VERSION_MINOR);
    for (size_t i = 0; i < HASH_BYTES; i++) snprintf(hex + 2 * i, 3, "%02x", id[i]);
    json_put(root, "format_version", json_string(version), failed);
    json_put(root, "content_id", json_string(hex), failed);
    json_put(root, "file_bytes", json_count(ingot_file_bytes(file)), failed);
    json_put(root, "restorable", json_boolean(inspect_restorable(model)), failed);
}

static json_t *tensor_json(const struct model *model, uint32_t index, bool *failed)
{
    struct model_tensor t;
    uint32_t alias_of = 0;
    json_t *one = json_object();
    json_t *dims = json_array();
    model_tensor(model, index, &t);
    for (uint32_t i = 0; i < t.rank; i++) json_add(dims, json_count(t.dims[i]), failed);
    json_put_bytes(one, "name", t.name, t.name_bytes, failed);
    json_put(one, "dtype", json_string(ingot_dtype_name(t.dtype)), failed);
    json_put(one, "shape", dims, failed);
    json_put_bytes(one, "encoding", t.encoding, strlen(t.encoding), failed);
    json_put(one, "stored_bytes", json_count(t.stored_bytes), failed);
    json_put(one, "bits_per_weight",
             json_number(inspect_bits_per_weight(t.stored_bytes, t.n_rows * t.n_cols)), failed);
    if (inspect_is_alias(model, index, &alias_of)) {
        struct model_tensor other;
        model_tensor(model, alias_of, &other);
        json_put_bytes(one, "alias_of", other.name, other.name_bytes, failed);
    }
    return one;
}

int inspect_tensor_json(const struct model *model, uint32_t index)
{
    const ingot_file *file = model_container(model);
    bool failed = false;
    json_t *one = tensor_json(model, index, &failed);
    if (file) json_put(one, "terms", describe_terms_json(file, index, &failed), &failed);
    return json_print(one, failed, EXITS_DONE);
}

int inspect_json(const struct model *model, const char *path)
{
    const struct inspect_totals totals = inspect_totals(model);
    const struct span metadata = model_metadata(model);
    ingot_error error = {0};
    bool failed = false;
    json_t *root = json_object();
    json_t *tensors = json_array();
    json_t *attachments = json_array();
    json_t *entries = json_array();
    json_put_bytes(root, "path", path, strlen(path), &failed);
    json_put(root, "format", json_string(model_format(model)), &failed);
    put_container(root, model, &failed);
    json_put(root, "n_tensors", json_count(totals.n_tensors), &failed);
    json_put(root, "n_weights", json_count(totals.n_weights), &failed);
    json_put(root, "stored_bytes", json_count(totals.stored_bytes), &failed);
    json_put(root, "bits_per_weight",
             json_number(inspect_bits_per_weight(totals.stored_bytes, totals.n_weights)), &failed);
    for (uint32_t i = 0; i < totals.n_tensors; i++) {
        json_add(tensors, tensor_json(model, i, &failed), &failed);
    }
    for (uint32_t i = 0; i < model_n_attachments(model); i++) {
        struct model_attachment attachment;
        json_t *one = json_object();
        model_attachment(model, i, &attachment);
        json_put_bytes(one, "name", attachment.name, strlen(attachment.name), &failed);
        json_put(one, "n_bytes", json_count(attachment.n_bytes), &failed);
        json_add(attachments, one, &failed);
    }
    ingot_status status = INGOT_OK;
    if (metadata.n_bytes > 0) status = describe_metadata_json(metadata, entries, &failed, &error);
    json_put(root, "tensors", tensors, &failed);
    json_put(root, "attachments", attachments, &failed);
    json_put(root, "metadata", entries, &failed);
    if (status != INGOT_OK) {
        json_decref(root);
        return report_error(path, &error);
    }
    return json_print(root, failed, EXITS_DONE);
}
