/* ingot bench: how fast a device multiplies straight from a file, and whether it is right. Owns the
 * words of the verb. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/bench_report.h"
#include "cli/bench_synthetic.h"
#include "cli/choose_device.h"
#include "cli/json.h"
#include "cli/report.h"
#include "cli/text.h"
#include "cli/verbs.h"
#include "convert/encoding.h"

/* ------------------------------------------------------------------ the work */

static void count(struct bench *b, const struct bench_result *r)
{
    struct bench_totals *totals = &b->totals;
    totals->n_matrices++;
    totals->n_wrong += bench_is_wrong(&b->setup, r);
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
        char *name = bench_matrix_name(t, matrix);
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
    count(b, &result);
    bench_report_matrix(b, t, matrix, &result);
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
    return bench_report(b, status);
}

static ingot_status open_file(const struct bench *b, ingot_file **file, ingot_error *error)
{
    const struct bench_values *v = b->values;
    uint64_t n_rows, n_cols;
    if (v->synthetic == NULL) return ingot_file_open(b->path, NULL, file, error);
    (void)synthetic_parse(v->synthetic, &n_rows, &n_cols); /* it was checked */
    return synthetic_open(n_rows, n_cols, v->encode, v->n_threads, file, error);
}

/* Before anything is timed. */
static ingot_status measure_ceilings(struct bench *b, ingot_error *error)
{
    struct ingot_pool *pool = NULL;
    if (b->device.index != INGOT_DEVICE_CPU) return INGOT_OK;
    ingot_status status = ingot_pool_create(b->values->n_threads, NULL, &pool, error);
    if (status != INGOT_OK) return status;
    status = cpu_ceilings_measure(b->values->cpu_level, pool, NULL, &b->ceilings, error);
    ingot_pool_close(pool);
    return status;
}

static int open_and_bench(struct bench *b, uint32_t device)
{
    const struct bench_values *v = b->values;
    ingot_file *file = NULL;
    ingot_error error = {0};
    int status = EXITS_DONE;
    if (open_file(b, &file, &error) != INGOT_OK) {
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
    if (measure_ceilings(b, &error) != INGOT_OK) {
        status = report_error(NULL, &error);
        goto done;
    }
    status = bench(b);
done:
    ingot_pool_close(b->setup.pool);
    ingot_device_close(b->setup.device);
    ingot_file_close(file);
    return status;
}

static int check_synthetic(const struct bench_values *v)
{
    uint64_t n_rows, n_cols;
    struct encoding encoding;
    ingot_error error;
    if (v->encode && !v->synthetic) {
        return report_usage("bench", "--encode is for --synthetic; a file has its encoding");
    }
    if (v->synthetic && !synthetic_parse(v->synthetic, &n_rows, &n_cols)) {
        return report_usage("bench", "--synthetic: \"%s\" is no size such as 4096x14336",
                            v->synthetic);
    }
    if (v->encode && encoding_parse(v->encode, &encoding, &error) != INGOT_OK) {
        return report_usage("bench", "--encode: %s", error.what);
    }
    return EXITS_DONE;
}

static int run(const void *values, struct operands operands)
{
    const struct bench_values *v = values;
    uint32_t device = 0;
    const int chosen = choose_device("bench", v->device, &device);
    if (chosen != EXITS_DONE) return chosen;
    if ((operands.n == 0) == (v->synthetic == NULL)) {
        return report_usage("bench", "takes either a file or --synthetic");
    }
    int status = check_synthetic(v);
    if (status != EXITS_DONE) return status;
    struct bench b = {.values = v,
                      .path = v->synthetic ? v->synthetic : operands.at[0],
                      .activations =
                          v->activations ? v->activations->name : activation_choices[0].name,
                      .bar = progress_bar_begin(v->quiet)};
    b.setup.n_x_rows = v->n_x_rows > 0 ? v->n_x_rows : 1;
    b.setup.cold = v->cold || v->synthetic;
    b.setup.activations =
        v->activations ? (ingot_activations)v->activations->value : INGOT_ACTIVATIONS_F32;
    b.setup.n_runs = v->n_runs;
    b.table = (struct table){.columns = bench_columns, .n_columns = n_bench_columns};
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
     .help = "the device to run on, as \"ingot devices\" lists them, by number, name or UUID; the "
             "default is INGOT_DEVICE of the environment, or cpu"},
    {"tensor", 't', OPTION_TEXT, AT(tensor), .value_name = "NAME",
     .help = "run this tensor only; the default is every matrix"},
    {"rows", 0, OPTION_COUNT, AT(n_x_rows), .value_name = "N",
     .help = "rows of x in each product; the default is 1, as when generating text"},
    {"repeat", 0, OPTION_COUNT, AT(n_runs), .value_name = "N",
     .help = "timed runs of each matrix; the default is what fits a short time"},
    {"activations", 0, OPTION_CHOICE, AT(activations), .value_name = "HOW",
     .choices = activation_choices,
     .help = "how x is taken: f32, bf16 or i8; the default is f32, which the check is for"},
    {"synthetic", 0, OPTION_TEXT, .alone = true, AT(synthetic), .value_name = "ROWSxCOLUMNS",
     .help = "instead of a file, one matrix of made-up weights of that size"},
    {"encode", 0, OPTION_TEXT, AT(encode), .value_name = "ENCODING",
     .help = "of the made-up weights, as \"ingot convert --list-encodings\" lists them; the "
             "default is bf16"},
    {"cold", 0, OPTION_FLAG, AT(cold),
     .help = "multiply several copies of a matrix in turn, so that no cache holds it; so does "
             "--synthetic"},
    {"threads", 0, OPTION_COUNT, AT(n_threads), .value_name = "N",
     .help = "threads on the CPU; the default is one per core"},
    {"cpu-level", 0, OPTION_TEXT, AT(cpu_level), .value_name = "NAME",
     .help = "force the kernels of a CPU level; the default is the best this CPU has"},
    {"no-check", 0, OPTION_FLAG, AT(no_check),
     .help = "do not compare the results with the decoded weights"},
    {"json", 0, OPTION_FLAG, AT(json),
     .help = "print the results as JSON: names end in their unit; read_share, peak_share and "
             "bound_share, those of the table, are parts of 1, and null where there are none"},
    {"quiet", 'q', OPTION_FLAG, AT(quiet), .help = "print the totals only"},
    {0},
};

const struct verb verb_bench = {
    .name = "bench",
    .summary = "time products straight from an .ingot file, and check them",
    .operands = "FILE | --synthetic ROWSxCOLUMNS",
    .min_operands = 1,
    .max_operands = 1,
    .about = "Loads each matrix onto a device, multiplies it with rows of numbers, and compares "
             "the result with the decoded weights in double precision: |error| <= 2 K 2^-24 "
             "sum|w x| for K columns. \"of bound\" is the largest error as a share of that; over 1 "
             "the exit status is 1. GB/s are of the bytes that lie on the device. On the CPU, what "
             "the machine can read and compute is measured first: \"of read\" and \"of peak\" are "
             "shares of that.",
    .examples = "  ingot bench model.ingot\n"
                "  ingot bench model.ingot --device 0 --rows 16\n"
                "  ingot bench model.ingot --tensor lm_head.weight --threads 1 --repeat 100\n"
                "  ingot bench --synthetic 4096x14336 --encode int4 --rows 128 --activations i8\n",
    .options = options,
    .values_bytes = sizeof(struct bench_values),
    .run = run,
};
