/* A dense coding laid out for wide registers, and what a level does with it.
 *
 * Rows are taken 16 at a time, a panel, and columns 32 at a time, a block. The 32-bit lane i of
 * every 64-byte word belongs to row i of the panel; so one load serves 16 rows, x is broadcast, and
 * nothing is ever added across lanes. Codes of a block lie plane by plane, widest first, w words
 * for a plane of w bits. The block's eight steps are four columns each: byte b of a lane is column
 * 4 s + b of step s, and step s of a plane of w bits is found at bits
 *
 *     word s * w / 8,   byte b,   bit s * w % 8
 *
 * Raw floats lie column by column, 16 rows a column. */
#ifndef INGOT_PANELS_H
#define INGOT_PANELS_H

#include "runtime/backend.h"

enum {
    PANEL_ROWS = 16,
    PANEL_BLOCK = 32, /* columns */
    PANEL_HALF = 16,  /* columns of the finest group */
    PANEL_MIN_COLS = 256,
    PANEL_MAX_BITS = 8
};

enum panel_kind {
    PANEL_CODES, /* codes of up to 8 bits and a table of their values */
    PANEL_F32,
    PANEL_F16,
    PANEL_BF16,
    N_PANEL_KINDS
};

/* How the entries of a slot are held. */
enum panel_entries {
    ENTRIES_NONE,
    ENTRIES_F32,
    ENTRIES_F16,
    ENTRIES_CODES,
    ENTRIES_INTEGERS,
    N_PANEL_ENTRIES
};

/* What lut is for all codes that entries have, besides a table: 2^(code - 127) or the e4m3 of that
 * code less 2^8, none of which is negative or no number, times lut_unit. */
enum panel_codes { CODES_ANY, CODES_EXPONENTS, CODES_E4M3 };

/* The entries of a slot: for each panel, for each group of columns, 16 of them. The entry is
 * (v * super + add) * factor; v is an f32, an f16, lut[code of 8 bits] or an i8, super one f32 for
 * super_groups groups of a row (1 when there are none). */
struct panel_table {
    enum panel_entries kind;
    const void *entries;
    uint64_t n_groups;
    uint64_t halves; /* columns of a group / PANEL_HALF */
    const float *lut;
    enum panel_codes codes_are;
    float lut_unit;
    bool lut_is_bf16;
    uint8_t lut_bytes[4][256]; /* of each entry, the lowest first */
    const void *supers;
    bool supers_are_f16; /* else f32 */
    uint64_t n_supers;   /* of a row */
    uint64_t super_groups;
    float add;
    float factor;
};

/* The values of codes of up to 6 bits as 8-bit integers, for 8-bit activations: value =
 * (bytes[code]
 * - zero) * unit. For wider codes bytes[code] is the code. */
struct panel_integers {
    bool present;
    bool is_code; /* bytes[code] = code */
    uint8_t bytes[64];
    int32_t zero;
    float unit;
};

/* Codes of 8 bits, most of whose values are a bf16 of the code's sign and, after the bits of its
 * exponent that the code lacks, its other bits:
 *
 *     value = 2^exponent * bf16((code & 128) << 8 | (code & 127) << shift)
 *
 * So it is for codes whose lower 7 bits are 0 or within [least, most], the plain ones; others are
 * subnormals or no numbers. */
struct panel_floats {
    uint32_t shift; /* 0: they are not like that */
    int32_t exponent;
    uint8_t least;
    uint8_t most;
    const uint8_t *plain; /* a byte a block, panel after panel: 1 if all codes of it are plain */
};

/* The values of codes of up to 6 bits as 16-bit integers, where these are so near that products of
 * n_cols columns keep the bound: value = values[code] * unit * factor, unit being a power of two.
 */
struct panel_words {
    bool present;
    int16_t values[64];
    float unit;
    float factor;
};

struct panels {
    enum panel_kind kind;
    uint8_t bits;
    uint32_t n_planes;
    uint8_t widths[CODING_MAX_PLANES];
    uint64_t n_rows;
    uint64_t n_cols; /* of x */
    uint64_t n_panels;
    uint64_t n_blocks; /* of a panel */
    uint64_t block_bytes;
    const uint8_t *codes; /* n_panels * n_blocks * block_bytes, and RESIDENT_SLACK_BYTES; at a
                             multiple of 64 */
    /* PANEL_CODES: value of code c, less the constant zero: high[c] + low[c], both bf16. */
    uint16_t high[256];
    uint16_t low[256];
    bool has_low;
    bool is_signed; /* 8 bits: the highest is the sign, also of the low parts */
    struct panel_integers integers;
    struct panel_floats floats;
    struct panel_words words;
    uint64_t halves; /* the columns over which all entries stay the same / PANEL_HALF: 1 or even */
    struct panel_table scale;
    struct panel_table zero;
    struct panel_table bias;
    float bias_constant;
    const uint32_t *order;  /* n_blocks * 32: the column of x, or INGOT_NONE; NULL: as they are */
    const float *x_factors; /* n_cols, or NULL */
    float x_factor;
    uint64_t n_bytes; /* all that the panels take */
    void *memory[16];
};

/* How x is taken. */
enum panel_mode {
    PANEL_MODE_F32,  /* bound of ingot.h */
    PANEL_MODE_BF16, /* x and decoded weights rounded to bf16, sums in f32 */
    PANEL_MODE_I8,   /* x in blocks of 32 8-bit integers with an f32 scale */
    N_PANEL_MODES
};

struct panel_ops {
    /* Bytes of n_x rows of x made ready, a multiple of 64. */
    uint64_t (*x_bytes)(const struct panels *panels, enum panel_mode mode, uint64_t n_x);
    /* Makes rows [first, first + n) of the n_x rows ready in `ready`, which is aligned to 64. */
    void (*x_prepare)(const struct panels *panels, enum panel_mode mode, const float *x,
                      uint64_t x_stride, uint64_t n_x, uint64_t first, uint64_t n, void *ready);
    /* y[j * y_stride + i] += row first_panel * 16 + i times row j of x, for the rows of n_panels
     * panels that the matrix has. */
    void (*multiply)(const struct panels *panels, enum panel_mode mode, const void *ready,
                     uint64_t n_x, uint64_t first_panel, uint64_t n_panels, float *y,
                     uint64_t y_stride);
};

struct ingot_pool;

/* Lays out a coding; sets *panels to NULL when it has no such form, or has too few columns for the
 * bound. The panels point to nothing of `dense`. */
ingot_status panels_make(const struct resident_dense *dense, struct ingot_pool *pool,
                         const ingot_allocator *allocator, struct panels **panels,
                         ingot_error *error);
/* struct ingot_backend's own_form. */
bool panels_forecast(const struct ingot_coding *coding, uint64_t n_rows, uint64_t n_cols,
                     const float *codebook, uint64_t *n_bytes);
/* Takes NULL. */
void panels_release(struct panels *panels, const ingot_allocator *allocator);

/* Whether the mode can be had; if not, PANEL_MODE_BF16 takes its place. */
static inline bool panels_have(const struct panels *panels, enum panel_mode mode)
{
    return mode != PANEL_MODE_I8 || panels->integers.present;
}

#endif
