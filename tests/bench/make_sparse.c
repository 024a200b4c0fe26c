/* Writes a file with one matrix of which a bitmap keeps some weights, for measurements: the same
 * bytes for the same arguments. Usage:
 *
 *     make_sparse OUT.ingot ROWS COLUMNS PERCENT bf16|int8|int4
 *
 * What is kept, and its codes, are pseudo-random; int8 has an f32 scale a row, int4 an f16 one per
 * 32 columns. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/floats.h"
#include "format/mask.h"
#include "format/writer.h"

static const struct ingot_coding f16 = {
    .map = MAP_FLOAT, .bits = 16, .format = INGOT_F16, .codebook_stream = INGOT_NONE};
static const struct ingot_coding f32 = {
    .map = MAP_FLOAT, .bits = 32, .format = INGOT_F32, .codebook_stream = INGOT_NONE};

#define SCALE(entries, cols)                    \
    .slots[SLOT_SCALE] = {.has_table = true,    \
                          .group = GROUP_BLOCK, \
                          .group_rows = 1,      \
                          .group_cols = (cols), \
                          .table = &(entries)}

static const struct {
    const char *name;
    struct ingot_coding coding;
} kinds[] = {
    {"bf16", {.map = MAP_FLOAT, .bits = 16, .format = INGOT_BF16, .codebook_stream = INGOT_NONE}},
    {"int8", {.map = MAP_INT, .bits = 8, .codebook_stream = INGOT_NONE, SCALE(f32, 0)}},
    {"int4",
     {.map = MAP_UINT,
      .bits = 4,
      .codebook_stream = INGOT_NONE,
      .slots[SLOT_ZERO] = {.has_constant = true, .constant = 8},
      SCALE(f16, 32)}},
};
enum { N_KINDS = sizeof kinds / sizeof *kinds };

/* splitmix64 */
static uint64_t next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static void fail(const ingot_error *error)
{
    fprintf(stderr, "make_sparse: %s: %s\n", error->field, error->what);
    exit(3);
}

static uint8_t *zeros(uint64_t n_bytes)
{
    uint8_t *bytes = calloc(1, n_bytes + 1);
    if (bytes == NULL) exit(3);
    return bytes;
}

/* The streams: mask, offsets of rows, codes, scales. */
enum { MASK, OFFSETS, CODES, SCALES, N_STREAMS };
struct streams {
    struct term_stream list[TENSOR_MAX_STREAMS];
    uint8_t *data[N_STREAMS];
};

static ingot_status fill(void *context, uint32_t stream, uint64_t offset, uint64_t n_bytes,
                         uint8_t *dst, ingot_error *error)
{
    const struct streams *s = context;
    (void)error;
    memcpy(dst, s->data[stream] + offset, n_bytes);
    return INGOT_OK;
}

static ingot_status fill_rows(void *context, uint64_t first_row, uint64_t n_rows,
                              uint8_t *const *dst, ingot_error *error)
{
    const struct streams *s = context;
    (void)error;
    for (uint32_t i = 0; i < N_STREAMS; i++) {
        const uint64_t row_bytes = s->list[i].shape.row_bits / 8;
        if (s->data[i] == NULL || dst[i] == NULL) continue;
        memcpy(dst[i], s->data[i] + first_row * row_bytes, n_rows * row_bytes);
    }
    return INGOT_OK;
}

/* The bitmap and the offsets of a matrix. Returns how many weights are kept. */
static uint64_t keep(uint64_t n_rows, uint64_t n_cols, uint64_t percent, uint8_t **mask,
                     uint8_t **offsets)
{
    const uint64_t row_bytes = ceil_div(n_cols, 32) * 4;
    uint64_t state = 1, n_kept = 0;
    *mask = zeros(n_rows * row_bytes);
    *offsets = zeros((n_rows + 1) * 4);
    for (uint64_t r = 0; r < n_rows; r++) {
        for (uint64_t c = 0; c < n_cols; c++) {
            if (next(&state) % 100 >= percent) continue;
            (*mask)[r * row_bytes + c / 8] |= (uint8_t)(1u << c % 8);
            n_kept++;
        }
        store_u32(*offsets + 4 * (r + 1), (uint32_t)n_kept);
    }
    return n_kept;
}

