/* What drivers are known to get wrong. Reports: the issues of llama.cpp by number. */
#include "vulkan/quirks.h"

#include <stdio.h>

enum { AMD = 0x1002, IMAGINATION = 0x1010, INTEL = 0x8086 };
enum { ANY = 0 };

static const struct {
    uint32_t vendor;
    uint32_t driver;      /* VkDriverId */
    uint32_t below_lanes; /* the smallest subgroup has fewer lanes */
    uint32_t avoids;
    const char *why;
} quirks[] = {
    /* 28502: silent garbage until both are off. */
    {IMAGINATION, ANY, ANY, AVOID_MATRIX_UNITS, "wrong results"},
    {IMAGINATION, ANY, ANY, AVOID_INTEGER_DOTS, "wrong results"},
    /* 22750: also on GPUs that have none. */
    {AMD, VK_DRIVER_ID_AMD_PROPRIETARY, ANY, AVOID_MATRIX_UNITS, "offered where there are none"},
    /* 24404: before Xe2, whose smallest subgroup has 16 lanes. */
    {INTEL, ANY, 16, AVOID_MATRIX_UNITS, "slower than without"},
    /* 17628 */
    {INTEL, VK_DRIVER_ID_INTEL_PROPRIETARY_WINDOWS, ANY, AVOID_INTEGER_DOTS, "slower than without"},
    {ANY, VK_DRIVER_ID_MESA_LLVMPIPE, ANY, AVOID_LONG_STARTS, "a CPU computes"},
    {ANY, VK_DRIVER_ID_GOOGLE_SWIFTSHADER, ANY, AVOID_LONG_STARTS, "a CPU computes"},
};

static const struct {
    uint32_t avoids;
    const char *name;
} names[] = {
    {AVOID_MATRIX_UNITS, "matrix units"},
    {AVOID_INTEGER_DOTS, "integer dot products"},
    {AVOID_LONG_STARTS, "long first submissions"},
};

static const char *name_of(uint32_t avoids)
{
    const char *name = "";
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (names[i].avoids == avoids) name = names[i].name;
    }
    return name;
}

uint32_t ingot_vk_quirks_find(const struct vk_identity *device, char *text, size_t capacity)
{
    uint32_t avoids = 0;
    size_t n = 0;
    if (capacity > 0) text[0] = '\0';
    for (size_t i = 0; i < sizeof quirks / sizeof *quirks; i++) {
        const uint32_t below = quirks[i].below_lanes;
        if (quirks[i].vendor != ANY && quirks[i].vendor != device->vendor) continue;
        if (quirks[i].driver != ANY && quirks[i].driver != (uint32_t)device->driver) continue;
        if (below != ANY && device->least_lanes >= below) continue;
        if (n < capacity) {
            n += (size_t)snprintf(text + n, capacity - n, "%s%s: %s", n > 0 ? "; " : "",
                                  name_of(quirks[i].avoids), quirks[i].why);
        }
        avoids |= quirks[i].avoids;
    }
    return avoids;
}
