/* GGUF heads that lie: each class that has hurt a parser is refused with the field and the place.
 * Heads lie in memory of exactly their length. */
#include "tests/convert/conversions.h"

#include <dirent.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "convert/gguf.h"
#include "tests/support/failing_memory.h"
#include "tests/support/gguf_maker.h"

/* Parses a copy of the first n_head bytes of a file of file_bytes. */
static ingot_status parse(const struct gguf_maker *m, uint64_t n_head, uint64_t file_bytes,
                          uint64_t *wanted, ingot_error *error)
{
    struct gguf g;
    uint8_t *copy = malloc(n_head ? n_head : 1);
    assert_non_null(copy);
    memcpy(copy, m->bytes.data, n_head);
    const ingot_status status =
        gguf_parse((struct span){copy, n_head}, file_bytes, NULL, NULL, &g, wanted, error);
    if (status == INGOT_OK) gguf_release(&g);
    free(copy);
    return status;
}

static ingot_status parse_whole(const struct gguf_maker *m, ingot_error *error)
{
    uint64_t wanted = 0;
    const ingot_status status = parse(m, m->bytes.n_bytes, m->bytes.n_bytes, &wanted, error);
    assert_int_not_equal(status, INGOT_END);
    return status;
}

/* ------------------------------------------------------------------ one field changed */

enum { BASE_HEAD_BYTES = 223, BASE_BYTES = 304 };

/* The offsets of its fields are those of the rows below. */
static void make_base(struct gguf_maker *m)
{
    make_gguf(m, 3, false, 2, 3);
    make_text_entry(m, "general.architecture", "llama");     /* 24, 52, 56, 64 */
    make_number_entry(m, "general.alignment", 4, 32, 4);     /* 69, 94, 98 */
    make_key(m, "list", 9);                                  /* 102, 114 */
    make_array(m, 8, 2);                                     /* 118, 122 */
    make_text(m, "a");                                       /* 130 */
    make_text(m, "bc");                                      /* 139 */
    make_tensor(m, "a", 2, (const uint64_t[]){32, 2}, 2, 0); /* 149, 158, 162, 178, 182 */
    make_tensor(m, "b", 1, (const uint64_t[]){4}, 0, 64);    /* 190, 199, 203, 211, 215 */
    assert_int_equal(m->bytes.n_bytes, BASE_HEAD_BYTES);
    make_aligned(m, 32);
    make_data(m, 1, BASE_BYTES - m->bytes.n_bytes);
}

struct change {
    uint64_t offset;
    uint32_t n_bytes;
    uint64_t value;
};

