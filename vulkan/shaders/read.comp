/* How fast memory can be read: the words of `base`, x_stride 16-byte steps of them, each once. An
 * invocation takes every n-th step, so that a subgroup reads what lies together. The results say
 * nothing; they are stored so that reading is not left out. */
#version 460
#define GROUP_THREADS SIMPLE_THREADS
#include "interface.glsl"

void main()
{
    Words4 words = Words4(push.base);
    const uint n_threads = gl_NumWorkGroups.x * GROUP_THREADS;
    uvec4 all = uvec4(0);
    uint i = gl_GlobalInvocationID.x;
    for (; i + 3u * n_threads < push.x_stride; i += 4u * n_threads) {
        all ^= words.v[i] ^ words.v[i + n_threads] ^ words.v[i + 2u * n_threads] ^
               words.v[i + 3u * n_threads];
    }
    for (; i < push.x_stride; i += n_threads) all ^= words.v[i];
    push.y.v[gl_GlobalInvocationID.x] = uintBitsToFloat(all.x ^ all.y ^ all.z ^ all.w);
}
