/* The list of the kernels' CPU levels, and the choice among them. */
#include "convert/fit_levels.h"

#include <string.h>

/* Best first. */
static const struct fit_kernels *const all[] = {
#ifdef INGOT_X86_64
    &fit_avx512,
    &fit_avx2,
#endif
    &fit_plain,
};

const struct fit_kernels *fit_kernels_find(const char *name)
{
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (name != NULL && strcmp(name, all[i]->name) != 0) continue;
        if (all[i]->available()) return all[i];
    }
    return NULL;
}
