/* The values that an entry of a table may have, ascending, before its factor. */
#ifndef INGOT_CONVERT_LADDER_H
#define INGOT_CONVERT_LADDER_H

#include "convert/grid.h"

struct ladder {
    uint32_t n;
    bool integers; /* all from rungs[0] on */
    float rungs[256];
    uint8_t codes[256];
};

/* Of floats only those above 0 and finite are rungs, for the sake of scales. */
void ladder_open(struct ladder *ladder, const struct entry_form *form);
/* The rung nearest to v: of two equally near ones, of integers the one an even way from the lowest,
 * else the lower. A NaN has some rung. */
uint32_t ladder_nearest(const struct ladder *ladder, float v);

#endif
