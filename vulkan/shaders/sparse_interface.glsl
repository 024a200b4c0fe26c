/* How the sparse kernel sees memory: mask and x by single elements. */
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_control_flow_attributes : require
#define CODES_ELEMENT uint
#define CODES_ALIGN 4
#define VECTOR_ELEMENT float
#define VECTOR_ELEMENT_ALIGN 4
#include "interface.glsl"
#include "half.glsl"
