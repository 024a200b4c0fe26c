/* Prints the tokens of a text by the tokenizer of a file, one number a line, and on standard error
 * how fast that was: tokenize FILE.ingot TEXT [special] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "format/alloc.h"
#include "runtime/tokenizer.h"

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static char *read_text(const char *path, size_t *n_bytes)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) return NULL;
    *n_bytes = (size_t)ftell(file);
    rewind(file);
    char *text = malloc(*n_bytes + 1);
    if (text != NULL && fread(text, 1, *n_bytes, file) != *n_bytes) *n_bytes = 0;
    fclose(file);
    return text;
}

int main(int argc, char **argv)
{
    ingot_file *file;
    ingot_tokenizer *tokenizer;
    ingot_error error;
    uint32_t *tokens;
    size_t n_bytes = 0, n;
    char *text = argc > 2 ? read_text(argv[2], &n_bytes) : NULL;
    if (text == NULL) {
        fputs("usage: tokenize FILE.ingot TEXT [special]\n", stderr);
        return 2;
    }
    if (ingot_file_open(argv[1], NULL, &file, &error) != INGOT_OK ||
        tokenizer_open(file, NULL, &tokenizer, &error) != INGOT_OK) {
        fprintf(stderr, "%s: %s: %s\n", argv[1], error.field, error.what);
        return 1;
    }
    const double begin = now();
    if (tokenizer_encode(tokenizer, text, n_bytes, false, argc > 3, &tokens, &n, &error) !=
        INGOT_OK) {
        fprintf(stderr, "%s: %s: %s\n", argv[1], error.field, error.what);
        return 1;
    }
    const double seconds = now() - begin;
    for (size_t i = 0; i < n; i++) printf("%u\n", tokens[i]);
    fprintf(stderr, "%zu bytes, %zu tokens, %.1f MB/s\n", n_bytes, n,
            (double)n_bytes / seconds * 1e-6);
    ingot_release(NULL, tokens);
    tokenizer_close(tokenizer);
    ingot_file_close(file);
    free(text);
    return 0;
}
