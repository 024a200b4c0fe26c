/* --device and --activations, which several verbs take. */
#ifndef CLI_CHOOSE_DEVICE_H
#define CLI_CHOOSE_DEVICE_H

#include "cli/options.h"
#include "format/ingot.h"

/* f32, bf16 and i8: enum ingot_activations. */
extern const struct choice activation_choices[];

/* "cpu" (also for NULL), or a number of `ingot devices`. The exit status: another word is a wrong
 * usage. */
int choose_device(const char *verb, const char *word, uint32_t *index);

#endif
