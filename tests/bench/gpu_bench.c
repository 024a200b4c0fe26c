/* Measures a Vulkan device in one call: what it is, what it can read, copy and compute, whether
 * every coding's products are right on it, and how near to the ceilings they come. Needs nothing
 * but a Vulkan loader and driver.
 *
 *     gpu_bench [--device N] [--json FILE] [--seconds N] [--small]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "vulkan/matrix.h"
#include "vulkan/stream.h"
#include "vulkan/timing.h"

#include "tests/runtime/codings.h"
#include "tests/runtime/made.h"

struct bench {
    struct vk_device *device;
    bool small;      /* sizes for a device that is the CPU, or for a trial */
    double deadline; /* measurements that would begin later are left out */
    uint32_t n_left_out;
    uint32_t n_wrong;
    double read_gbs;
    double copy_gbs;
    double peak_gflops;
    FILE *json; /* NULL: none */
    bool json_has_rows;
};

static double now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static bool is_late(struct bench *b)
{
    const bool late = now() > b->deadline;
    b->n_left_out += late;
    return late;
}

static void tell(const char *what, const ingot_error *error)
{
    printf("  %s: %s: %s\n", what, error->field, error->what);
}

/* One result: a kind, a name, a shape, and a figure in a unit. */
static void put_json(struct bench *b, const char *kind, const char *name, const char *shape,
                     double value, const char *unit)
{
    if (!b->json) return;
    fprintf(b->json, "%s\n  {\"kind\": \"%s\", \"name\": \"%s\", \"shape\": \"%s\", \"%s\": %.6g}",
            b->json_has_rows ? "," : "", kind, name, shape, unit, value);
    b->json_has_rows = true;
}

/* ------------------------------------------------------------------ ceilings */

static ingot_status open_blocks(struct bench *b, uint64_t n_bytes, struct vk_block *blocks[2],
                                ingot_error *error)
{
    for (uint32_t i = 0; i < 2; i++) {
        const ingot_status status = ingot_vk_block_open(b->device, MEMORY_DEVICE, n_bytes,
                                                        "memory to read", &blocks[i], error);
        if (status != INGOT_OK) return status;
    }
    return INGOT_OK;
}

static ingot_status time_ceilings(struct bench *b, struct vk_block *blocks[2], uint64_t n_bytes,
                                  ingot_error *error)
{
    const uint32_t n_groups = b->small ? 64 : 4096;
    double seconds = 0;
    struct vk_kernel kernel = {.shader = "read"};
    struct vk_push push = {.base = blocks[0]->address,
                           .y = blocks[1]->address,
                           .x_stride = (uint32_t)(n_bytes / 16),
                           .n_slices = b->small ? 1000 : 20000,
                           .multiplier = 0.5f};
    ingot_status status =
        ingot_vk_time_kernel(b->device, &kernel, &push, n_groups, 1, 20, &seconds, error);
    if (status != INGOT_OK) return status;
    b->read_gbs = (double)n_bytes / seconds * 1e-9;
    status = ingot_vk_time_copy(b->device, blocks[0], blocks[1], n_bytes, 10, &seconds, error);
    if (status != INGOT_OK) return status;
    b->copy_gbs = (double)n_bytes / seconds * 1e-9;
    snprintf(kernel.shader, sizeof kernel.shader, "peak");
    status = ingot_vk_time_kernel(b->device, &kernel, &push, n_groups, 1, 10, &seconds, error);
    if (status != INGOT_OK) return status;
    b->peak_gflops = 2.0 * 32 * push.n_slices * (double)n_groups * SIMPLE_THREADS / seconds * 1e-9;
    snprintf(kernel.shader, sizeof kernel.shader, "idle");
    status = ingot_vk_time_kernel(b->device, &kernel, &push, 1, 1000, 10, &seconds, error);
    if (status != INGOT_OK) return status;
    printf("read %.1f GB/s, copy %.1f GB/s (each byte read and written), f32 %.0f GFLOP/s, "
           "a dispatch and a barrier %.2f us\n",
           b->read_gbs, b->copy_gbs, b->peak_gflops, seconds * 1e6);
    put_json(b, "ceiling", "read", "", b->read_gbs, "gb_per_second");
    put_json(b, "ceiling", "copy", "", b->copy_gbs, "gb_per_second");
    put_json(b, "ceiling", "f32", "", b->peak_gflops, "gflop_per_second");
    put_json(b, "ceiling", "dispatch", "", seconds, "seconds");
    return INGOT_OK;
}

