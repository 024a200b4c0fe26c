/* What a kernel level of the CPU backend offers, and the list of levels. "plain" is the reference:
 * C alone, every coding, and it runs everywhere. Another level is a set of overrides of it. */
#ifndef INGOT_CPU_LEVEL_H
#define INGOT_CPU_LEVEL_H

#include "format/compiler.h"
#include "runtime/backend.h"
#include "runtime/panels.h"

enum {
    CPU_ROWS = 4,    /* most rows of one call of a dot, or decoded at once */
    CPU_COLS = 1024, /* columns decoded at once; a multiple of CPU_VECTOR */
    CPU_VECTOR = 8,  /* decoders may write whole groups of so many floats */
    CPU_STRIDE =
        CPU_COLS + 16, /* floats from one decoded row to the next: not the same cache set */
};

/* One way to decode a coding, and maybe to multiply straight from its codes. */
struct cpu_kernel {
    const char *name;
    bool (*fits)(const struct resident_dense *dense);
    /* Columns [first_col, first_col + n_cols) of a row to dst, every value exactly as the coding's
     * formula gives it. first_col is a multiple of 8; dst has room for n_cols rounded up to 8,
     * and what it holds past n_cols is unspecified. */
    void (*decode)(const struct resident_dense *dense, uint64_t row, uint64_t first_col,
                   uint64_t n_cols, float *dst);
    /* y[i] += row first_row + i times x, for i < n_rows <= CPU_ROWS. NULL: by decoding. */
    void (*dot)(const struct resident_dense *dense, uint64_t first_row, uint32_t n_rows,
                const float *x, float *y);
};

/* y[j * y_stride + i] += sum over c < n_cols of w[i * w_stride + c] * x[j * x_stride + c], for
 * i < n_rows and j < n_x. */
struct cpu_product {
    const float *w;
    uint64_t w_stride;
    uint32_t n_rows;
    const float *x;
    uint64_t x_stride;
    uint64_t n_x;
    uint64_t n_cols;
    float *y;
    uint64_t y_stride;
};

/* Kept values of one plane under a bitmap, as kernels take them. */
struct cpu_kept {
    const uint8_t *mask;
    uint64_t mask_row_bytes;
    const uint8_t *values;
    const uint32_t *row_offsets; /* n_rows + 1 */
    uint64_t n_rows;
    uint64_t n_cols;
    const uint8_t *own; /* what the kernel made of them, part after part */
};

enum { KEPT_PART_ROWS = 32 /* a multiple of the first rows of slices with few rows of x */ };

/* Kept values under a bitmap times one row of x. */
struct cpu_sparse_kernel {
    const char *name;
    /* Of the values; what fits has no slot but one scale a row or for all, which multiplies. */
    bool (*fits)(const struct ingot_coding *coding);
    /* Bytes of what the kernel holds beside the values, for KEPT_PART_ROWS rows; NULL: nothing. */
    uint64_t (*part_bytes)(uint64_t n_cols);
    void (*make_part)(const struct cpu_kept *kept, uint64_t part, uint8_t *own);
    /* Bytes of one row of x made ready, a multiple of 64; NULL: it is taken as it is. */
    uint64_t (*x_bytes)(uint64_t n_cols);
    void (*x_prepare)(uint64_t n_cols, const float *x, uint8_t *ready);
    /* sums[i], without the scale, of row first_row + i, i < n_rows; first_row is a multiple of
     * KEPT_PART_ROWS. */
    void (*dot)(const struct cpu_kept *kept, uint64_t first_row, uint32_t n_rows, const float *x,
                const uint8_t *ready, float *sums);
};

struct cpu_level {
    const char *name;
    bool (*available)(void);
    const struct cpu_kernel *kernels; /* the first that fits is taken; cpu_plain_kernel if none */
    uint32_t n_kernels;
    void (*multiply)(const struct cpu_product *product);
    /* dst[c] = the next of `packed` where bit c of mask is set, else +0. packed is readable 8
     * floats past its last value; dst has room for n_cols rounded up to 8. */
    void (*expand)(const uint8_t *mask, uint64_t n_cols, const float *packed, float *dst);
    const struct panel_ops *panels;         /* NULL: dense codings stay as they are */
    const struct cpu_sparse_kernel *sparse; /* the first that fits is taken, or none */
    const uint32_t *n_sparse;
};

extern const struct cpu_level cpu_level_plain;
#ifdef INGOT_X86_64
extern const struct cpu_level cpu_level_avx2;
extern const struct cpu_level cpu_level_avx512; /* that of avx2, and panels */
extern const struct panel_ops cpu_avx2_panels;
extern const struct panel_ops cpu_avx512_panels;
extern const struct cpu_sparse_kernel cpu_avx512_sparse[];
extern const uint32_t n_cpu_avx512_sparse;
bool cpu_avx512_available(void);
#endif
#ifdef INGOT_AARCH64
extern const struct cpu_level cpu_level_neon;
extern const struct cpu_level cpu_level_neon_dotprod; /* and 8-bit activations */
extern const struct cpu_level cpu_level_neon_i8mm;    /* the same by matrix products */
#endif

/* The level of that name (NULL: the best) if this CPU has it, else NULL. */
const struct cpu_level *cpu_level_find(const char *name);

/* The first kernel of a level that fits, or the reference. */
const struct cpu_kernel *cpu_level_kernel(const struct cpu_level *level,
                                          const struct resident_dense *dense);

/* Whether the reference can decode this; if not, *why is what stands in the way. */
bool cpu_plain_supports(const struct resident_dense *dense, const char **why);
/* The reference decoder: fits all that is supported. */
extern const struct cpu_kernel cpu_plain_kernel;

/* Kept values [first, first + n) of one row of the matrix, at these columns, by the reference. */
void cpu_plain_decode_kept(const struct resident_dense *values, uint64_t first, uint64_t row,
                           const uint32_t *cols, uint64_t n, float *dst);
/* What the coding's slots make of v, which its map gave for columns [first_col, first_col + n_cols)
 * of a row of the matrix. */
void cpu_plain_apply_slots(const struct resident_dense *values, uint64_t row, uint64_t first_col,
                           uint64_t n_cols, float *v);
/* A table's entry for weight (row, col). */
float cpu_plain_entry(const struct resident_table *table, uint64_t row, uint64_t col);

#endif