static const struct lie {
    struct change changes[2];
    ingot_status status;
    const char *told; /* in "FIELD: WHAT" */
    uint64_t offset;
} lies[] = {
    /* numbers that no version has */
    {{{0, 1, 'g'}}, INGOT_INVALID, "magic: not GGUF", 0},
    {{{4, 4, 0}}, INGOT_INVALID, "version", 4},
    {{{4, 4, 4}}, INGOT_UNSUPPORTED, "version: 4", 4},
    {{{4, 4, 0x04000000}}, INGOT_UNSUPPORTED, "version: 4", 4},
    {{{4, 4, 0x03000000}}, INGOT_INVALID, "n_tensors", 8}, /* counts are the other way round */
    /* enormous counts in a small file */
    {{{8, 8, UINT64_MAX}}, INGOT_INVALID, "n_tensors", 8},
    {{{8, 8, UINT64_C(1) << 63}}, INGOT_INVALID, "n_tensors", 8},
    {{{8, 8, 13}}, INGOT_INVALID, "n_tensors: 13", 8},
    {{{16, 8, UINT64_MAX}}, INGOT_INVALID, "n_kv", 16},
    {{{16, 8, 1 << 20}}, INGOT_INVALID, "n_kv", 16},
    {{{122, 8, UINT64_MAX}}, INGOT_INVALID, "metadata.list", 118},
    {{{122, 8, 30}}, INGOT_INVALID, "30 elements, for which the file has no room", 118},
    /* count times size overflows */
    {{{118, 4, 10}, {122, 8, (UINT64_C(1) << 61) + 1}}, INGOT_INVALID, "metadata.list", 130},
    {{{118, 4, 12}, {122, 8, UINT64_MAX / 8}}, INGOT_INVALID, "metadata.list", 130},
    {{{118, 4, 0}, {122, 8, UINT64_MAX}}, INGOT_INVALID, "metadata.list", 130},
    {{{118, 4, 9}, {122, 8, 1 << 16}}, INGOT_INVALID, "metadata.list", 118},
    /* strings longer than what is left */
    {{{24, 8, UINT64_MAX}}, INGOT_INVALID, "metadata.key", 32},
    {{{24, 8, 273}},
     INGOT_INVALID,
     "273 bytes are said to be here, but the file ends after 272",
     32},
    {{{24, 8, 0}}, INGOT_INVALID, "metadata.key: empty", 24},
    {{{56, 8, UINT64_C(1) << 32}}, INGOT_INVALID, "metadata.general.architecture", 64},
    {{{130, 8, UINT64_MAX - 7}}, INGOT_INVALID, "metadata.list", 138},
    {{{149, 8, UINT64_MAX}}, INGOT_INVALID, "tensor.name", 157},
    {{{149, 8, 148}}, INGOT_INVALID, "tensor.name", 157},
    /* types that there are not */
    {{{52, 4, 13}}, INGOT_INVALID, "unknown value type 13", 52},
    {{{52, 4, UINT32_MAX}}, INGOT_INVALID, "unknown value type", 52},
    {{{118, 4, 13}}, INGOT_INVALID, "unknown value type 13", 118},
    {{{52, 4, 7}}, INGOT_INVALID, "a bool that is 5", 56},
    {{{178, 4, 43}}, INGOT_UNSUPPORTED, "a: its type is 43", 178},
    {{{178, 4, UINT32_MAX}}, INGOT_UNSUPPORTED, "its type is 4294967295", 178},
    {{{211, 4, 31}}, INGOT_UNSUPPORTED, "b: its type is 31: ggml had it as Q4_0_4_4", 211},
    /* alignments that divide by nothing */
    {{{98, 4, 0}}, INGOT_INVALID, "general.alignment: 0 is not a power of two", 69},
    {{{98, 4, 48}}, INGOT_INVALID, "48 is not a power of two", 69},
    {{{94, 4, 5}}, INGOT_INVALID, "of type i32, not u32", 69},
    {{{98, 4, UINT32_C(1) << 31}}, INGOT_INVALID, "past the end of the file", 182},
    /* dimensions */
    {{{158, 4, 9}}, INGOT_UNSUPPORTED, "a: 9 dimensions; 8 are the most", 158},
    {{{158, 4, UINT32_MAX}}, INGOT_UNSUPPORTED, "a: 4294967295 dimensions", 158},
    {{{162, 8, UINT64_C(1) << 57}}, INGOT_INVALID, "a: the product of its dimensions", 162},
    {{{162, 8, UINT64_MAX - 31}}, INGOT_INVALID, "a: the product of its dimensions", 162},
    {{{162, 8, UINT64_C(1) << 32}, {170, 8, UINT64_C(1) << 32}}, INGOT_INVALID, "product", 170},
    {{{162, 8, 0}, {170, 8, UINT64_MAX}}, INGOT_INVALID, "product", 170},
    {{{162, 8, 33}}, INGOT_INVALID, "a: its rows of 33 are not whole blocks of Q4_0, of 32", 162},
    /* bytes that are not there, or another's */
    {{{170, 8, 100}}, INGOT_INVALID, "a: its 1800 bytes from 0 of the data on end past", 182},
    {{{170, 8, UINT64_C(1) << 51}}, INGOT_INVALID, "a: its 40532396646334464 bytes", 182},
    {{{182, 8, UINT64_MAX}}, INGOT_INVALID, "a: its bytes begin at 18446744073709551615", 182},
    {{{182, 8, UINT64_C(1) << 63}}, INGOT_INVALID, "a: its bytes begin at", 182},
    {{{182, 8, 48}}, INGOT_INVALID, "a: its 36 bytes from 48", 182},
    {{{215, 8, 32}}, INGOT_INVALID, "b: its bytes overlap those of 'a'", 215},
    {{{215, 8, 0}}, INGOT_INVALID, "b: its bytes overlap those of 'a'", 215},
    {{{215, 8, 80}}, INGOT_INVALID, "b: its 16 bytes from 80", 215},
    {{{215, 8, UINT64_MAX - 15}}, INGOT_INVALID, "b: its bytes begin at", 215},
    /* names */
    {{{198, 1, 'a'}}, INGOT_INVALID, "a: two tensors of this name", 190},
};

