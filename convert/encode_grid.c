/* Scalar codes in groups of a row with a scale each, and maybe a bias: flat tables. They are
 * rounded to what is stored, and the codes found with what is stored. */
#include "convert/encode.h"
#include "convert/planes.h"

static struct coding_slot block_slot(const struct ingot_coding *table, uint32_t group_cols)
{
    return (struct coding_slot){.has_table = true,
                                .group = GROUP_BLOCK,
                                .group_rows = 1,
                                .group_cols = group_cols,
                                .table = table};
}

static struct coding_slot run_slot(const struct ingot_coding *table, uint32_t group_cols)
{
    return (struct coding_slot){
        .has_table = true, .group = GROUP_RUN, .group_cols = group_cols, .table = table};
}

static struct coding_slot tensor_slot(const struct ingot_coding *table)
{
    return (struct coding_slot){.has_table = true, .group = GROUP_TENSOR, .table = table};
}

static struct coding_slot constant_slot(float constant)
{
    return (struct coding_slot){.has_constant = true, .constant = constant};
}

/* The coding of a table of rungs, and of their factors. */
static struct ingot_coding entry_table(const struct grid *grid, const struct entry_form *form,
                                       const struct ingot_coding *super)
{
    struct ingot_coding table = {.map = form->map,
                                 .bits = form->bits,
                                 .format = (uint8_t)form->format,
                                 .codebook_stream = INGOT_NONE};
    if (form->codebook) {
        table.format = INGOT_F32;
        table.n_entries = form->codebook->n_entries;
    }
    if (form->zero) table.slots[SLOT_ZERO] = constant_slot((float)form->zero);
    if (grid->super == SUPER_COLS) {
        table.slots[SLOT_SCALE] = block_slot(super, grid->super_cols / grid->group_cols);
    } else if (grid->super == SUPER_TENSOR) {
        table.slots[SLOT_SCALE] = tensor_slot(super);
    } else if (grid->super == SUPER_RUN) {
        table.slots[SLOT_SCALE] = run_slot(super, grid->super_cols);
        table.slots[SLOT_BIAS] = constant_slot(0.0f);
    }
    return table;
}

static struct coding_slot group_slot(const struct grid *grid, const struct ingot_coding *table)
{
    if (grid->tensor) return tensor_slot(table);
    if (grid->block) {
        struct coding_slot slot = block_slot(table, grid->block);
        slot.group_rows = grid->block;
        return slot;
    }
    return grid->run ? run_slot(table, grid->group_cols) : block_slot(table, grid->group_cols);
}

static void plan_tables(const struct grid *grid, struct term_plan *plan)
{
    if (grid->scale) plan->super_table = raw_coding(grid->scale);
    plan->scale_table = plan->super_table;
    plan->bias_table = plan->super_table;
    if (grid->scale_entry.map) {
        plan->scale_table = entry_table(grid, &grid->scale_entry, &plan->super_table);
        plan->scale_codebook = grid->scale_entry.codebook;
    }
    if (grid->bias_entry.map) {
        plan->bias_table = entry_table(grid, &grid->bias_entry, &plan->super_table);
    }
    plan->coding.slots[SLOT_SCALE] = group_slot(grid, &plan->scale_table);
    if (!grid->affine) return;
    plan->coding.slots[SLOT_BIAS] = group_slot(grid, &plan->bias_table);
    plan->coding.slots[SLOT_BIAS].inverse_table = grid->bias_entry.inverse;
}

void plan_grid(const struct preset *preset, ingot_dtype dtype, struct stack_shape stack,
               struct term_plan *plan)
{
    const struct grid *grid = &preset->grid;
    (void)dtype;
    *plan = (struct term_plan){.preset = preset, .stack = stack, .codebook = grid->codebook};
    if (grid->map == MAP_CODEBOOK && grid->codebook == NULL) {
        plan->learned = (struct codebook){"learned", 1u << grid->bits, plan->learned_entries};
        plan->codebook = &plan->learned;
    }
    plan->coding =
        (struct ingot_coding){.map = grid->map, .bits = grid->bits, .codebook_stream = INGOT_NONE};
    if (grid->map == MAP_FLOAT) plan->coding.format = (uint8_t)grid->format;
    if (grid->map == MAP_CODEBOOK) {
        plan->coding.format = INGOT_F32;
        plan->coding.n_entries = plan->codebook->n_entries;
    }
    const char *label = preset->label[0] ? preset->label : preset->name;
    memcpy(plan->coding.name, label, strlen(label) + 1);
    if (grid->zero) plan->coding.slots[SLOT_ZERO] = constant_slot((float)grid->zero);
    plan_tables(grid, plan);
    plan->term = (struct writer_term){.kind = TERM_DENSE, .coding = &plan->coding};
}

static ingot_status encode_batch(const struct grid_work *w, uint64_t first, uint8_t *scales,
                                 uint8_t *biases)
{
    const struct grid_batch b = grid_load(w, first);
    float scale[LANES];
    float bias[LANES];
    for (uint32_t k = 0; k < LANES; k++) bias[k] = -0.0f;
    if (w->grid->affine) {
        fit_affine(&w->fit, &b.lanes, scale, bias);
    } else {
        fit_scales(&w->fit, &b.lanes, scale);
    }
    for (uint32_t k = 0; k < LANES; k++) {
        const uint64_t at = b.groups[k];
        scale[k] = grid_scale_in_range(w, scale[k]);
        const bool held = grid_put_entry(w->grid->scale, &scale[k], scales, at) &&
                          (biases == NULL || grid_put_entry(w->grid->scale, &bias[k], biases, at));
        if (!held) return grid_refuse(w, &b, k);
    }
    return grid_encode(w, &b, scale, bias);
}

ingot_status encode_grid(const struct encode_input *input, uint8_t *const *streams,
                         ingot_error *error)
{
    const struct grid *grid = &input->plan->preset->grid;
    uint8_t widths[CODING_MAX_PLANES];
    const uint32_t n_planes = plane_widths(grid->bits, widths);
    struct grid_work w;
    ingot_status status = encode_check_finite(input, error);
    if (status != INGOT_OK) return status;
    status = grid_open(&w, input, error);
    if (status == INGOT_OK && grid->scale_entry.map) {
        status = encode_nested(&w, streams + n_planes);
    } else {
        uint8_t *biases = grid->affine ? streams[n_planes + 1] : NULL;
        for (uint64_t g = 0; g < w.n_groups && status == INGOT_OK; g += LANES) {
            status = encode_batch(&w, g, streams[n_planes], biases);
        }
    }
    if (status == INGOT_OK && w.n_groups) planes_put(grid->bits, input->shape, w.codes, streams);
    grid_close(&w);
    return status;
}
