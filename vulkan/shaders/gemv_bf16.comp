/* Matrix-vector kernel over bf16 codes. */
#version 460
#include "gemv_interface.glsl"
#include "decode_bf16.glsl"
#include "gemv.glsl"