static void change(struct gguf_maker *m, const struct change *c)
{
    for (uint32_t i = 0; i < c->n_bytes; i++) {
        m->bytes.data[c->offset + i] = (uint8_t)(c->value >> 8 * i);
    }
}

static void test_lies(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        struct gguf_maker m;
        ingot_error error = {0};
        char text[512];
        make_base(&m);
        change(&m, &lies[i].changes[0]);
        change(&m, &lies[i].changes[1]);
        const ingot_status status = parse_whole(&m, &error);
        snprintf(text, sizeof text, "%s: %s", error.field, error.what);
        if (status != lies[i].status || !strstr(text, lies[i].told) ||
            error.offset != lies[i].offset) {
            fail_msg("lie %zu: status %d, offset %llu, %s", i, (int)status,
                     (unsigned long long)error.offset, text);
        }
        make_end(&m);
    }
}

/* The tensor a without weights: its offset says nothing. */
static void test_no_weights(void **state)
{
    (void)state;
    const struct change none = {170, 8, 0};
    const struct change anywhere = {182, 8, UINT64_MAX};
    struct gguf_maker m;
    ingot_error error = {0};
    make_base(&m);
    change(&m, &none);
    change(&m, &anywhere);
    assert_ok(parse_whole(&m, &error), &error);
    make_end(&m);
}

/* ------------------------------------------------------------------ what takes more than a field
 */

static void test_nesting(void **state)
{
    (void)state;
    for (uint32_t depth = 1; depth <= 2000; depth += depth < 6 ? 1 : 1994) {
        struct gguf_maker m;
        ingot_error error = {0};
        make_gguf(&m, 3, false, 0, 1);
        make_key(&m, "deep", 9);
        for (uint32_t i = 0; i < depth; i++) make_array(&m, i + 1 < depth ? 9 : 4, 1);
        make_number(&m, 1, 4);
        const ingot_status status = parse_whole(&m, &error);
        assert_int_equal(status, depth <= 4 ? INGOT_OK : INGOT_UNSUPPORTED);
        if (depth > 4) assert_non_null(strstr(error.what, "more than 4 deep"));
        make_end(&m);
    }
}

static void test_key_with_two_values(void **state)
{
    (void)state;
    struct gguf_maker m;
    ingot_error error = {0};
    make_gguf(&m, 3, false, 0, 2);
    make_text_entry(&m, "k", "1");
    make_text_entry(&m, "k", "2");
    assert_int_equal(parse_whole(&m, &error), INGOT_INVALID);
    assert_string_equal(error.field, "metadata.key");
    assert_non_null(strstr(error.what, "'k' is there twice"));
    assert_int_equal(error.offset, 24 + 8 + 1 + 4 + 8 + 1);
    make_end(&m);
}

