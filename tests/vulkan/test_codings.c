/* Every coding that the CPU runtime's tests have, on a Vulkan device, through each of the kernels
 * that a number of vectors chooses: against a reference in double, under the validation layer
 * where it is installed, with no message allowed. Bound: 2 K 2^-24 sum |w x|. */
#include "tests/vulkan/products.h"
#include "vulkan/decode.h"
#include "vulkan/trial.h"

struct shape {
    uint64_t n_rows, n_cols, n;
};

/* Rows that fill no workgroup and columns that fill no step; one vector, and in turns a few and so
 * many that products are split into slices. */
static const struct shape shapes[] = {{37, 1129, 1}, {9, 203, 5}, {70, 2081, 41}};

static void every_coding_meets_the_bound(void **state)
{
    struct fixture *const fixture = *state;
    for (uint32_t i = 0; i < N_CODING_CASES; i++) {
        const struct shape both[] = {shapes[0], shapes[1 + i % 2]};
        for (uint32_t k = 0; k < 2; k++) {
            struct made m;
            made_begin(&m, i * 100 + k, both[k].n_rows, both[k].n_cols);
            made_add(&m, &(struct made_part){.coding = coding_cases[i].coding});
            check_matrix(fixture->device, coding_cases[i].name, &m, both[k].n);
        }
    }
}

/* Values under a mask, with tables in the coordinates of the matrix; and the same weights as a
 * dense matrix of f32. */
static void make_kept(struct made *m, const struct ingot_coding *coding, bool is_list)
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

/* Kept values of each kind of map, with and without tables, under a mask and as a list. */
static void kept_values_meet_the_bound(void **state)
{
    static const char *const names[] = {"f32",
                                        "f16",
                                        "bf16",
                                        "int8, groups of 32",
                                        "uint3 in groups of 16",
                                        "int4, scales and offsets",
                                        "codebook of 5",
                                        "f4_e2m1 of two levels",
                                        "uint6 of two levels",
                                        "column factors",
                                        "everything",
                                        "256 vectors of 4 and 8 signs"};
    struct fixture *const fixture = *state;
    for (uint32_t i = 0; i < 2 * sizeof names / sizeof *names; i++) {
        const struct coding_case *c = coding_cases;
        const char *name = names[i / 2];
        while (strcmp(c->name, name) != 0) c++;
        const struct shape *shape = &shapes[i % 3];
        struct made m;
        made_begin(&m, i, shape->n_rows, shape->n_cols);
        make_kept(&m, &c->coding, i % 2 == 1);
        struct resident_matrix exact = {
            .n_rows = shape->n_rows, .n_cols = shape->n_cols, .n_parts = 1};
        exact.parts[0].dense = m.matrix.parts[1].dense;
        check_against(fixture->device, name, &m, &exact, shape->n);
        made_release(&m);
    }
}

/* Where the kernel of kept values is wrong on a device, they are decoded and go through that of
 * f32; where that is wrong too, there is none. */
static void kept_values_fall_back(void **state)
{
    static const struct {
        bool is_list;
        const char *coding, *kernel;
        bool is_last;
    } wrong[] = {
        {false, "int8, groups of 32", "gemv_sparse_integer", false},
        {false, "f32", "gemv_sparse_f32", true},
        {true, "f16", "list_f16", false},
        {true, "f32", "list_f32", true},
    };
    struct fixture *const fixture = *state;
    for (uint32_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const struct vk_options options = {
            .message = count_message, .context = &fixture->messages, .distrusted = wrong[i].kernel};
        const struct coding_case *c = coding_cases;
        struct vk_device *device = NULL;
        struct vk_matrix *uploaded = NULL;
        struct made m;
        ingot_error error = {.what = ""};
        while (strcmp(c->name, wrong[i].coding) != 0) c++;
        assert_int_equal(ingot_vk_device_open(0, &options, NULL, &device, NULL), INGOT_OK);
        made_begin(&m, i, 70, 519);
        make_kept(&m, &c->coding, wrong[i].is_list);
        struct resident_matrix exact = {.n_rows = 70, .n_cols = 519, .n_parts = 1};
        exact.parts[0].dense = m.matrix.parts[1].dense;
        if (wrong[i].is_last) {
            assert_int_equal(ingot_vk_matrix_upload(device, &m.matrix, &uploaded, &error),
                             INGOT_DEVICE);
            if (!strstr(error.what, wrong[i].kernel)) fail_msg("%s", error.what);
        } else {
            check_against(device, c->name, &m, &exact, 1);
            check_against(device, c->name, &m, &exact, 20);
            assert_true(device->trials && device->trials->next);
        }
        made_release(&m);
        ingot_vk_device_close(device);
    }
}

/* ------------------------------------------------------------------ decoding on the device */

static void check_row(const char *name, const struct resident_dense *dense, uint64_t row,
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

/* Those that lie in the order of the matrix's columns, and without factors of x. */
static void every_coding_is_decoded(void **state)
{
    struct fixture *const fixture = *state;
    uint32_t n_checked = 0;
    for (uint32_t i = 0; i < N_CODING_CASES; i++) {
        struct made m;
        struct vk_matrix *uploaded = NULL;
        made_begin(&m, i, 5, 333);
        made_add(&m, &(struct made_part){.coding = coding_cases[i].coding});
        assert_int_equal(ingot_vk_matrix_upload(fixture->device, &m.matrix, &uploaded, NULL),
                         INGOT_OK);
        const struct vk_pass *pass = uploaded->passes;
        const uint64_t stride = pass->kind == PASS_PRODUCT ? ingot_vk_decode_stride(pass) : 0;
        float *weights = malloc((size_t)stride * 5 * sizeof *weights + 1);
        uint16_t *half = malloc((size_t)stride * 5 * sizeof *half + 1);
        if (pass->kind == PASS_PRODUCT) {
            assert_int_equal(ingot_vk_decode(fixture->device, pass, 0, 5, false, weights, NULL),
                             INGOT_OK);
            assert_int_equal(ingot_vk_decode(fixture->device, pass, 0, 5, true, half, NULL),
                             INGOT_OK);
            for (uint64_t r = 0; r < 5; r++) {
                check_row(coding_cases[i].name, &m.matrix.parts[0].dense, r, weights + r * stride,
                          half + r * stride);
            }
            n_checked++;
        }
        free(half);
        free(weights);
        ingot_vk_matrix_release(fixture->device, uploaded);
        made_release(&m);
    }
    assert_true(n_checked > N_CODING_CASES - 8);
}

int main(void)
{
    struct fixture fixture;
    if (!fixture_open(&fixture)) return 77;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(every_coding_meets_the_bound, &fixture),
        cmocka_unit_test_prestate(kept_values_meet_the_bound, &fixture),
        cmocka_unit_test_prestate(kept_values_fall_back, &fixture),
        cmocka_unit_test_prestate(every_coding_is_decoded, &fixture),
        cmocka_unit_test_prestate(no_message_came, &fixture),
    };
    return fixture_close(&fixture,
                         cmocka_run_group_tests_name("vulkan codings", tests, NULL, NULL));
}
