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
#include "vulkan/product.h"
#include "vulkan/stream.h"
#include "vulkan/timing.h"

#include "tests/bench/gpu_cases.h"
#include "tests/vulkan/rung_bound.h"

struct bench {
    struct vk_device *device;
    bool small;      /* sizes for a device that is the CPU, or for a trial */
    double deadline; /* measurements that would begin later are left out */
    uint32_t n_left_out;
    uint32_t n_checked;
    uint32_t n_wrong;
    double read_gbs;
    double copy_gbs;
    double peak_gflops;        /* f32 */
    double matrix_peak_gflops; /* 0: there are no matrix units */
    FILE *json;                /* NULL: none */
    bool json_has_rows;
};

static const char *const rung_names[N_RUNGS] = {"f32", "f16 pairs", "8-bit dots", "matrix units"};

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

/* As many products as fit registers, again and again. */
static ingot_status time_matrix_units(struct bench *b, const struct vk_block *results,
                                      ingot_error *error)
{
    enum { TILES_M = 2, TILES_N = 4, N_SUBGROUPS = 4 };
    const struct vk_ladder *const ladder = &b->device->ladder;
    const uint32_t n_groups = b->small ? 8 : 2048;
    double seconds = 0;
    struct vk_kernel kernel = {.shader = "peak_matrix", .subgroup_size = ladder->subgroup_size};
    const struct vk_push push = {.base = results->address,
                                 .y = results->address,
                                 .n_slices = b->small ? 100 : 4000,
                                 .multiplier = 0.5f};
    if (!(ladder->takes >> RUNG_MATRIX & 1)) {
        puts("matrix units: none");
        return INGOT_OK;
    }
    kernel.specs[SPEC_THREADS] = N_SUBGROUPS * ladder->subgroup_size;
    kernel.specs[SPEC_TILE_M] = ladder->tile_m;
    kernel.specs[SPEC_TILE_N] = ladder->tile_n;
    kernel.specs[SPEC_TILE_K] = ladder->tile_k;
    kernel.specs[SPEC_TILES_M] = TILES_M;
    kernel.specs[SPEC_TILES_N] = TILES_N;
    const ingot_status status =
        ingot_vk_time_kernel(b->device, &kernel, &push, n_groups, 1, 10, &seconds, error);
    if (status != INGOT_OK) return status;
    const double n_products = (double)n_groups * N_SUBGROUPS * push.n_slices * TILES_M * TILES_N;
    b->matrix_peak_gflops = 2.0 * n_products * ladder->tile_m * ladder->tile_n *
                            (double)ladder->tile_k / seconds * 1e-9;
    printf("matrix units %ux%ux%u, f16 to f32, from registers: %.0f GFLOP/s\n", ladder->tile_m,
           ladder->tile_n, ladder->tile_k, b->matrix_peak_gflops);
    put_json(b, "ceiling", "matrix units", "", b->matrix_peak_gflops, "gflop_per_second");
    return INGOT_OK;
}

static void measure_ceilings(struct bench *b)
{
    ingot_error error = {.what = ""};
    struct vk_block *blocks[2] = {NULL, NULL};
    const uint64_t n_bytes = b->small ? UINT64_C(1) << 25 : UINT64_C(1) << 30;
    ingot_status status = open_blocks(b, n_bytes, blocks, &error);
    if (status == INGOT_OK) status = time_ceilings(b, blocks, n_bytes, &error);
    if (status == INGOT_OK) status = time_matrix_units(b, blocks[1], &error);
    if (status != INGOT_OK) tell("ceilings", &error);
    for (uint32_t i = 0; i < 2; i++) ingot_vk_block_close(b->device, blocks[i]);
}

/* ------------------------------------------------------------------ right or wrong */

struct shape {
    uint64_t n_rows, n_cols, n;
};

/* The rung that all products of a matrix take. */
static enum vk_rung rung_of(const struct bench *b, const struct vk_matrix *matrix, uint64_t n)
{
    enum vk_rung rung = N_RUNGS;
    for (const struct vk_pass *pass = matrix->passes; pass; pass = pass->next) {
        struct vk_product product;
        if (pass->kind != PASS_PRODUCT) continue;
        ingot_vk_product_choose(b->device, pass, matrix->rungs & b->device->ladder.takes, n,
                                &product);
        if (product.variant / N_SHAPES < (uint32_t)rung) rung = product.variant / N_SHAPES;
    }
    return rung;
}

