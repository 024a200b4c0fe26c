/* Checkpoints in archives: they come through whole, from every kind of archive and back into it,
 * and an archive that is damaged or made to do harm is refused by name. */
#include "tests/convert/archives.h"
#include "tests/convert/conversions.h"

#include <locale.h>

#include "convert/bundle.h"
#include "tests/support/random.h"

static const uint8_t data[16] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
static const char index_text[] =
    "{\"metadata\":{\"total_size\":20},\"weight_map\":{\"a\":\"m-1.safetensors\",\"b\":"
    "\"m-2.safetensors\"}}";

/* The files of a checkpoint under a folder's name (which may be empty), in no good order. */
enum { N_FILES = 6 };
struct checkpoint {
    struct made_file one, two;
    char names[N_FILES][256];
    struct packed files[N_FILES];
};

static void make(struct checkpoint *c, const char *prefix)
{
    static const char *const names[N_FILES] = {
        "config.json",     "m-2.safetensors", "sub/deep/notes.safetensors",
        "m-1.safetensors", "empty.txt",       "model.safetensors.index.json"};
    c->one = made_safetensors("{\"a\":{\"dtype\":\"U8\",\"shape\":[2,3],\"data_offsets\":[0,6]}}",
                              data, 6);
    /* No order, a gap, and a tensor without bytes. */
    c->two = made_safetensors("{\"z\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[8,12]},"
                              "\"n\":{\"dtype\":\"F16\",\"shape\":[0],\"data_offsets\":[0,0]},"
                              "\"b\":{\"dtype\":\"BF16\",\"shape\":[3],\"data_offsets\":[0,6]}}",
                              data, 12);
    const struct packed files[N_FILES] = {
        {.bytes = "{}\n", .n_bytes = 3},
        {.bytes = c->two.bytes, .n_bytes = c->two.n_bytes},
        {.bytes = "not a model", .n_bytes = 11},
        {.bytes = c->one.bytes, .n_bytes = c->one.n_bytes},
        {.bytes = "", .n_bytes = 0},
        {.bytes = index_text, .n_bytes = sizeof index_text - 1},
    };
    memcpy(c->files, files, sizeof files);
    for (size_t i = 0; i < N_FILES; i++) {
        snprintf(c->names[i], sizeof c->names[i], "%s%s", prefix, names[i]);
        c->files[i].name = c->names[i];
    }
}

static char *suffixed_path(void **state, const char *name, const char *suffix)
{
    char whole[64];
    snprintf(whole, sizeof whole, "%s%s", name, suffix);
    return scratch_path(state, whole);
}

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
    assert_ok(restore_model(file, target, true, NULL, &restored, &error), &error);
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

/* ------------------------------------------------------------------ hostile ones */

static void expect_refused(const char *path, ingot_status wanted, const char *told)
{
    ingot_error error = {0};
    struct model *model;
    const ingot_status status = model_open(&path, 1, NULL, &model, &error);
    if (status == INGOT_OK) model_close(model);
    if (status == wanted && (strstr(error.field, told) || strstr(error.what, told))) return;
    fail_msg("%s, not \"%s\": %s: %s: %s", ingot_status_name(wanted), told,
             ingot_status_name(status), error.field, error.what);
}

static char long_name[5000];

