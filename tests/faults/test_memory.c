/* Memory that runs out anywhere in the process, libraries included: every allocation of a
 * conversion, a restoration, an extraction and a comparison fails once. Each time all memory comes
 * back, what failed says so, and what has a name is whole. */
#include "tests/faults/scenes.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)

int main(void)
{
    puts("the sanitizer's own allocator cannot be made to fail");
    return 77;
}

#else

#include <link.h>
#include <malloc.h>
#include <stdatomic.h>

#include "convert/convert.h"
#include "convert/extract.h"

/* ------------------------------------------------------------------ the process's memory */

void *__libc_malloc(size_t n_bytes);
void *__libc_calloc(size_t n, size_t n_bytes);
void *__libc_realloc(void *memory, size_t n_bytes);
void *__libc_memalign(size_t alignment, size_t n_bytes);
void __libc_free(void *memory);

static atomic_bool armed;
static atomic_ullong fail_at; /* number of the call that fails, counted while armed */
static atomic_ullong n_calls;
static atomic_llong n_live; /* blocks that are not released, since the process began */

/* Libraries whose own allocations do not fail, as libarchive does not survive that in all of its
 * readers, and tells of it in others as of a damaged archive: where their code lies. */
static const char *const spared[] = {"libarchive", "libz.", "libzstd", "liblzma", "libbz2"};
enum { N_SPARED = sizeof spared / sizeof *spared };
static struct code {
    uintptr_t begin;
    uintptr_t n_bytes;
} spared_code[N_SPARED];

static int find_code(struct dl_phdr_info *object, size_t n_bytes, void *context)
{
    (void)n_bytes;
    (void)context;
    for (int k = 0; k < N_SPARED; k++) {
        if (strstr(object->dlpi_name, spared[k]) == NULL) continue;
        for (uint32_t i = 0; i < object->dlpi_phnum; i++) {
            const ElfW(Phdr) *part = &object->dlpi_phdr[i];
            if (part->p_type != PT_LOAD || !(part->p_flags & PF_X)) continue;
            spared_code[k] = (struct code){object->dlpi_addr + part->p_vaddr, part->p_memsz};
        }
    }
    return 0;
}

/* Whether the allocation that returns to `caller` is to fail. */
static bool fails(const void *caller)
{
    if (!atomic_load(&armed)) return false;
    for (int k = 0; k < N_SPARED; k++) {
        if ((uintptr_t)caller - spared_code[k].begin < spared_code[k].n_bytes) return false;
    }
    if (atomic_fetch_add(&n_calls, 1) != atomic_load(&fail_at)) return false;
    errno = ENOMEM;
    return true;
}

#define CALLER __builtin_return_address(0)

static void *counted(void *memory)
{
    if (memory) atomic_fetch_add(&n_live, 1);
    return memory;
}

void *malloc(size_t n_bytes)
{
    return fails(CALLER) ? NULL : counted(__libc_malloc(n_bytes));
}

void *calloc(size_t n, size_t n_bytes)
{
    return fails(CALLER) ? NULL : counted(__libc_calloc(n, n_bytes));
}

void *realloc(void *memory, size_t n_bytes)
{
    if (fails(CALLER)) return NULL;
    if (memory == NULL) return counted(__libc_malloc(n_bytes));
    void *grown = __libc_realloc(memory, n_bytes);
    if (grown == NULL && n_bytes == 0) atomic_fetch_sub(&n_live, 1);
    return grown;
}

void *memalign(size_t alignment, size_t n_bytes)
{
    return fails(CALLER) ? NULL : counted(__libc_memalign(alignment, n_bytes));
}

void *aligned_alloc(size_t alignment, size_t n_bytes)
{
    return fails(CALLER) ? NULL : counted(__libc_memalign(alignment, n_bytes));
}

int posix_memalign(void **memory, size_t alignment, size_t n_bytes)
{
    void *block = fails(CALLER) ? NULL : counted(__libc_memalign(alignment, n_bytes));
    if (block == NULL) return ENOMEM;
    *memory = block;
    return 0;
}

