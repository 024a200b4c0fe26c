/* Receipts with what was measured: a copy of the container with the compression it was written
 * with, so that all but the receipt comes out as it was. */
#include "cli/write_quality.h"

#include <stdlib.h>
#include <string.h>

#include "cli/json.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "convert/convert.h"
#include "format/reader.h"

static json_t *read_receipt(const ingot_file *file)
{
    const uint32_t index = ingot_file_find_blob(file, INGOT_BLOB_RECEIPT, "", 0);
    ingot_blob blob;
    if (index == INGOT_NONE) return NULL;
    ingot_file_blob(file, index, &blob);
    char *text = malloc((size_t)blob.n_bytes + 1);
    json_t *receipt = NULL;
    if (text && ingot_file_read_blob(file, index, 0, blob.n_bytes, text, NULL) == INGOT_OK) {
        receipt = json_loadb(text, (size_t)blob.n_bytes, 0, NULL);
    }
    free(text);
    return receipt;
}

static ingot_compression compression_of(const ingot_file *file)
{
    json_t *receipt = read_receipt(file);
    const char *name =
        json_string_value(json_object_get(json_object_get(receipt, "recipe"), "compress"));
    ingot_compression compression = INGOT_COMPRESS_FAST;
    if (name && strcmp(name, "none") == 0) compression = INGOT_COMPRESS_NONE;
    if (name && strcmp(name, "max") == 0) compression = INGOT_COMPRESS_MAX;
    json_decref(receipt);
    return compression;
}

static void content_id_text(const ingot_file *file, char text[33])
{
    const uint8_t *id = ingot_file_content_id(file);
    for (int i = 0; i < 16; i++) snprintf(text + (size_t)2 * (size_t)i, 3, "%02x", id[i]);
}

int write_quality(const char *path, const ingot_file *file, json_t *quality, bool quiet)
{
    char id[33];
    struct progress_bar bar = progress_bar_begin(quiet);
    const struct progress progress = progress_bar_reports(&bar);
    struct model *model = NULL;
    struct convert_result result;
    ingot_error error = {0};
    content_id_text(file, id);
    if (json_object_set_new(quality, "content_id", json_string(id)) != 0) return report_no_memory();
    char *text = json_dumps(quality, JSON_REAL_PRECISION(9));
    if (text == NULL) return report_no_memory();
    const struct convert_options options = {.compression = compression_of(file),
                                            .quality = text,
                                            .replace = true,
                                            .progress = &progress};
    ingot_status status = model_open(&path, 1, NULL, &model, &error);
    if (status == INGOT_OK) status = convert_model(model, path, &options, &result, &error);
    progress_bar_erase(&bar);
    model_close(model);
    free(text);
    return status == INGOT_OK ? EXITS_DONE : report_error(path, &error);
}

json_t *read_quality(const ingot_file *file)
{
    char id[33];
    json_t *receipt = read_receipt(file);
    json_t *quality = json_object_get(receipt, "quality");
    const char *of = json_string_value(json_object_get(quality, "content_id"));
    content_id_text(file, id);
    json_t *found = of && strcmp(of, id) == 0 ? json_incref(quality) : NULL;
    json_decref(receipt);
    return found;
}
