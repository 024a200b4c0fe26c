/* Numbers that the shaders and the C side must agree on; read by both. Knows no encoding. */

/* Invocations of a workgroup, within the 128 that every device offers. */
#define GEMV_THREADS 64
#define GEMM_THREADS 128
#define SIMPLE_THREADS 64
/* A workgroup of the matrix-matrix kernel makes so many rows of results for so many vectors. */
#define GEMM_ROWS 128
#define GEMM_VECTORS 32
#define GEMM_SHARED_BYTES (STEP_COLS * (GEMM_ROWS / 4 + GEMM_VECTORS / 4 + 1) * 16)
/* Columns of a step of codes and of a block of the matrix-matrix kernel; of a step of raw floats;
 * and of a quarter, in which groups of tables are counted. */
#define STEP_COLS 32
#define RAW_STEP_COLS 8
#define QUARTER_COLS 8
/* Mask words (of 32 columns) that share one start offset. */
#define MASK_BLOCK_WORDS 8
/* Vectors are stored at a stride that is a multiple of this many floats, zeros behind the end. */
#define VECTOR_ALIGN 32

/* Specialization constants. A kernel that lacks one ignores it. */
#define SPEC_LANES 0   /* lanes that share a row: a power of two, at most GEMV_THREADS */
#define SPEC_ADD 1     /* 1: add to y, 0: overwrite it */
#define SPEC_ROWS 2    /* gemv: rows that a team of lanes works on at a time */
#define SPEC_VECTORS 3 /* gemv: vectors at a time; push.n_vectors of them are stored */
#define SPEC_GRAIN 4   /* quarters over which all entries of tables stay the same: 1, 2 or 4 */
#define SPEC_BITS 5    /* of a code */
#define SPEC_FLIP 6    /* integers: exclusive-or on the code */
#define SPEC_ZERO 7    /* f32 subtracted from the map's value */
#define SPEC_LENGTH 8  /* vector codebooks: weights of an entry, 4 or 8 */
#define SPEC_SIGNS 9   /* vector codebooks: bits of a sign code, 0, 7 or 8 */
#define SPEC_BOOK 10   /* vector codebooks: one of BOOK_... */
#define SPEC_RESULT 11 /* dequantizing: one of RESULT_... */
#define SPEC_TABLES 12 /* for each table, SPECS_OF_TABLE constants: */
#define SPEC_OF_FORM 0    /* one of ENTRIES_... */
#define SPEC_OF_GROUP 1   /* quarters that share an entry of a row */
#define SPEC_OF_SUPER 2   /* entries that share a super entry; 0: there are none */
#define SPEC_OF_INVERSE 3 /* 1: the reciprocal of an entry is taken */
#define SPECS_OF_TABLE 4
/* Matrix units: invocations of a workgroup; those of a subgroup are SPEC_LANES. A multiplication of
 * theirs is TILE_M x TILE_K by TILE_K x TILE_N, and a subgroup has TILES_M x TILES_N results. */
#define SPEC_THREADS 24
#define SPEC_TILE_M 25
#define SPEC_TILE_N 26
#define SPEC_TILE_K 27
#define SPEC_GRID_M 28 /* subgroups that share vectors */
#define SPEC_GRID_N 29 /* subgroups that share rows */
#define SPEC_TILES_M 30
#define SPEC_TILES_N 31
#define N_SPECS 32

/* What dequantizing makes of weights. */
#define RESULT_F32 0
#define RESULT_F16 1
#define RESULT_LARGEST 2 /* the bits of the largest magnitude, where there were those of a smaller */

/* Vectors as f16: of n columns, rounded up to whole blocks of MATRIX_COLS, and 4 words more, of
 * which the first is the f32 that the vector was divided by. */
#define MATRIX_COLS 64
#define MATRIX_PAD 8 /* f16 behind a row in shared memory, against conflicts of banks */
#define NARROW_THREADS 128
#define NARROW_WORDS(n_cols) ((((n_cols) + 63) / 64) * 32 + 4)
/* Vectors as 8-bit integers: words of a step. */
#define ROUNDED_WORDS 12
/* Vectors as pairs of f16: words of a step. */
#define PAIRED_WORDS 24
/* The largest magnitudes are brought to [2^n, 2^(n + 1)): sums of products of f16 stay finite. */
#define NARROW_X_EXPONENT 4
#define NARROW_W_EXPONENT 12
#define HALF_W_EXPONENT 4 /* where the sums are f16 too */

#define TABLE_ZERO 0
#define TABLE_SCALE 1
#define TABLE_BIAS 2
#define N_TABLES 3

/* How the entries of a table are held. */
#define ENTRIES_NONE 0
#define ENTRIES_CONSTANT 1
#define ENTRIES_F16 2
#define ENTRIES_F32 3
#define ENTRIES_INTEGER 4 /* bytes, less a zero */
#define ENTRIES_LOOKUP 5  /* bytes, through a table of f32 */

/* How the entries of a vector codebook are held. */
#define BOOK_I8 0
#define BOOK_F16 1
#define BOOK_F32 2
