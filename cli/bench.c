/* ingot bench: how fast a device multiplies straight from a file, and whether it is right. Owns the
 * words of the verb and the report. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/bench_matrix.h"
#include "cli/json.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "cli/table.h"
#include "cli/text.h"
#include "cli/verbs.h"

struct bench_values {
    const char *device;
    const char *tensor;
    const char *cpu_level;
    uint32_t n_x_rows;
    uint32_t n_runs;
    uint32_t n_threads;
    bool no_check;
    bool json;
    bool quiet;
};

struct bench_totals {
    uint64_t n_matrices;
    uint64_t n_wrong;
    uint64_t n_not_run; /* matrices that this device cannot take */
    uint64_t n_weights;
    uint64_t resident_bytes;
    uint64_t n_flops;
    double seconds; /* sum of medians */
    double bound_share;
};

struct bench {
    const struct bench_values *values;
    const char *path;
    struct bench_setup setup;
    ingot_device_info device;
    struct progress_bar bar;
    struct table table;
    json_t *root; /* with --json */
    json_t *list; /* belongs to root once it is put */
    bool failed;
    struct bench_totals totals;
};

/* ------------------------------------------------------------------ the report */

static const struct column columns[] = {
    {"tensor", false}, {"shape", false},  {"encoding", false}, {"resident", true},
    {"runs", true},    {"min", true},     {"median", true},    {"max", true},
    {"GB/s", true},    {"GFLOP/s", true}, {"of bound", true},
};
enum { N_COLUMNS = sizeof columns / sizeof *columns };

static double per_nanosecond(uint64_t n, double seconds)
{
    return seconds > 0 ? (double)n / seconds * 1e-9 : 0;
}

/* A tensor's name, with the matrix where it is a stack. The caller frees it; NULL: no memory. */
static char *matrix_name(const ingot_tensor *t, uint64_t matrix)
{
    char *name = NULL;
    char *safe = text_safe(t->name, t->name_bytes);
    if (!safe || t->n_matrices == 1) return safe;
    if (asprintf(&name, "%s[%llu]", safe, (unsigned long long)matrix) < 0) name = NULL;
    free(safe);
    return name;
}

static void add_row(struct bench *b, const ingot_tensor *t, uint64_t matrix,
                    const struct bench_result *r)
{
    struct table *table = &b->table;
    char *name = matrix_name(t, matrix);
    table_cell(table, "%s", name ? name : "?");
    free(name);
    table_cell(table, "%llu x %llu", (unsigned long long)r->n_rows, (unsigned long long)r->n_cols);
    table_cell(table, "%s", t->encoding);
    table_cell(table, "%s", text_bytes(r->resident_bytes).at);
    table_cell(table, "%u", (unsigned)r->n_runs);
    table_cell(table, "%s", text_seconds(r->min_seconds).at);
    table_cell(table, "%s", text_seconds(r->median_seconds).at);
    table_cell(table, "%s", text_seconds(r->max_seconds).at);
    table_cell(table, "%.2f", per_nanosecond(r->resident_bytes, r->median_seconds));
    table_cell(table, "%.2f", per_nanosecond(r->n_flops, r->median_seconds));
    if (b->setup.pool) {
        table_cell(table, "%.2g%s", r->bound_share, r->bound_share > 1 ? " WRONG" : "");
    } else {
        table_cell(table, "-");
    }
}

static void add_json(struct bench *b, const ingot_tensor *t, uint64_t matrix,
                     const struct bench_result *r)
{
    bool *failed = &b->failed;
    json_t *one = json_object();
    json_put_bytes(one, "name", t->name, t->name_bytes, failed);
    json_put(one, "matrix", json_count(matrix), failed);
    json_put(one, "n_rows", json_count(r->n_rows), failed);
    json_put(one, "n_cols", json_count(r->n_cols), failed);
    json_put_bytes(one, "encoding", t->encoding, strlen(t->encoding), failed);
    json_put(one, "resident_bytes", json_count(r->resident_bytes), failed);
    json_put(one, "n_runs", json_count(r->n_runs), failed);
    json_put(one, "min_seconds", json_number(r->min_seconds), failed);
    json_put(one, "median_seconds", json_number(r->median_seconds), failed);
    json_put(one, "max_seconds", json_number(r->max_seconds), failed);
    json_put(one, "gb_per_second",
             json_number(per_nanosecond(r->resident_bytes, r->median_seconds)), failed);
    json_put(one, "gflop_per_second", json_number(per_nanosecond(r->n_flops, r->median_seconds)),
             failed);
    json_put(one, "bound_share", b->setup.pool ? json_number(r->bound_share) : json_null(), failed);
    json_add(b->list, one, failed);
}

