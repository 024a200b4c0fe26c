/* What the files that lay out panels share. */
#ifndef INGOT_PANELS_MAKE_H
#define INGOT_PANELS_MAKE_H

#include "format/bytes.h"
#include "format/coding.h"
#include "runtime/panels.h"

struct maker {
    const struct resident_dense *dense;
    struct ingot_pool *pool;
    const ingot_allocator *allocator;
    struct panels *p;
    uint32_t n_memory;
    uint8_t *codes;
    uint8_t *plain; /* as in panel_floats; NULL: there are none */
    /* Codebooks of vectors: the different values that weights have, and for each value of each
     * entry, as it is and negated, which of them it is. */
    float values[256];
    uint32_t n_values;
    uint8_t *value_codes;
    /* Zeros of groups finer than halves, taken into the values: the zero of code z makes value v
     * that of number less_codes[z * n_plain + v]. NULL: none. */
    const struct resident_table *zeros;
    uint8_t *less_codes;
    uint32_t n_plain;
    ingot_error *error;
    ingot_status status;
};
/* Memory of the panels, aligned to 64 bytes and followed by slack; NULL once there was none, which
 * m->status tells then. */
void *panel_take(struct maker *m, uint64_t n_bytes);

static inline bool panel_is_bf16(float v)
{
    return f32_bits(v) % 65536 == 0;
}

/* Signed codes are laid out with their sign flipped: code 0 is the least value. */
static inline uint32_t panel_laid_out(const struct ingot_coding *coding, uint32_t code)
{
    return coding->map == MAP_INT ? code ^ 1u << (coding->bits - 1) : code;
}

static inline uint64_t greatest_divisor(uint64_t a, uint64_t b)
{
    while (b != 0) {
        const uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Value of a code of a scalar map after the constant zero. */
float panel_code_value(const struct resident_dense *dense, uint32_t code);
/* Tables of the values of codes; false when one has no place in them. */
bool panel_make_values(struct maker *m);
/* The bf16 products of PANEL_CODES are off by up to 2^-17 of each |w x|, and those with offsets sum
 * code and offset apart, where |code * scale| exceeds |w|: the bound of 2 K 2^-24 leaves room for
 * that from so many columns on, and for the rest from PANEL_MIN_COLS on. */
enum { MIN_COLS_LOW = 512, MIN_COLS_OFFSET = 1024 };
bool panel_has_offsets(const struct ingot_coding *coding, bool takes_zeros);
/* Whether zeros are values of a code alone, so that they can be taken into those of vectors. */
bool panel_zeros_are_few(const struct ingot_coding *zeros);
/* Codes that a coding of at most 8 bits has. */
static inline uint32_t panel_n_codes(const struct ingot_coding *coding)
{
    return coding->map == MAP_CODEBOOK ? coding->n_entries : 1u << coding->bits;
}

/* Two-level entries with fewer groups than this for a super would be larger than flat ones. */
enum { MIN_SUPER_GROUPS = 2 };

/* The different values of n numbers, each as it is and, with `negated`, with its other sign.
 * Returns how many there are: 257 for more than 256, or when one is no number. *codes (may be
 * NULL) becomes, for each, the number of its value. */
uint32_t panel_distinct(const float *numbers, uint64_t n, bool negated, float values[256],
                        uint8_t *codes);
/* Whether a value has a place in the tables. */
bool panel_value_fits(float v);

/* Codebooks of vectors: false when they have more values, less zeros that are taken into them, than
 * codes of 8 bits, or one that is no number. */
bool panel_collect_values(struct maker *m);
/* Their codes as those of scalars. */
void panel_vector_codes(const struct maker *m, uint64_t row, uint64_t first, uint32_t n,
                        uint32_t *codes);
uint8_t panel_bits_for(uint32_t n);

/* Lays out the codes of one panel, on any thread; the context is the maker. */
void panel_lay(void *maker, uint64_t panel);

/* The column at a place, or of the last place before it that has one. */
uint64_t panel_column_at(const struct panels *p, uint64_t place);
/* Columns of a group, which begin anew at each row, in halves: 0 when they do not fit. */
uint64_t panel_table_halves(const struct panels *p, const struct resident_table *table);
void panel_make_tables(struct maker *m);
void panel_make_x_factors(struct maker *m);

#endif
