/* Words for devices and for how they take numbers. */
#include "cli/choose_device.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/report.h"

const struct choice activation_choices[] = {
    {"f32", INGOT_ACTIVATIONS_F32},
    {"bf16", INGOT_ACTIVATIONS_BF16},
    {"i8", INGOT_ACTIVATIONS_I8},
    {0},
};

enum { MAX_DEVICES = 64 };

static bool is_called(const ingot_device_info *device, const char *word)
{
    const size_t n = strlen(word);
    if (device->uuid[0] != '\0' && strcasecmp(device->uuid, word) == 0) return true;
    for (const char *at = device->name; strlen(at) >= n; at++) {
        if (strncasecmp(at, word, n) == 0) return true;
    }
    return false;
}

static int find_device(const char *verb, const char *from, const char *word, uint32_t *index)
{
    ingot_device_info devices[MAX_DEVICES];
    ingot_error error = {0};
    uint32_t n = 0;
    if (ingot_device_list(devices, MAX_DEVICES, &n, &error) != INGOT_OK) {
        return report_error(NULL, &error);
    }
    for (uint32_t i = 0; i < n && i < MAX_DEVICES; i++) {
        if (!is_called(&devices[i], word)) continue;
        *index = devices[i].index;
        return EXITS_DONE;
    }
    return report_usage(
        verb,
        "%s takes cpu or what \"ingot devices\" lists: a number, a UUID or a part of "
        "a name; not \"%s\"",
        from, word);
}

int choose_device(const char *verb, const char *word, uint32_t *index)
{
    const char *from = "--device";
    if (!word) {
        word = getenv("INGOT_DEVICE");
        from = "INGOT_DEVICE";
    }
    *index = INGOT_DEVICE_CPU;
    if (!word || word[0] == '\0' || strcmp(word, "cpu") == 0) return EXITS_DONE;
    if (strspn(word, "0123456789") != strlen(word)) return find_device(verb, from, word, index);
    const unsigned long v = strtoul(word, NULL, 10);
    *index = v < INGOT_DEVICE_CPU ? (uint32_t)v : INGOT_DEVICE_CPU - 1;
    return EXITS_DONE;
}