static int print_json(struct bench *b, int status)
{
    const struct bench_totals *t = &b->totals;
    bool *failed = &b->failed;
    json_t *totals = json_object();
    const bool is_cpu = b->device.index == INGOT_DEVICE_CPU;
    json_put_bytes(b->root, "file", b->path, strlen(b->path), failed);
    json_put(b->root, "device", is_cpu ? json_string("cpu") : json_integer(b->device.index),
             failed);
    json_put_bytes(b->root, "device_name", b->device.name, strlen(b->device.name), failed);
    json_put_bytes(b->root, "driver", b->device.driver, strlen(b->device.driver), failed);
    json_put(b->root, "n_x_rows", json_count(b->setup.n_x_rows), failed);
    json_put(b->root, "matrices", json_incref(b->list), failed);
    json_put(totals, "n_matrices", json_count(t->n_matrices), failed);
    json_put(totals, "n_wrong", json_count(t->n_wrong), failed);
    json_put(totals, "n_not_run", json_count(t->n_not_run), failed);
    json_put(totals, "resident_bytes", json_count(t->resident_bytes), failed);
    json_put(totals, "bits_per_weight",
             json_number(t->n_weights ? (double)t->resident_bytes * 8 / (double)t->n_weights : 0),
             failed);
    json_put(totals, "seconds", json_number(t->seconds), failed);
    json_put(totals, "gb_per_second", json_number(per_nanosecond(t->resident_bytes, t->seconds)),
             failed);
    json_put(totals, "gflop_per_second", json_number(per_nanosecond(t->n_flops, t->seconds)),
             failed);
    json_put(totals, "bound_share", b->setup.pool ? json_number(t->bound_share) : json_null(),
             failed);
    json_put(b->root, "totals", totals, failed);
    return json_print(json_incref(b->root), *failed, status);
}

static int print_report(const struct bench *b, int status)
{
    const struct bench_totals *t = &b->totals;
    if (!b->values->quiet) {
        char *name = text_safe(b->device.name, strlen(b->device.name));
        char *driver = text_safe(b->device.driver, strlen(b->device.driver));
        printf("device: %s, %s; %u row%s of x\n", name ? name : "?", driver ? driver : "?",
               (unsigned)b->setup.n_x_rows, b->setup.n_x_rows == 1 ? "" : "s");
        free(driver);
        free(name);
        if (!table_print(&b->table, stdout, 0)) return EXITS_SYSTEM;
        putchar('\n');
    }
    const double bits = t->n_weights > 0 ? (double)t->resident_bytes * 8 / (double)t->n_weights : 0;
    printf("%s %s, %s resident (%.2f bits per weight)\n", text_count(t->n_matrices).at,
           t->n_matrices == 1 ? "matrix" : "matrices", text_bytes(t->resident_bytes).at, bits);
    printf("one pass over all, by medians: %s, %.2f GB/s, %.2f GFLOP/s\n",
           text_seconds(t->seconds).at, per_nanosecond(t->resident_bytes, t->seconds),
           per_nanosecond(t->n_flops, t->seconds));
    if (!b->setup.pool) {
        puts("results were not checked");
    } else if (t->n_wrong == 0) {
        printf("results are right: the largest error is %.2g of the bound\n", t->bound_share);
    } else {
        printf("results are WRONG: %s %s outside of the bound, by a factor of up to %.3g\n",
               text_count(t->n_wrong).at, t->n_wrong == 1 ? "matrix is" : "matrices are",
               t->bound_share);
    }
    return status;
}

/* ------------------------------------------------------------------ the work */

static void count(struct bench_totals *totals, const struct bench_result *r)
{
    totals->n_matrices++;
    totals->n_wrong += r->bound_share > 1;
    totals->n_weights += r->n_rows * r->n_cols;
    totals->resident_bytes += r->resident_bytes;
    totals->n_flops += r->n_flops;
    totals->seconds += r->median_seconds;
    if (r->bound_share > totals->bound_share) totals->bound_share = r->bound_share;
}