/* One coding and shape by one rung; false when the rung has no kernel for it. */
static bool check_coding(struct bench *b, const struct coding_case *c, struct shape shape,
                         enum vk_rung rung)
{
    struct made m = {.random = {1}};
    struct vk_matrix *uploaded = NULL;
    ingot_error error = {.what = ""};
    double worst = NAN;
    uint64_t n_wrong = 1;
    bool taken = true;
    m.matrix.n_rows = shape.n_rows;
    m.matrix.n_cols = shape.n_cols;
    m.matrix.n_parts = 1;
    made_dense(&m, &c->coding, shape.n_rows, shape.n_cols, &m.matrix.parts[0].dense);
    float *x = made_buffer(&m, shape.n * shape.n_cols * sizeof *x);
    float *y = made_buffer(&m, shape.n * shape.n_rows * sizeof *y);
    for (uint64_t i = 0; i < shape.n * shape.n_cols; i++) x[i] = made_unit(&m);
    ingot_status status = ingot_vk_matrix_upload(b->device, &m.matrix, &uploaded, &error);
    if (status == INGOT_OK) {
        uploaded->rungs = 1u << rung | 1u << RUNG_F32;
        taken = rung_of(b, uploaded, shape.n) == rung;
        if (taken) status = ingot_vk_matmul(b->device, uploaded, x, shape.n, y, &error);
        /* A kernel that its trial found wrong has been replaced by another. */
        if (taken && rung_of(b, uploaded, shape.n) != rung) y[0] = NAN;
    }
    if (status != INGOT_OK) tell(c->name, &error);
    if (status == INGOT_OK && taken) {
        n_wrong = rung_bound_count_wrong(&m.matrix, rung, x, shape.n, y, &worst);
    }
    ingot_vk_matrix_release(b->device, uploaded);
    made_release(&m);
    if (!taken) return false;
    b->n_checked++;
    if (n_wrong > 0) {
        b->n_wrong++;
        printf("  WRONG: %s, %u x %u, %u vectors, %s: %.3g of the bound\n", c->name,
               (unsigned)shape.n_rows, (unsigned)shape.n_cols, (unsigned)shape.n, rung_names[rung],
               worst);
        put_json(b, "wrong", c->name, rung_names[rung], worst, "of_bound");
    }
    return true;
}

static void check_codings(struct bench *b)
{
    static const struct shape shapes[] = {
        {37, 1129, 1}, {9, 203, 3}, {9, 519, 7}, {140, 2081, 41}, {300, 259, 130}};
    for (enum vk_rung rung = RUNG_F32; rung < N_RUNGS; rung++) {
        const double before = now();
        const uint32_t n_before = b->n_checked;
        if (!(b->device->ladder.takes >> rung & 1)) continue;
        for (uint32_t i = 0; i < N_CODING_CASES; i += b->small ? 16 : 1) {
            for (uint32_t k = 0; k < sizeof shapes / sizeof *shapes; k++) {
                if (!is_late(b)) (void)check_coding(b, &coding_cases[i], shapes[k], rung);
            }
        }
        printf("%s: %u products checked; %.1f s\n", rung_names[rung], b->n_checked - n_before,
               now() - before);
        put_json(b, "check", rung_names[rung], "", b->n_checked - n_before, "products");
    }
    printf("%u wrong\n", b->n_wrong);
    put_json(b, "check", "wrong", "", b->n_wrong, "products");
}

/* ------------------------------------------------------------------ products */

enum { N_TIMED_CASES = sizeof timed_cases / sizeof *timed_cases };

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

/* Times copies of a matrix by one rung; nothing where the rung has no kernel for it. */
static void time_rung(struct bench *b, const struct coding_case *c, struct shape size,
                      struct vk_matrix **copies, uint32_t n_copies, enum vk_rung rung)
{
    ingot_error error = {.what = ""};
    double seconds = 0;
    char shape[64];
    for (uint32_t i = 0; i < n_copies; i++) copies[i]->rungs = 1u << rung | 1u << RUNG_F32;
    if (rung_of(b, copies[0], size.n) != rung || is_late(b)) return;
    if (ingot_vk_time_products(b->device, copies, n_copies, size.n, b->small ? 3 : 20, &seconds,
                               &error) != INGOT_OK) {
        tell(c->name, &error);
        return;
    }
    const double n_bytes = (double)copies[0]->resident_bytes;
    const double gbs = n_bytes / seconds * 1e-9;
    const double n_weights = (double)size.n_rows * (double)size.n_cols;
    const double gflops = 2.0 * n_weights * (double)size.n / seconds * 1e-9;
    const double peak = rung == RUNG_MATRIX ? b->matrix_peak_gflops : b->peak_gflops;
    snprintf(shape, sizeof shape, "%u x %u, n = %u, %s", (unsigned)size.n_rows,
             (unsigned)size.n_cols, (unsigned)size.n, rung_names[rung]);
    printf("  %-28s %-38s %9.1f us %8.1f GB/s %5.1f %% of read %9.0f GFLOP/s %5.1f %% of %s\n",
           c->name, shape, seconds * 1e6, gbs, 100 * gbs / b->read_gbs, gflops, 100 * gflops / peak,
           rung == RUNG_MATRIX ? "matrix units" : "f32");
    put_json(b, "seconds", c->name, shape, seconds, "seconds");
    put_json(b, "weights", c->name, shape, gbs, "gb_per_second");
    put_json(b, "of read", c->name, shape, gbs / b->read_gbs, "fraction");
    put_json(b, "products", c->name, shape, gflops, "gflop_per_second");
    put_json(b, "of peak", c->name, shape, gflops / peak, "fraction");
}

