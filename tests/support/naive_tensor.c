/* Chapter 7, read aloud. */
#include "tests/support/naive_tensor.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "format/file.h"
#include "tests/support/naive.h"

/* All streams of a file, by number. */
struct contents {
    uint32_t n;
    uint8_t **streams;
};

static struct contents load(const ingot_file *file)
{
    struct contents c = {file->sections[SECTION_STREAMS].n_records, NULL};
    c.streams = calloc(c.n + 1, sizeof *c.streams);
    for (uint32_t i = 0; i < c.n; i++) {
        const uint64_t n_bytes = ingot_file_stream_bytes(file, i);
        c.streams[i] = malloc(n_bytes + 1);
        const ingot_status status = ingot_file_read_stream(file, i, 0, n_bytes, c.streams[i], NULL);
        assert(status == INGOT_OK);
        (void)status;
    }
    return c;
}

static void unload(struct contents *c)
{
    for (uint32_t i = 0; i < c->n; i++) free(c->streams[i]);
    free(c->streams);
}

/* One term over one stack. */
struct subject {
    const struct file_term *term;
    struct stack_shape stack;
    const uint8_t *const *streams; /* of the file */
    const uint8_t *const *mask;    /* of the term */
};

static float value_of(const struct subject *s, const struct ingot_coding *coding,
                      struct stack_shape stack, struct place at, uint32_t first_stream)
{
    const struct naive_bytes bytes = {s->streams, s->streams};
    struct naive_result result = {0};
    const float v = naive_value(coding, stack, at, stack, at, first_stream, &bytes, &result);
    assert(result.rule == 0);
    return v;
}

/* ---- masks ---- */

static uint64_t number(const uint8_t *list, uint64_t i, uint32_t bits)
{
    return naive_bits(list, i * bits, bits);
}

static bool in_list(const uint8_t *list, uint64_t begin, uint64_t end, uint64_t v)
{
    for (uint64_t i = begin; i < end; i++) {
        if (number(list, i, 32) == v) return true;
    }
    return false;
}

static bool plane_bit(const uint8_t *plane, struct stack_shape stack, struct place at)
{
    const uint64_t row = at.matrix * stack.n_rows + at.row;
    return naive_bits(plane, row * naive_row_bits(1, stack.n_cols) + at.col, 1);
}

static bool held_two_of_four(const struct subject *s, struct place at)
{
    const uint64_t row = at.matrix * s->stack.n_rows + at.row;
    const uint64_t row_bits = naive_row_bits(4, s->stack.n_cols / 4);
    const uint64_t pattern = naive_bits(s->mask[0], row * row_bits + at.col / 4 * 4, 4);
    return at.col % 4 == pattern % 4 || at.col % 4 == pattern / 4;
}

static bool held_block(const struct subject *s, struct place at)
{
    const uint64_t rows = s->term->block_rows, cols = s->term->block_cols;
    const struct stack_shape blocks = {s->stack.n_matrices, (s->stack.n_rows + rows - 1) / rows,
                                       (s->stack.n_cols + cols - 1) / cols};
    return plane_bit(s->mask[0], blocks, (struct place){at.matrix, at.row / rows, at.col / cols});
}

static bool held(const struct subject *s, struct place at)
{
    const struct file_term *t = s->term;
    const uint64_t row = at.matrix * s->stack.n_rows + at.row;
    const uint64_t n_rows = s->stack.n_matrices * s->stack.n_rows;
    switch ((enum term_mask)t->mask) {
    case MASK_NONE: return false;
    case MASK_BITMAP: return plane_bit(s->mask[0], s->stack, at);
    case MASK_TWO_OF_FOUR: return held_two_of_four(s, at);
    case MASK_COLUMNS: return in_list(s->mask[0], 0, t->n_kept / n_rows, at.col);
    case MASK_ROWS: return in_list(s->mask[0], 0, t->n_kept / s->stack.n_cols, row);
    case MASK_BLOCKS: return held_block(s, at);
    case MASK_LIST:
        return in_list(s->mask[1], number(s->mask[0], row, 32), number(s->mask[0], row + 1, 32),
                       at.col);
    }
    return false;
}

/* The shape of the codes, by the table of [7.3]. */
static struct stack_shape codes_of(const struct subject *s)
{
    const struct file_term *t = s->term;
    const uint64_t n_rows = s->stack.n_matrices * s->stack.n_rows;
    struct stack_shape codes = s->stack;
    if (t->mask == MASK_TWO_OF_FOUR) {
        codes.n_cols = s->stack.n_cols / 2;
    } else if (t->mask == MASK_COLUMNS) {
        codes.n_cols = t->n_kept / n_rows;
    } else if (t->mask == MASK_ROWS) {
        codes = (struct stack_shape){1, t->n_kept / s->stack.n_cols, s->stack.n_cols};
    } else {
        codes = (struct stack_shape){1, 1, t->n_kept};
    }
    return codes;
}

static uint32_t n_mask_streams(uint8_t mask)
{
    return mask == MASK_BITMAP || mask == MASK_BLOCKS || mask == MASK_LIST ? 2 : 1;
}

/* ---- terms ---- */

