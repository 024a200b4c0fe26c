/* The search for entries of a grid.
 *
 * An entry's error is the sum of its quarters': of one weight where vectors are of four, of two
 * where they are of eight. What the few possible quarters cost is worked out first, and of entries
 * only those are looked at whose upper half, with the cheapest lower half there is, could still be
 * the best. Where signs must be even and the weights' are not, one weight takes the other sign:
 * costs of halves with one such weight in them find which that is at best. */
#include "convert/vector_fit.h"

#include <math.h>

#include "format/compiler.h"

static uint32_t level_bits(uint32_t length)
{
    return length == 4 ? 3 : 2;
}

/* Bits of a quarter: a level, or two. */
static uint32_t quarter_bits(uint32_t length)
{
    return length == 4 ? 3 : 4;
}

void vector_book_open(struct vector_book *book, enum block_book which, uint8_t signs)
{
    struct block_grid grid;
    block_book_grid(which, &grid);
    *book =
        (struct vector_book){.length = grid.vector_length, .signs = signs, .packed = grid.packed};
    for (uint32_t i = 0; i < VECTOR_LEVELS; i++) {
        book->level[i] = (float)grid.levels[i < grid.n_levels ? i : grid.n_levels - 1];
    }
    const uint32_t bits = quarter_bits(grid.vector_length);
    uint32_t n_runs = 0, n_blocks = 0;
    for (uint32_t i = 0; i < grid.n_entries; i++) {
        const uint8_t upper = (uint8_t)(grid.packed[i] >> 2 * bits);
        const uint8_t block = (uint8_t)(upper >> bits);
        if (i > 0 && upper == book->run_upper[n_runs - 1]) continue;
        if (i == 0 || block != book->block_upper[n_blocks - 1]) {
            book->block_upper[n_blocks] = block;
            book->block_begin[n_blocks++] = (uint16_t)n_runs;
        }
        book->run_upper[n_runs] = upper;
        book->run_begin[n_runs++] = (uint16_t)i;
    }
    book->n_blocks = n_blocks;
    book->block_begin[n_blocks] = (uint16_t)n_runs;
    book->run_begin[n_runs] = (uint16_t)grid.n_entries;
}

void vector_levels(const struct vector_book *book, const struct octet *octet, float offset,
                   float levels[OCTET])
{
    const uint32_t bits = level_bits(book->length);
    for (uint32_t i = 0; i < OCTET; i++) {
        const uint32_t packed = book->packed[octet->codes[i / book->length]];
        const uint32_t code = packed >> i % book->length * bits & ((1u << bits) - 1);
        const float level = book->level[code];
        levels[i] = (octet->signs >> i & 1 ? -level : level) - offset;
    }
}

/* ------------------------------------------------------------------ costs */

/* Of each possible quarter of an entry: as the weights are, and with the other sign of the weight
 * that costs least. */
struct quarter {
    float own[VECTOR_QUARTERS];
    float other[VECTOR_QUARTERS];
    float least_own, least_other;
};

static float least_of(float a, float b)
{
    return a < b ? a : b;
}

INGOT_TEMPLATE void cost_weight(const float *scaled, uint32_t n, float weight, float importance,
                                float *restrict costs)
{
    for (uint32_t i = 0; i < n; i++) {
        const float rest = weight - scaled[i];
        costs[i] = importance * rest * rest;
    }
}

/* n is 8 or 16. */
INGOT_TEMPLATE float find_least(const float *costs, uint32_t n)
{
    float least[4];
    for (uint32_t i = 0; i < 4; i++) least[i] = least_of(costs[i], costs[i + 4]);
    for (uint32_t i = 0; i < 4 && n == 16; i++) {
        least[i] = least_of(least[i], least_of(costs[i + 8], costs[i + 12]));
    }
    return least_of(least_of(least[0], least[1]), least_of(least[2], least[3]));
}

