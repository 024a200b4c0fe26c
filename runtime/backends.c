/* The list of compute backends. Knows of each nothing but its name. */
#include "runtime/backends.h"

const struct ingot_backend *const ingot_backends[] = {
#ifdef INGOT_WITH_VULKAN
    &ingot_backend_vulkan,
#endif
    &ingot_backend_cpu,
};
const uint32_t ingot_n_backends = sizeof ingot_backends / sizeof *ingot_backends;