static void test_refused_entries(void **state)
{
    const struct made_file tensors = made_safetensors("{}", NULL, 0);
    const struct {
        struct packed first, second;
        const char *told;
        bool tar_only;
    } rows[] = {
        {{.name = "../up.txt"}, {.name = "x"}, "../up.txt", false},
        {{.name = "a/../../up.txt"}, {.name = "x"}, "safe path", false},
        {{.name = "/etc/passwd"}, {.name = "x"}, "/etc/passwd", false},
        {{.name = "a//b"}, {.name = "x"}, "a//b", false},
        {{.name = "a/./b"}, {.name = "x"}, "a/./b", false},
        {{.name = "c:d"}, {.name = "x"}, "c:d", false},
        {{.name = "new\nline"}, {.name = "x"}, "new?line", false},
        {{.name = "../folder/", .type = S_IFDIR}, {.name = "x"}, "../folder", false},
        {{.name = "a\\b"}, {.name = "x"}, "safe path", true},
        {{.name = "same"}, {.name = "same"}, "same", false},
        {{.name = "same"}, {.name = "./same"}, "two files", false},
        {{.name = "file"}, {.name = "file/below"}, "which is a file", false},
        {{.name = "link", .type = S_IFLNK, .symlink = "/etc/passwd"},
         {.name = "x"},
         "symbolic",
         false},
        {{.name = "x"}, {.name = "hard", .hardlink = "x"}, "hard link", true},
        {{.name = "pipe", .type = S_IFIFO}, {.name = "x"}, "named pipe", true},
        {{.name = "tty", .type = S_IFCHR}, {.name = "x"}, "tty", true},
        {{.name = "disk", .type = S_IFBLK}, {.name = "x"}, "a device", true},
        {{.name = long_name}, {.name = "x"}, "aaaa", true},
    };
    memset(long_name, 'a', sizeof long_name - 1);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (size_t k = 0; k < N_PACKINGS; k++) {
            const bool is_zip = strcmp(packings[k].suffix, ".zip") == 0;
            const bool is_ustar = packings[k].format == archive_write_set_format_ustar;
            if ((is_zip && rows[i].tar_only) || (is_ustar && rows[i].first.name == long_name)) {
                continue;
            }
            const struct packed files[] = {
                rows[i].first,
                rows[i].second,
                {.name = "m.safetensors", .bytes = tensors.bytes, .n_bytes = tensors.n_bytes}};
            char *path = suffixed_path(state, "refused", packings[k].suffix);
            pack(path, &packings[k], files, 3);
            expect_refused(path, INGOT_REFUSED, rows[i].told);
            free(path);
        }
    }
}

/* Zeros that a small archive stands for: refused by what the headers say, before any is read. */
static void test_bombs(void **state)
{
    const struct made_file tensors = made_safetensors("{}", NULL, 0);
    struct packed files[] = {
        {.name = "m.safetensors", .bytes = tensors.bytes, .n_bytes = tensors.n_bytes},
        {.name = "first.bin", .n_bytes = 40 << 20},
        {.name = "second.bin", .n_bytes = 40 << 20}};
    char *path = scratch_path(state, "bomb.tar.zst");
    pack(path, &packings[PACKING_ZSTD], files, 3);
    expect_refused(path, INGOT_REFUSED, "second.bin");
    files[2].n_bytes = 1 << 20;
    pack(path, &packings[PACKING_ZSTD], files, 3);
    const char *source = path;
    struct model *model;
    ingot_error error = {0};
    assert_ok(model_open(&source, 1, NULL, &model, &error), &error);
    model_close(model);
    free(path);

    enum { N_ENTRIES = 100001 };
    static char names[N_ENTRIES][12];
    struct packed *many = calloc(N_ENTRIES, sizeof *many);
    assert_non_null(many);
    for (size_t i = 0; i < N_ENTRIES; i++) {
        snprintf(names[i], sizeof names[i], "f%zu", i);
        many[i].name = names[i];
    }
    path = scratch_path(state, "many.tar");
    pack(path, &packings[PACKING_GNUTAR], many, N_ENTRIES);
    expect_refused(path, INGOT_UNSUPPORTED, "100000");
    free(many);
    free(path);
}

