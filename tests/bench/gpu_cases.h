/* The codings that gpu_bench times, and matrices of them that are made up fast. Knows no device. */
#ifndef INGOT_TESTS_BENCH_GPU_CASES_H
#define INGOT_TESTS_BENCH_GPU_CASES_H

#include "tests/runtime/codings.h"
#include "tests/runtime/made.h"

static const struct ingot_coding bench_e8m0 = {FLOAT(8, INGOT_F8_E8M0)};
static const struct ingot_coding bench_u6 = {UINT(6),
                                             .slots[SLOT_SCALE] = {TABLE(table_f16, 1, 8)}};
static const struct coding_case timed_cases[] = {
    {"f16", NULL, {FLOAT(16, INGOT_F16)}},
    {"bf16", NULL, {FLOAT(16, INGOT_BF16)}},
    {"f8_e4m3, one scale", NULL, {FLOAT(8, INGOT_F8_E4M3), .slots[SLOT_SCALE] = {CONSTANT(0.01f)}}},
    {"int8, row scales", NULL, {INT(8), .slots[SLOT_SCALE] = {TABLE(table_f32, 1, 0)}}},
    {"int6, two levels", NULL, {INT(6), .slots[SLOT_SCALE] = {TABLE(bench_u6, 1, 16)}}},
    {"int4, groups of 128",
     NULL,
     {UINT(4), .slots[SLOT_ZERO] = {CONSTANT(8)}, .slots[SLOT_SCALE] = {TABLE(table_f16, 1, 128)}}},
    {"int4, groups of 32",
     NULL,
     {UINT(4), .slots[SLOT_ZERO] = {CONSTANT(8)}, .slots[SLOT_SCALE] = {TABLE(table_f16, 1, 32)}}},
    {"int4, two levels, offsets",
     NULL,
     {UINT(4), .slots[SLOT_SCALE] = {TABLE(bench_u6, 1, 32)},
      .slots[SLOT_BIAS] = {TABLE(bench_u6, 1, 32), .inverse_table = true}}},
    {"codebook of 16, groups of 64",
     NULL,
     {BOOK(4, 16), .slots[SLOT_SCALE] = {TABLE(table_f16, 1, 64)}}},
    {"f4_e2m1, powers of two",
     NULL,
     {FLOAT(4, INGOT_F4_E2M1), .slots[SLOT_SCALE] = {TABLE(bench_e8m0, 1, 32)}}},
    {"int3, groups of 128",
     NULL,
     {UINT(3), .slots[SLOT_ZERO] = {CONSTANT(4)}, .slots[SLOT_SCALE] = {TABLE(table_f16, 1, 128)}}},
    {"int2, groups of 64",
     NULL,
     {UINT(2), .slots[SLOT_ZERO] = {CONSTANT(1)}, .slots[SLOT_SCALE] = {TABLE(table_f16, 1, 64)}}},
    {"256 vectors of 8, signs",
     NULL,
     {VECTORS(8, 256, 8, 7), .slots[SLOT_SCALE] = {TABLE(table_f16, 1, 32)}}},
};
/* What of random bits makes numbers that are finite and of like size, in eight bytes. */
static const struct {
    ingot_dtype format;
    uint64_t kept, set;
} float_bits[] = {
    {INGOT_F32, UINT64_C(0x807fffff807fffff), UINT64_C(0x3d0000003d000000)},
    {INGOT_F16, UINT64_C(0x83ff83ff83ff83ff), UINT64_C(0x2c002c002c002c00)},
    {INGOT_BF16, UINT64_C(0x807f807f807f807f), UINT64_C(0x3d003d003d003d00)},
    {INGOT_F8_E4M3, UINT64_C(0xbfbfbfbfbfbfbfbf), 0},
    {INGOT_F8_E8M0, UINT64_C(0x0303030303030303), UINT64_C(0x7878787878787878)},
};

/* As made_dense does it, but with random bits for codes and entries, and fast. */
static void fill_random(struct made *m, const struct ingot_coding *coding, const void *data,
                        uint64_t n_bytes)
{
    uint8_t *bytes = (uint8_t *)(uintptr_t)data;
    uint64_t kept = UINT64_MAX, set = 0;
    for (size_t i = 0; i < sizeof float_bits / sizeof *float_bits; i++) {
        if (coding->map != MAP_FLOAT || float_bits[i].format != (ingot_dtype)coding->format)
            continue;
        kept = float_bits[i].kept;
        set = float_bits[i].set;
    }
    for (uint64_t i = 0; i < n_bytes; i += 8) {
        const uint64_t bits = (made_random(m) & kept) | set;
        memcpy(bytes + i, &bits, n_bytes - i < 8 ? n_bytes - i : 8);
    }
}

static void make_fast(struct made *m, const struct ingot_coding *coding, uint64_t n_rows,
                      uint64_t n_cols, struct resident_dense *dense)
{
    struct ingot_coding *copy = &m->codings[m->n_codings++];
    const bool is_vector = coding->map == MAP_VECTOR;
    const uint64_t length = is_vector ? coding->vector_length : 1;
    static const struct ingot_coding sign_bits = {.map = MAP_UINT, .bits = 8};
    *copy = *coding;
    *dense = (struct resident_dense){.coding = copy, .n_rows = n_rows, .n_cols = n_cols};
    if (coding->n_entries > 0) {
        float *book = made_buffer(m, coding->n_entries * length * sizeof *book);
        for (uint64_t i = 0; i < coding->n_entries * length; i++) book[i] = (float)(i % 11) - 5;
        dense->codebook = book;
    }
    dense->n_planes = made_planes(m, coding->bits, n_rows, ceil_div(n_cols, length), dense->planes);
    dense->n_sign_planes = made_planes(m, coding->signs, n_rows, ceil_div(n_cols, 8), dense->signs);
    for (uint32_t i = 0; i < dense->n_planes; i++) {
        fill_random(m, coding, dense->planes[i].data, n_rows * dense->planes[i].row_bytes);
    }
    for (uint32_t i = 0; i < dense->n_sign_planes; i++) {
        fill_random(m, &sign_bits, dense->signs[i].data, n_rows * dense->signs[i].row_bytes);
    }
    for (uint32_t i = 0; i < N_SLOTS; i++) {
        const struct coding_slot *slot = &coding->slots[i];
        struct resident_table *table = &dense->tables[i];
        if (!slot->has_table) continue;
        copy->slots[i].table = NULL;
        table->format = (ingot_dtype)slot->table->format;
        table->group_rows = slot->group_rows ? slot->group_rows : n_rows;
        table->group_cols = slot->group_cols ? slot->group_cols : n_cols;
        table->n_rows = ceil_div(n_rows, table->group_rows);
        table->n_cols = ceil_div(n_cols, table->group_cols);
        if (coding_is_raw(slot->table) && slot->table->bits >= 16) {
            const uint64_t n_bytes = table->n_rows * table->n_cols * slot->table->bits / 8;
            uint8_t *data = made_buffer(m, n_bytes);
            fill_random(m, slot->table, data, n_bytes);
            table->data = data;
            continue;
        }
        struct resident_dense *nested = made_buffer(m, sizeof *nested);
        make_fast(m, slot->table, table->n_rows, table->n_cols, nested);
        table->nested = nested;
    }
}

#endif
