/* The list of kernel levels and the choice among them. Knows of each level only its name and
 * whether this CPU has it. */
#include "runtime/cpu_level.h"

#include <string.h>

/* Best first. */
static const struct cpu_level *const levels[] = {
#ifdef INGOT_X86_64
    &cpu_level_avx512,    &cpu_level_avx2,
#endif
#ifdef INGOT_AARCH64
    &cpu_level_neon_i8mm, &cpu_level_neon_dotprod, &cpu_level_neon,
#endif
    &cpu_level_plain,
};

const struct cpu_level *cpu_level_find(const char *name)
{
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        if (name != NULL && strcmp(name, levels[i]->name) != 0) continue;
        if (levels[i]->available()) return levels[i];
    }
    return NULL;
}

const struct cpu_kernel *cpu_level_kernel(const struct cpu_level *level,
                                          const struct resident_dense *dense)
{
    for (uint32_t i = 0; i < level->n_kernels; i++) {
        if (level->kernels[i].fits(dense)) return &level->kernels[i];
    }
    return &cpu_plain_kernel;
}