/* One weight of eight levels, or two of four. */
INGOT_TEMPLATE void cost_quarter(uint32_t length, bool odd, const float *scaled,
                                 const float *weights, const float *importance,
                                 struct quarter *restrict quarter)
{
    float a[4], b[4], a_other[4], b_other[4];
    if (length == 4) {
        cost_weight(scaled, 8, weights[0], importance[0], quarter->own);
        if (odd) cost_weight(scaled, 8, -weights[0], importance[0], quarter->other);
    } else {
        cost_weight(scaled, 4, weights[0], importance[0], a);
        cost_weight(scaled, 4, weights[1], importance[1], b);
        for (uint32_t i = 0; i < VECTOR_QUARTERS; i++) quarter->own[i] = a[i % 4] + b[i / 4];
    }
    if (odd && length == 8) {
        cost_weight(scaled, 4, -weights[0], importance[0], a_other);
        cost_weight(scaled, 4, -weights[1], importance[1], b_other);
        for (uint32_t i = 0; i < VECTOR_QUARTERS; i++) {
            quarter->other[i] = least_of(a_other[i % 4] + b[i / 4], a[i % 4] + b_other[i / 4]);
        }
    }
    quarter->least_own = find_least(quarter->own, length == 4 ? 8 : VECTOR_QUARTERS);
    if (odd) quarter->least_other = find_least(quarter->other, length == 4 ? 8 : VECTOR_QUARTERS);
}

/* What a half costs, of the quarters `low` and `high`. */
INGOT_TEMPLATE float cost_half(const struct quarter *q, bool other, uint32_t low, uint32_t high)
{
    if (!other) return q[0].own[low] + q[1].own[high];
    return least_of(q[0].other[low] + q[1].own[high], q[0].own[low] + q[1].other[high]);
}

/* The least for an upper quarter. */
INGOT_TEMPLATE float least_half(const struct quarter *q, bool other, uint32_t high)
{
    if (!other) return q[0].least_own + q[1].own[high];
    return least_of(q[0].least_other + q[1].own[high], q[0].least_own + q[1].other[high]);
}

/* ------------------------------------------------------------------ entries */

struct found {
    uint16_t code;
    float cost;
};

/* The cheapest entry, when that is cheaper than *found: with the other sign of a weight in its
 * lower half, in its upper half, or in neither. */
INGOT_TEMPLATE void find_entry(const struct vector_book *book, uint32_t length,
                               const struct quarter *q, bool lower_other, bool upper_other,
                               struct found *found)
{
    const uint32_t bits = quarter_bits(length), mask = (1u << bits) - 1;
    const float least =
        lower_other ? least_of(q[0].least_other + q[1].least_own, q[0].least_own + q[1].least_other)
                    : q[0].least_own + q[1].least_own;
    for (uint32_t b = 0; b < book->n_blocks; b++) {
        const uint32_t high = book->block_upper[b];
        if (!(least_half(q + 2, upper_other, high) + least < found->cost)) continue;
        for (uint32_t r = book->block_begin[b]; r < book->block_begin[b + 1]; r++) {
            const float above = cost_half(q + 2, upper_other, book->run_upper[r] & mask, high);
            if (!(above + least < found->cost)) continue;
            for (uint32_t e = book->run_begin[r]; e < book->run_begin[r + 1]; e++) {
                const uint32_t packed = book->packed[e];
                const float cost =
                    above + cost_half(q, lower_other, packed & mask, packed >> bits & mask);
                if (!(cost < found->cost)) continue;
                found->cost = cost;
                found->code = (uint16_t)e;
            }
        }
    }
}

