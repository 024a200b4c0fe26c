/* The levels of the CPU that fit.h's kernels exist for: for the files of the kernels alone. */
#ifndef INGOT_CONVERT_FIT_LEVELS_H
#define INGOT_CONVERT_FIT_LEVELS_H

#include "convert/fit.h"
#include "format/bytes.h"
#include "format/compiler.h"

extern const struct fit_kernels fit_plain;
#ifdef INGOT_X86_64
extern const struct fit_kernels fit_avx2;
extern const struct fit_kernels fit_avx512;
void fit_search_avx512(const struct lanes *lanes, const struct levels *levels, uint32_t n,
                       const float first[LANES], const float step[LANES], float gain[LANES],
                       float scale[LANES]);
void fit_search_affine_avx512(const struct lanes *lanes, const struct levels *levels, uint32_t n,
                              const struct affine_line *line, float gain[LANES], float scale[LANES],
                              float bias[LANES]);
#endif

#endif