/* The value of a sparse term at a position that it holds: kept value number k. */
static float sparse_value(const struct subject *s, struct place at, uint64_t k)
{
    const struct stack_shape codes = codes_of(s);
    const struct place code = {k / codes.n_cols / codes.n_rows, k / codes.n_cols % codes.n_rows,
                               k % codes.n_cols};
    const struct naive_bytes bytes = {s->streams, s->streams};
    struct naive_result result = {0};
    const float v =
        naive_value(s->term->coding, codes, code, s->stack, at,
                    s->term->first_stream + n_mask_streams(s->term->mask), &bytes, &result);
    assert(result.rule == 0);
    return v;
}

static float lowrank_value(const struct subject *s, struct place at)
{
    const struct file_term *t = s->term;
    const struct stack_shape a = {s->stack.n_matrices, t->rank, s->stack.n_cols};
    const struct stack_shape b = {s->stack.n_matrices, s->stack.n_rows, t->rank};
    const uint32_t first_b = t->first_stream + naive_n_streams(t->coding);
    float sum = 0.0f;
    for (uint32_t k = 0; k < t->rank; k++) {
        const struct place at_a = {at.matrix, k, at.col}, at_b = {at.matrix, at.row, k};
        const float product = naive_step(value_of(s, t->coding_b, b, at_b, first_b), '*',
                                         value_of(s, t->coding, a, at_a, t->first_stream));
        sum = naive_step(sum, '+', product);
    }
    return naive_step(t->multiplier, '*', sum);
}

static float combine(uint8_t how, float v, float t)
{
    return how == COMBINE_ADD ? naive_step(v, '+', t) : t;
}

/* DoRA: a row becomes magnitude * (row / norm). */
static void renormalize(const struct subject *s, struct place at, float *row)
{
    const struct file_term *t = s->term;
    const struct stack_shape m = {s->stack.n_matrices, s->stack.n_rows, 1};
    const uint32_t first =
        t->first_stream + naive_n_streams(t->coding) + naive_n_streams(t->coding_b);
    float sum = 0.0f;
    for (uint64_t c = 0; c < s->stack.n_cols; c++) {
        sum = naive_step(sum, '+', naive_step(row[c], '*', row[c]));
    }
    const float norm = (float)sqrt((double)sum);
    const float magnitude =
        value_of(s, t->magnitude, m, (struct place){at.matrix, at.row, 0}, first);
    for (uint64_t c = 0; c < s->stack.n_cols; c++) {
        row[c] = naive_step(magnitude, '*', naive_step(row[c], '/', norm));
    }
}

static void add_term(const struct subject *s, float *values)
{
    const struct file_term *t = s->term;
    uint64_t k = 0;
    for (uint64_t row = 0; row < s->stack.n_matrices * s->stack.n_rows; row++) {
        float *v = values + row * s->stack.n_cols;
        struct place at = {row / s->stack.n_rows, row % s->stack.n_rows, 0};
        for (at.col = 0; at.col < s->stack.n_cols; at.col++) {
            float *here = &v[at.col];
            if (t->kind == TERM_DENSE) {
                *here = combine(t->combine, *here,
                                value_of(s, t->coding, s->stack, at, t->first_stream));
            } else if (t->kind == TERM_LOWRANK) {
                *here = combine(t->combine, *here, lowrank_value(s, at));
            } else if (held(s, at)) {
                *here = combine(t->combine, *here, sparse_value(s, at, k++));
            }
        }
        if (t->magnitude) renormalize(s, at, v);
    }
}

static void apply_rescale(const ingot_file *file, uint32_t tensor, struct stack_shape stack,
                          const uint8_t *const *streams, float *values)
{
    const struct tensor_record t = tensor_at(file, tensor);
    if (t.rescale_coding == INGOT_NONE) return;
    const struct stack_shape factors = {stack.n_matrices, stack.n_rows, 1};
    const struct subject s = {NULL, stack, streams, NULL};
    for (uint64_t row = 0; row < stack.n_matrices * stack.n_rows; row++) {
        const struct place at = {row / stack.n_rows, row % stack.n_rows, 0};
        const float factor =
            value_of(&s, &file->codings[t.rescale_coding], factors, at, t.rescale_stream);
        for (uint64_t c = 0; c < stack.n_cols; c++) {
            float *v = &values[row * stack.n_cols + c];
            *v = naive_step(*v, '*', factor);
        }
    }
}

float *naive_tensor(const ingot_file *file, uint32_t tensor)
{
    const struct stack_shape stack = ingot_file_layout(file, tensor).shape;
    struct contents contents = load(file);
    const uint8_t *const *streams = (const uint8_t *const *)contents.streams;
    /* Zeros are what a first term that is sparse leaves where it holds nothing. */
    float *values = calloc(stack.n_matrices * stack.n_rows * stack.n_cols + 1, sizeof *values);
    ingot_tensor t;
    ingot_file_tensor(file, tensor, &t);
    for (uint32_t k = 0; k < t.n_terms; k++) {
        struct file_term term;
        ingot_file_term(file, tensor, k, &term);
        assert(term.kind != TERM_REF);
        if (term.optional) continue;
        const struct subject s = {&term, stack, streams, streams + term.first_stream};
        add_term(&s, values);
    }
    apply_rescale(file, tensor, stack, streams, values);
    unload(&contents);
    return values;
}