static void measure_ceilings(struct bench *b)
{
    ingot_error error = {.what = ""};
    struct vk_block *blocks[2] = {NULL, NULL};
    const uint64_t n_bytes = b->small ? UINT64_C(1) << 25 : UINT64_C(1) << 30;
    ingot_status status = open_blocks(b, n_bytes, blocks, &error);
    if (status == INGOT_OK) status = time_ceilings(b, blocks, n_bytes, &error);
    if (status != INGOT_OK) tell("ceilings", &error);
    for (uint32_t i = 0; i < 2; i++) ingot_vk_block_close(b->device, blocks[i]);
}

/* ------------------------------------------------------------------ right or wrong */

struct shape {
    uint64_t n_rows, n_cols, n;
};

/* The largest error of a product as a part of the bound; NaN when a result is no number. */
static double worst_part(const struct resident_matrix *matrix, const float *x, uint64_t n,
                         const float *y)
{
    struct reference reference = reference_make(matrix);
    struct exact *wide = calloc((size_t)matrix->n_cols + 1, sizeof *wide);
    struct exact *exact = calloc((size_t)matrix->n_rows + 1, sizeof *exact);
    if (!wide || !exact) abort();
    double worst = 0;
    for (uint64_t j = 0; j < n; j++) {
        for (uint64_t c = 0; c < matrix->n_cols; c++) {
            const double v = (double)x[j * matrix->n_cols + c];
            wide[c] = (struct exact){v, fabs(v)};
        }
        exact_multiply(&reference, matrix, wide, exact);
        for (uint64_t r = 0; r < matrix->n_rows; r++) {
            const double bound = 2 * made_bound_terms(matrix) * 0x1p-24 * exact[r].magnitude;
            const double part = fabs((double)y[j * matrix->n_rows + r] - exact[r].sum) / bound;
            if (!(part <= worst)) worst = part;
        }
    }
    free(exact);
    free(wide);
    reference_release(&reference);
    return worst;
}

static ingot_status check_coding(struct bench *b, const struct ingot_coding *coding,
                                 struct shape shape, double *worst, ingot_error *error)
{
    struct made m = {.random = {1}};
    struct vk_matrix *uploaded = NULL;
    m.matrix.n_rows = shape.n_rows;
    m.matrix.n_cols = shape.n_cols;
    m.matrix.n_parts = 1;
    made_dense(&m, coding, shape.n_rows, shape.n_cols, &m.matrix.parts[0].dense);
    float *x = made_buffer(&m, shape.n * shape.n_cols * sizeof *x);
    float *y = made_buffer(&m, shape.n * shape.n_rows * sizeof *y);
    for (uint64_t i = 0; i < shape.n * shape.n_cols; i++) x[i] = made_unit(&m);
    ingot_status status = ingot_vk_matrix_upload(b->device, &m.matrix, &uploaded, error);
    if (status == INGOT_OK) status = ingot_vk_matmul(b->device, uploaded, x, shape.n, y, error);
    if (status == INGOT_OK) *worst = worst_part(&m.matrix, x, shape.n, y);
    ingot_vk_matrix_release(b->device, uploaded);
    made_release(&m);
    return status;
}

static void check_codings(struct bench *b)
{
    static const struct shape shapes[] = {{37, 1129, 1}, {9, 203, 5}, {140, 2081, 41}};
    const double before = now();
    double worst_of_all = 0;
    uint32_t n = 0;
    for (uint32_t i = 0; i < N_CODING_CASES; i += b->small ? 8 : 1) {
        for (uint32_t k = 0; k < 3; k++) {
            ingot_error error = {.what = ""};
            double worst = NAN;
            if (is_late(b)) continue;
            n++;
            if (check_coding(b, &coding_cases[i].coding, shapes[k], &worst, &error) != INGOT_OK) {
                tell(coding_cases[i].name, &error);
            }
            if (worst <= 1) {
                worst_of_all = fmax(worst_of_all, worst);
                continue;
            }
            b->n_wrong++;
            printf("  WRONG: %s, %u x %u, %u vectors: %.3g of the bound\n", coding_cases[i].name,
                   (unsigned)shapes[k].n_rows, (unsigned)shapes[k].n_cols, (unsigned)shapes[k].n,
                   worst);
            put_json(b, "wrong", coding_cases[i].name, "", worst, "of_bound");
        }
    }
    printf("%u products checked, %u wrong; the largest error of the others is %.2g of the bound; "
           "%.1f s\n",
           n, b->n_wrong, worst_of_all, now() - before);
    put_json(b, "check", "products", "", n, "checked");
    put_json(b, "check", "wrong", "", b->n_wrong, "products");
}

/* ------------------------------------------------------------------ products */

