/* Does nothing: what a dispatch costs by itself. */
#version 460
#define GROUP_THREADS SIMPLE_THREADS
#include "interface.glsl"

void main() {}
