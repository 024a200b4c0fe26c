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
typedef void fit_search_function(const struct lanes *lanes, const struct levels *levels, uint32_t n,
                                 const float first[LANES], const float step[LANES],
                                 float gain[LANES], float scale[LANES]);
typedef void fit_search_affine_function(const struct lanes *lanes, const struct levels *levels,
                                        uint32_t n, const struct affine_line *line,
                                        float gain[LANES], float scale[LANES], float bias[LANES]);
fit_search_function fit_search_avx2, fit_search_avx512;
fit_search_affine_function fit_search_affine_avx2, fit_search_affine_avx512;
void fit_error_avx2(const struct lanes *lanes, const struct levels *levels,
                    const float scale[CANDIDATES][LANES], const float bias[CANDIDATES][LANES],
                    float error[CANDIDATES][LANES]);
#endif

#endif