static void test_refused_archives(void **state)
{
    const struct made_file tensors = made_safetensors("{}", NULL, 0);
    const struct packed model_file = {
        .name = "m.safetensors", .bytes = tensors.bytes, .n_bytes = tensors.n_bytes};
    const struct packed other = {.name = "x.txt", .bytes = "x", .n_bytes = 1};
    const struct packed nested[] = {
        {.name = "a/m.safetensors", .bytes = tensors.bytes, .n_bytes = tensors.n_bytes},
        {.name = "b/m.safetensors", .bytes = tensors.bytes, .n_bytes = tensors.n_bytes}};
    char *path = scratch_path(state, "odd.tar.gz");
    char *twice = scratch_path(state, "twice.tar.gz");
    size_t n_bytes;
    file_write(path, "", 0);
    expect_refused(path, INGOT_INVALID, "odd.tar.gz");
    file_write(path, "no archive at all, only text", 28);
    expect_refused(path, INGOT_INVALID, "odd.tar.gz");
    pack(path, &packings[PACKING_GNUTAR], &other, 1);
    expect_refused(path, INGOT_UNSUPPORTED, "no .safetensors");
    pack(path, &packings[PACKING_GNUTAR], NULL, 0);
    expect_refused(path, INGOT_UNSUPPORTED, "no .safetensors");
    pack(path, &packings[PACKING_GNUTAR], nested, 2);
    expect_refused(path, INGOT_UNSUPPORTED, "which is the model");

    /* An archive in an archive is a file; a stream compressed twice is nothing. */
    pack(path, &packings[PACKING_ZIP], &model_file, 1);
    uint8_t *inner = file_read(path, &n_bytes);
    const struct packed in_archive = {.name = "inner.zip", .bytes = inner, .n_bytes = n_bytes};
    pack(path, &packings[PACKING_ZIP], &in_archive, 1);
    expect_refused(path, INGOT_UNSUPPORTED, "no .safetensors");
    free(inner);
    pack(path, &packings[3], &model_file, 1);
    char command[512];
    snprintf(command, sizeof command, "gzip -c '%s' > '%s'", path, twice);
    assert_int_equal(system(command), 0);
    expect_refused(twice, INGOT_REFUSED, "more than once");

    struct packing locked = {".zip", archive_write_set_format_zip, NULL, "zip:compression=lzma"};
    struct archive *probe = archive_write_new();
    archive_write_set_format_zip(probe);
    const bool has_lzma = archive_write_set_options(probe, locked.options) == ARCHIVE_OK;
    archive_write_free(probe);
    if (has_lzma) {
        pack(path, &locked, &model_file, 1);
        expect_refused(path, INGOT_UNSUPPORTED, "other than deflate");
    }
    free(twice);
    free(path);
}

/* Opens a model and reads everything; the sum of its files' bytes, or UINT64_MAX. */
static uint64_t read_all(const char *path)
{
    uint8_t bytes[4096];
    struct model *model;
    ingot_error error = {0};
    ingot_status status = model_open(&path, 1, NULL, &model, &error);
    if (status != INGOT_OK) return UINT64_MAX;
    const uint64_t n_bytes = model_source_bytes(model);
    for (uint32_t i = 0; i < model_n_tensors(model) && status == INGOT_OK; i++) {
        struct model_tensor t;
        model_tensor(model, i, &t);
        if (t.stored_bytes > sizeof bytes) continue;
        status = model_read_raw(model, i, 0, t.stored_bytes, bytes, &error);
    }
    for (uint32_t i = 0; i < model_n_attachments(model) && status == INGOT_OK; i++) {
        struct model_attachment a;
        model_attachment(model, i, &a);
        if (a.n_bytes > sizeof bytes) continue;
        status = model_read_attachment(model, i, 0, a.n_bytes, bytes, &error);
    }
    model_close(model);
    return status == INGOT_OK ? n_bytes : UINT64_MAX;
}

