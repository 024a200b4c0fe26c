/* The kernels in C alone, and the choice of one. */
#include "format/quick.h"

#include <stddef.h>
#include <string.h>

void quick_decode_rest(const struct quick_row *row, uint64_t first, float *dst)
{
    for (uint64_t i = first; i < row->n; i++) {
        const uint64_t g = i / row->group;
        const float v = row->levels[row->codes[i / 2] >> i % 2 * 4 & 15] * row->scales[g];
        if (row->biases == NULL) {
            dst[i] = v;
        } else {
            dst[i] = row->subtract ? v - row->biases[g] : v + row->biases[g];
        }
    }
}

static void decode(const struct quick_row *row, float *dst)
{
    quick_decode_rest(row, 0, dst);
}

static bool always(void)
{
    return true;
}

static const struct quick_kernels plain = {"plain", always, decode};

/* Best first. */
static const struct quick_kernels *const all[] = {
#ifdef INGOT_X86_64
    &quick_kernels_avx512,
    &quick_kernels_avx2,
#endif
    &plain,
};

const struct quick_kernels *quick_kernels_find(const char *name)
{
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (name != NULL && strcmp(name, all[i]->name) != 0) continue;
        if (all[i]->available()) return all[i];
    }
    return NULL;
}
