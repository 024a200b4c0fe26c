/* Matrix-vector kernel over f32 codes. */
#version 460
#include "gemv_interface.glsl"
#include "decode_f32.glsl"
#include "gemv.glsl"
