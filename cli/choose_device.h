/* --device and --activations, which several verbs take. */
#ifndef CLI_CHOOSE_DEVICE_H
#define CLI_CHOOSE_DEVICE_H

#include "cli/options.h"
#include "format/ingot.h"

/* f32, bf16 and i8: enum ingot_activations. */
extern const struct choice activation_choices[];

/* "cpu", or of `ingot devices` a number, a UUID or a part of a name, of which the first in the list
 * is taken. NULL asks INGOT_DEVICE of the environment, and without it is "cpu". The exit status:
 * another word is a wrong usage. */
int choose_device(const char *verb, const char *word, uint32_t *index);

#endif
