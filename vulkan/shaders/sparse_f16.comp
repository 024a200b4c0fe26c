/* Sparse kernel with values of f16. */
#version 460
#include "sparse_interface.glsl"
#include "decode_f16.glsl"
#include "sparse.glsl"