/* Times a coding at one size by every rung, for each of so many vectors. */
static void time_coding(struct bench *b, const struct coding_case *c, struct shape size,
                        const uint64_t *counts, uint32_t n_counts)
{
    static struct vk_matrix *copies[MAX_COPIES];
    struct made m = {.random = {1}};
    ingot_error error = {.what = ""};
    uint32_t n_copies = 0;
    double upload_gbs = 0;
    char shape[64];
    if (is_late(b)) return;
    m.matrix = (struct resident_matrix){.n_rows = size.n_rows, .n_cols = size.n_cols, .n_parts = 1};
    make_fast(&m, &c->coding, size.n_rows, size.n_cols, &m.matrix.parts[0].dense);
    /* Ten times a large cache; with many vectors, the weights are read once in a long product. */
    const uint64_t cold_bytes = counts[0] > 8 ? 1
                                : b->small    ? UINT64_C(4) << 20
                                              : UINT64_C(640) << 20;
    const ingot_status status =
        upload_copies(b, &m.matrix, cold_bytes, copies, &n_copies, &upload_gbs, &error);
    snprintf(shape, sizeof shape, "%u x %u", (unsigned)size.n_rows, (unsigned)size.n_cols);
    if (status != INGOT_OK) {
        tell(c->name, &error);
    } else {
        printf("  %-28s %-38s upload %.2f GB/s\n", c->name, shape, upload_gbs);
        put_json(b, "upload", c->name, shape, upload_gbs, "gb_per_second");
    }
    for (uint32_t i = 0; i < n_counts && status == INGOT_OK; i++) {
        const struct shape counted = {size.n_rows, size.n_cols, counts[i]};
        for (enum vk_rung rung = RUNG_F32; rung < N_RUNGS; rung++) {
            if (!(b->device->ladder.takes >> rung & 1)) continue;
            time_rung(b, c, counted, copies, n_copies, rung);
        }
    }
    while (n_copies > 0) ingot_vk_matrix_release(b->device, copies[--n_copies]);
    made_release(&m);
}

static void time_products(struct bench *b)
{
    static const struct shape large[] = {
        {4096, 14336, 1}, {8192, 28672, 1}, {4096, 4096, 1}, {8192, 8192, 1}};
    static const struct shape small[] = {{256, 512, 1}};
    static const char *const names[] = {"int4, groups of 128", "f16", "int8, row scales",
                                        "f8_e4m3, one scale", "codebook of 16, groups of 64"};
    static const uint64_t one[] = {1};
    static const uint64_t counts[] = {16, 64, 512, 4096, 32, 128, 256, 1024, 2048};
    const struct shape *shapes = b->small ? small : large;
    puts("many vectors:");
    for (uint32_t i = 0; i < sizeof names / sizeof *names; i++) {
        const struct coding_case *c = timed_cases;
        while (strcmp(c->name, names[i]) != 0) c++;
        const uint64_t side = b->small ? 256 : 4096;
        /* Of the others than the first, a few numbers of vectors are enough. */
        const uint32_t n_counts = b->small ? 2 : i == 0 ? 9 : 4;
        time_coding(b, c, (struct shape){side, side, 0}, counts, n_counts);
    }
    puts("one vector, weights from memory:");
    for (uint32_t k = 0; k < (b->small ? 1 : 4); k++) {
        for (uint32_t i = 0; i < N_TIMED_CASES; i++) {
            time_coding(b, &timed_cases[i], shapes[k], one, 1);
        }
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
    /* Every way to multiply that the device has, fast or not. */
    const struct vk_options options = {.rungs = (1u << N_RUNGS) - 1};
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
    const struct vk_ladder *const ladder = &b.device->ladder;
    printf("kernels: %s; subgroups of %u, %u bytes of shared memory; %s uploads; allocations of at "
           "most %.2f GB; a tick of %.2f ns\n",
           info->kernels, ladder->subgroup_size, ladder->shared_bytes,
           b.device->maps_uploads ? "mapped" : "staged", (double)b.device->allocation_bytes * 1e-9,
           (double)b.device->tick_nanoseconds);
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
    return b.n_wrong > 0 || b.n_checked == 0;
}
