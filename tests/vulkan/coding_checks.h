/* Checks of one coding on a Vulkan device: its kept values multiplied, and its weights decoded. */
#ifndef INGOT_TESTS_VULKAN_CODING_CHECKS_H
#define INGOT_TESTS_VULKAN_CODING_CHECKS_H

#include "tests/vulkan/device_decode.h"
#include "tests/vulkan/products.h"
#include "tests/vulkan/rung_checks.h"

/* Values under a mask, with tables in the coordinates of the matrix; and the same weights as a
 * dense matrix of f32. */
static inline void make_kept(struct made *m, const struct ingot_coding *coding, bool is_list)
{
    const uint64_t n_rows = m->matrix.n_rows, n_cols = m->matrix.n_cols;
    struct resident_sparse *sparse = &m->matrix.parts[0].sparse;
    struct resident_dense *whole = &m->matrix.parts[1].dense;
    struct ingot_coding bare = *coding;
    m->matrix.n_parts = 1;
    m->matrix.parts[0].kind = RESIDENT_SPARSE;
    made_dense(m, coding, n_rows, n_cols, whole);
    for (uint32_t k = 0; k < N_SLOTS; k++) bare.slots[k].has_table = false;
    made_sparse(m, &bare, n_rows, n_cols, 3, sparse);
    sparse->values.coding = whole->coding;
    memcpy(sparse->values.tables, whole->tables, sizeof whole->tables);
    float *weights = made_buffer(m, n_rows * n_cols * sizeof *weights);
    uint32_t *columns = made_buffer(m, sparse->row_offsets[n_rows] * sizeof *columns);
    for (uint64_t r = 0; r < n_rows; r++) {
        uint32_t at = sparse->row_offsets[r];
        for (uint32_t c = 0; c < n_cols; c++) {
            if (!(sparse->mask.data[r * sparse->mask.row_bytes + c / 8] >> c % 8 & 1)) continue;
            resident_decode_kept(&sparse->values, at, r, &c, 1, weights + r * n_cols + c);
            columns[at++] = c;
        }
    }
    if (is_list) {
        sparse->columns = columns;
        sparse->mask = (struct resident_plane){NULL, 0, 1};
    }
    static const struct ingot_coding f32 = {FLOAT(32, INGOT_F32)};
    *whole =
        (struct resident_dense){.coding = &f32, .n_rows = n_rows, .n_cols = n_cols, .n_planes = 1};
    whole->planes[0] = (struct resident_plane){(uint8_t *)weights, n_cols * sizeof *weights, 32};
}

/* Against the same weights as a dense matrix. */
static inline void check_kept(struct vk_device *device, const struct coding_case *c,
                              const struct shape *shape, uint64_t seed, bool is_list)
{
    struct made m;
    made_begin(&m, seed, shape->n_rows, shape->n_cols);
    make_kept(&m, &c->coding, is_list);
    struct resident_matrix exact = {.n_rows = shape->n_rows, .n_cols = shape->n_cols, .n_parts = 1};
    exact.parts[0].dense = m.matrix.parts[1].dense;
    check_against(device, c->name, &m, &exact, shape->n);
    made_release(&m);
}

static inline void check_row(const char *name, const struct resident_dense *dense, uint64_t row,
                             const float *found, const uint16_t *half)
{
    float *expected = malloc((size_t)dense->n_cols * sizeof *expected + 64);
    double largest = 0;
    resident_decode(dense, row, 0, dense->n_cols, expected);
    for (uint64_t c = 0; c < dense->n_cols; c++) {
        largest = fmax(largest, fabs((double)expected[c]));
    }
    for (uint64_t c = 0; c < dense->n_cols; c++) {
        const double error = fabs((double)found[c] - (double)expected[c]);
        if (!(error <= 0x1p-20 * largest)) {
            fail_msg("%s: weight %u of row %u is %.9g, not %.9g", name, (unsigned)c, (unsigned)row,
                     (double)found[c], (double)expected[c]);
        }
        assert_int_equal(half[c], f16_from_f32(found[c]));
    }
    free(expected);
}

/* Returns whether the coding lies in the order of the matrix's columns, and without factors of x:
 * others are not decoded. */
static inline bool check_decoded(struct vk_device *device, const struct coding_case *c,
                                 uint64_t seed)
{
    struct made m;
    struct vk_matrix *uploaded = NULL;
    made_begin(&m, seed, 5, 333);
    made_add(&m, &(struct made_part){.coding = c->coding});
    assert_int_equal(ingot_vk_matrix_upload(device, &m.matrix, &uploaded, NULL), INGOT_OK);
    const struct vk_pass *pass = uploaded->passes;
    const bool decodes = pass->kind == PASS_PRODUCT;
    const uint64_t stride = decodes ? device_decode_stride(pass) : 0;
    float *weights = malloc((size_t)stride * 5 * sizeof *weights + 1);
    uint16_t *half = malloc((size_t)stride * 5 * sizeof *half + 1);
    if (decodes) {
        assert_int_equal(device_decode(device, pass, 0, 5, false, weights, NULL), INGOT_OK);
        assert_int_equal(device_decode(device, pass, 0, 5, true, half, NULL), INGOT_OK);
        for (uint64_t r = 0; r < 5; r++) {
            check_row(c->name, &m.matrix.parts[0].dense, r, weights + r * stride,
                      half + r * stride);
        }
    }
    free(half);
    free(weights);
    ingot_vk_matrix_release(device, uploaded);
    made_release(&m);
    return decodes;
}

#endif
