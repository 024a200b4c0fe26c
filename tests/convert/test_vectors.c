/* Vectors of grids: what is found for eight weights is the least error that any entries and signs
 * give, and what decoding gives has that error. */
#include "tests/support/unit.h"

#include <math.h>

#include "convert/vector_fit.h"
#include "tests/support/random.h"

static const struct {
    enum block_book book;
    uint8_t signs;
    float offset;
} books[] = {{BOOK_IQ2_XXS, 7, 0},    {BOOK_IQ2_XS, 7, 0}, {BOOK_IQ2_S, 8, 0},
             {BOOK_IQ3_XXS, 7, 0},    {BOOK_IQ3_S, 8, 0},  {BOOK_IQ1_S, 0, 0.125f},
             {BOOK_IQ1_S, 0, -0.125f}};
enum { N_BOOKS = sizeof books / sizeof *books };

/* Weights near to some levels, or far from all; some of no importance. */
static void fill(struct random *random, float scale, float *weights, float *importance)
{
    static const float sizes[] = {1.0f, 20.0f, 60.0f, 0.0f};
    const float size = sizes[random_below(random, 4)];
    for (int i = 0; i < OCTET; i++) {
        weights[i] = ((float)random_below(random, 2001) / 1000.0f - 1.0f) * size * scale;
        importance[i] = (float)random_below(random, 5) / 2.0f;
    }
}

static double error_of(const struct vector_book *book, const struct octet *octet, float scale,
                       float offset, const float *weights, const float *importance)
{
    float levels[OCTET];
    double error = 0;
    vector_levels(book, octet, offset, levels);
    for (int i = 0; i < OCTET; i++) {
        const double rest = (double)weights[i] - (double)levels[i] * (double)scale;
        error += (double)importance[i] * rest * rest;
    }
    return error;
}

static uint32_t n_negative(uint32_t signs)
{
    uint32_t n = 0;
    for (; signs; signs &= signs - 1) n++;
    return n;
}

/* The least of all entries and signs. Vectors of four are two choices that only an even number of
 * signs ties: the least of either half is kept by its parity. */
static double least_error(const struct vector_book *book, uint32_t n_entries, float scale,
                          float offset, const float *weights, const float *importance)
{
    const uint32_t n_vectors = OCTET / book->length;
    double least[2][2] = {{INFINITY, INFINITY}, {INFINITY, INFINITY}}; /* vector, parity */
    for (uint32_t v = 0; v < n_vectors; v++) {
        float weighed[OCTET] = {0}; /* importance of this vector's weights alone */
        for (uint32_t i = 0; i < book->length; i++) {
            weighed[v * book->length + i] = importance[v * book->length + i];
        }
        for (uint32_t code = 0; code < n_entries; code++) {
            for (uint32_t s = 0; s < (book->signs ? 1u << book->length : 1u); s++) {
                struct octet octet = {.signs = (uint8_t)(s << v * book->length)};
                octet.codes[v] = (uint16_t)code;
                const double error = error_of(book, &octet, scale, offset, weights, weighed);
                const uint32_t parity = book->signs == 7 ? n_negative(s) % 2 : 0;
                if (error < least[v][parity]) least[v][parity] = error;
            }
        }
    }
    if (n_vectors == 1) return least[0][0];
    return fmin(least[0][0] + least[1][0], least[0][1] + least[1][1]);
}

static void test_least(void **state)
{
    (void)state;
    struct random random = {1};
    for (uint32_t b = 0; b < N_BOOKS; b++) {
        struct vector_book book;
        struct block_grid grid;
        vector_book_open(&book, books[b].book, books[b].signs);
        block_book_grid(books[b].book, &grid);
        for (int n = 0; n < 12; n++) {
            float weights[OCTET], importance[OCTET];
            const float scale = n % 3 ? 0.01f * (float)n : 1.0f;
            fill(&random, scale, weights, importance);
            /* Wherever the search begins. */
            struct octet found = {.codes = {(uint16_t)random_below(&random, grid.n_entries),
                                            (uint16_t)random_below(&random, grid.n_entries)}};
            vector_octet(&book, weights, importance, scale, books[b].offset, &found);
            const double least =
                least_error(&book, grid.n_entries, scale, books[b].offset, weights, importance);
            const double error =
                error_of(&book, &found, scale, books[b].offset, weights, importance);
            if (error > least * (1 + 1e-5) + 1e-20 || error < least * (1 - 1e-5)) {
                fail_msg("book %u: %g, and the least is %g", b, error, least);
            }
            if (fabs((double)found.error - error) > 1e-5 * error + 1e-20) {
                fail_msg("book %u: %g is told, %g given", b, (double)found.error, error);
            }
            if (books[b].signs == 7) assert_int_equal(n_negative(found.signs) % 2, 0);
            if (books[b].signs == 0) assert_int_equal(found.signs, 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_least),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
