/* The levels of the CPU that fit.h's kernels exist for: for the files of the kernels alone. */
#ifndef INGOT_CONVERT_FIT_LEVELS_H
#define INGOT_CONVERT_FIT_LEVELS_H

#include "convert/fit.h"
#include "format/bytes.h"
#include "format/compiler.h"

extern const struct fit_kernels fit_plain;
#ifdef INGOT_X86_64
extern const struct fit_kernels fit_avx2;
#endif

#endif
