/* Scalar codes in groups: the parameters, and rows on their way through the kernels, LANES groups
 * at a time. For the encode_*.c of such codes. */
#ifndef INGOT_CONVERT_GRID_H
#define INGOT_CONVERT_GRID_H

#include "convert/fit_search.h"
#include "format/coding.h"

/* What an entry of a table may be, when it is not simply a float: a rung of a ladder, times what
 * its super-group has. */
struct entry_form {
    uint8_t map;        /* MAP_UINT, MAP_INT, MAP_FLOAT (e4m3, e8m0) or MAP_CODEBOOK; 0: a float */
    uint8_t bits;       /* of a code */
    bool inverse;       /* bias: the coding subtracts, codes are the levels' opposites */
    uint8_t zero;       /* UINT: the code of level 0 */
    int16_t low, high;  /* integer levels */
    ingot_dtype format; /* FLOAT */
    const struct codebook *codebook;
};

/* Groups of a super-group, at most. */
enum { MAX_SUPER_GROUPS = 64 };

/* What entries of a table share a factor. */
enum super_kind {
    SUPER_NONE,   /* there is none */
    SUPER_COLS,   /* those of super_cols weights of a row; the factor is a float in `scale` */
    SUPER_TENSOR, /* all; an f32 */
    SUPER_RUN     /* super_cols entries of the flattened table, and an f32 added to all: absmax of
                     bitsandbytes, quantized once more */
};

struct grid {
    uint8_t map;                     /* enum coding_map: UINT, INT, FLOAT or CODEBOOK */
    uint8_t bits;                    /* of a code */
    uint8_t zero;                    /* UINT: the code that stands for level 0 */
    bool affine;                     /* a bias beside the scale */
    bool narrow;                     /* INT, UINT: without the codes that have no opposite */
    bool positive;                   /* scales are */
    ingot_dtype format;              /* FLOAT: of a code */
    const struct codebook *codebook; /* CODEBOOK */
    uint32_t group_cols;             /* weights of a row that share a scale, 0 for a row */
    bool run;                        /* groups of the flattened matrix */
    uint32_t block;                  /* groups are blocks of so many rows and columns */
    bool tensor;                     /* the tensor is one group */
    ingot_dtype scale;               /* of a scale and a bias; nested: of those of super-groups */
    struct entry_form scale_entry;
    struct entry_form bias_entry;
    uint8_t super;       /* enum super_kind */
    uint32_t super_cols; /* weights, a multiple of group_cols, or entries */
    enum effort effort;
};

struct encode_input;

/* The rows to encode, and room for a batch. */
struct grid_work {
    const struct encode_input *input;
    const struct grid *grid;
    struct fit fit;
    uint64_t n_rows; /* one a matrix when groups are runs */
    uint64_t n_cols;
    uint64_t group_cols; /* of a whole group */
    uint64_t row_groups;
    uint64_t n_groups;
    uint8_t *codes; /* of all rows, a byte each */
    float *weights; /* of a batch, and so on */
    float *importance;
    float *spare; /* for values that nobody asked for */
    ingot_error *error;
};

struct grid_batch {
    uint64_t groups[LANES]; /* past the last one, that again */
    uint32_t sizes[LANES];
    uint64_t begins[LANES]; /* element of the values */
    struct lanes lanes;
};

/* Levels that a grid's codes stand for; a codebook may be another than the grid's own. */
struct levels grid_levels(const struct grid *grid, const struct codebook *codebook);
/* Calls run for items [0, n_items), n_step at a time, on the threads of the input's pool: each time
 * with a copy of the work whose batch and error are its own. The first failure counts. */
typedef ingot_status grid_range(void *context, const struct grid_work *work, uint64_t first,
                                uint64_t n);
ingot_status grid_run(const struct grid_work *work, uint64_t n_items, uint64_t n_step,
                      grid_range *run, void *context);
/* Also to be closed after a failure. */
ingot_status grid_open(struct grid_work *work, const struct encode_input *input,
                       ingot_error *error);
void grid_close(struct grid_work *work);
/* Where groups [first, first + LANES) lie, and the same with their weights in lanes. */
struct grid_batch grid_place(const struct grid_work *work, uint64_t first);
struct grid_batch grid_load(const struct grid_work *work, uint64_t first);
/* The same of groups that the caller has laid out. */
void grid_load_batch(const struct grid_work *work, struct grid_batch *batch);
/* Finds codes and values of the batch, and puts both where they belong. A bias of -0 is none.
 * INGOT_REFUSED when a level would be infinite. */
ingot_status grid_encode(const struct grid_work *work, const struct grid_batch *batch,
                         const float scale[LANES], const float bias[LANES]);
/* "element 12 is 3e+38: NAME has scales that cannot reach it" */
ingot_status grid_refuse(const struct grid_work *work, const struct grid_batch *batch,
                         uint32_t lane);

/* Whether scales are powers of two that grid_find_powers finds, of no more error than any other,
 * and with what levels. */
bool grid_has_powers(const struct grid_work *work, struct levels *levels);
/* Sets scales and found of each group of the batch, found to 0 or 1. True where all are. */
bool grid_find_powers(const struct grid_work *work, const struct levels *levels,
                      const struct grid_batch *batch, float *scales, uint8_t *found);

/* Stores entry number `at` of a table of f32, f16 or bf16, and rounds *entry to what is stored.
 * False when that would be infinite. */
bool grid_put_entry(ingot_dtype format, float *entry, uint8_t *table, uint64_t at);
/* The least step of a scale towards 0 that keeps every value finite. */
float grid_scale_in_range(const struct grid_work *work, float scale);

#endif
