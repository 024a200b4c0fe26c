/* What an encoding preset is made of: a row of parameters, the plan of its term, and the search
 * that fits the term to values. For presets.c and the encode_*.c families. */
#ifndef INGOT_CONVERT_ENCODE_H
#define INGOT_CONVERT_ENCODE_H

#include "convert/block_codings.h"
#include "convert/grid.h"
#include "convert/presets.h"
#include "format/pool.h"
#include "format/writer.h"

/* A codebook of ggml and the coding that has it. */
struct plan_book {
    struct ingot_coding *coding;
    enum block_book book;
};

/* A term and its codings, which point at each other: a plan stays where it was made. */
struct term_plan {
    const struct preset *preset;
    struct stack_shape stack; /* of the tensor */
    struct writer_term term;  /* combine is the caller's to set */
    struct ingot_coding coding;
    struct ingot_coding coding_b;
    struct ingot_coding scale_table;
    struct ingot_coding bias_table;
    struct ingot_coding super_table; /* of both of them, when they are nested */
    const struct codebook *codebook; /* of the coding, or NULL */
    const struct codebook *scale_codebook;
    struct codebook learned; /* what `codebook` is when it is found from the tensor */
    float learned_entries[MAX_LEVELS];
    struct block_coding blocks; /* of vectors: what holds the tables */
    uint32_t n_books;           /* of vectors: the vectors first, the scales last */
    struct plan_book books[3];
};

/* Values to encode: of whole rows, or, for a preset that is not by rows, of the whole tensor. */
struct encode_input {
    struct term_plan *plan; /* whose constants a preset that is not by rows may find */
    const char *name;       /* of the tensor, for messages; not terminated */
    uint32_t name_bytes;
    uint64_t first_row; /* of the tensor's stack, for messages */
    struct stack_shape shape;
    const float *values;
    const float *importance;       /* NULL, or of each matrix of the tensor's stack n_cols floats */
    const ingot_allocator *memory; /* of what grows with the values */
    struct ingot_pool *pool;       /* NULL where the caller is in it already */
    float *decoded; /* NULL, or where a preset that decodes puts what its term gives */
};

struct preset {
    char name[32];
    char label[16]; /* the coding's name, when that is to say more than the preset's */
    char help[128];
    bool by_rows;          /* any run of rows is encoded alone, all streams following the rows */
    bool by_parts;         /* the same, once prepared; a sample of rows is enough for that */
    bool decodes;          /* encode tells what its term gives */
    bool searchless;       /* others encode this type from the extremes of a group alone */
    bool is_cast;          /* to `dtype`: the values themselves, in another type */
    ingot_dtype dtype;     /* casts: of the values; else 0 */
    uint32_t kept_percent; /* sparse: of the weights, or columns */
    uint8_t mask;          /* sparse: enum term_mask */
    uint32_t rank;         /* lowrank: at most */
    uint32_t block_type;   /* vectors: the type of ggml, whose coding it is */
    struct grid grid;      /* scalar codes in groups; of vectors the effort alone */
    /* The term for a tensor of that type and shape. */
    void (*plan)(const struct preset *preset, ingot_dtype dtype, struct stack_shape stack,
                 struct term_plan *plan);
    /* NULL, or what is to be found of the whole tensor before it is encoded: constants and
     * codebooks of the plan. */
    ingot_status (*prepare)(const struct encode_input *input, ingot_error *error);
    /* Writes the streams of plan->term for the input's rows, in the specification's order, to
     * memory that is zero. INGOT_REFUSED, naming tensor and element, when a value cannot be
     * encoded. */
    ingot_status (*encode)(const struct encode_input *input, uint8_t *const *streams,
                           ingot_error *error);
};

/* The preset of a name with its options. False when there is none. */
bool preset_parse(const char *name, size_t n_bytes, struct preset *preset);

/* "NAME", "element 12 is nan: ..." */
ingot_status encode_refuse(const struct encode_input *input, uint64_t element, const char *why,
                           ingot_error *error);
/* Refuses NaN and infinity, which a preset says it cannot hold. */
ingot_status encode_check_finite(const struct encode_input *input, ingot_error *error);

/* f32 to f32, f16 or bf16, to the nearest, ties to even. NaN and infinity stay. False when a finite
 * value would become infinite; *bad is then its number. */
bool cast_values(ingot_dtype dtype, const float *values, uint64_t n, uint8_t *dst, uint64_t *bad);

/* The families. */
void plan_cast(const struct preset *preset, ingot_dtype dtype, struct stack_shape stack,
               struct term_plan *plan);
ingot_status encode_cast(const struct encode_input *input, uint8_t *const *streams,
                         ingot_error *error);
void plan_grid(const struct preset *preset, ingot_dtype dtype, struct stack_shape stack,
               struct term_plan *plan);
ingot_status encode_grid(const struct encode_input *input, uint8_t *const *streams,
                         ingot_error *error);
/* A codebook for the tensor. */
ingot_status prepare_codebook(const struct encode_input *input, ingot_error *error);
/* Groups that are blocks of rows and columns, or the tensor. */
ingot_status encode_blocks(const struct encode_input *input, uint8_t *const *streams,
                           ingot_error *error);
/* The nested tables of a grid, on behalf of encode_grid: their streams. */
ingot_status encode_nested(const struct grid_work *work, uint8_t *const *streams);
/* Vectors of the grids of ggml. */
void plan_vectors(const struct preset *preset, ingot_dtype dtype, struct stack_shape stack,
                  struct term_plan *plan);
ingot_status encode_vectors(const struct encode_input *input, uint8_t *const *streams,
                            ingot_error *error);
void plan_sparse(const struct preset *preset, ingot_dtype dtype, struct stack_shape stack,
                 struct term_plan *plan);
ingot_status encode_sparse(const struct encode_input *input, uint8_t *const *streams,
                           ingot_error *error);
/* f16 and bf16 as they are, else f32. */
ingot_dtype sparse_value_type(ingot_dtype dtype);
void plan_columns(const struct preset *preset, ingot_dtype dtype, struct stack_shape stack,
                  struct term_plan *plan);
ingot_status encode_columns(const struct encode_input *input, uint8_t *const *streams,
                            ingot_error *error);
void plan_lowrank(const struct preset *preset, ingot_dtype dtype, struct stack_shape stack,
                  struct term_plan *plan);
ingot_status encode_lowrank(const struct encode_input *input, uint8_t *const *streams,
                            ingot_error *error);

#endif
