/* The codings that the runtime's tests go through: every map, width and slot of the plain level,
 * and each form that a faster level knows. */
#ifndef INGOT_TESTS_RUNTIME_CODINGS_H
#define INGOT_TESTS_RUNTIME_CODINGS_H

#include "format/coding.h"

#define FLOAT(width, name) \
    .map = MAP_FLOAT, .bits = (width), .format = (name), .codebook_stream = INGOT_NONE
#define UINT(width) .map = MAP_UINT, .bits = (width), .codebook_stream = INGOT_NONE
#define INT(width) .map = MAP_INT, .bits = (width), .codebook_stream = INGOT_NONE

static const struct ingot_coding table_f16 = {FLOAT(16, INGOT_F16)};
static const struct ingot_coding table_f32 = {FLOAT(32, INGOT_F32)};

#define CONSTANT(v) .has_constant = true, .constant = (v)
#define TABLE(coding, rows, cols)                                                      \
    .has_table = true, .group = GROUP_BLOCK, .table = &(coding), .group_rows = (rows), \
    .group_cols = (cols)

#define GROUPS(coding, how, rows, cols)                                          \
    .has_table = true, .group = (how), .table = &(coding), .group_rows = (rows), \
    .group_cols = (cols)
#define BOOK(width, n)                                                           \
    .map = MAP_CODEBOOK, .bits = (width), .n_entries = (n), .format = INGOT_F32, \
    .codebook_stream = 0

#define VECTORS(width, n, length, sign_bits)                                         \
    .map = MAP_VECTOR, .bits = (width), .n_entries = (n), .vector_length = (length), \
    .signs = (sign_bits), .format = INGOT_I8, .codebook_stream = 0

/* Tables of two levels. */
static const struct ingot_coding table_u4 = {UINT(4)};
static const struct ingot_coding table_u6 = {UINT(6),
                                             .slots[SLOT_SCALE] = {TABLE(table_f16, 1, 8)}};
static const struct ingot_coding table_s8 = {INT(8), .slots[SLOT_ZERO] = {CONSTANT(3)},
                                             .slots[SLOT_SCALE] = {TABLE(table_f16, 1, 16)}};
static const struct ingot_coding table_e4m3 = {
    FLOAT(8, INGOT_F8_E4M3),
    .slots[SLOT_SCALE] = {GROUPS(table_f32, GROUP_BLOCK, 0, 0), .inverse_table = true}};
/* As scales are that have no sign: entries limit the codes that are made up. */
static const struct ingot_coding table_positive_e4m3 = {
    FLOAT(8, INGOT_F8_E4M3), .n_entries = 127,
    .slots[SLOT_SCALE] = {GROUPS(table_f32, GROUP_BLOCK, 0, 0)}};
static const struct ingot_coding table_i8 = {INT(8),
                                             .slots[SLOT_SCALE] = {TABLE(table_f16, 1, 16)}};
static const struct ingot_coding table_e8m0 = {FLOAT(8, INGOT_F8_E8M0)};
static const struct ingot_coding table_book = {
    BOOK(8, 256), .slots[SLOT_SCALE] = {GROUPS(table_f32, GROUP_RUN, 0, 8)},
    .slots[SLOT_BIAS] = {CONSTANT(2.5f)}};
static const struct ingot_coding table_two = {BOOK(1, 2)};
static const struct ingot_coding table_deep = {UINT(3),
                                               .slots[SLOT_ZERO] = {TABLE(table_f16, 4, 1)},
                                               .slots[SLOT_SCALE] = {TABLE(table_f16, 4, 1)}};

struct coding_case {
    const char *name;
    const char *avx2; /* the kernel that the avx2 level takes for it */
    struct ingot_coding coding;
};

