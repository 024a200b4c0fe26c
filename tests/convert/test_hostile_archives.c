/* Archives that are damaged or made to do harm: refused by name, and never worse. */
#include "tests/convert/archives.h"
#include "tests/convert/conversions.h"
#include "tests/convert/meter.h"

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

/* What fails when memory runs out is told, and everything is given back. */
static void test_no_memory(void **state)
{
    static const size_t kinds[] = {PACKING_GNUTAR, PACKING_ZSTD, PACKING_ZIP};
    struct checkpoint c;
    make(&c, "m/");
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        const struct packing *packing = &packings[kinds[k]];
        char *path = suffixed_path(state, "memory", packing->suffix);
        const char *source = path;
        struct meter meter = {0, 0};
        const ingot_allocator allocator = meter_allocator(&meter);
        ingot_status status = INGOT_NO_MEMORY;
        pack(path, packing, c.files, N_FILES);
        for (int n = 0; status != INGOT_OK; n++) {
            struct model *model;
            assert_true(n < 1000);
            meter.left = n;
            status = model_open(&source, 1, &allocator, &model, NULL);
            if (status == INGOT_OK) {
                model_close(model);
            } else {
                assert_int_equal(status, INGOT_NO_MEMORY);
            }
            assert_int_equal(meter.held, 0);
        }
        free(path);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused_entries),  cmocka_unit_test(test_bombs),
        cmocka_unit_test(test_refused_archives), cmocka_unit_test(test_prefixes),
        cmocka_unit_test(test_changed_bytes),    cmocka_unit_test(test_zip_checksum),
        cmocka_unit_test(test_changing_archive), cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, scratch_begin, scratch_end);
}
