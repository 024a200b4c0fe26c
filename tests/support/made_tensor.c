/* Random tensors: one function a kind of term. */
#include "tests/support/made_tensor.h"

#include "tests/support/unit.h"

#include "tests/support/made_mask.h"
#include "tests/support/stream_source.h"

static const struct made_limits table_limits = {.codebooks = true, .as_table = true};

static void make_dense(struct made_tensor *m, struct random *random, struct writer_term *t)
{
    static const struct made_limits limits = {.vectors = true, .codebooks = true};
    t->kind = TERM_DENSE;
    t->coding = made_coding(&m->made, random, m->stack, &limits);
    made_fill(&m->made, random, t->coding, m->stack, m->stack);
}

static void make_sparse(struct made_tensor *m, struct random *random, struct writer_term *t)
{
    static const struct made_limits limits = {.codebooks = true};
    uint8_t mask = (uint8_t)(MASK_BITMAP + random_below(random, 6));
    if (mask == MASK_TWO_OF_FOUR && m->stack.n_cols % 4 != 0) mask = MASK_LIST;
    t->kind = TERM_SPARSE;
    t->mask = mask;
    if (mask == MASK_BLOCKS) {
        t->block_rows = (uint32_t)(1 + random_below(random, 4));
        t->block_cols = (uint32_t)(1 + random_below(random, 9));
    }
    const struct stack_shape codes =
        made_mask(&m->made, random, mask, m->stack, t->block_rows, t->block_cols);
    t->n_kept = codes.n_matrices * codes.n_rows * codes.n_cols;
    t->coding = made_coding(&m->made, random, m->stack, &limits);
    made_fill(&m->made, random, t->coding, codes, m->stack);
}

static void make_lowrank(struct made_tensor *m, struct random *random, struct writer_term *t)
{
    static const struct made_limits limits = {.vectors = true, .codebooks = true};
    const uint32_t rank = (uint32_t)(1 + random_below(random, 5));
    const struct stack_shape a = {m->stack.n_matrices, rank, m->stack.n_cols};
    const struct stack_shape b = {m->stack.n_matrices, m->stack.n_rows, rank};
    const struct stack_shape magnitudes = {m->stack.n_matrices, m->stack.n_rows, 1};
    t->kind = TERM_LOWRANK;
    t->rank = rank;
    t->multiplier = 0.75f;
    t->coding = made_coding(&m->made, random, a, &limits);
    made_fill(&m->made, random, t->coding, a, a);
    t->coding_b = made_coding(&m->made, random, b, &limits);
    made_fill(&m->made, random, t->coding_b, b, b);
    /* A tensor may have one that is active. */
    if (m->has_magnitude || !random_one_in(random, 3)) return;
    m->has_magnitude = true;
    t->magnitude = made_coding(&m->made, random, magnitudes, &table_limits);
    made_fill(&m->made, random, t->magnitude, magnitudes, magnitudes);
}

void made_tensor_make(struct made_tensor *m, struct random *random)
{
    static void (*const kinds[])(struct made_tensor *, struct random *, struct writer_term *) = {
        make_dense, make_sparse, make_sparse, make_lowrank};
    *m = (struct made_tensor){.stack = {1, random_below(random, 9), random_below(random, 50)}};
    if (random_one_in(random, 3)) m->stack.n_matrices = random_below(random, 4);
    if (random_one_in(random, 2)) m->stack.n_cols = random_below(random, 10) * 4;
    m->tensor =
        (struct writer_tensor){.name = "made",
                               .name_bytes = 4,
                               .dtype = INGOT_BF16,
                               .rank = 3,
                               .dims = {m->stack.n_matrices, m->stack.n_rows, m->stack.n_cols},
                               .stack = 1,
                               .split = 2,
                               .terms = m->terms};
    m->tensor.n_terms = (uint32_t)(1 + random_below(random, MADE_MAX_TERMS));
    for (uint32_t k = 0; k < m->tensor.n_terms; k++) {
        struct writer_term *t = &m->terms[k];
        kinds[random_below(random, 4)](m, random, t);
        if (k == 0) continue;
        t->combine = random_one_in(random, 2) ? COMBINE_ADD : COMBINE_SET;
        t->name = random_one_in(random, 2) ? "adapter" : NULL;
        t->optional = t->name && random_one_in(random, 2);
    }
    if (!random_one_in(random, 4)) return;
    const struct stack_shape factors = {m->stack.n_matrices, m->stack.n_rows, 1};
    m->tensor.rescale = made_coding(&m->made, random, factors, &table_limits);
    made_fill(&m->made, random, m->tensor.rescale, factors, factors);
}

/* Writes the codebooks and names their streams in the codings. */
static void write_codebooks(struct made *made, ingot_writer *writer)
{
    uint32_t numbers[MADE_MAX_CODINGS];
    ingot_error error;
    for (uint32_t i = 0; i < made->n_codebooks; i++) {
        assert_int_equal(ingot_writer_codebook(writer, made->codebooks[i], made->codebook_bytes[i],
                                               &numbers[i], &error),
                         INGOT_OK);
    }
    for (uint32_t i = 0; i < made->n_codings; i++) {
        struct ingot_coding *c = &made->codings[i];
        if (c->codebook_stream != INGOT_NONE) c->codebook_stream = numbers[c->codebook_stream];
    }
}

void made_tensor_write(struct made_tensor *m, ingot_writer *writer)
{
    static struct term_stream streams[TENSOR_MAX_STREAMS];
    uint32_t n_streams = 0;
    ingot_error error;
    write_codebooks(&m->made, writer);
    assert_int_equal(writer_streams(&m->tensor, streams, &n_streams, &error), INGOT_OK);
    assert_int_equal(n_streams, m->made.n_streams);
    for (uint32_t i = 0; i < n_streams; i++) {
        assert_int_equal(streams[i].shape.n_bytes, m->made.stream_bytes[i]);
    }
    const struct stream_source source = {streams, n_streams,
                                         (const uint8_t *const *)m->made.streams};
    const struct writer_source pull = stream_source(&source);
    assert_int_equal(ingot_writer_tensor(writer, &m->tensor, &pull, &error), INGOT_OK);
}
