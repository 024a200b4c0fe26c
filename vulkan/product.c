/* Which kernel multiplies a pass by a number of vectors. */
#include "vulkan/product.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "format/bytes.h"
#include "format/floats.h"
#include "vulkan/trial.h"

/* More vectors are a matter of the matrix-matrix kernels. */
static const struct {
    const char *gemv; /* NULL: the rung has none */
    const char *gemm;
    enum vk_form gemv_form;
    enum vk_form gemm_form;
    uint32_t gemv_vectors;
} rungs_of[N_RUNGS] = {
    [RUNG_F32] = {"gemv", "gemm", FORM_F32, FORM_F32, 16},
    [RUNG_HALF] = {"gemv_half", "gemm_half", FORM_PAIRED, FORM_NARROW, 16},
    [RUNG_DOT] = {"gemv_dot", "gemm_dot", FORM_ROUNDED, FORM_ROUNDED, 16},
    [RUNG_MATRIX] = {NULL, "gemm_matrix", FORM_F32, FORM_NARROW, 8},
};

/* Of matrix-vector kernels: vectors at a time, and rows of a team. */
static const struct {
    uint32_t n_vectors;
    uint32_t n_rows;
} gemv_shapes[] = {[SHAPE_ONE] = {1, 4}, [SHAPE_FEW] = {4, 2}, [SHAPE_SOME] = {8, 2}};
enum { N_GEMV_SHAPES = sizeof gemv_shapes / sizeof *gemv_shapes };

/* Subgroups of a workgroup, and tiles of results of each. */
struct grid {
    uint32_t grid_m, grid_n, tiles_m, tiles_n;
};
static const struct grid small_subgroups[] = {
    [SHAPE_SOME] = {4, 1, 2, 2}, [SHAPE_MANY] = {4, 2, 2, 4}};
static const struct grid large_subgroups[] = {
    [SHAPE_SOME] = {2, 1, 4, 2}, [SHAPE_MANY] = {2, 2, 4, 4}};

uint32_t ingot_vk_product_lanes(uint32_t n_units)
{
    static const uint32_t choices[] = {1, 8};
    for (size_t i = 0; i < sizeof choices / sizeof *choices; i++) {
        if (n_units <= choices[i]) return choices[i];
    }
    return GEMV_THREADS;
}

uint64_t ingot_vk_form_words(enum vk_form form, uint64_t n_floats)
{
    const uint64_t words[N_FORMS] = {
        [FORM_NARROW] = NARROW_WORDS(n_floats),
        [FORM_PAIRED] = ceil_div(n_floats, STEP_COLS) * PAIRED_WORDS,
        [FORM_ROUNDED] = ceil_div(n_floats, STEP_COLS) * ROUNDED_WORDS,
    };
    return words[form];
}

static bool is_wrong(const struct vk_pass *pass, uint32_t rung, uint32_t shape)
{
    return pass->trial && pass->trial->wrong[VARIANT(rung, shape)];
}

static uint32_t widest_plane(const struct vk_pass *pass)
{
    uint32_t width = 8;
    while (width > pass->specs[SPEC_BITS]) width /= 2;
    return width;
}

/* Whether the codes of a word of the widest plane stay within a grain of the tables. */
static bool suits_words(const struct vk_pass *pass)
{
    return pass->specs[SPEC_GRAIN] * QUARTER_COLS * widest_plane(pass) >= 32;
}

/* Whether codes less the zero are whole numbers of at most 256, of which f16 adds up four products.
 */
static bool suits_pairs(const struct vk_pass *pass)
{
    const float zero = f32_from_bits(pass->specs[SPEC_ZERO]);
    return suits_words(pass) && zero == floorf(zero) && zero >= 0.0f && zero <= 256.0f;
}

static bool begin(struct vk_product *product, const struct vk_pass *pass, enum vk_rung rung,
                  uint32_t shape, const char *name)
{
    if (!name || is_wrong(pass, rung, shape)) return false;
    if (rung == RUNG_DOT && !suits_words(pass)) return false;
    *product = (struct vk_product){.variant = VARIANT(rung, shape)};
    memcpy(product->kernel.specs, pass->specs, sizeof product->kernel.specs);
    product->kernel.specs[SPEC_ADD] = 0;
    snprintf(product->kernel.shader, sizeof product->kernel.shader, "%s_%s", name, pass->map);
    return ingot_vk_pipeline_exists(&product->kernel);
}

