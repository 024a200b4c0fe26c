/* Ladders of integers, small floats and codebooks. */
#include "convert/ladder.h"

#include <math.h>

#include "format/floats.h"

static void add_rung(struct ladder *ladder, float value, uint32_t code)
{
    uint32_t at = ladder->n++;
    for (; at > 0 && ladder->rungs[at - 1] > value; at--) {
        ladder->rungs[at] = ladder->rungs[at - 1];
        ladder->codes[at] = ladder->codes[at - 1];
    }
    ladder->rungs[at] = value;
    ladder->codes[at] = (uint8_t)code;
}

static void add_integers(struct ladder *ladder, const struct entry_form *form)
{
    ladder->integers = true;
    for (int32_t level = form->low; level <= form->high; level++) {
        add_rung(ladder, (float)level, (uint32_t)((form->inverse ? -level : level) + form->zero));
    }
}

static void add_floats(struct ladder *ladder, const struct entry_form *form)
{
    for (uint32_t code = 0; code < 256; code++) {
        const float value = ingot_float_decode(form->format, code);
        if (isfinite(value) && value > 0.0f) add_rung(ladder, value, code);
    }
}

static void add_codebook(struct ladder *ladder, const struct entry_form *form)
{
    for (uint32_t i = 0; i < form->codebook->n_entries; i++) {
        add_rung(ladder, form->codebook->entries[i], i);
    }
}

void ladder_open(struct ladder *ladder, const struct entry_form *form)
{
    static void (*const add[])(struct ladder * ladder, const struct entry_form *form) = {
        [MAP_UINT] = add_integers,
        [MAP_INT] = add_integers,
        [MAP_FLOAT] = add_floats,
        [MAP_CODEBOOK] = add_codebook,
    };
    ladder->n = 0;
    ladder->integers = false;
    add[form->map](ladder, form);
}

/* As in the kernels: adding 1.5 * 2^23 rounds to an integer. */
static uint32_t nearest_integer(const struct ladder *ladder, float v)
{
    const float first = ladder->rungs[0];
    const float last = ladder->rungs[ladder->n - 1];
    const float within = v > first ? (v < last ? v : last) : first;
    return (uint32_t)(((within - first) + 0x1.8p23f) - 0x1.8p23f);
}

uint32_t ladder_nearest(const struct ladder *ladder, float v)
{
    if (ladder->integers) return nearest_integer(ladder, v);
    uint32_t low = 0;
    uint32_t high = ladder->n - 1;
    while (low < high) {
        const uint32_t middle = (low + high) / 2;
        if (ladder->rungs[middle] < v) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == 0) return 0;
    return ladder->rungs[low] - v < v - ladder->rungs[low - 1] ? low : low - 1;
}
