/* How kernels reach memory: at the addresses among the push constants.
 *
 *     AT(type, field, i)    element i of what lies at push.field, taken as `type`
 *     HEADER                what stands before the weights
 *
 * With BY_DESCRIPTORS, which tests ask for because validation layers see what descriptors reach,
 * it is the same memory through the binding of the address' number, and push.field.x tells how many
 * bytes behind the beginning of the binding the address is. */
#define UINT uint
#define FLOAT float
struct Table
{
#include "table.glsl"
};
#define TABLE Table

#ifdef BY_DESCRIPTORS
#define ADDRESS(type) uvec2
#define AT(type, field, i) type##_##field.v[push.field.x / BYTES_OF_##type + (i)]
#define HEADER Header_base
layout(set = 0, binding = 0, std430) readonly buffer Header
{
#include "header.glsl"
} Header_base;
#define BYTES_OF_Words 4u
#define BYTES_OF_Words2 8u
#define BYTES_OF_Words4 16u
#define BYTES_OF_Vectors 16u
#define BYTES_OF_Floats 4u
#define BYTES_OF_Counters 4u
#define BINDING(number, access, type, element, field)                         \
    layout(set = 0, binding = number, std430) access buffer type##_of_##field \
    {                                                                         \
        element v[];                                                          \
    } type##_##field;
BINDING(0, readonly, Words, uint, base)
BINDING(0, readonly, Words2, uvec2, base)
BINDING(0, readonly, Words4, uvec4, base)
BINDING(1, readonly, Vectors, vec4, x)
BINDING(1, readonly, Words4, uvec4, x)
BINDING(1, readonly, Floats, float, x)
BINDING(2, , Floats, float, y)
BINDING(2, , Counters, uint, y)
BINDING(3, readonly, Words, uint, list)
BINDING(4, readonly, Floats, float, factors)
#else
#extension GL_EXT_buffer_reference : require
#define ADDRESS(type) type
#define AT(type, field, i) type##_##field.v[i]
#define HEADER Header(push.base)
#define Words_base push.base
#define Words2_base Words2(push.base)
#define Words4_base Words4(push.base)
#define Vectors_x push.x
#define Words4_x Words4(push.x)
#define Floats_x Floats(push.x)
#define Floats_y push.y
#define Counters_y Counters(push.y)
#define Words_list push.list
#define Floats_factors push.factors
layout(buffer_reference, std430, buffer_reference_align = 16) readonly buffer Header
{
#include "header.glsl"
};
layout(buffer_reference, std430, buffer_reference_align = 16) readonly buffer Words
{
    uint v[];
};
layout(buffer_reference, std430, buffer_reference_align = 16) readonly buffer Words2
{
    uvec2 v[];
};
layout(buffer_reference, std430, buffer_reference_align = 16) readonly buffer Words4
{
    uvec4 v[];
};
layout(buffer_reference, std430, buffer_reference_align = 16) readonly buffer Vectors
{
    vec4 v[];
};
layout(buffer_reference, std430, buffer_reference_align = 4) buffer Floats
{
    float v[];
};
layout(buffer_reference, std430, buffer_reference_align = 4) buffer Counters
{
    uint v[];
};
#endif

layout(push_constant) uniform Push
{
#include "push.glsl"
} push;