static const struct ingot_coding bench_e8m0 = {FLOAT(8, INGOT_F8_E8M0)};
static const struct ingot_coding bench_u6 = {UINT(6),
                                             .slots[SLOT_SCALE] = {TABLE(table_f16, 1, 8)}};
static const struct coding_case timed_cases[] = {
    {"f16", NULL, {FLOAT(16, INGOT_F16)}},
    {"bf16", NULL, {FLOAT(16, INGOT_BF16)}},
    {"f8_e4m3, one scale", NULL, {FLOAT(8, INGOT_F8_E4M3), .slots[SLOT_SCALE] = {CONSTANT(0.01f)}}},
    {"int8, row scales", NULL, {INT(8), .slots[SLOT_SCALE] = {TABLE(table_f32, 1, 0)}}},
    {"int6, two levels", NULL, {INT(6), .slots[SLOT_SCALE] = {TABLE(bench_u6, 1, 16)}}},
    {"int4, groups of 128",
     NULL,
     {UINT(4), .slots[SLOT_ZERO] = {CONSTANT(8)}, .slots[SLOT_SCALE] = {TABLE(table_f16, 1, 128)}}},
    {"int4, groups of 32",
     NULL,
     {UINT(4), .slots[SLOT_ZERO] = {CONSTANT(8)}, .slots[SLOT_SCALE] = {TABLE(table_f16, 1, 32)}}},
    {"int4, two levels, offsets",
     NULL,
     {UINT(4), .slots[SLOT_SCALE] = {TABLE(bench_u6, 1, 32)},
      .slots[SLOT_BIAS] = {TABLE(bench_u6, 1, 32), .inverse_table = true}}},
    {"codebook of 16, groups of 64",
     NULL,
     {BOOK(4, 16), .slots[SLOT_SCALE] = {TABLE(table_f16, 1, 64)}}},
    {"f4_e2m1, powers of two",
     NULL,
     {FLOAT(4, INGOT_F4_E2M1), .slots[SLOT_SCALE] = {TABLE(bench_e8m0, 1, 32)}}},
    {"int3, groups of 128",
     NULL,
     {UINT(3), .slots[SLOT_ZERO] = {CONSTANT(4)}, .slots[SLOT_SCALE] = {TABLE(table_f16, 1, 128)}}},
    {"int2, groups of 64",
     NULL,
     {UINT(2), .slots[SLOT_ZERO] = {CONSTANT(1)}, .slots[SLOT_SCALE] = {TABLE(table_f16, 1, 64)}}},
    {"256 vectors of 8, signs",
     NULL,
     {VECTORS(8, 256, 8, 7), .slots[SLOT_SCALE] = {TABLE(table_f16, 1, 32)}}},
};
enum { N_TIMED_CASES = sizeof timed_cases / sizeof *timed_cases };

/* As made_dense does it, but with random bytes for codes and entries, and fast. */
static void fill_random(struct made *m, const void *data, uint64_t n_bytes)
{
    uint8_t *bytes = (uint8_t *)(uintptr_t)data;
    for (uint64_t i = 0; i + 8 <= n_bytes; i += 8) {
        const uint64_t bits = made_random(m);
        memcpy(bytes + i, &bits, 8);
    }
}

static void make_fast(struct made *m, const struct ingot_coding *coding, uint64_t n_rows,
                      uint64_t n_cols, struct resident_dense *dense)
{
    struct ingot_coding *copy = &m->codings[m->n_codings++];
    const bool is_vector = coding->map == MAP_VECTOR;
    const uint64_t length = is_vector ? coding->vector_length : 1;
    *copy = *coding;
    *dense = (struct resident_dense){.coding = copy, .n_rows = n_rows, .n_cols = n_cols};
    if (coding->n_entries > 0) {
        float *book = made_buffer(m, coding->n_entries * length * sizeof *book);
        for (uint64_t i = 0; i < coding->n_entries * length; i++) book[i] = (float)(i % 11) - 5;
        dense->codebook = book;
    }
    dense->n_planes = made_planes(m, coding->bits, n_rows, ceil_div(n_cols, length), dense->planes);
    dense->n_sign_planes = made_planes(m, coding->signs, n_rows, ceil_div(n_cols, 8), dense->signs);
    for (uint32_t i = 0; i < dense->n_planes; i++) {
        fill_random(m, dense->planes[i].data, n_rows * dense->planes[i].row_bytes);
    }
    for (uint32_t i = 0; i < dense->n_sign_planes; i++) {
        fill_random(m, dense->signs[i].data, n_rows * dense->signs[i].row_bytes);
    }
    for (uint32_t i = 0; i < N_SLOTS; i++) {
        const struct coding_slot *slot = &coding->slots[i];
        struct resident_table *table = &dense->tables[i];
        if (!slot->has_table) continue;
        copy->slots[i].table = NULL;
        table->format = (ingot_dtype)slot->table->format;
        table->group_rows = slot->group_rows ? slot->group_rows : n_rows;
        table->group_cols = slot->group_cols ? slot->group_cols : n_cols;
        table->n_rows = ceil_div(n_rows, table->group_rows);
        table->n_cols = ceil_div(n_cols, table->group_cols);
        if (coding_is_raw(slot->table) && slot->table->bits >= 16) {
            const uint64_t n_bytes = table->n_rows * table->n_cols * slot->table->bits / 8;
            uint8_t *data = made_buffer(m, n_bytes);
            fill_random(m, data, n_bytes);
            table->data = data;
            continue;
        }
        struct resident_dense *nested = made_buffer(m, sizeof *nested);
        make_fast(m, slot->table, table->n_rows, table->n_cols, nested);
        table->nested = nested;
    }
}