/* Sizes whose sum would run over. */
static void test_running_sum(void **state)
{
    (void)state;
    enum { N = 200 };
    const uint64_t ne[1] = {UINT64_C(1) << 56};
    struct gguf_maker m;
    ingot_error error = {0};
    make_gguf(&m, 3, false, N, 0);
    for (uint32_t i = 0; i < N; i++) {
        char name[16];
        snprintf(name, sizeof name, "t%u", i);
        make_tensor(&m, name, 1, ne, 28, (uint64_t)i << 59);
    }
    make_aligned(&m, 32);
    assert_int_equal(parse_whole(&m, &error), INGOT_INVALID);
    assert_non_null(strstr(error.what, "past the end of the file"));
    make_end(&m);
}

/* ------------------------------------------------------------------ cut short */

/* A file that ends anywhere is refused; a head of which more is to come is asked for. */
static void check_cuts(const struct gguf_maker *m, uint64_t head_bytes, uint64_t needed_bytes)
{
    const uint64_t total = m->bytes.n_bytes;
    for (uint64_t n = 0; n < total; n++) {
        ingot_error error = {0};
        uint64_t wanted = 0;
        const ingot_status cut = parse(m, n, n, &wanted, &error);
        assert_int_equal(cut, n < needed_bytes ? INGOT_INVALID : INGOT_OK);
        const ingot_status partial = parse(m, n, total, &wanted, &error);
        assert_int_equal(partial, n < head_bytes ? INGOT_END : INGOT_OK);
        if (partial == INGOT_END) assert_true(wanted > n && wanted <= head_bytes);
    }
}

static void test_truncation(void **state)
{
    (void)state;
    struct gguf_maker m;
    make_base(&m);
    check_cuts(&m, BASE_HEAD_BYTES, BASE_BYTES);
    make_end(&m);
    make_gguf(&m, 1, true, 1, 2);
    make_key(&m, "deep", 9);
    make_array(&m, 9, 1);
    make_array(&m, 7, 2);
    make_number(&m, 0x0101, 2);
    make_text_entry(&m, "text", "of version 1");
    make_tensor(&m, "t", 1, (const uint64_t[]){3}, 24, 0);
    const uint64_t head_bytes = m.bytes.n_bytes;
    make_aligned(&m, 32);
    make_data(&m, 1, 32);
    check_cuts(&m, head_bytes, m.bytes.n_bytes - 29);
    make_end(&m);
}

/* ------------------------------------------------------------------ memory */

static ingot_status open_path(void *context, const ingot_allocator *allocator, ingot_error *error)
{
    struct model *model;
    const char *path = context;
    const ingot_status status = model_open(&path, 1, allocator, &model, error);
    if (status == INGOT_OK) model_close(model);
    return status;
}

static void test_without_memory(void **state)
{
    struct gguf_maker m;
    char *path = scratch_path(state, "m.gguf");
    make_base(&m);
    file_write(path, m.bytes.data, m.bytes.n_bytes);
    assert_true(fail_every_allocation(open_path, path) > 15);
    make_end(&m);
    free(path);
}

/* Two files, of which the second has keys of the first and others. */
static void test_parts_without_memory(void **state)
{
    char *paths[2];
    for (uint32_t i = 0; i < 2; i++) {
        struct gguf_maker m;
        paths[i] = scratch_path(state, i ? "m-00002-of-00002.gguf" : "m-00001-of-00002.gguf");
        make_gguf(&m, 3, false, 1, 4);
        make_number_entry(&m, "split.no", 2, i, 2);
        make_number_entry(&m, "split.count", 2, 2, 2);
        make_text_entry(&m, "both", i ? "x" : "y");
        make_text_entry(&m, i ? "second" : "first", "z");
        make_tensor(&m, i ? "b" : "a", 1, (const uint64_t[]){32}, 2, 0);
        make_aligned(&m, 32);
        make_data(&m, i, 18);
        file_write(paths[i], m.bytes.data, m.bytes.n_bytes);
        make_end(&m);
    }
    assert_true(fail_every_allocation(open_path, paths[0]) > 30);
    struct model *model;
    ingot_error error = {0};
    assert_ok(model_open((const char *const *)paths, 1, NULL, &model, &error), &error);
    assert_int_equal(model_n_notes(model), 1);
    assert_non_null(strstr(model_note(model, 0), "'both'"));
    assert_int_equal(load_u64(model_metadata(model).data), 3);
    model_close(model);
    for (uint32_t i = 0; i < 2; i++) free(paths[i]);
}

