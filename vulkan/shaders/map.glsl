/* The map of a module: the build defines one MAP_.... Each gives
 *
 *     STEP_QUARTERS                     quarters of a step: of 8 columns each
 *     void map_begin()                  once, by all invocations of a workgroup
 *     Step step_load(row, step)         all codes of a step
 *     vec4 step_weights(step, i)        weights 4 i .. 4 i + 3 of it, less the constant zero and
 *                                       before the tables */
#include "half.glsl"
#include "brain.glsl"
#if defined(MAP_F32)
#include "map_f32.glsl"
#elif defined(MAP_F16)
#include "map_f16.glsl"
#elif defined(MAP_BF16)
#include "map_bf16.glsl"
#elif defined(MAP_INTEGER)
#include "map_integer.glsl"
#elif defined(MAP_LOOKUP)
#include "map_lookup.glsl"
#elif defined(MAP_VECTOR)
#include "map_vector.glsl"
#elif defined(MAP_SPARSE_F32)
#include "value_f32.glsl"
#elif defined(MAP_SPARSE_F16)
#include "value_f16.glsl"
#elif defined(MAP_SPARSE_BF16)
#include "value_bf16.glsl"
#elif defined(MAP_SPARSE_INTEGER)
#include "value_integer.glsl"
#elif defined(MAP_SPARSE_LOOKUP)
#include "value_lookup.glsl"
#else
#error no map
#endif
#ifndef STEP_QUARTERS
#include "map_sparse.glsl"
#endif
#define STEP_QUADS (STEP_QUARTERS * 2)
