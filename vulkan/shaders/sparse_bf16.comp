/* Sparse kernel with values of bf16. */
#version 460
#include "sparse_interface.glsl"
#include "decode_bf16.glsl"
#include "sparse.glsl"