enum { MAX_COPIES = 512 };

/* So many copies of a matrix that no cache holds them all; and the speed of bringing them there. */
static ingot_status upload_copies(struct bench *b, const struct resident_matrix *matrix,
                                  uint64_t n_wanted, struct vk_matrix **copies, uint32_t *n,
                                  double *upload_gbs, ingot_error *error)
{
    uint64_t n_bytes = 0;
    ingot_status status = INGOT_OK;
    const double before = now();
    while (status == INGOT_OK && *n < MAX_COPIES && n_bytes < n_wanted) {
        status = ingot_vk_matrix_upload(b->device, matrix, &copies[*n], error);
        if (status == INGOT_OK) n_bytes += copies[(*n)++]->resident_bytes;
    }
    *upload_gbs = (double)n_bytes / (now() - before) * 1e-9;
    return status;
}

/* Times a coding at one size, for one vector or many. */
static void time_coding(struct bench *b, const struct coding_case *c, struct shape size)
{
    static struct vk_matrix *copies[MAX_COPIES];
    struct made m = {.random = {1}};
    ingot_error error = {.what = ""};
    uint32_t n_copies = 0;
    double seconds = 0, upload_gbs = 0;
    char shape[64];
    if (is_late(b)) return;
    m.matrix = (struct resident_matrix){.n_rows = size.n_rows, .n_cols = size.n_cols, .n_parts = 1};
    make_fast(&m, &c->coding, size.n_rows, size.n_cols, &m.matrix.parts[0].dense);
    /* With many vectors, the weights are read once in a product that is long. */
    const uint64_t cold_bytes = size.n > 16 ? 1
                                : b->small  ? UINT64_C(4) << 20
                                            : UINT64_C(640) << 20;
    ingot_status status =
        upload_copies(b, &m.matrix, cold_bytes, copies, &n_copies, &upload_gbs, &error);
    if (status == INGOT_OK) {
        status = ingot_vk_time_products(b->device, copies, n_copies, size.n, b->small ? 3 : 20,
                                        &seconds, &error);
    }
    snprintf(shape, sizeof shape, "%u x %u, n = %u", (unsigned)size.n_rows, (unsigned)size.n_cols,
             (unsigned)size.n);
    if (status != INGOT_OK) {
        tell(c->name, &error);
    } else {
        const double n_bytes = (double)copies[0]->resident_bytes;
        const double gbs = n_bytes / seconds * 1e-9;
        const double gflops =
            2.0 * (double)size.n_rows * (double)size.n_cols * (double)size.n / seconds * 1e-9;
        printf("  %-28s %-24s %9.1f us %8.1f GB/s %5.1f %% of read %9.0f GFLOP/s %5.1f %% of f32; "
               "upload %.2f GB/s\n",
               c->name, shape, seconds * 1e6, gbs, 100 * gbs / b->read_gbs, gflops,
               100 * gflops / b->peak_gflops, upload_gbs);
        put_json(b, "seconds", c->name, shape, seconds, "seconds");
        put_json(b, "weights", c->name, shape, gbs, "gb_per_second");
        put_json(b, "products", c->name, shape, gflops, "gflop_per_second");
        put_json(b, "upload", c->name, shape, upload_gbs, "gb_per_second");
    }
    while (n_copies > 0) ingot_vk_matrix_release(b->device, copies[--n_copies]);
    made_release(&m);
}