void free(void *memory)
{
    if (memory) atomic_fetch_sub(&n_live, 1);
    __libc_free(memory);
}

/* ------------------------------------------------------------------ what is attempted */

/* One thing done to the sources of scenes.h. What it makes is under out/. */
struct attempt {
    const char *name;
    ingot_status (*run)(const struct attempt *attempt, ingot_error *error);
    const char *source;
    const char *target;
    const char *encode;
    const char *dialect;
};

static ingot_status attempt_convert(const struct attempt *a, ingot_error *error)
{
    const struct convert_options options = {.encode = a->encode,
                                            .dialect = a->dialect,
                                            .compression = INGOT_COMPRESS_FAST,
                                            .n_threads = 1};
    struct convert_result result;
    struct model *model;
    ingot_status status = model_open(&a->source, 1, NULL, &model, error);
    if (status != INGOT_OK) return status;
    status = convert_model(model, a->target, &options, &result, error);
    model_close(model);
    return status;
}

static ingot_status attempt_restore(const struct attempt *a, ingot_error *error)
{
    struct restore_result result;
    ingot_file *file;
    ingot_status status = ingot_file_open(a->source, NULL, &file, error);
    if (status != INGOT_OK) return status;
    status = restore_model(file, a->target, false, 1, NULL, &result, error);
    ingot_file_close(file);
    return status;
}

static ingot_status attempt_extract(const struct attempt *a, ingot_error *error)
{
    const struct extract_options options = {.target = a->target};
    uint64_t n_bytes;
    struct model *model;
    ingot_status status = model_open(&a->source, 1, NULL, &model, error);
    if (status != INGOT_OK) return status;
    status = extract_npy(model, 0, &options, &n_bytes, error);
    model_close(model);
    return status;
}

static ingot_status attempt_compare(const struct attempt *a, ingot_error *error)
{
    static const char *const other = "source";
    struct tensor_error result;
    struct model *left = NULL;
    struct model *right = NULL;
    ingot_status status = model_open(&a->source, 1, NULL, &left, error);
    if (status == INGOT_OK) status = model_open(&other, 1, NULL, &right, error);
    if (status == INGOT_OK) status = compare_tensors(left, 0, right, 0, NULL, &result, error);
    model_close(right);
    model_close(left);
    return status;
}

static const struct attempt attempts[] = {
    {"convert a folder", attempt_convert, "source", "out/m.ingot", NULL, NULL},
    {"convert a file to int4", attempt_convert, "one.safetensors", "out/m.ingot", "int4", NULL},
    {"convert a file to sparse50", attempt_convert, "one.safetensors", "out/m.ingot", "sparse50",
     NULL},
    {"convert a file to q4_k", attempt_convert, "one.safetensors", "out/m.ingot", "q4_k", NULL},
    {"convert a file to code3", attempt_convert, "one.safetensors", "out/m.ingot", "code3", NULL},
    {"convert a file to nvfp4", attempt_convert, "one.safetensors", "out/m.ingot", "nvfp4", NULL},
    {"convert a file to fp8 in blocks", attempt_convert, "one.safetensors", "out/m.ingot",
     "fp8-b128", NULL},
    {"convert a file to a sum", attempt_convert, "one.safetensors", "out/m.ingot",
     "columns1+iq2_xs+lowrank4", NULL},
    {"convert a zip", attempt_convert, "source.zip", "out/m.ingot", NULL, NULL},
    {"convert a tar.gz", attempt_convert, "source.tar.gz", "out/m.ingot", NULL, NULL},
    {"convert a container", attempt_convert, "model.ingot", "out/m.ingot", NULL, NULL},
    {"convert to safetensors", attempt_convert, "model.ingot", "out/m.safetensors", NULL, NULL},
    {"convert a dialect", attempt_convert, "nf4.safetensors", "out/m.ingot", NULL, NULL},
    {"convert a dialect to int4", attempt_convert, "nf4.safetensors", "out/m.ingot", "int4", NULL},
    {"convert to a dialect", attempt_convert, "nf4.ingot", "out/m.safetensors", NULL,
     "bitsandbytes"},
    {"restore a dialect", attempt_restore, "nf4.ingot", "out/nf4.safetensors", NULL, NULL},
    {"restore a folder", attempt_restore, "model.ingot", "out/again", NULL, NULL},
    {"restore a file", attempt_restore, "one.ingot", "out/one.safetensors", NULL, NULL},
    {"restore a zip", attempt_restore, "model.ingot", "out/source.zip", NULL, NULL},
    {"restore a tar.zst", attempt_restore, "model.ingot", "out/source.tar.zst", NULL, NULL},
    {"extract", attempt_extract, "model.ingot", "out/m.npy", NULL, NULL},
    {"compare", attempt_compare, "model.ingot", NULL, NULL, NULL},
};
enum { N_ATTEMPTS = sizeof attempts / sizeof *attempts };

