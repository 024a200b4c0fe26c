/* The push constants of every kernel, field by field; included inside the block of a shader and
 * inside a struct of C, which define ADDRESS, UINT and FLOAT. Addresses come first, so that both
 * lay the fields out alike. */
ADDRESS(Words) base;     /* the weights: a header, and what it counts words to */
ADDRESS(Vectors) x;      /* n_vectors inputs */
ADDRESS(Floats) y;       /* n_vectors outputs */
ADDRESS(Words) list;     /* gather: columns, then factors; scatter: rows; else not used */
ADDRESS(Floats) factors; /* gather: of columns; scatter: of rows; else not used */
UINT first_row;          /* rows [first_row, end_row) are computed */
UINT end_row;
UINT n_vectors;
UINT x_stride;           /* in floats; a multiple of VECTOR_ALIGN */
UINT y_stride;           /* in floats */
UINT n_slices;           /* gemm, reduce: slices of the columns */
UINT slice_blocks;       /* gemm: blocks of STEP_COLS columns in a slice */
UINT slice_stride;       /* gemm, reduce: floats from the results of one slice to the next */
FLOAT multiplier;        /* of the finished sums */
FLOAT unit;              /* f16: weights are multiplied by it, a power of two */