static const struct coding_case coding_cases[] = {
    {"f32", "f32", {FLOAT(32, INGOT_F32)}},
    {"f16", "f16", {FLOAT(16, INGOT_F16)}},
    {"bf16", "bf16", {FLOAT(16, INGOT_BF16)}},
    {"int8", "s8", {INT(8)}},
    {"int8, one scale", "s8", {INT(8), .slots[SLOT_SCALE] = {CONSTANT(0.037f)}}},
    {"int8, row scales", "s8", {INT(8), .slots[SLOT_SCALE] = {TABLE(table_f32, 1, 0)}}},
    {"int8, groups of 32", "s8", {INT(8), .slots[SLOT_SCALE] = {TABLE(table_f16, 1, 32)}}},
    {"int8, groups of 8", "s8", {INT(8), .slots[SLOT_SCALE] = {TABLE(table_f32, 1, 8)}}},
    {"int8, blocks of 16 x 128", "s8", {INT(8), .slots[SLOT_SCALE] = {TABLE(table_f32, 16, 128)}}},
    {"int8, one group of all", "s8", {INT(8), .slots[SLOT_SCALE] = {TABLE(table_f16, 0, 0)}}},
    {"int8, groups of 24", "s8", {INT(8), .slots[SLOT_SCALE] = {TABLE(table_f16, 1, 24)}}},
    {"uint8, zero and groups of 64",
     "u8",
     {UINT(8), .slots[SLOT_ZERO] = {CONSTANT(128)},
      .slots[SLOT_SCALE] = {TABLE(table_f16, 1, 64)}}},
    {"int4, groups of 32",
     "u4",
     {UINT(4), .slots[SLOT_ZERO] = {CONSTANT(8)}, .slots[SLOT_SCALE] = {TABLE(table_f16, 1, 32)}}},
    {"int4, groups of 128",
     "u4",
     {UINT(4), .slots[SLOT_ZERO] = {CONSTANT(7.5f)},
      .slots[SLOT_SCALE] = {TABLE(table_f32, 1, 128)}}},
    {"int4, no zero", "u4", {UINT(4), .slots[SLOT_SCALE] = {TABLE(table_f32, 1, 0)}}},
    {"int8, groups of 5", NULL, {INT(8), .slots[SLOT_SCALE] = {TABLE(table_f16, 1, 5)}}},
    {"int8, divided",
     "plain",
     {INT(8), .slots[SLOT_SCALE] = {TABLE(table_f32, 1, 32), .inverse_table = true}}},
    {"int8, table and constant",
     "plain",
     {INT(8), .slots[SLOT_SCALE] = {TABLE(table_f16, 1, 32), CONSTANT(0.1f)}}},
    {"int4, zeros and scales",
     "plain",
     {UINT(4), .slots[SLOT_ZERO] = {TABLE(table_f16, 1, 32)},
      .slots[SLOT_SCALE] = {TABLE(table_f16, 1, 32)}}},
    {"int4, scales and offsets",
     "plain",
     {UINT(4), .slots[SLOT_SCALE] = {TABLE(table_f32, 1, 32)},
      .slots[SLOT_BIAS] = {TABLE(table_f32, 1, 32), .inverse_table = true}}},
    {"everything",
     "plain",
     {UINT(5), .slots[SLOT_ZERO] = {TABLE(table_f32, 3, 7), CONSTANT(1.25f)},
      .slots[SLOT_SCALE] = {TABLE(table_f16, 2, 9), CONSTANT(3), .inverse_constant = true},
      .slots[SLOT_BIAS] = {TABLE(table_f16, 1, 16), CONSTANT(0.3f), .inverse_constant = true},
      .slots[SLOT_POST] = {TABLE(table_f32, 0, 1), CONSTANT(1.7f), .inverse_table = true}}},
    {"column factors", "plain", {INT(8), .slots[SLOT_POST] = {TABLE(table_f16, 0, 1)}}},
    {"uint1", "plain", {UINT(1)}},
    {"uint2", "plain", {UINT(2)}},
    {"uint3", "plain", {UINT(3)}},
    {"int2", "plain", {INT(2)}},
    {"int3", "plain", {INT(3)}},
    {"int4 with a sign", "plain", {INT(4)}},
    {"int5", "plain", {INT(5)}},
    {"uint6", "plain", {UINT(6)}},
    {"int7", "plain", {INT(7)}},
    {"uint11", "plain", {UINT(11)}},
    {"int16", "plain", {INT(16)}},
    {"int32", "plain", {INT(32)}},
    {"f8_e4m3", "plain", {FLOAT(8, INGOT_F8_E4M3), .slots[SLOT_SCALE] = {CONSTANT(0.01f)}}},
    {"f8_e5m2", "plain", {FLOAT(8, INGOT_F8_E5M2)}},
    {"f6_e2m3", "plain", {FLOAT(6, INGOT_F6_E2M3)}},
    {"f4_e2m1", "plain", {FLOAT(4, INGOT_F4_E2M1), .slots[SLOT_SCALE] = {TABLE(table_f32, 1, 32)}}},
    {"f8_e8m0", "plain", {FLOAT(8, INGOT_F8_E8M0)}},
    {"uint1 in groups",
     "plain",
     {UINT(1), .slots[SLOT_ZERO] = {CONSTANT(0.5f)},
      .slots[SLOT_SCALE] = {TABLE(table_f16, 1, 128)}}},
    {"uint2 in groups",
     "plain",
     {UINT(2), .slots[SLOT_ZERO] = {CONSTANT(1)}, .slots[SLOT_SCALE] = {TABLE(table_f16, 1, 64)}}},
    {"uint3 in groups of 16",
     "plain",
     {UINT(3), .slots[SLOT_ZERO] = {CONSTANT(4)}, .slots[SLOT_SCALE] = {TABLE(table_f32, 1, 16)}}},
    {"int5 in groups of 48", "plain", {INT(5), .slots[SLOT_SCALE] = {TABLE(table_f16, 1, 48)}}},
    {"uint6 of two levels",
     "plain",
     {UINT(6), .slots[SLOT_ZERO] = {CONSTANT(32)},
      .slots[SLOT_SCALE] = {TABLE(table_s8, 1, 16), CONSTANT(0.5f)}}},
    {"uint7 by rows, divided",
     "plain",
     {UINT(7), .slots[SLOT_ZERO] = {CONSTANT(64)},
      .slots[SLOT_SCALE] = {TABLE(table_f16, 1, 0), .inverse_table = true}}},
    {"uint4 less two levels",
     "plain",
     {UINT(4), .slots[SLOT_SCALE] = {TABLE(table_u6, 1, 32)},
      .slots[SLOT_BIAS] = {TABLE(table_u6, 1, 32), .inverse_table = true}}},
    {"uint4, zeros of 4 bits",
     "plain",
     {UINT(4), .slots[SLOT_ZERO] = {TABLE(table_u4, 1, 128), CONSTANT(1)},
      .slots[SLOT_SCALE] = {TABLE(table_f16, 1, 128)}}},
    {"uint4 by a column index",
     "plain",
     {UINT(4), .index_bits = 32, .slots[SLOT_ZERO] = {GROUPS(table_u4, GROUP_COLUMN_INDEX, 1, 7)},
      .slots[SLOT_SCALE] = {GROUPS(table_f16, GROUP_COLUMN_INDEX, 1, 7)}}},
    {"uint2 and a bias", "plain", {UINT(2), .slots[SLOT_BIAS] = {CONSTANT(-1.5f)}}},
    {"int8 in blocks of 128 x 128, columns multiplied",
     "plain",
     {INT(8), .slots[SLOT_SCALE] = {TABLE(table_f32, 128, 128)},
      .slots[SLOT_POST] = {TABLE(table_f16, 0, 1), CONSTANT(0.1f), .inverse_table = true}}},
    {"f4_e2m1 of two levels",
     "plain",
     {FLOAT(4, INGOT_F4_E2M1), .slots[SLOT_SCALE] = {TABLE(table_e4m3, 1, 16)}}},
    {"f4_e2m1 and powers of two",
     "plain",
     {FLOAT(4, INGOT_F4_E2M1), .slots[SLOT_SCALE] = {TABLE(table_e8m0, 1, 32)}}},
    {"f6_e3m2 in groups",
     "plain",
     {FLOAT(6, INGOT_F6_E3M2), .slots[SLOT_SCALE] = {TABLE(table_f16, 1, 32)}}},
    {"f8_e4m3 in blocks",
     "plain",
     {FLOAT(8, INGOT_F8_E4M3), .slots[SLOT_SCALE] = {TABLE(table_f32, 16, 128)}}},
    {"f8_e5m2fnuz by rows",
     "plain",
     {FLOAT(8, INGOT_F8_E5M2FNUZ), .slots[SLOT_SCALE] = {TABLE(table_f32, 1, 0)}}},
    {"codebook of 16, runs of 32",
     "plain",
     {BOOK(4, 16), .slots[SLOT_SCALE] = {GROUPS(table_book, GROUP_RUN, 0, 32)}}},
    {"codebook of 200 in groups",
     "plain",
     {BOOK(8, 200), .slots[SLOT_SCALE] = {TABLE(table_f16, 1, 64)}}},
    {"codebook of 5", "plain", {BOOK(3, 5)}},
    {"codebook of 16, f16 in groups of 64",
     "plain",
     {BOOK(4, 16), .slots[SLOT_SCALE] = {TABLE(table_f16, 1, 64)}}},
    {"codebook of 15, f32 in groups of 64",
     "plain",
     {BOOK(4, 15), .slots[SLOT_SCALE] = {TABLE(table_f32, 1, 64)}}},
    {"codebook of 16, f16 in groups of 16",
     "plain",
     {BOOK(4, 16), .slots[SLOT_SCALE] = {TABLE(table_f16, 1, 16)}}},
    {"codebook of 16, groups of 64 of two levels",
     "plain",
     {BOOK(4, 16), .slots[SLOT_SCALE] = {TABLE(table_book, 1, 64)}}},
    {"codebook of 30 and an offset",
     "plain",
     {BOOK(5, 30), .slots[SLOT_SCALE] = {TABLE(table_f16, 1, 32)},
      .slots[SLOT_BIAS] = {TABLE(table_f16, 1, 32)}}},
    {"codebook of 60 in groups of 128",
     "plain",
     {BOOK(6, 60), .slots[SLOT_SCALE] = {TABLE(table_f16, 1, 128)}}},
    {"512 vectors of 8 and 7 signs",
     "plain",
     {VECTORS(9, 512, 8, 7), .slots[SLOT_SCALE] = {TABLE(table_u6, 1, 32)}}},
    {"256 vectors of 4 and 8 signs",
     "plain",
     {VECTORS(8, 256, 4, 8), .slots[SLOT_SCALE] = {TABLE(table_f16, 1, 16)}}},
    {"100 vectors of 8 less an offset",
     "plain",
     {VECTORS(7, 100, 8, 0), .slots[SLOT_ZERO] = {TABLE(table_f16, 1, 32)},
      .slots[SLOT_SCALE] = {TABLE(table_f16, 1, 32)}}},
    {"uint3, tables in the tables",
     "plain",
     {UINT(3), .slots[SLOT_ZERO] = {TABLE(table_deep, 1, 16)},
      .slots[SLOT_SCALE] = {TABLE(table_deep, 1, 16)}}},
    {"uint6 and integers as scales",
     "plain",
     {UINT(6), .slots[SLOT_ZERO] = {CONSTANT(32)}, .slots[SLOT_SCALE] = {TABLE(table_i8, 1, 16)}}},
    {"f4_e2m1 and positive e4m3",
     "plain",
     {FLOAT(4, INGOT_F4_E2M1), .slots[SLOT_SCALE] = {TABLE(table_positive_e4m3, 1, 16)}}},
    {"100 vectors of 8 less one of two in groups of 8",
     "plain",
     {VECTORS(7, 100, 8, 0), .slots[SLOT_ZERO] = {TABLE(table_two, 1, 8)},
      .slots[SLOT_SCALE] = {TABLE(table_u6, 1, 16)}}},
    {"256 vectors of 4 and 7 signs less 4 bits and a constant in groups of 24",
     "plain",
     {VECTORS(8, 256, 4, 7), .slots[SLOT_ZERO] = {TABLE(table_u4, 3, 24), CONSTANT(1.5f)},
      .slots[SLOT_SCALE] = {TABLE(table_f16, 1, 32)}}},
    {"100 vectors of 8 less f16 in groups of 8",
     "plain",
     {VECTORS(7, 100, 8, 0), .slots[SLOT_ZERO] = {TABLE(table_f16, 1, 8)}}},
};
enum { N_CODING_CASES = sizeof coding_cases / sizeof *coding_cases };

#endif
