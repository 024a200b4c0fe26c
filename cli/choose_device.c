/* Words for devices and for how they take numbers. */
#include "cli/choose_device.h"

#include <stdlib.h>
#include <string.h>

#include "cli/report.h"

const struct choice activation_choices[] = {
    {"f32", INGOT_ACTIVATIONS_F32},
    {"bf16", INGOT_ACTIVATIONS_BF16},
    {"i8", INGOT_ACTIVATIONS_I8},
    {0},
};

int choose_device(const char *verb, const char *word, uint32_t *index)
{
    *index = INGOT_DEVICE_CPU;
    if (!word || strcmp(word, "cpu") == 0) return EXITS_DONE;
    char *end = NULL;
    const unsigned long v = strtoul(word, &end, 10);
    if (word[0] < '0' || word[0] > '9' || *end != 0 || v >= UINT32_MAX) {
        return report_usage(verb, "--device takes cpu or a number of \"ingot devices\", not \"%s\"",
                            word);
    }
    *index = (uint32_t)v;
    return EXITS_DONE;
}
