/* The list of compute backends of this build. */
#ifndef INGOT_BACKENDS_H
#define INGOT_BACKENDS_H

#include "runtime/backend.h"

/* In the order in which their devices are numbered; the CPU is the last. */
extern const struct ingot_backend *const ingot_backends[];
extern const uint32_t ingot_n_backends;

#endif
