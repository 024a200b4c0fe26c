/* The report of ingot bench. Measures nothing. */
#include "cli/bench_report.h"

#include <stdlib.h>
#include <string.h>

#include "cli/json.h"
#include "cli/report.h"
#include "cli/text.h"

const struct column bench_columns[] = {
    {"tensor", false},  {"shape", false},  {"encoding", false}, {"resident", true},
    {"runs", true},     {"min", true},     {"median", true},    {"max", true},
    {"GB/s", true},     {"of read", true}, {"GFLOP/s", true},   {"of peak", true},
    {"of bound", true},
};
const uint32_t n_bench_columns = sizeof bench_columns / sizeof *bench_columns;

static double per_nanosecond(uint64_t n, double seconds)
{
    return seconds > 0 ? (double)n / seconds * 1e-9 : 0;
}

char *bench_matrix_name(const ingot_tensor *t, uint64_t matrix)
{
    char *name = NULL;
    char *safe = text_safe(t->name, t->name_bytes);
    if (!safe || t->n_matrices == 1) return safe;
    if (asprintf(&name, "%s[%llu]", safe, (unsigned long long)matrix) < 0) name = NULL;
    free(safe);
    return name;
}

/* Of the ceiling that the way x is taken has; 0 when it is not known. */
static double peak_of(const struct bench *b)
{
    const struct cpu_ceilings *c = &b->ceilings;
    const double peaks[] = {
        [INGOT_ACTIVATIONS_F32] = c->fma_per_second,
        [INGOT_ACTIVATIONS_BF16] = c->bf16_per_second,
        [INGOT_ACTIVATIONS_I8] = c->int8_per_second,
    };
    const double peak = peaks[b->setup.activations];
    return peak > 0 ? peak : c->fma_per_second;
}

static double share(uint64_t n, double seconds, double ceiling)
{
    return seconds > 0 && ceiling > 0 ? (double)n / seconds / ceiling : 0;
}

static double read_share(const struct bench *b, const struct bench_result *r)
{
    return share(r->resident_bytes, r->median_seconds, b->ceilings.read_bytes_per_second);
}

static double peak_share(const struct bench *b, const struct bench_result *r)
{
    return share(r->n_flops, r->median_seconds, peak_of(b));
}

static void add_share(struct table *table, double part)
{
    if (part > 0) {
        table_cell(table, "%.0f %%", part * 100);
    } else {
        table_cell(table, "-");
    }
}

static void add_row(struct bench *b, const ingot_tensor *t, uint64_t matrix,
                    const struct bench_result *r)
{
    struct table *table = &b->table;
    char *name = bench_matrix_name(t, matrix);
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
    add_share(table, read_share(b, r));
    table_cell(table, "%.2f", per_nanosecond(r->n_flops, r->median_seconds));
    add_share(table, peak_share(b, r));
    if (b->setup.pool) {
        const bool wrong = bench_is_wrong(&b->setup, r);
        table_cell(table, "%.2g%s", r->bound_share, wrong ? " WRONG" : "");
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
    json_put(one, "read_share", json_number(read_share(b, r)), failed);
    json_put(one, "peak_share", json_number(peak_share(b, r)), failed);
    json_put(one, "bound_share", b->setup.pool ? json_number(r->bound_share) : json_null(), failed);
    json_add(b->list, one, failed);
}

void bench_report_matrix(struct bench *b, const ingot_tensor *t, uint64_t matrix,
                         const struct bench_result *r)
{
    if (b->root) {
        add_json(b, t, matrix, r);
    } else {
        add_row(b, t, matrix, r);
    }
}

static json_t *ceilings_json(const struct cpu_ceilings *c, bool *failed)
{
    json_t *made = json_object();
    json_put(made, "read_gb_per_second", json_number(c->read_bytes_per_second * 1e-9), failed);
    json_put(made, "fma_gflop_per_second", json_number(c->fma_per_second * 1e-9), failed);
    json_put(made, "bf16_gflop_per_second", json_number(c->bf16_per_second * 1e-9), failed);
    json_put(made, "int8_gop_per_second", json_number(c->int8_per_second * 1e-9), failed);
    return made;
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
    json_put(b->root, "activations", json_string(b->activations), failed);
    json_put(b->root, "ceilings", ceilings_json(&b->ceilings, failed), failed);
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

static void print_ceilings(const struct cpu_ceilings *c)
{
    printf("ceilings: read %.1f GB/s, f32 %.0f GFLOP/s", c->read_bytes_per_second * 1e-9,
           c->fma_per_second * 1e-9);
    if (c->bf16_per_second > 0) printf(", bf16 dot %.0f GFLOP/s", c->bf16_per_second * 1e-9);
    if (c->int8_per_second > 0) printf(", int8 dot %.0f Gop/s", c->int8_per_second * 1e-9);
    putchar('\n');
}

static int print_report(const struct bench *b, int status)
{
    const struct bench_totals *t = &b->totals;
    if (!b->values->quiet) {
        char *name = text_safe(b->device.name, strlen(b->device.name));
        char *driver = text_safe(b->device.driver, strlen(b->device.driver));
        printf("device: %s, %s; %u row%s of x, %s\n", name ? name : "?", driver ? driver : "?",
               (unsigned)b->setup.n_x_rows, b->setup.n_x_rows == 1 ? "" : "s", b->activations);
        if (b->ceilings.read_bytes_per_second > 0) print_ceilings(&b->ceilings);
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
    } else if (t->n_wrong == 0 && b->setup.activations != INGOT_ACTIVATIONS_F32) {
        printf("x is rounded: the largest error is %.3g of the f32 bound\n", t->bound_share);
    } else if (t->n_wrong == 0) {
        printf("results are right: the largest error is %.2g of the bound\n", t->bound_share);
    } else {
        printf("results are WRONG: %s %s outside of the bound, by a factor of up to %.3g\n",
               text_count(t->n_wrong).at, t->n_wrong == 1 ? "matrix is" : "matrices are",
               t->bound_share);
    }
    return status;
}

int bench_report(struct bench *b, int status)
{
    return b->root ? print_json(b, status) : print_report(b, status);
}
