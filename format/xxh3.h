/* XXH3 of libxxhash, with the variant that picks the CPU's widest instructions at run time where
 * the library has it: three times as fast on x86-64. */
#ifndef INGOT_XXH3_H
#define INGOT_XXH3_H

#include <xxhash.h>
#ifdef INGOT_XXH_DISPATCH
#include <xxh_x86dispatch.h>
#endif

#endif