/* Weights of about 0.02 in whatever codes. */
static void make_values(const struct ingot_coding *coding, struct streams *s, uint64_t n_scales)
{
    const uint64_t n_bytes = s->list[CODES].shape.n_bytes;
    uint64_t state = 2;
    s->data[CODES] = zeros(n_bytes);
    for (uint64_t i = 0; coding->map == MAP_FLOAT && i + 1 < n_bytes; i += 2) {
        const float v = (float)(next(&state) >> 40) * 0x1p-23f - 1.0f;
        store_u16(s->data[CODES] + i, bf16_from_f32(0.04f * v));
    }
    for (uint64_t i = 0; coding->map != MAP_FLOAT && i < n_bytes; i++) {
        s->data[CODES][i] = (uint8_t)next(&state);
    }
    if (n_scales == 0) return;
    s->data[SCALES] = zeros(s->list[SCALES].shape.n_bytes);
    for (uint64_t i = 0; i < n_scales; i++) {
        if (coding->bits == 8) store_f32(s->data[SCALES] + 4 * i, 0.0003f);
        if (coding->bits == 4) store_u16(s->data[SCALES] + 2 * i, 0x1800); /* 2^-9 */
    }
}

static void write_matrix(ingot_writer *writer, const struct ingot_coding *coding, uint64_t n_rows,
                         uint64_t n_cols, uint64_t percent)
{
    struct streams s = {.data = {NULL}};
    struct writer_term term = {.kind = TERM_SPARSE, .mask = MASK_BITMAP, .coding = coding};
    const bool has_scales = coding->slots[SLOT_SCALE].has_table;
    uint32_t n_streams;
    ingot_error error;
    term.n_kept = keep(n_rows, n_cols, percent, &s.data[MASK], &s.data[OFFSETS]);
    const struct writer_tensor tensor = {.name = "sparse",
                                         .name_bytes = 6,
                                         .dtype = INGOT_BF16,
                                         .rank = 2,
                                         .dims = {n_rows, n_cols},
                                         .split = 1,
                                         .n_terms = 1,
                                         .terms = &term};
    const struct writer_source source = {&s, fill, fill_rows, false};
    if (writer_streams(&tensor, s.list, &n_streams, &error) != INGOT_OK) fail(&error);
    make_values(coding, &s,
                has_scales ? s.list[SCALES].shape.n_rows * s.list[SCALES].shape.n_cols : 0);
    if (ingot_writer_tensor(writer, &tensor, &source, &error) != INGOT_OK) fail(&error);
    for (uint32_t i = 0; i < N_STREAMS; i++) free(s.data[i]);
}

int main(int argc, char **argv)
{
    const struct ingot_coding *coding = NULL;
    ingot_writer *writer = NULL;
    ingot_error error;
    for (uint32_t i = 0; argc == 6 && i < N_KINDS; i++) {
        if (strcmp(argv[5], kinds[i].name) == 0) coding = &kinds[i].coding;
    }
    const uint64_t n_rows = argc == 6 ? strtoull(argv[2], NULL, 10) : 0;
    const uint64_t n_cols = argc == 6 ? strtoull(argv[3], NULL, 10) : 0;
    if (coding == NULL || n_rows == 0 || n_cols == 0 || n_cols % 32 != 0) {
        fputs("usage: make_sparse OUT.ingot ROWS COLUMNS PERCENT bf16|int8|int4\n"
              "COLUMNS is a multiple of 32\n",
              stderr);
        return 2;
    }
    if (ingot_writer_create(argv[1], true, INGOT_COMPRESS_NONE, NULL, &writer, &error) !=
        INGOT_OK) {
        fail(&error);
    }
    write_matrix(writer, coding, n_rows, n_cols, strtoull(argv[4], NULL, 10));
    if (ingot_writer_finish(writer, &error) != INGOT_OK) fail(&error);
    ingot_writer_close(writer);
    return 0;
}
