/* The CPU as a compute backend: what it is called, and opening it. Leaves levels and matrices to
 * their own files. */
#include "runtime/cpu_matrix.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "format/alloc.h"
#include "format/bytes.h"
#include "format/fail.h"
#include "runtime/cpu_sparse.h"

static ingot_status count(const ingot_allocator *allocator, uint32_t *n, ingot_error *error)
{
    (void)allocator;
    (void)error;
    *n = 1;
    return INGOT_OK;
}

/* The text after "key : " in a line of /proc/cpuinfo, or NULL when the line has another key. */
static const char *line_value(char *line, const char *key)
{
    const size_t key_bytes = strlen(key);
    if (strncmp(line, key, key_bytes) != 0) return NULL;
    char *at = line + key_bytes;
    at += strspn(at, " \t");
    if (*at != ':') return NULL;
    at += 1 + strspn(at + 1, " \t");
    at[strcspn(at, "\n")] = '\0';
    return *at != '\0' ? at : NULL;
}

static void find_name(char *name, size_t capacity)
{
    snprintf(name, capacity, "CPU");
    FILE *file = fopen("/proc/cpuinfo", "r");
    if (file == NULL) return;
    char line[512];
    while (fgets(line, sizeof line, file) != NULL) {
        const char *value = line_value(line, "model name");
        if (value == NULL) continue;
        snprintf(name, capacity, "%s", value);
        break;
    }
    fclose(file);
}

static uint64_t memory_bytes(void)
{
    const long n_pages = sysconf(_SC_PHYS_PAGES);
    const long page_bytes = sysconf(_SC_PAGESIZE);
    uint64_t n_bytes;
    if (n_pages < 0 || page_bytes < 0) return 0;
    return mul_u64((uint64_t)n_pages, (uint64_t)page_bytes, &n_bytes) ? n_bytes : 0;
}

static ingot_status describe(const ingot_allocator *allocator, uint32_t index,
                             ingot_device_info *info, ingot_error *error)
{
    (void)allocator;
    (void)index;
    (void)error;
    ingot_device_info made = {.index = info->index, .usable = true};
    find_name(made.name, sizeof made.name);
    snprintf(made.driver, sizeof made.driver, "%s", cpu_level_find(NULL)->name);
    snprintf(made.kind, sizeof made.kind, "cpu");
    snprintf(made.kernels, sizeof made.kernels, "%s", cpu_level_find(NULL)->name);
    made.memory_bytes = memory_bytes();
    *info = made;
    return INGOT_OK;
}

static void cpu_close(void *device_pointer)
{
    struct cpu_device *device = device_pointer;
    if (device == NULL) return;
    ingot_pool_close(device->pool);
    ingot_release(device->allocator, device->scratch);
    ingot_release(device->allocator, device);
}

bool cpu_device_scratch(struct cpu_device *device, uint64_t n_bytes)
{
    if (n_bytes <= device->scratch_bytes) return true;
    ingot_release(device->allocator, device->scratch);
    device->scratch_bytes = 0;
    device->scratch = ingot_allocate(device->allocator, n_bytes + 64);
    if (device->scratch == NULL) return false;
    uint8_t *memory = device->scratch;
    device->scratch_aligned = memory + (64 - (uintptr_t)memory % 64) % 64;
    device->scratch_bytes = n_bytes;
    return true;
}

static struct ingot_pool *cpu_pool(void *device_pointer)
{
    const struct cpu_device *device = device_pointer;
    return device->pool;
}

static bool cpu_own_form(void *device_pointer, const struct ingot_coding *coding, uint64_t n_rows,
                         uint64_t n_cols, const float *codebook, uint64_t *n_bytes)
{
    const struct cpu_device *device = device_pointer;
    *n_bytes = 0;
    if (device->level->panels == NULL) return false;
    return panels_forecast(coding, n_rows, n_cols, codebook, n_bytes);
}

static uint64_t cpu_kept_bytes(void *device_pointer, const struct ingot_coding *coding,
                               uint64_t n_rows, uint64_t n_cols)
{
    const struct cpu_device *device = device_pointer;
    return cpu_sparse_forecast(device->level, coding, n_rows, n_cols);
}

static ingot_status cpu_open(uint32_t index, const struct backend_options *options,
                             const ingot_allocator *allocator, void **device, ingot_error *error)
{
    (void)index;
    const struct cpu_level *level = cpu_level_find(options->cpu_level);
    if (level == NULL) {
        return ingot_fail(error, INGOT_DEVICE, INGOT_NO_OFFSET, "CPU device",
                          "this CPU or build has no kernel level \"%s\"; the best it has is \"%s\"",
                          options->cpu_level, cpu_level_find(NULL)->name);
    }
    struct cpu_device *made = ingot_allocate_zeroed(allocator, 1, sizeof *made);
    if (made == NULL) return ingot_fail_memory(error, sizeof *made, "CPU device");
    made->allocator = allocator;
    made->level = level;
    ingot_status status = ingot_pool_create(options->n_threads, allocator, &made->pool, error);
    if (status != INGOT_OK) goto done;
    *device = made;
    made = NULL;
done:
    cpu_close(made);
    return status;
}

const struct ingot_backend ingot_backend_cpu = {
    .name = "cpu",
    .count = count,
    .describe = describe,
    .open = cpu_open,
    .close = cpu_close,
    .pool = cpu_pool,
    .reads_in_place = true,
    .own_form = cpu_own_form,
    .kept_bytes = cpu_kept_bytes,
    .matrix_upload = cpu_matrix_upload,
    .matrix_release = cpu_matrix_release,
    .matmul = cpu_matmul,
};
