/* Checkpoints in archives: they come through whole, from every kind of archive and back into it,
 * and an archive that is damaged or made to do harm is refused by name. */
#include "tests/convert/archives.h"
#include "tests/convert/conversions.h"

#include <locale.h>

#include "convert/bundle.h"
#include "tests/support/random.h"

/* Converts an archive; the caller frees the container's path. */
static char *convert_archive(void **state, const char *source, const char *name)
{
    struct convert_result result;
    ingot_error error = {0};
    char *target = scratch_path(state, name);
    assert_ok(convert_path(source, target, NULL, &result, &error), &error);
    assert_true(result.restorable);
    return target;
}

static void restore(const char *container, const char *target)
{
    struct restore_result restored;
    ingot_error error = {0};
    ingot_file *file = open_valid(container);
    assert_ok(restore_model(file, target, true, 0, NULL, &restored, &error), &error);
    ingot_file_close(file);
}

static void expect_files(const char *folder, const struct packed *files, size_t n_files,
                         size_t n_stripped)
{
    for (size_t i = 0; i < n_files; i++) {
        char path[512];
        size_t n_bytes;
        snprintf(path, sizeof path, "%s/%s", folder, files[i].name + n_stripped);
        uint8_t *bytes = file_read(path, &n_bytes);
        assert_int_equal(n_bytes, files[i].n_bytes);
        if (n_bytes) assert_memory_equal(bytes, files[i].bytes, n_bytes);
        free(bytes);
    }
}

/* ------------------------------------------------------------------ good ones */

/* From every kind of archive into a folder and into every kind of archive, from where they give the
 * same container again. */
static void test_round_trips(void **state)
{
    static const char *const prefixes[] = {"", "./", "model/", "./a/b/c/"};
    for (size_t i = 0; i < N_PACKINGS; i++) {
        const struct packing *packing = &packings[i];
        const char *prefix = prefixes[i % 4];
        struct checkpoint c;
        make(&c, prefix);
        char *archive = suffixed_path(state, "source", packing->suffix);
        char *folder = scratch_path(state, "folder");
        pack(archive, packing, c.files, N_FILES);
        char *container = convert_archive(state, archive, "c.ingot");
        restore(container, folder);
        expect_files(folder, c.files, N_FILES, strncmp(prefix, "./", 2) == 0 ? 2 : 0);
        char *again = suffixed_path(state, "again", packing->suffix);
        char *twice = suffixed_path(state, "twice", packing->suffix);
        restore(container, again);
        char *second = convert_archive(state, again, "second.ingot");
        assert_same_file(container, second);
        restore(second, twice);
        assert_same_file(again, twice);
        assert_int_equal(nftw(folder, scratch_remove, 16, FTW_DEPTH | FTW_PHYS), 0);
        free(second);
        free(twice);
        free(again);
        free(container);
        free(folder);
        free(archive);
    }
}

/* The container of a folder's archive is the folder's own when the archive has its order. */
static void test_same_as_folder(void **state)
{
    struct checkpoint c;
    make(&c, "");
    char *archive = scratch_path(state, "source.tar");
    char *folder = scratch_path(state, "same");
    pack(archive, &packings[PACKING_GNUTAR], c.files, N_FILES);
    char *from_archive = convert_archive(state, archive, "from-archive.ingot");
    restore(from_archive, folder);
    char *from_folder = convert_archive(state, folder, "from-folder.ingot");
    ingot_file *a = open_valid(from_archive);
    ingot_file *b = open_valid(from_folder);
    assert_memory_equal(ingot_file_content_id(a), ingot_file_content_id(b), 16);
    ingot_file_close(b);
    ingot_file_close(a);
    free(from_folder);
    free(from_archive);
    free(folder);
    free(archive);
}

