/* Scales that are powers of two, for levels of a small float. Of the scales that clip nothing the
 * least has all levels of the others. Of those that clip, each half loses the square of a quarter
 * of the highest level h at least, and gains n times the square of a quarter of the least level l
 * at most: where n < (h / l)^2, two scales are all there is to try. */
#include "convert/encode.h"
#include "convert/grid.h"

/* Less than (h / l)^2 of e2m1, which is 144. */
enum { MAX_COLS = 128 };

bool grid_has_powers(const struct grid_work *w, struct levels *levels)
{
    const struct grid *grid = w->grid;
    const struct entry_form *scale = &grid->scale_entry;
    const bool doubled = grid->codebook == &codebook_mxfp4;
    const bool powers = scale->codebook == &codebook_powers ||
                        (scale->map == MAP_FLOAT && scale->format == INGOT_F8_E8M0);
    if (!powers || (grid->map != MAP_FLOAT && !doubled) || grid->super != SUPER_NONE) return false;
    *levels = levels_float(doubled ? INGOT_F4_E2M1 : grid->format);
    return grid->effort != EFFORT_ABSMAX && w->group_cols <= MAX_COLS &&
           w->input->importance == NULL;
}

bool grid_find_powers(const struct grid_work *w, const struct levels *levels,
                      const struct grid_batch *b, float *scales, uint8_t *found)
{
    const float unit = levels->high / w->fit.levels.high;
    struct group_rows rows;
    float scale[LANES];
    uint32_t n_found = 0;
    for (uint32_t k = 0; k < LANES; k++) {
        rows.n[k] = b->sizes[k] % POWER_STEP == 0 ? b->sizes[k] : 0;
        rows.weights[k] = w->input->values + b->begins[k];
    }
    w->fit.kernels->search_powers(levels, &rows, scale);
    for (uint32_t k = 0; k < LANES; k++) {
        const bool is_found = rows.n[k] && scale[k] >= 0.0f;
        scales[b->groups[k]] = scale[k] * unit;
        found[b->groups[k]] = is_found;
        n_found += is_found;
    }
    return n_found == LANES;
}
