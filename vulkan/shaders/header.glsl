/* What stands before the weights of a pass, field by field; for a block of GLSL and a struct of C.
 * Offsets count words from the header. */
UINT codes;     /* rows of codes, or of mask words, or the row offsets of a list */
UINT row_words; /* of codes or of the mask */
UINT row_steps; /* steps of a row that hold columns */
UINT room;      /* steps that a row has room for */
UINT book;      /* values of the map */
UINT signs;     /* rows of sign codes */
UINT sign_words;
UINT blocks;     /* sparse: start offsets of blocks of mask words */
UINT row_blocks;
UINT values;     /* sparse: codes of the kept values, one row of them; list: likewise */
UINT value_room; /* sparse: steps that the row of kept values has room for */
UINT columns;    /* list: columns of the kept values */
TABLE tables[N_TABLES];
