/* Numbers that the shaders and the C side must agree on; read by both. Knows no encoding. */

/* Invocations of one workgroup of every kernel: within the 128 that every device offers. */
#define GROUP_THREADS 64
/* Rows that one team of lanes of the matrix-vector kernel works on at a time. */
#define GEMV_ROWS 4
/* Mask words (of 32 columns) that share one start offset in the sparse kernel. */
#define SPARSE_BLOCK_WORDS 8
/* Vectors are stored at a stride that is a multiple of this many floats, zeros behind the end. */
#define VECTOR_ALIGN 32

/* Specialization constants. A kernel that lacks one ignores it. */
#define SPEC_LANES 0       /* lanes that share a row: a power of two, at most GROUP_THREADS */
#define SPEC_ADD 1         /* 1: add to y, 0: overwrite it */
#define SPEC_SCALE 2       /* one of SCALE_... */
#define SPEC_GROUP_STEPS 3 /* steps (16 bytes of codes) that share one scale of the table */
#define SPEC_SCALE_EACH 4  /* 1: scale each weight, 0: scale the sum over a step */
#define SPEC_FLIP 5        /* integers: exclusive-or on the code */
#define SPEC_ZERO 6        /* integers: f32 subtracted from the flipped code */
#define N_SPECS 7

#define SCALE_NONE 0
#define SCALE_CONSTANT 1
#define SCALE_F16 2
#define SCALE_F32 3
