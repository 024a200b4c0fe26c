/* How a coding of a resident matrix becomes a kernel, and the refusal of what no kernel computes.
 * Knows no device. */
#include "vulkan/plan.h"

#include <assert.h>

#include "format/bytes.h"
#include "format/fail.h"
#include "format/floats.h"
#include "vulkan/maps.h"

/* Up to this many columns each weight is scaled on its own. Scaling the sum over a step instead
 * costs less, but adds up to two roundings to the K of a row of K columns; the bound of 2 K allows
 * them from K = 3 on. */
enum { SCALE_EACH_MAX_COLS = 32 };

static const char *const slot_names[N_SLOTS] = {"zero", "scale", "bias", "post"};

static ingot_status refuse(ingot_error *error, const char *what, const char *why)
{
    return ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, what,
                      "the Vulkan backend does not compute %s", why);
}

static bool slot_is_absent(const struct coding_slot *slot)
{
    return !slot->has_table && !slot->has_constant;
}

/* Finds the map, and checks that the codes lie in one plane. */
static ingot_status find_map(const struct resident_dense *dense, const char *what,
                             const struct vk_map **map, ingot_error *error)
{
    const struct vk_map *const found = ingot_vk_map_find(dense->coding);
    if (!found) {
        return ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, what,
                          "the Vulkan backend has no kernel for map %u of %u bits",
                          dense->coding->map, dense->coding->bits);
    }
    if (dense->coding->index_bits != 0) return refuse(error, what, "a column index");
    if (dense->n_planes != 1 || dense->planes[0].bits != found->bits) {
        return refuse(error, what, "codes that lie in several planes");
    }
    *map = found;
    return INGOT_OK;
}

/* A power of two of lanes for a row of n_units units of work. Few choices make few pipelines. */
static uint32_t choose_lanes(uint64_t n_units)
{
    static const uint32_t choices[] = {1, 8};
    for (size_t i = 0; i < sizeof choices / sizeof *choices; i++) {
        if (n_units <= choices[i]) return choices[i];
    }
    return GROUP_THREADS;
}

static ingot_status plan_zero(const struct resident_dense *dense, const struct vk_map *map,
                              const char *what, struct vk_gemv_plan *plan, ingot_error *error)
{
    const struct coding_slot *const slot = &dense->coding->slots[SLOT_ZERO];
    if (slot->has_table) return refuse(error, what, "a table of zeros");
    if (slot->has_constant && map->map == MAP_FLOAT) return refuse(error, what, "a zero of floats");
    const double zero = (slot->has_constant ? (double)slot->constant : 0.0) + (double)map->flip;
    const float rounded = (float)zero;
    if ((double)rounded != zero) return refuse(error, what, "a zero with so many digits");
    plan->kernel.specs[SPEC_FLIP] = map->flip;
    plan->kernel.specs[SPEC_ZERO] = f32_bits(rounded);
    return INGOT_OK;
}

static float table_first(const struct resident_table *table)
{
    const uint8_t *const data = table->data;
    return table->format == INGOT_F16 ? f32_from_f16(load_u16(data)) : load_f32(data);
}

/* A table of scales: one for the matrix, one a row, or one a group of whole steps. */
static ingot_status plan_scale_table(const struct resident_dense *dense, uint64_t step_weights,
                                     const char *what, struct vk_gemv_plan *plan,
                                     ingot_error *error)
{
    const struct resident_table *const table = &dense->tables[SLOT_SCALE];
    const bool is_f16 = table->format == INGOT_F16;
    if (!is_f16 && table->format != INGOT_F32) return refuse(error, what, "scales but f16 and f32");
    if (table->n_rows == 1 && table->n_cols == 1) {
        plan->kernel.specs[SPEC_SCALE] = SCALE_CONSTANT;
        plan->scale = table_first(table);
        return INGOT_OK;
    }
    if (table->n_rows != dense->n_rows) {
        return ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, what,
                          "the Vulkan backend wants scales for single rows, these are for %llu",
                          (unsigned long long)table->group_rows);
    }
    if (table->n_cols > 1 && table->group_cols % step_weights != 0) {
        return ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, what,
                          "the Vulkan backend wants groups of a multiple of %llu columns, these "
                          "have %llu",
                          (unsigned long long)step_weights, (unsigned long long)table->group_cols);
    }
    /* Below 2^31, as n_cols is. */
    const uint64_t group_steps = table->n_cols > 1 ? table->group_cols / step_weights : INT32_MAX;
    plan->kernel.specs[SPEC_SCALE] = is_f16 ? SCALE_F16 : SCALE_F32;
    plan->kernel.specs[SPEC_GROUP_STEPS] = (uint32_t)group_steps;
    plan->table_row = table->n_cols;
    plan->scale_bytes = is_f16 ? 2 : 4;
    return INGOT_OK;
}

