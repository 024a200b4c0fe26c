/* Writes an .ingot file: a tensor in 4 bits a weight, one as it is, an attachment, metadata.
 *
 *     write FILE
 *
 * The file gets its name only when all of it is on disk: stop this program anywhere, and either the
 * whole file is there or none. */
#include <ingot.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_ROWS = 512, N_COLS = 1024 };

/* Each call leaves the writer fit for the next one only when it goes well: the first failure is
 * the one to tell. */
static ingot_status write_all(ingot_writer *writer, const float *weights, ingot_error *error)
{
    static const uint64_t matrix[2] = {N_ROWS, N_COLS}, vector[1] = {N_COLS};
    static const char text[] = "Written by an example.\n";
    ingot_value rank;
    memset(&rank, 0, sizeof rank);
    rank.type = INGOT_VALUE_U32;
    rank.u = 2;

    ingot_status status = ingot_writer_add_encoded(writer, "layer.weight", INGOT_F32, 2, matrix,
                                                   weights, "int4", error);
    if (status == INGOT_OK) {
        status = ingot_writer_add(writer, "layer.bias", INGOT_F32, 1, vector, weights, error);
    }
    if (status == INGOT_OK) status = ingot_writer_metadata(writer, "example.rank", &rank, error);
    if (status == INGOT_OK) {
        status = ingot_writer_attach(writer, "README.txt", text, sizeof text - 1, error);
    }
    if (status == INGOT_OK) status = ingot_writer_finish(writer, error);
    return status;
}

int main(int argc, char **argv)
{
    ingot_writer *writer = NULL;
    ingot_error error;
    if (argc != 2) {
        fprintf(stderr, "usage: write FILE\n");
        return 2;
    }
    float *weights = (float *)malloc(sizeof *weights * N_ROWS * N_COLS);
    if (weights == NULL) return EXIT_FAILURE;
    for (int i = 0; i < N_ROWS * N_COLS; i++) weights[i] = (float)(i * 37 % 255 - 127) / 128;

    /* false: a file that is there already is not replaced. */
    ingot_status status =
        ingot_writer_create(argv[1], false, INGOT_COMPRESS_FAST, NULL, &writer, &error);
    if (status == INGOT_OK) status = write_all(writer, weights, &error);
    ingot_writer_close(writer); /* removes what was not finished */
    free(weights);
    if (status != INGOT_OK) {
        fprintf(stderr, "%s: %s: %s\n", argv[1], error.field, error.what);
        return EXIT_FAILURE;
    }
    printf("%s: written\n", argv[1]);
    return EXIT_SUCCESS;
}
