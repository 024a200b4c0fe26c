/* Checks of one coding through a rung of a Vulkan device. The bounds are those of rung_bound.h. */
#ifndef INGOT_TESTS_VULKAN_RUNG_CHECKS_H
#define INGOT_TESTS_VULKAN_RUNG_CHECKS_H

#include "tests/support/unit.h"

#include "tests/vulkan/rung_bound.h"
#include "vulkan/product.h"
#include "vulkan/trial.h"

#include "tests/runtime/codings.h"

struct shape {
    uint64_t n_rows, n_cols, n;
};

static inline void check_rows(const char *name, const struct made *m, enum vk_rung rung,
                              const float *x, uint64_t n, const float *y)
{
    double worst;
    const uint64_t wrong = rung_bound_count_wrong(&m->matrix, rung, x, n, y, &worst);
    if (wrong > 0) {
        fail_msg("%s, %llu x %llu, n = %llu: %llu results are wrong, by %.3g of the bound", name,
                 (unsigned long long)m->matrix.n_rows, (unsigned long long)m->matrix.n_cols,
                 (unsigned long long)n, (unsigned long long)wrong, worst);
    }
}

/* Whether all dense passes of a matrix are multiplied by the rung. */
static inline bool takes_rung(const struct vk_device *device, enum vk_rung rung,
                              const struct vk_matrix *matrix, uint64_t n)
{
    const uint32_t rungs = matrix->rungs & device->ladder.takes;
    for (const struct vk_pass *pass = matrix->passes; pass; pass = pass->next) {
        struct vk_product product;
        if (pass->kind != PASS_PRODUCT) continue;
        ingot_vk_product_choose(device, pass, rungs, n, &product);
        if (product.variant / N_SHAPES != (uint32_t)rung) return false;
    }
    return true;
}

/* No kernel was found wrong on its first use, which would hide it behind another. */
static inline void check_trials(const struct vk_device *device)
{
    for (const struct vk_trial *trial = device->trials; trial; trial = trial->next) {
        for (uint32_t v = 0; v < N_VARIANTS; v++) {
            if (trial->wrong[v]) fail_msg("%s: variant %u is wrong", trial->map, v);
        }
    }
}

/* Returns whether the rung was taken. */
static inline bool check_rung(struct vk_device *device, enum vk_rung rung,
                              const struct coding_case *c, const struct shape *shape, uint64_t seed)
{
    struct made m = {.random = {seed}};
    struct vk_matrix *uploaded = NULL;
    ingot_error error = {.what = ""};
    m.matrix = (struct resident_matrix){.n_rows = shape->n_rows,
                                        .n_cols = shape->n_cols,
                                        .activations = INGOT_ACTIVATIONS_I8,
                                        .n_parts = 1};
    made_dense(&m, &c->coding, shape->n_rows, shape->n_cols, &m.matrix.parts[0].dense);
    float *x = made_buffer(&m, shape->n * shape->n_cols * sizeof *x);
    float *y = made_buffer(&m, shape->n * shape->n_rows * sizeof *y);
    float *again = made_buffer(&m, shape->n * shape->n_rows * sizeof *again);
    for (uint64_t i = 0; i < shape->n * shape->n_cols; i++) {
        /* Vectors of very different sizes. */
        x[i] = ldexpf(made_unit(&m), (int)(i / shape->n_cols % 5) * 9 - 16);
    }
    if (ingot_vk_matrix_upload(device, &m.matrix, &uploaded, &error) != INGOT_OK ||
        ingot_vk_matmul(device, uploaded, x, shape->n, y, &error) != INGOT_OK ||
        ingot_vk_matmul(device, uploaded, x, shape->n, again, &error) != INGOT_OK) {
        fail_msg("%s: %s: %s", c->name, error.field, error.what);
    }
    const bool taken = takes_rung(device, rung, uploaded, shape->n);
    ingot_vk_matrix_release(device, uploaded);
    check_rows(c->name, &m, taken ? rung : RUNG_F32, x, shape->n, y);
    if (memcmp(y, again, shape->n * shape->n_rows * sizeof *y) != 0) {
        fail_msg("%s: not repeatable", c->name);
    }
    made_release(&m);
    return taken;
}

/* Every coding, through each kernel that a number of vectors chooses. */
static inline void check_rung_codings(struct vk_device *device, enum vk_rung rung)
{
    /* Rows that fill no workgroup and columns that fill no step. */
    static const struct shape shapes[] = {
        {37, 1129, 1}, {9, 203, 3}, {70, 519, 7}, {70, 2081, 41}, {150, 263, 70}};
    uint32_t n_taken = 0;
    for (uint32_t i = 0; i < N_CODING_CASES; i++) {
        /* Compiling takes most of the time: each coding goes one of the ways, and some go two. */
        const bool is_matrix = rung == RUNG_MATRIX;
        const uint32_t few = i % 3, many = 3 + i % 2;
        const struct coding_case *const c = &coding_cases[i];
        if (!is_matrix) n_taken += check_rung(device, rung, c, &shapes[few], i);
        if (!is_matrix && i % 8 != 0) continue;
        n_taken += check_rung(device, rung, c, &shapes[many], i);
    }
    printf("note: rung %d: %u products\n", (int)rung, n_taken);
    assert_true(n_taken > 20);
}

#endif