/* A tensor of several windows is read in any order; what is read twice is the same. */
static void test_any_order(void **state)
{
    enum { N_BYTES = 3 << 20 };
    struct random random = {7};
    char header[128];
    uint8_t *bytes = malloc(N_BYTES + 8 + 128);
    uint8_t *part = malloc(N_BYTES);
    assert_non_null(bytes);
    assert_non_null(part);
    snprintf(header, sizeof header,
             "{\"t\":{\"dtype\":\"U8\",\"shape\":[%d],\"data_offsets\":[0,%d]}}", N_BYTES, N_BYTES);
    const size_t n_header = 8 + strlen(header);
    store_u64(bytes, strlen(header));
    memcpy(bytes + 8, header, strlen(header));
    for (size_t i = 0; i < N_BYTES; i++) bytes[n_header + i] = (uint8_t)(random_bits(&random) & 3);
    const struct packed files[] = {
        {.name = "before.bin", .n_bytes = 1000},
        {.name = "t.safetensors", .bytes = bytes, .n_bytes = n_header + N_BYTES},
        {.name = "after.txt", .bytes = "after", .n_bytes = 5}};
    for (size_t k = 0; k < N_PACKINGS; k++) {
        char *path = suffixed_path(state, "order", packings[k].suffix);
        const char *source = path;
        struct model *model;
        ingot_error error = {0};
        pack(path, &packings[k], files, 3);
        assert_ok(model_open(&source, 1, NULL, &model, &error), &error);
        for (int i = 0; i < 40; i++) {
            const uint64_t n = random_below(&random, i % 2 ? 100 : 400000) + 1;
            const uint64_t at = random_below(&random, N_BYTES - n);
            assert_ok(model_read_raw(model, 0, at, n, part, &error), &error);
            assert_memory_equal(part, bytes + n_header + at, n);
            if (i % 8 != 0) continue;
            assert_ok(model_read_attachment(model, 1, 1, 4, part, &error), &error);
            assert_memory_equal(part, "fter", 4);
        }
        model_close(model);
        free(path);
    }
    free(part);
    free(bytes);
}

/* Names come as their bytes, whatever the locale: not recoded, not brought to another normal form.
 */
static void test_names_keep_their_bytes(void **state)
{
    static const char *const locales[] = {"C", "C.UTF-8"};
    static const char *const names[] = {"e\xcc\x81.txt", "\xc3\xa9.txt", "\xe5\xa4\xa7/\xff.txt"};
    const struct made_file tensors = made_safetensors("{}", NULL, 0);
    for (size_t i = 0; i < N_PACKINGS * 2; i++) {
        const struct packing *packing = &packings[i / 2];
        /* libarchive cannot mark a name as UTF-8 that is not. */
        const size_t n_names = i % 2 == 1 ? 2 : 3;
        struct packed files[4] = {
            {.name = "m.safetensors", .bytes = tensors.bytes, .n_bytes = tensors.n_bytes}};
        if (setlocale(LC_ALL, locales[i % 2]) == NULL) continue;
        for (size_t k = 0; k < n_names; k++) {
            files[k + 1] = (struct packed){.name = names[k], .bytes = "x", .n_bytes = 1};
        }
        char *path = suffixed_path(state, "names", packing->suffix);
        char *back = suffixed_path(state, "names-back", packing->suffix);
        pack(path, packing, files, n_names + 1);
        for (size_t reads = 0; reads < 2; reads++) {
            ingot_error error = {0};
            struct bundle *bundle;
            assert_ok(bundle_open(reads ? back : path, NULL, &bundle, &error), &error);
            assert_int_equal(bundle_n_files(bundle), n_names + 1);
            for (uint32_t k = 0; k < n_names; k++) {
                assert_string_equal(bundle_name(bundle, k + 1), names[k]);
            }
            bundle_close(bundle);
            if (reads) break;
            char *container = convert_archive(state, path, "names.ingot");
            restore(container, back);
            free(container);
        }
        free(back);
        free(path);
    }
    setlocale(LC_ALL, "C");
}

/* Folders are passed over; those that hold nothing are told. */
static void test_folders(void **state)
{
    const struct made_file tensors = made_safetensors("{}", NULL, 0);
    const struct packed files[] = {
        {.name = "./", .type = S_IFDIR},
        {.name = "./a/", .type = S_IFDIR},
        {.name = "./a.b/", .type = S_IFDIR},
        {.name = "./a/m.safetensors", .bytes = tensors.bytes, .n_bytes = tensors.n_bytes},
        {.name = "./a/none/", .type = S_IFDIR},
    };
    for (size_t k = 0; k < N_PACKINGS; k++) {
        char *path = suffixed_path(state, "folders", packings[k].suffix);
        const char *source = path;
        ingot_error error = {0};
        struct model *model;
        pack(path, &packings[k], files, 5);
        assert_ok(model_open(&source, 1, NULL, &model, &error), &error);
        assert_int_equal(model_n_notes(model), 2);
        assert_non_null(strstr(model_note(model, 0), "'a.b'"));
        assert_non_null(strstr(model_note(model, 1), "'a/none'"));
        model_close(model);
        free(path);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trips), cmocka_unit_test(test_same_as_folder),
        cmocka_unit_test(test_any_order),   cmocka_unit_test(test_names_keep_their_bytes),
        cmocka_unit_test(test_folders),
    };
    return cmocka_run_group_tests(tests, scratch_begin, scratch_end);
}
