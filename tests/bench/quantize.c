/* The error and the speed of encodings on normal weights, rows of 4096: one line an encoding, with
 * bits per weight, noise over signal (NMSE), how far that is from the least that so many bits allow
 * (2^-2R), and what one thread encodes. Usage:
 *
 *     quantize [ROWS] ENCODING...
 *
 * The speed is of encoding alone, in bytes of bf16 weights a second of CPU time. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/trial.h"

enum { COLS = 4096 };

static void try_encoding(const char *name, struct trial *trial)
{
    ingot_error error = {0};
    trial->name = name;
    if (!trial_run(trial, &error)) {
        fprintf(stderr, "quantize: %s: %s\n", name, error.what);
        exit(1);
    }
    const double n = (double)trial->stack.n_rows * COLS;
    printf("%-28s %8.4f %10.6f %8.2f %10.0f %8.2f\n", name, trial->bits, trial->nmse,
           10 * log10(trial->nmse / exp2(-2 * trial->bits)), n * 2e-6 / trial->seconds,
           trial->seconds * 1e9 / n);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    uint64_t state = 1;
    char *end = NULL;
    const unsigned long asked = argc > 1 ? strtoul(argv[1], &end, 10) : 0;
    const bool has_rows = asked > 0 && *end == '\0';
    const uint64_t n_rows = has_rows ? asked : 1024;
    const uint64_t n = n_rows * COLS;
    float *values = calloc(n, sizeof *values);
    float *decoded = calloc(n, sizeof *decoded);
    if (values == NULL || decoded == NULL) {
        fputs("quantize: no memory\n", stderr);
        return 3;
    }
    for (uint64_t i = 0; i < n; i++) values[i] = trial_normal(&state);
    struct trial trial = {.stack = {1, n_rows, COLS}, .values = values, .decoded = decoded};
    printf("%-28s %8s %10s %8s %10s %8s\n", "encoding", "bits", "NMSE", "dB", "MB/s", "ns/w");
    for (int i = has_rows ? 2 : 1; i < argc; i++) try_encoding(argv[i], &trial);
    free(decoded);
    free(values);
    return 0;
}
