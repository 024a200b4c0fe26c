/* model.safetensors.index.json: its total is advice, its map is a promise; wherever the folder is.
 */
#include "tests/convert/archives.h"
#include "tests/convert/checkpoint.h"

#include "convert/model.h"

static void test_total(void **state)
{
    static const struct {
        const char *text;
        bool noted;
    } rows[] = {
        {"{\"metadata\":{\"total_size\":10},\"weight_map\":{}}", false}, /* of the tensors */
        {"{\"metadata\":{\"total_size\":228}}", false},                  /* of the files */
        {"{\"metadata\":{\"total_size\":11}}", true},
        {"{\"metadata\":{\"total_size\":0}}", true},
        {"{\"metadata\":{\"total_size\":11,\"total_size\":10}}", false},
        {"{\"metadata\":{\"total_size\":1.5}}", false},
        {"{\"metadata\":{\"total_size\":\"11\"}}", false},
        {"{\"metadata\":{\"total_size\":[11]}}", false},
        {"{\"metadata\":null}", false},
        {"{\"metadata\":[1,{\"total_size\":11}],\"other\":{\"total_size\":11}}", false},
        {"{}", false},
    };
    char *root = make_checkpoint(state, "total");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *path = root;
        struct model *model;
        ingot_error error = {0};
        put(root, "model.safetensors.index.json", rows[i].text);
        assert_ok(model_open(&path, 1, NULL, &model, &error), &error);
        bool noted = false;
        for (uint32_t k = 0; k < model_n_notes(model); k++) {
            noted = noted || strstr(model_note(model, k), "total_size");
        }
        if (noted != rows[i].noted) fail_msg("%s", rows[i].text);
        model_close(model);
    }
    free(root);
}

/* In an archive the names are those beside the index. */
static void test_in_archive(void **state)
{
    static const struct {
        const char *index, *map;
        ingot_status status;
    } rows[] = {
        {"m/model.safetensors.index.json", "{\"weight_map\":{\"a\":\"x.safetensors\"}}", INGOT_OK},
        {"m/model.safetensors.index.json", "{\"weight_map\":{\"a\":\"m/x.safetensors\"}}",
         INGOT_REFUSED},
        {"m/model.safetensors.index.json", "{\"weight_map\":{\"a\":\"y.safetensors\"}}",
         INGOT_INVALID},
        {"m/model.safetensors.index.json", "{\"weight_map\":{\"b\":\"x.safetensors\"}}",
         INGOT_INVALID},
        /* Not the model's. */
        {"model.safetensors.index.json", "{\"weight_map\":{\"b\":\"x.safetensors\"}}", INGOT_OK},
    };
    const struct made_file tensors = made_safetensors(
        "{\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}", "ab", 2);
    char *archive = scratch_path(state, "index.tar");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct packed files[] = {
            {.name = rows[i].index, .bytes = rows[i].map, .n_bytes = strlen(rows[i].map)},
            {.name = "m/x.safetensors", .bytes = tensors.bytes, .n_bytes = tensors.n_bytes}};
        const char *path = archive;
        struct model *model;
        ingot_error error = {0};
        pack(archive, &packings[PACKING_GNUTAR], files, 2);
        const ingot_status status = model_open(&path, 1, NULL, &model, &error);
        if (status != rows[i].status) fail_msg("row %zu: %s: %s", i, error.field, error.what);
        if (status == INGOT_OK) model_close(model);
    }
    free(archive);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_total),
        cmocka_unit_test(test_in_archive),
    };
    return cmocka_run_group_tests(tests, scratch_begin, scratch_end);
}
