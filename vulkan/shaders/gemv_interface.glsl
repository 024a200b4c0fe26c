/* How the matrix-vector kernel sees memory: codes and x in 16-byte loads. */
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_control_flow_attributes : require
#define CODES_ELEMENT uvec4
#define CODES_ALIGN 16
#define VECTOR_ELEMENT vec4
#define VECTOR_ELEMENT_ALIGN 16
#include "interface.glsl"
#include "half.glsl"