/* Fails only where going on makes no sense: a matrix that the device cannot take is told. */
static int run_matrix(struct bench *b, uint32_t tensor, const ingot_tensor *t, uint64_t matrix)
{
    struct bench_result result = {0};
    ingot_error error = {0};
    const ingot_status status = bench_matrix(&b->setup, tensor, matrix, &result, &error);
    if (status == INGOT_UNSUPPORTED || status == INGOT_REFUSED) {
        char *name = matrix_name(t, matrix);
        progress_bar_erase(&b->bar);
        report_refusal(b->path, "%s was not run: %s", name ? name : "?", error.what);
        free(name);
        b->totals.n_not_run++;
        return EXITS_DONE;
    }
    if (status != INGOT_OK) {
        progress_bar_erase(&b->bar);
        return report_error(b->path, &error);
    }
    count(&b->totals, &result);
    if (b->root) {
        add_json(b, t, matrix, &result);
    } else {
        add_row(b, t, matrix, &result);
    }
    return EXITS_DONE;
}

static int run_tensor(struct bench *b, uint32_t tensor)
{
    ingot_tensor t;
    ingot_file_tensor(b->setup.file, tensor, &t);
    int status = EXITS_DONE;
    for (uint64_t m = 0; m < t.n_matrices && status == EXITS_DONE; m++) {
        status = run_matrix(b, tensor, &t, m);
    }
    return status;
}

/* Weights of a layer: two dimensions or more, and of a type that is multiplied. Tied weights are
 * taken once. */
static bool is_matrix(const ingot_tensor *t)
{
    const bool is_float = t->dtype < INGOT_I8;
    const bool has_weights = t->n_matrices > 0 && t->n_rows > 0 && t->n_cols > 0;
    return t->rank >= 2 && is_float && has_weights && t->alias_of == INGOT_NONE;
}

static int run_all(struct bench *b)
{
    const uint32_t n = ingot_file_n_tensors(b->setup.file);
    int status = EXITS_DONE;
    for (uint32_t i = 0; i < n && status == EXITS_DONE; i++) {
        ingot_tensor t;
        ingot_file_tensor(b->setup.file, i, &t);
        if (is_matrix(&t)) status = run_tensor(b, i);
        progress_bar_report(&b->bar, "measuring", i + 1, n);
    }
    return status;
}

static int run_chosen(struct bench *b)
{
    const char *name = b->values->tensor;
    uint32_t index = 0;
    ingot_tensor t;
    if (!name) return run_all(b);
    if (ingot_file_find(b->setup.file, name, strlen(name), &index) != INGOT_OK) {
        return report_refusal(b->path, "there is no tensor \"%s\"", name);
    }
    ingot_file_tensor(b->setup.file, index, &t);
    if (t.rank < 2) {
        return report_refusal(b->path, "tensor \"%s\" has %u dimension%s: it is no matrix", name,
                              (unsigned)t.rank, t.rank == 1 ? "" : "s");
    }
    if (t.n_matrices == 0 || t.n_rows == 0 || t.n_cols == 0) {
        return report_refusal(b->path, "tensor \"%s\" has no weights", name);
    }
    return run_tensor(b, index);
}

static int bench(struct bench *b)
{
    int status = run_chosen(b);
    progress_bar_erase(&b->bar);
    if (status != EXITS_DONE) return status;
    if (b->totals.n_matrices == 0) return report_refusal(b->path, "there was no matrix to run");
    const bool short_of = b->totals.n_wrong > 0 || b->totals.n_not_run > 0;
    status = short_of ? EXITS_SHORT : EXITS_DONE;
    return b->root ? print_json(b, status) : print_report(b, status);
}

/* "cpu" or a number of `ingot devices`. */
static bool parse_device(const char *word, uint32_t *index)
{
    *index = INGOT_DEVICE_CPU;
    if (!word || strcmp(word, "cpu") == 0) return true;
    char *end = NULL;
    const unsigned long v = strtoul(word, &end, 10);
    if (word[0] < '0' || word[0] > '9' || *end != 0 || v >= UINT32_MAX) return false;
    *index = (uint32_t)v;
    return true;
}