/* ------------------------------------------------------------------ what broke other parsers */

enum { SECONDS = 1, MORE_BYTES = 64 << 20 };

/* Converts and restores a file in a second and 64 MiB more than there are: 0 it came back, 1 it
 * was refused with field and offset, 2 neither. */
static int judge_hostile(const char *path, const char *kept, const char *back)
{
    const char *pages = "/proc/self/statm";
    unsigned long n_pages = 0;
    ingot_error error = {0};
    struct convert_result result;
    struct restore_result restored;
    ingot_file *container;
    FILE *file = fopen(pages, "r");
    if (file == NULL || fscanf(file, "%lu", &n_pages) != 1) return 2;
    fclose(file);
    const rlim_t n_bytes = (rlim_t)n_pages * (rlim_t)sysconf(_SC_PAGESIZE) + MORE_BYTES;
    const struct rlimit limit = {n_bytes, n_bytes};
    if (setrlimit(RLIMIT_AS, &limit) != 0) return 2;
    alarm(SECONDS);
    if (convert_path(path, kept, NULL, &result, &error) != INGOT_OK) {
        return error.status == INGOT_NO_MEMORY || error.field[0] == 0 ||
                       error.offset == INGOT_NO_OFFSET
                   ? 2
                   : 1;
    }
    if (ingot_file_open(kept, NULL, &container, &error) != INGOT_OK) return 2;
    const ingot_status status = restore_model(container, back, true, 0, NULL, &restored, &error);
    ingot_file_close(container);
    return status == INGOT_OK ? 0 : 2;
}

static void test_files_of_others(void **state)
{
    static const char folder[] = "../shared/data/hostile-gguf";
    char *path = scratch_path(state, "hostile.gguf");
    char *kept = scratch_path(state, "hostile.ingot");
    char *back = scratch_path(state, "hostile.back");
    uint32_t n[2] = {0, 0};
    DIR *files = opendir(folder);
    if (files == NULL) {
        printf("note: %s is not there: hostile files were not tried\n", folder);
        goto done;
    }
    for (const struct dirent *entry; (entry = readdir(files)) != NULL;) {
        char source[512];
        size_t n_bytes;
        int end;
        if (entry->d_name[0] == '.') continue;
        snprintf(source, sizeof source, "%s/%s", folder, entry->d_name);
        uint8_t *bytes = file_read(source, &n_bytes);
        file_write(path, bytes, n_bytes);
        free(bytes);
        fflush(NULL);
        const pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) _exit(judge_hostile(path, kept, back));
        assert_int_equal(waitpid(child, &end, 0), child);
        if (WIFEXITED(end) && WEXITSTATUS(end) == 0) assert_same_file(back, path);
        if (!WIFEXITED(end) || WEXITSTATUS(end) > 1) {
            fail_msg("%s: wait status %#x", entry->d_name, (unsigned)end);
        }
        n[WEXITSTATUS(end)]++;
    }
    closedir(files);
    printf("note: of the hostile files %u were refused and %u came back\n", n[1], n[0]);
done:
    free(back);
    free(kept);
    free(path);
}

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, scratch_begin, scratch_end)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lies),        cmocka_unit_test(test_no_weights),
        cmocka_unit_test(test_nesting),     cmocka_unit_test(test_key_with_two_values),
        cmocka_unit_test(test_running_sum), cmocka_unit_test(test_truncation),
        IN_FOLDER(test_without_memory),     IN_FOLDER(test_parts_without_memory),
        IN_FOLDER(test_files_of_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
