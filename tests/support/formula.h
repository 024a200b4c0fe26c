/* Numbers computed from the specification's formulas in double, slowly: what the library's fast
 * bit tricks must equal. Shares no code with it. */
#ifndef INGOT_TESTS_SUPPORT_FORMULA_H
#define INGOT_TESTS_SUPPORT_FORMULA_H

#include <stdbool.h>
#include <stdint.h>

#include "format/ingot.h"

/* The value of a code of a float format, by the table and the formula of [6.6]. */
double formula_float(ingot_dtype format, uint64_t code);

/* An integer of that magnitude, rounded to the nearest f32, ties to even. */
float formula_integer(uint64_t magnitude, bool negative);

/* Equal bits, or both NaN: which NaN is free [6.6]. */
bool same_f32(float a, float b);

#endif
