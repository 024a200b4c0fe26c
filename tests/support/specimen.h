/* A small draft that holds one of everything: each map, slot, group, mask and kind of term, an
 * alias, a rescale, all blobs, repeats, compressed chunks, each filter, a section of unknown kind.
 * Tests spoil it in one place. */
#ifndef INGOT_TESTS_SUPPORT_SPECIMEN_H
#define INGOT_TESTS_SUPPORT_SPECIMEN_H

#include "tests/support/draft.h"

/* Numbers of its records. */
enum specimen_coding {
    CODING_F32,
    CODING_F16,
    CODING_INT4,   /* zero 8, f16 scales for 1 x 16 */
    CODING_CODES,  /* 3 bits, 5 f16 entries */
    CODING_VECTOR, /* 2 bits, 4 entries of 4 i8, 7 sign bits */
    CODING_INDEX,  /* column index of 16 bits over 3 groups */
    CODING_SCALES, /* 6 bits, one f16 scale a matrix, constant */
    CODING_NESTED, /* CODING_SCALES for 1 x 8, bias, post */
    CODING_OPAQUE, /* 32 weights in 18 bytes */
    CODING_U8,
    N_SPECIMEN_CODINGS
};
enum specimen_stream {
    STREAM_DENSE, /* three chunks at a stride */
    STREAM_INT4_CODES,
    STREAM_INT4_SCALES,
    STREAM_CODEBOOK,
    STREAM_CODES_2,
    STREAM_CODES_1,
    STREAM_VECTORS,
    STREAM_VECTOR_CODES,
    STREAM_SIGNS_4,
    STREAM_SIGNS_2,
    STREAM_SIGNS_1,
    STREAM_INDEX,
    STREAM_INDEX_CODES,
    STREAM_INDEX_SCALES,
    STREAM_NESTED_CODES,
    STREAM_SCALES_4,
    STREAM_SCALES_2,
    STREAM_SCALES_OF_SCALES,
    STREAM_POST,
    STREAM_BITMAP,
    STREAM_BITMAP_OFFSETS,
    STREAM_BITMAP_VALUES,
    STREAM_LIST_BASE,
    STREAM_LIST_OFFSETS,
    STREAM_LIST,
    STREAM_LIST_VALUES,
    STREAM_TWO,
    STREAM_TWO_VALUES,
    STREAM_COLUMNS,
    STREAM_COLUMNS_VALUES,
    STREAM_ROWS,
    STREAM_ROWS_VALUES,
    STREAM_BLOCKS,
    STREAM_BLOCKS_OFFSETS,
    STREAM_BLOCKS_VALUES,
    STREAM_LORA_BASE,
    STREAM_LORA_A,
    STREAM_LORA_B,
    STREAM_MAGNITUDE_2,
    STREAM_MAGNITUDE_1,
    STREAM_OTHER_A,
    STREAM_OTHER_B,
    STREAM_OPAQUE,
    STREAM_XOR,
    STREAM_RESCALED,
    STREAM_RESCALE_2,
    STREAM_RESCALE_1,
    STREAM_EMPTY,
    STREAM_PACKED,   /* one zstd frame */
    STREAM_FILTERED, /* one frame a plane, filters 1 to 5, then the last as it is */
    STREAM_TRITS = STREAM_FILTERED + 5,
    STREAM_PACKED_TRITS, /* the same filter under zstd */
    STREAM_FP8,
    STREAM_METADATA,
    STREAM_SOURCE,
    STREAM_RECEIPT,
    STREAM_ATTACHMENT,
    STREAM_REPEAT, /* the same bytes */
    N_SPECIMEN_STREAMS
};
enum specimen_tensor {
    TENSOR_DENSE,
    TENSOR_INT4,
    TENSOR_CODES,
    TENSOR_VECTOR,
    TENSOR_INDEX,
    TENSOR_NESTED,
    TENSOR_BITMAP,
    TENSOR_LIST,
    TENSOR_TWO,
    TENSOR_COLUMNS,
    TENSOR_ROWS,
    TENSOR_BLOCKS,
    TENSOR_LORA,
    TENSOR_OPAQUE,
    TENSOR_REF,
    TENSOR_ALIAS, /* of TENSOR_DENSE */
    TENSOR_RESCALED,
    TENSOR_EMPTY,
    TENSOR_PACKED,
    TENSOR_FILTERED,
    TENSOR_LAST_FILTERED = TENSOR_FILTERED + 7,
    N_SPECIMEN_TENSORS
};
enum specimen_term {
    TERM_AT_DENSE,
    TERM_AT_INT4,
    TERM_AT_CODES,
    TERM_AT_VECTOR,
    TERM_AT_INDEX,
    TERM_AT_NESTED,
    TERM_AT_BITMAP,
    TERM_AT_LIST_BASE,
    TERM_AT_LIST,
    TERM_AT_TWO,
    TERM_AT_COLUMNS,
    TERM_AT_ROWS,
    TERM_AT_BLOCKS,
    TERM_AT_LORA_BASE,
    TERM_AT_LORA,  /* with magnitudes */
    TERM_AT_OTHER, /* optional */
    TERM_AT_OPAQUE,
    TERM_AT_REF,
    TERM_AT_XOR,
    TERM_AT_RESCALED,
    TERM_AT_EMPTY,
    TERM_AT_PACKED,
    TERM_AT_FILTERED,
    TERM_AT_LAST_FILTERED = TERM_AT_FILTERED + 7,
    N_SPECIMEN_TERMS
};
enum specimen_blob {
    BLOB_METADATA,
    BLOB_SOURCE,
    BLOB_RECEIPT,
    BLOB_ATTACHMENT,
    BLOB_REPEAT,
    N_SPECIMEN_BLOBS
};

/* Begins a draft and fills it; it is not sealed yet. Release it with draft_release. */
void specimen_begin(struct draft *d);

#endif