/* ------------------------------------------------------------------ the loop */

static void empty_out(void)
{
    tree_remove("out");
    assert_int_equal(mkdir("out", 0777), 0);
}

/* What is there has the bytes that it is to have, and no name of a file that is not finished. */
static void check_whole(const struct attempt *a, uint64_t n, const struct tree *whole,
                        ingot_status status)
{
    struct tree now = tree_read("out");
    for (size_t i = 0; i < now.n_files; i++) {
        const struct tree_file *file = &now.files[i];
        const struct tree_file *right = tree_find(whole, file->path);
        if (is_temporary_name(file->path) || right == NULL || !tree_file_same(file, right)) {
            fail_msg("%s: allocation %llu failed and left %s", a->name, (unsigned long long)n,
                     file->path);
        }
    }
    if (status == INGOT_OK && now.n_files != whole->n_files) {
        fail_msg("%s: allocation %llu failed, unnoticed", a->name, (unsigned long long)n);
    }
    tree_release(&now);
}

static ingot_status run_armed(const struct attempt *a, uint64_t n, ingot_error *error)
{
    atomic_store(&n_calls, 0);
    atomic_store(&fail_at, n);
    atomic_store(&armed, true);
    const ingot_status status = a->run(a, error);
    atomic_store(&armed, false);
    return status;
}

/* The system's own calls say it their way. */
static bool says_no_memory(ingot_status status, const ingot_error *error)
{
    return status == INGOT_NO_MEMORY ||
           (status == INGOT_IO && strstr(error->what, strerror(ENOMEM)) != NULL);
}

static void fail_each_allocation(const struct attempt *a)
{
    struct tree whole = {0};
    ingot_error error = {0};
    /* Twice: what libraries keep for good they have after the first. */
    for (int i = 0; i < 2; i++) {
        empty_out();
        assert_ok(run_armed(a, UINT64_MAX, &error), &error);
    }
    const uint64_t n_all = atomic_load(&n_calls);
    whole = tree_read("out");
    for (uint64_t n = 0; n < n_all; n++) {
        empty_out();
        error = (ingot_error){0};
        const long long before = atomic_load(&n_live);
        const ingot_status status = run_armed(a, n, &error);
        const long long kept = atomic_load(&n_live) - before;
        if (kept != 0) {
            fail_msg("%s: allocation %llu of %llu failed (%s: %s) and %lld were not released",
                     a->name, (unsigned long long)n, (unsigned long long)n_all, error.field,
                     error.what, kept);
        }
        if (status != INGOT_OK && !says_no_memory(status, &error)) {
            fail_msg("%s: allocation %llu failed and the status is %s: %s: %s", a->name,
                     (unsigned long long)n, ingot_status_name(status), error.field, error.what);
        }
        check_whole(a, n, &whole, status);
    }
    tree_release(&whole);
    printf("note: %s: %llu allocations\n", a->name, (unsigned long long)n_all);
}

static void test_every_allocation(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ATTEMPTS; i++) fail_each_allocation(&attempts[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_allocation)};
    /* Else the C library may give up what it keeps of the local time zone, and take it again. */
    if (setenv("TZ", "UTC0", 1) != 0) return 1;
    (void)dl_iterate_phdr(find_code, NULL);
    return cmocka_run_group_tests(tests, faults_begin, faults_end);
}

#endif
