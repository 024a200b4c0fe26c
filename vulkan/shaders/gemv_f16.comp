/* Matrix-vector kernel over f16 codes. */
#version 460
#include "gemv_interface.glsl"
#include "decode_f16.glsl"
#include "gemv.glsl"
