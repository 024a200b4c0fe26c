/* What the tests of products on a Vulkan device share: a device under the validation layer, where
 * that is installed, and matrices of made parts multiplied on it. */
#ifndef INGOT_TESTS_VULKAN_PRODUCTS_H
#define INGOT_TESTS_VULKAN_PRODUCTS_H

#include "tests/support/unit.h"

#include "tests/vulkan/layers.h"
#include "vulkan/matrix.h"

#include "tests/runtime/codings.h"
#include "tests/runtime/products.h"

/* The device that the tests of a program share. */
struct fixture {
    struct vk_device *device;
    struct messages messages;
    bool validated;
};

/* False, having said why, where there is no device. */
static inline bool fixture_open(struct fixture *fixture)
{
    ingot_error error = {.what = ""};
    *fixture = (struct fixture){.validated = turn_validation_on()};
    const struct vk_options options = {.message = count_message, .context = &fixture->messages};
    if (ingot_vk_device_open(0, &options, NULL, &fixture->device, &error) != INGOT_OK) {
        printf("skipped: no Vulkan device: %s\n", error.what);
        return false;
    }
    printf("device: %s (%s)\n", fixture->device->info.name, fixture->device->info.driver);
    return true;
}

/* Another device with other options, whose messages are counted with the fixture's. */
static inline struct vk_device *fixture_device(struct fixture *fixture, struct vk_options options)
{
    struct vk_device *device = NULL;
    ingot_error error = {.what = ""};
    options.message = count_message;
    options.context = &fixture->messages;
    if (ingot_vk_device_open(0, &options, NULL, &device, &error) != INGOT_OK) {
        fail_msg("%s", error.what);
    }
    return device;
}

/* Whether any test failed or a message came, also on closing. */
static inline int fixture_close(struct fixture *fixture, int n_failed)
{
    ingot_vk_device_close(fixture->device);
    if (fixture->messages.n > 0) printf("%u Vulkan messages\n", fixture->messages.n);
    return n_failed != 0 || fixture->messages.n != 0;
}

/* To be run last, because it judges all that came before. */
static inline void no_message_came(void **state)
{
    struct fixture *const fixture = *state;
    if (!fixture->validated) skip();
    assert_int_equal(fixture->messages.n, 0);
    assert_true(provoke_message(fixture->device, &fixture->messages) > 0);
}

/* The same under synchronization validation. */
static inline void no_hazard_came(void **state)
{
    struct fixture *const fixture = *state;
    no_message_came(state);
    assert_true(provoke_hazard(fixture->device, &fixture->messages) > 0);
}

/* ------------------------------------------------------------------ making */

/* A part to make up. */
struct made_part {
    enum resident_kind kind;
    struct ingot_coding coding; /* of the codes, of the kept values, or of both a and b */
    uint32_t rank;              /* RESIDENT_LOWRANK */
    uint32_t kept;              /* RESIDENT_SPARSE: so many weights of 8 are kept */
};

static inline void made_begin(struct made *m, uint64_t seed, uint64_t n_rows, uint64_t n_cols)
{
    *m = (struct made){.random = {seed}};
    m->matrix.n_rows = n_rows;
    m->matrix.n_cols = n_cols;
}

static inline void made_add(struct made *m, const struct made_part *made)
{
    struct resident_part *part = &m->matrix.parts[m->matrix.n_parts++];
    const uint64_t n_rows = m->matrix.n_rows, n_cols = m->matrix.n_cols;
    part->kind = made->kind;
    if (made->kind == RESIDENT_DENSE) {
        made_dense(m, &made->coding, n_rows, n_cols, &part->dense);
    } else if (made->kind == RESIDENT_SPARSE) {
        made_sparse(m, &made->coding, n_rows, n_cols, made->kept, &part->sparse);
    } else {
        part->lowrank.multiplier = 0.75f;
        made_dense(m, &made->coding, made->rank, n_cols, &part->lowrank.a);
        made_dense(m, &made->coding, n_rows, made->rank, &part->lowrank.b);
    }
}

static inline void made_matrix(struct made *m, uint64_t seed, uint64_t n_rows, uint64_t n_cols,
                               const struct made_part *parts, uint32_t n_parts)
{
    made_begin(m, seed, n_rows, n_cols);
    for (uint32_t i = 0; i < n_parts; i++) made_add(m, &parts[i]);
}

/* ------------------------------------------------------------------ multiplying */

/* The part of the bound that is allowed. The bound grows with the columns, while the roundings on
 * the way of one weight grow with its lane's share of them; for long rows the whole bound would
 * hide a lost weight. */
static inline double allowed_part(const struct resident_matrix *matrix)
{
    return matrix->n_cols < 256 ? 1.0 : 0.02;
}

/* Multiplies by a matrix twice, to the same bits, and writes nothing behind y; `exact` has the same
 * weights. */
static inline void check_against(struct vk_device *device, const char *name, struct made *m,
                                 const struct resident_matrix *exact, uint64_t n)
{
    const uint64_t n_y = n * m->matrix.n_rows;
    const float behind = 1234.5f;
    float *x = made_x(m, n);
    float *y = malloc((size_t)(n_y + 1) * sizeof *y);
    float *again = malloc((size_t)n_y * sizeof *y + 1);
    struct reference reference = reference_make(exact);
    struct vk_matrix *uploaded = NULL;
    ingot_error error = {.what = ""};
    assert_non_null(y);
    assert_non_null(again);
    y[n_y] = behind;
    if (ingot_vk_matrix_upload(device, &m->matrix, &uploaded, &error) != INGOT_OK ||
        ingot_vk_matmul(device, uploaded, x, n, y, &error) != INGOT_OK ||
        ingot_vk_matmul(device, uploaded, x, n, again, &error) != INGOT_OK) {
        fail_msg("%s: %s: %s", name, error.field, error.what);
    }
    ingot_vk_matrix_release(device, uploaded);
    check_bound(name, "vulkan", exact, &reference, x, n, y, allowed_part(exact));
    if (memcmp(y, again, (size_t)n_y * sizeof *y) != 0) fail_msg("%s: not repeatable", name);
    if (f32_bits(y[n_y]) != f32_bits(behind)) fail_msg("%s: wrote behind y", name);
    reference_release(&reference);
    free(again);
    free(y);
    free(x);
}

/* The same for a matrix whose reference is its own, which it releases. */
static inline void check_matrix(struct vk_device *device, const char *name, struct made *m,
                                uint64_t n)
{
    check_against(device, name, m, &m->matrix, n);
    made_release(m);
}

#endif