static int open_and_bench(struct bench *b, uint32_t device)
{
    const struct bench_values *v = b->values;
    ingot_file *file = NULL;
    ingot_error error = {0};
    int status = EXITS_DONE;
    if (ingot_file_open(b->path, NULL, &file, &error) != INGOT_OK) {
        status = report_error(b->path, &error);
        goto done;
    }
    b->setup.file = file;
    if (ingot_device_open(device, v->n_threads, v->cpu_level, NULL, &b->setup.device, &error) !=
            INGOT_OK ||
        (!v->no_check &&
         ingot_pool_create(v->n_threads, NULL, &b->setup.pool, &error) != INGOT_OK)) {
        status = report_error(NULL, &error);
        goto done;
    }
    ingot_device_describe(b->setup.device, &b->device);
    status = bench(b);
done:
    ingot_pool_close(b->setup.pool);
    ingot_device_close(b->setup.device);
    ingot_file_close(file);
    return status;
}

static int run(const void *values, struct operands operands)
{
    const struct bench_values *v = values;
    uint32_t device = 0;
    if (!parse_device(v->device, &device)) {
        return report_usage("bench",
                            "--device takes cpu or a number of \"ingot devices\", not "
                            "\"%s\"",
                            v->device);
    }
    struct bench b = {.values = v, .path = operands.at[0], .bar = progress_bar_begin(v->quiet)};
    b.setup.n_x_rows = v->n_x_rows > 0 ? v->n_x_rows : 1;
    b.setup.n_runs = v->n_runs;
    b.table = (struct table){.columns = columns, .n_columns = N_COLUMNS};
    int status = EXITS_DONE;
    if (v->json) {
        b.root = json_object();
        b.list = json_array();
        if (!b.root || !b.list) status = report_no_memory();
    }
    if (status == EXITS_DONE) status = open_and_bench(&b, device);
    json_decref(b.list);
    json_decref(b.root);
    table_release(&b.table);
    return status;
}

#define AT(member) .offset = offsetof(struct bench_values, member)
static const struct option options[] = {
    {"device", 'd', OPTION_TEXT, AT(device), .value_name = "cpu|N",
     .help = "the device to run on, as \"ingot devices\" lists them; the default is cpu"},
    {"tensor", 't', OPTION_TEXT, AT(tensor), .value_name = "NAME",
     .help = "run this tensor only; the default is every matrix"},
    {"rows", 0, OPTION_COUNT, AT(n_x_rows), .value_name = "N",
     .help = "rows of x in each product; the default is 1, as when generating text"},
    {"repeat", 0, OPTION_COUNT, AT(n_runs), .value_name = "N",
     .help = "timed runs of each matrix; the default is what fits a short time"},
    {"threads", 0, OPTION_COUNT, AT(n_threads), .value_name = "N",
     .help = "threads on the CPU; the default is one per core"},
    {"cpu-level", 0, OPTION_TEXT, AT(cpu_level), .value_name = "NAME",
     .help = "force the kernels of a CPU level; the default is the best this CPU has"},
    {"no-check", 0, OPTION_FLAG, AT(no_check),
     .help = "do not compare the results with the decoded weights"},
    {"json", 0, OPTION_FLAG, AT(json), .help = "print the results as JSON"},
    {"quiet", 'q', OPTION_FLAG, AT(quiet), .help = "print the totals only"},
    {0},
};

const struct verb verb_bench = {
    .name = "bench",
    .summary = "time products straight from an .ingot file, and check them",
    .operands = "FILE",
    .min_operands = 1,
    .max_operands = 1,
    .about = "Loads each matrix onto a device, multiplies it with rows of numbers, and compares "
             "the result with the decoded weights in double precision: |error| <= 2 K 2^-24 "
             "sum|w x| for K columns. \"of bound\" is the largest error as a share of that; over 1 "
             "the exit status is 1. GB/s are of the bytes that lie on the device.",
    .examples = "  ingot bench model.ingot\n"
                "  ingot bench model.ingot --device 0 --rows 16\n"
                "  ingot bench model.ingot --tensor lm_head.weight --threads 1 --repeat 100\n",
    .options = options,
    .values_bytes = sizeof(struct bench_values),
    .run = run,
};
