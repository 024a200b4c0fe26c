/* What ingot bench found, as a table or as JSON. */
#ifndef CLI_BENCH_REPORT_H
#define CLI_BENCH_REPORT_H

#include <jansson.h>

#include "cli/bench_matrix.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "cli/table.h"
#include "runtime/cpu_ceilings.h"

struct bench_values {
    const char *device;
    const char *tensor;
    const char *cpu_level;
    uint32_t n_x_rows;
    uint32_t n_runs;
    uint32_t n_threads;
    const char *synthetic;
    const char *encode;
    const struct choice *activations;
    bool cold;
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
    const char *path;        /* or what stands for it */
    const char *activations; /* their name */
    struct bench_setup setup;
    ingot_device_info device;
    struct cpu_ceilings ceilings; /* of the CPU; zeros on other devices */
    struct progress_bar bar;
    struct table table;
    json_t *root; /* with --json */
    json_t *list; /* belongs to root once it is put */
    bool failed;
    struct bench_totals totals;
};

/* The table starts with these columns. */
extern const struct column bench_columns[];
extern const uint32_t n_bench_columns;

/* A tensor's name, with the matrix where it is a stack. The caller frees it; NULL: no memory. */
char *bench_matrix_name(const ingot_tensor *t, uint64_t matrix);
/* Adds what was found of one matrix to the table or the list. */
void bench_report_matrix(struct bench *b, const ingot_tensor *t, uint64_t matrix,
                         const struct bench_result *r);
/* Prints all, and returns the status, or another when that fails. */
int bench_report(struct bench *b, int status);

#endif
