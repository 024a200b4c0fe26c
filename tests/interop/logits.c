/* logits MODEL N: reads tokens as 32-bit integers from standard input, takes each N of them as a
 * text of its own, and writes the logits that follow each token as f32 to standard output. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "runtime/lm.h"

enum { MAX_TOKENS = 1 << 16 };

static ingot_status write_block(struct lm *lm, const uint32_t *tokens, uint32_t n, float *logits,
                                ingot_error *error)
{
    const uint32_t n_vocab = lm_config(lm)->n_vocab;
    lm_rewind(lm, 0);
    ingot_status status = lm_feed(lm, tokens, n, error);
    for (uint32_t i = 0; i < n && status == INGOT_OK; i++) {
        status = lm_logits(lm, i, 1, logits, error);
        if (fwrite(logits, sizeof *logits, n_vocab, stdout) != n_vocab) exit(3);
    }
    return status;
}

int main(int argc, char **argv)
{
    const uint32_t n = argc == 3 ? (uint32_t)strtoul(argv[2], NULL, 10) : 0;
    if (n == 0 || n > MAX_TOKENS) {
        fprintf(stderr, "usage: logits MODEL N\n");
        return 2;
    }
    const struct lm_options options = {.n_context = n, .n_batch = n, .cache = INGOT_F32};
    ingot_error error = {0};
    ingot_file *file = NULL;
    ingot_device *device = NULL;
    struct lm *lm = NULL;
    uint32_t *tokens = calloc(n, sizeof *tokens);
    float *logits = NULL;
    ingot_status status = ingot_file_open(argv[1], NULL, &file, &error);
    if (status == INGOT_OK) {
        status = ingot_device_open(INGOT_DEVICE_CPU, 0, NULL, NULL, &device, &error);
    }
    if (status == INGOT_OK) status = lm_open(file, device, &options, NULL, &lm, &error);
    if (status == INGOT_OK) logits = calloc(lm_config(lm)->n_vocab, sizeof *logits);
    if (tokens == NULL || (status == INGOT_OK && logits == NULL)) return 3;
    while (status == INGOT_OK && fread(tokens, sizeof *tokens, n, stdin) == n) {
        status = write_block(lm, tokens, n, logits, &error);
    }
    if (status != INGOT_OK) fprintf(stderr, "%s: %s\n", error.field, error.what);
    free(logits);
    free(tokens);
    lm_close(lm);
    ingot_device_close(device);
    ingot_file_close(file);
    return status == INGOT_OK ? 0 : 1;
}