/* The smallest shape that takes n vectors at once, or else the largest, of those that are right. */
static bool choose_gemv(const struct vk_pass *pass, enum vk_rung rung, uint64_t n,
                        struct vk_product *product)
{
    uint32_t chosen = SHAPE_ONE;
    for (uint32_t shape = SHAPE_ONE; shape < N_GEMV_SHAPES; shape++) {
        if (gemv_shapes[chosen].n_vectors < n && !is_wrong(pass, rung, shape)) chosen = shape;
    }
    if (rung == RUNG_HALF && !suits_pairs(pass)) return false;
    if (!begin(product, pass, rung, chosen, rungs_of[rung].gemv)) return false;
    uint32_t *const specs = product->kernel.specs;
    product->form = rungs_of[rung].gemv_form;
    product->order = product->form == FORM_F32 ? 0 : widest_plane(pass);
    product->n_vectors = gemv_shapes[chosen].n_vectors;
    specs[SPEC_LANES] = ingot_vk_product_lanes(pass->row_steps);
    specs[SPEC_ROWS] = gemv_shapes[chosen].n_rows;
    specs[SPEC_VECTORS] = gemv_shapes[chosen].n_vectors;
    product->group_rows = GEMV_THREADS / specs[SPEC_LANES] * gemv_shapes[chosen].n_rows;
    return true;
}

static bool choose_gemm(const struct vk_device *device, const struct vk_pass *pass,
                        enum vk_rung rung, struct vk_product *product)
{
    if (device->ladder.shared_bytes < GEMM_SHARED_BYTES) return false;
    if (!begin(product, pass, rung, SHAPE_MANY, rungs_of[rung].gemm)) return false;
    product->form = rungs_of[rung].gemm_form;
    product->order = product->form == FORM_ROUNDED ? widest_plane(pass) : 0;
    product->n_vectors = UINT32_MAX;
    product->group_rows = GEMM_ROWS;
    product->group_vectors = GEMM_VECTORS;
    product->group_blocks = 1;
    product->has_slices = true;
    return true;
}

static bool choose_grid(const struct vk_device *device, const struct vk_pass *pass,
                        enum vk_shape shape, struct vk_product *product)
{
    const struct vk_ladder *const ladder = &device->ladder;
    const struct grid *const grid =
        ladder->subgroup_size <= 32 ? &small_subgroups[shape] : &large_subgroups[shape];
    const uint32_t n_rows = grid->grid_m * grid->tiles_m * ladder->tile_m;
    const uint32_t n_vectors = grid->grid_n * grid->tiles_n * ladder->tile_n;
    const uint32_t n_subgroups = grid->grid_m * grid->grid_n;
    const uint32_t shared_bytes = (n_rows + n_vectors) * (MATRIX_COLS + MATRIX_PAD) * 2 +
                                  n_subgroups * ladder->tile_m * ladder->tile_n * 4 +
                                  (1 << 8) * 4; /* values of a lookup */
    if (shared_bytes > ladder->shared_bytes) return false;
    if (!begin(product, pass, RUNG_MATRIX, shape, rungs_of[RUNG_MATRIX].gemm)) return false;
    uint32_t *const specs = product->kernel.specs;
    specs[SPEC_LANES] = ladder->subgroup_size;
    specs[SPEC_THREADS] = n_subgroups * ladder->subgroup_size;
    specs[SPEC_TILE_M] = ladder->tile_m;
    specs[SPEC_TILE_N] = ladder->tile_n;
    specs[SPEC_TILE_K] = ladder->tile_k;
    specs[SPEC_GRID_M] = grid->grid_m;
    specs[SPEC_GRID_N] = grid->grid_n;
    specs[SPEC_TILES_M] = grid->tiles_m;
    specs[SPEC_TILES_N] = grid->tiles_n;
    product->kernel.subgroup_size = ladder->subgroup_size;
    product->form = FORM_NARROW;
    product->n_vectors = UINT32_MAX;
    product->group_rows = n_rows;
    product->group_vectors = n_vectors;
    product->group_blocks = MATRIX_COLS / STEP_COLS;
    product->has_slices = true;
    return true;
}

static bool choose_matrix(const struct vk_device *device, const struct vk_pass *pass, uint64_t n,
                          struct vk_product *product)
{
    if (n > 64 && choose_grid(device, pass, SHAPE_MANY, product)) return true;
    return choose_grid(device, pass, SHAPE_SOME, product);
}

void ingot_vk_product_choose(const struct vk_device *device, const struct vk_pass *pass,
                             uint32_t rungs, uint64_t n, struct vk_product *product)
{
    for (enum vk_rung rung = N_RUNGS; rung-- > RUNG_F32;) {
        if (!(rungs >> rung & 1) || n <= rungs_of[rung].gemv_vectors) continue;
        if (rung == RUNG_MATRIX ? choose_matrix(device, pass, n, product)
                                : choose_gemm(device, pass, rung, product)) {
            return;
        }
    }
    for (enum vk_rung rung = N_RUNGS; rung-- > RUNG_F32;) {
        if (!(rungs >> rung & 1)) continue;
        if (choose_gemv(pass, rung, n, product)) return;
    }
    /* Nothing is left to fall back to: the simplest, which the upload has seen to. */
    (void)choose_gemv(pass, RUNG_F32, 1, product);
}
