/* Order-0 entropy in integers. */
#include "format/entropy.h"

#include <string.h>

#include "format/bytes.h"

void byte_counts_add(const uint8_t *bytes, uint64_t n_bytes, struct byte_counts *counts)
{
    /* Four tables, so that runs of one byte do not wait for each other's sums. */
    uint32_t parts[4][256];
    uint64_t i = 0;
    memset(parts, 0, sizeof parts);
    for (; i + 8 <= n_bytes; i += 8) {
        const uint64_t v = load_u64(bytes + i);
        parts[0][v & 255]++;
        parts[1][v >> 8 & 255]++;
        parts[2][v >> 16 & 255]++;
        parts[3][v >> 24 & 255]++;
        parts[0][v >> 32 & 255]++;
        parts[1][v >> 40 & 255]++;
        parts[2][v >> 48 & 255]++;
        parts[3][v >> 56]++;
    }
    for (; i < n_bytes; i++) parts[0][bytes[i]]++;
    for (uint32_t v = 0; v < 256; v++) {
        counts->n[v] += parts[0][v] + parts[1][v] + parts[2][v] + parts[3][v];
    }
}

/* log2(1 + i / 64) * 2^16, rounded. */
static const uint32_t log2_table[65] = {
    0,     1466,  2909,  4331,  5732,  7112,  8473,  9814,  11136, 12440, 13727, 14996, 16248,
    17484, 18704, 19909, 21098, 22272, 23433, 24579, 25711, 26830, 27936, 29029, 30109, 31178,
    32234, 33279, 34312, 35334, 36346, 37346, 38336, 39316, 40286, 41246, 42196, 43137, 44068,
    44990, 45904, 46809, 47705, 48593, 49472, 50344, 51207, 52063, 52911, 53751, 54584, 55410,
    56229, 57040, 57845, 58643, 59434, 60219, 60997, 61769, 62534, 63294, 64047, 64794, 65536,
};

/* log2(v) * 2^16 for v > 0, linear between the entries of the table: at most 4 too low. */
static uint64_t log2_q16(uint64_t v)
{
    uint32_t whole = 0;
    for (uint32_t step = 32; step > 0; step /= 2) {
        if (v >> whole >> step > 0) whole += step;
    }
    const uint64_t mantissa = v << (63 - whole) << 1; /* without its leading one */
    const uint32_t i = (uint32_t)(mantissa >> 58);
    const uint64_t within = mantissa >> 42 & 0xffff;
    const uint64_t step = log2_table[i + 1] - log2_table[i];
    return ((uint64_t)whole << 16) + log2_table[i] + (step * within >> 16);
}

uint64_t entropy_bytes(const struct byte_counts *counts)
{
    uint64_t n = 0, bits_q16 = 0;
    for (uint32_t v = 0; v < 256; v++) n += counts->n[v];
    const uint64_t all = n ? log2_q16(n) : 0;
    for (uint32_t v = 0; v < 256; v++) {
        const uint64_t c = counts->n[v];
        if (c) bits_q16 += c * (all - log2_q16(c));
    }
    return ceil_div(bits_q16, (uint64_t)8 << 16);
}
