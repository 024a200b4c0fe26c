/* Sparse kernel with values of f32. */
#version 460
#include "sparse_interface.glsl"
#include "decode_f32.glsl"
#include "sparse.glsl"