/* A prefix is refused, or (where only padding and end marks are gone) is the whole. */
static void test_prefixes(void **state)
{
    struct checkpoint c;
    uint64_t n_all = 0;
    make(&c, "");
    for (size_t i = 0; i < N_FILES; i++) n_all += c.files[i].n_bytes;
    for (size_t k = 0; k < N_PACKINGS; k++) {
        char *path = suffixed_path(state, "whole", packings[k].suffix);
        char *part = suffixed_path(state, "part", packings[k].suffix);
        size_t n_bytes, n_whole = 0;
        pack(path, &packings[k], c.files, N_FILES);
        uint8_t *bytes = file_read(path, &n_bytes);
        const size_t step = n_bytes > 4000 ? 101 : 5;
        for (size_t n = 0; n < n_bytes; n += step) {
            file_write(part, bytes, n);
            const uint64_t n_read = read_all(part);
            if (n_read == UINT64_MAX) continue;
            if (n_read != n_all) fail_msg("%s: the first %zu bytes are taken", path, n);
            n_whole++;
        }
        assert_true(n_whole <= 1024 / step + 1);
        /* Cut where a file ends: only the missing end mark tells. */
        const bool plain = packings[k].filter == NULL && strcmp(packings[k].suffix, ".tar") == 0;
        for (size_t n = 512; plain && n + 1024 < n_bytes; n += 512) {
            file_write(part, bytes, n);
            assert_int_equal(read_all(part), UINT64_MAX);
        }
        free(bytes);
        free(part);
        free(path);
    }
}

/* Any byte changed: read or refused, and nothing worse. */
static void test_changed_bytes(void **state)
{
    struct checkpoint c;
    make(&c, "m/");
    for (size_t k = 0; k < N_PACKINGS; k++) {
        char *path = suffixed_path(state, "changed", packings[k].suffix);
        size_t n_bytes;
        pack(path, &packings[k], c.files, N_FILES);
        uint8_t *bytes = file_read(path, &n_bytes);
        const size_t step = n_bytes > 4000 ? 41 : 3;
        for (size_t i = 0; i < n_bytes; i += step) {
            bytes[i] ^= (uint8_t)(1u << i % 8);
            file_write(path, bytes, n_bytes);
            (void)read_all(path);
            bytes[i] ^= (uint8_t)(1u << i % 8);
        }
        free(bytes);
        free(path);
    }
}

/* A zip's contents that do not have their checksum are not carried. */
static void test_zip_checksum(void **state)
{
    struct checkpoint c;
    make(&c, "");
    char *path = scratch_path(state, "checksum.zip");
    size_t n_bytes;
    pack(path, &packings[N_PACKINGS - 1], c.files, N_FILES); /* stored */
    uint8_t *bytes = file_read(path, &n_bytes);
    uint8_t *text = memmem(bytes, n_bytes, "not a model", 11);
    assert_non_null(text);
    text[0] = 'N';
    file_write(path, bytes, n_bytes);
    struct convert_result result;
    ingot_error error = {0};
    char *target = scratch_path(state, "checksum.ingot");
    assert_int_equal(convert_path(path, target, NULL, &result, &error), INGOT_INVALID);
    assert_string_equal(error.field, "sub/deep/notes.safetensors");
    assert_false(exists(target));
    free(target);
    free(bytes);
    free(path);
}

/* An archive that is replaced while it is open is noticed. */
static void test_changing_archive(void **state)
{
    struct checkpoint c;
    make(&c, "");
    char *path = scratch_path(state, "changing.tar.gz");
    const char *source = path;
    struct model *model;
    ingot_error error = {0};
    pack(path, &packings[3], c.files, N_FILES);
    assert_ok(model_open(&source, 1, NULL, &model, &error), &error);
    assert_ok(model_unchanged(model, &error), &error);
    pack(path, &packings[3], c.files, N_FILES - 1);
    assert_int_equal(model_unchanged(model, &error), INGOT_REFUSED);
    model_close(model);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trips),  cmocka_unit_test(test_same_as_folder),
        cmocka_unit_test(test_any_order),    cmocka_unit_test(test_names_keep_their_bytes),
        cmocka_unit_test(test_folders),      cmocka_unit_test(test_refused_entries),
        cmocka_unit_test(test_bombs),        cmocka_unit_test(test_refused_archives),
        cmocka_unit_test(test_prefixes),     cmocka_unit_test(test_changed_bytes),
        cmocka_unit_test(test_zip_checksum), cmocka_unit_test(test_changing_archive),
    };
    return cmocka_run_group_tests(tests, scratch_begin, scratch_end);
}