static void time_products(struct bench *b)
{
    static const struct shape large[] = {
        {4096, 14336, 1}, {8192, 28672, 1}, {4096, 4096, 1}, {8192, 8192, 1}};
    static const struct shape small[] = {{256, 512, 1}};
    const struct shape *shapes = b->small ? small : large;
    puts("one vector, weights from memory:");
    for (uint32_t k = 0; k < (b->small ? 1 : 4); k++) {
        for (uint32_t i = 0; i < N_TIMED_CASES; i++) time_coding(b, &timed_cases[i], shapes[k]);
    }
    static const char *const names[] = {"f16", "int8, row scales", "int4, groups of 128"};
    static const uint64_t counts[] = {8, 16, 64, 256, 512, 1024, 4096};
    puts("many vectors:");
    for (uint32_t i = 0; i < 3 * 7; i++) {
        const struct coding_case *c = timed_cases;
        while (strcmp(c->name, names[i / 7]) != 0) c++;
        const uint64_t side = b->small ? 256 : 4096;
        if (b->small && counts[i % 7] > 64) continue;
        time_coding(b, c, (struct shape){side, side, counts[i % 7]});
    }
}

/* ------------------------------------------------------------------ beside it */

/* PyTorch's bf16 product on the same device, where python3 has it. */
static void time_torch(struct bench *b)
{
    static const char *const command =
        "python3 - 2>/dev/null <<'END'\n"
        "import torch, time\n"
        "a, b = (torch.randn(4096, 4096, device='cuda', dtype=torch.bfloat16) for _ in range(2))\n"
        "for _ in range(5): a @ b\n"
        "torch.cuda.synchronize(); t = time.time()\n"
        "for _ in range(50): a @ b\n"
        "torch.cuda.synchronize(); print(50 * 2 * 4096 ** 3 / (time.time() - t) * 1e-9)\n"
        "END\n";
    double gflops = 0;
    FILE *pipe = b->small ? NULL : popen(command, "r");
    if (pipe && fscanf(pipe, "%lf", &gflops) != 1) gflops = 0;
    if (pipe) pclose(pipe);
    if (gflops <= 0) {
        puts("PyTorch: not measured");
        return;
    }
    printf("PyTorch, bf16, 4096 x 4096, n = 4096: %.0f GFLOP/s\n", gflops);
    put_json(b, "torch", "bf16", "4096 x 4096, n = 4096", gflops, "gflop_per_second");
}

static int usage(void)
{
    fputs("usage: gpu_bench [--device N] [--json FILE] [--seconds N] [--small]\n", stderr);
    return 2;
}

int main(int argc, char **argv)
{
    struct bench b = {.deadline = now() + 450};
    const struct vk_options options = {.message = NULL};
    const char *json = NULL;
    uint32_t index = 0;
    ingot_error error = {.what = ""};
    for (int i = 1; i < argc; i++) {
        const bool has_value = i + 1 < argc;
        if (strcmp(argv[i], "--small") == 0) {
            b.small = true;
        } else if (strcmp(argv[i], "--device") == 0 && has_value) {
            index = (uint32_t)strtoul(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--json") == 0 && has_value) {
            json = argv[++i];
        } else if (strcmp(argv[i], "--seconds") == 0 && has_value) {
            b.deadline = now() + strtod(argv[++i], NULL);
        } else {
            return usage();
        }
    }
    if (ingot_vk_device_open(index, &options, NULL, &b.device, &error) != INGOT_OK) {
        fprintf(stderr, "gpu_bench: %s: %s\n", error.field, error.what);
        return 3;
    }
    const ingot_device_info *info = &b.device->info;
    if (json && !(b.json = fopen(json, "w"))) {
        fprintf(stderr, "gpu_bench: %s cannot be written\n", json);
        ingot_vk_device_close(b.device);
        return 3;
    }
    b.small = b.small || strcmp(info->kind, "software") == 0;
    if (b.json) {
        fprintf(b.json, "{\"device\": \"%s\", \"driver\": \"%s\", \"results\": [", info->name,
                info->driver);
    }
    printf("%s, %s, %s, %.1f GB%s\n", info->name, info->kind, info->driver,
           (double)info->memory_bytes * 1e-9, b.small ? "; small sizes, no speed is a goal" : "");
    setvbuf(stdout, NULL, _IOLBF, 0);
    measure_ceilings(&b);
    check_codings(&b);
    time_products(&b);
    time_torch(&b);
    if (b.n_left_out > 0) printf("%u measurements were left out: time was up\n", b.n_left_out);
    if (b.json) {
        fputs("\n]}\n", b.json);
        fclose(b.json);
    }
    ingot_vk_device_close(b.device);
    return b.n_wrong > 0;
}
