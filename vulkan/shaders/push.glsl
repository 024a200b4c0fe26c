/* The push constants of every kernel, field by field; included inside the block of a shader and
 * inside a struct of C, which define ADDRESS, UINT and FLOAT. Addresses come first, so that both
 * lay the fields out alike. */
ADDRESS(Codes) codes;    /* gemv: rows of 16-byte steps; sparse: rows of mask words */
ADDRESS(Words) table;    /* gemv: scales; sparse: start offsets of mask blocks */
ADDRESS(Words) values;   /* sparse: the kept values, packed */
ADDRESS(Vectors) x;      /* n_vectors inputs */
ADDRESS(Floats) y;       /* n_vectors outputs */
UINT row_units;          /* steps or mask words in a row of codes */
UINT table_row;          /* entries in a row of the table */
UINT first_row;          /* rows [first_row, end_row) are computed */
UINT end_row;
UINT n_vectors;
UINT x_stride;           /* in floats; a multiple of VECTOR_ALIGN */
UINT y_stride;           /* in floats */
FLOAT scale;             /* with SCALE_CONSTANT: scale of every weight */
FLOAT multiplier;        /* of the finished sums */