static ingot_status plan_scale(const struct resident_dense *dense, uint64_t step_weights,
                               const char *what, struct vk_gemv_plan *plan, ingot_error *error)
{
    const struct coding_slot *const slot = &dense->coding->slots[SLOT_SCALE];
    plan->kernel.specs[SPEC_SCALE] = SCALE_NONE;
    plan->kernel.specs[SPEC_GROUP_STEPS] = 1;
    plan->scale = 1.0f;
    if (slot_is_absent(slot)) return INGOT_OK;
    if (slot->has_table && slot->has_constant) {
        return refuse(error, what, "scales of a table and a constant");
    }
    if (slot->inverse_table || slot->inverse_constant)
        return refuse(error, what, "scales that divide");
    plan->kernel.specs[SPEC_SCALE_EACH] = dense->n_cols <= SCALE_EACH_MAX_COLS;
    if (slot->has_table) return plan_scale_table(dense, step_weights, what, plan, error);
    plan->kernel.specs[SPEC_SCALE] = SCALE_CONSTANT;
    plan->scale = slot->constant;
    return INGOT_OK;
}

ingot_status ingot_vk_gemv_plan_make(const struct resident_dense *dense, bool adds,
                                     const char *what, struct vk_gemv_plan *plan,
                                     ingot_error *error)
{
    const struct vk_map *map = NULL;
    ingot_status status = find_map(dense, what, &map, error);
    if (status != INGOT_OK) return status;
    for (uint32_t i = SLOT_BIAS; i < N_SLOTS; i++) {
        if (!slot_is_absent(&dense->coding->slots[i])) {
            return ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, what,
                              "the Vulkan backend does not compute the slot %s", slot_names[i]);
        }
    }
    const uint64_t step_weights = 128u / map->bits;
    struct vk_gemv_plan made = {.kernel = {.shader = map->gemv}};
    status = plan_zero(dense, map, what, &made, error);
    if (status != INGOT_OK) return status;
    status = plan_scale(dense, step_weights, what, &made, error);
    if (status != INGOT_OK) return status;

    made.row_steps = (uint32_t)ceil_div(dense->n_cols, step_weights);
    made.code_bytes = ceil_div(dense->n_cols * map->bits, 8);
    assert(made.code_bytes <= dense->planes[0].row_bytes);
    const uint32_t lanes = choose_lanes(made.row_steps);
    made.kernel.specs[SPEC_LANES] = lanes;
    made.kernel.specs[SPEC_ADD] = adds;
    made.group_rows = GROUP_THREADS / lanes * GEMV_ROWS;
    *plan = made;
    return INGOT_OK;
}

ingot_status ingot_vk_sparse_plan_make(const struct resident_sparse *sparse, uint64_t n_cols,
                                       bool adds, const char *what, struct vk_sparse_plan *plan,
                                       ingot_error *error)
{
    const struct vk_map *map = NULL;
    const ingot_status status = find_map(&sparse->values, what, &map, error);
    if (status != INGOT_OK) return status;
    bool raw = map->sparse != NULL;
    for (uint32_t i = 0; i < N_SLOTS; i++) {
        raw = raw && slot_is_absent(&sparse->values.coding->slots[i]);
    }
    if (!raw) return refuse(error, what, "sparse values but raw f32, f16 and bf16");

    const uint32_t n_words = (uint32_t)ceil_div(n_cols, 32);
    const uint32_t n_blocks = (uint32_t)ceil_div(n_words, SPARSE_BLOCK_WORDS);
    const uint32_t lanes = choose_lanes(n_blocks);
    assert(n_words * UINT64_C(4) <= sparse->mask.row_bytes);
    *plan = (struct vk_sparse_plan){.kernel = {.shader = map->sparse},
                                    .group_rows = GROUP_THREADS / lanes,
                                    .row_words = n_words,
                                    .row_blocks = n_blocks,
                                    .value_bytes = map->bits / 8};
    plan->kernel.specs[SPEC_LANES] = lanes;
    plan->kernel.specs[SPEC_ADD] = adds;
    plan->kernel.specs[SPEC_GROUP_STEPS] = 1; /* not used; a divisor all the same */
    return INGOT_OK;
}
