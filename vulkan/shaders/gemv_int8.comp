/* Matrix-vector kernel over integer codes of 8 bits. */
#version 460
#include "gemv_interface.glsl"
layout(constant_id = SPEC_FLIP) const uint FLIP = 0;
layout(constant_id = SPEC_ZERO) const float ZERO = 0.0;
#define CODE_BITS 8
#include "decode_integer.glsl"
#include "gemv.glsl"