/* Both ways for one vector: as the weights are, and with the other sign of one of them. */
INGOT_TEMPLATE void find_vector(const struct vector_book *book, uint32_t length,
                                const struct quarter *q, bool odd, uint16_t hint, struct found *own,
                                struct found *other)
{
    const uint32_t bits = quarter_bits(length), mask = (1u << bits) - 1;
    const uint32_t packed = book->packed[hint];
    const uint32_t a = packed & mask, b = packed >> bits & mask;
    const uint32_t c = packed >> 2 * bits & mask, d = packed >> 3 * bits & mask;
    if (!odd || length == 4) {
        *own = (struct found){hint, cost_half(q + 2, false, c, d) + cost_half(q, false, a, b)};
        find_entry(book, length, q, false, false, own);
    }
    if (!odd) return;
    *other = (struct found){hint, cost_half(q + 2, false, c, d) + cost_half(q, true, a, b)};
    find_entry(book, length, q, true, false, other);
    find_entry(book, length, q, false, true, other);
}

/* The weight of a vector, from `first` on, that costs least with the other sign. */
static uint32_t cheapest_turn(const struct vector_book *book, uint16_t code, const float *weights,
                              const float *importance, uint32_t first)
{
    const uint32_t bits = level_bits(book->length);
    float least = INFINITY;
    uint32_t best = first;
    for (uint32_t i = 0; i < book->length; i++) {
        const uint32_t level = book->packed[code] >> i * bits & ((1u << bits) - 1);
        const float cost = importance[first + i] * fabsf(weights[first + i]) * book->level[level];
        if (!(cost < least)) continue;
        least = cost;
        best = first + i;
    }
    return best;
}

INGOT_TEMPLATE void find_octet(const struct vector_book *book, uint32_t length,
                               const float *weights, const float *importance, float scale,
                               float offset, struct octet *best)
{
    enum { MAX_QUARTERS = 8 };
    const uint32_t n_vectors = OCTET / length, n_weights = length / 4; /* of a quarter */
    struct quarter quarters[MAX_QUARTERS];
    struct found own[2], other[2];
    float scaled[VECTOR_LEVELS], sizes[OCTET];
    uint32_t negative = 0, n_negative = 0;
    for (uint32_t i = 0; i < VECTOR_LEVELS; i++) scaled[i] = (book->level[i] - offset) * scale;
    for (uint32_t i = 0; i < OCTET; i++) {
        const bool turned = book->signs > 0 && weights[i] < 0.0f;
        negative |= (uint32_t)turned << i;
        n_negative += turned;
        sizes[i] = turned ? -weights[i] : weights[i];
    }
    const bool odd = book->signs == 7 && n_negative % 2 == 1;
    for (uint32_t i = 0; i < 4 * n_vectors; i++) {
        const uint32_t at = i * n_weights;
        if (odd) {
            cost_quarter(length, true, scaled, sizes + at, importance + at, &quarters[i]);
        } else {
            cost_quarter(length, false, scaled, sizes + at, importance + at, &quarters[i]);
        }
    }
    for (uint32_t k = 0; k < n_vectors; k++) {
        find_vector(book, length, quarters + 4 * k, odd, best->codes[k], &own[k], &other[k]);
    }
    uint32_t turn = 0; /* the vector with the weight of the other sign */
    if (odd && length == 4) turn = own[0].cost + other[1].cost < other[0].cost + own[1].cost;
    best->error = 0.0f;
    for (uint32_t k = 0; k < n_vectors; k++) {
        const struct found *found = odd && k == turn ? &other[k] : &own[k];
        best->codes[k] = found->code;
        best->error += found->cost;
    }
    best->signs = (uint8_t)negative;
    if (odd) {
        best->signs ^= (uint8_t)(1u << cheapest_turn(book, best->codes[turn], weights, importance,
                                                     turn * length));
    }
}

void vector_octet(const struct vector_book *book, const float weights[OCTET],
                  const float importance[OCTET], float scale, float offset, struct octet *best)
{
    if (book->length == 4) {
        find_octet(book, 4, weights, importance, scale, offset, best);
    } else {
        find_octet(book, 8, weights, importance, scale, offset, best);
    }
}
