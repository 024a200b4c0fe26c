/* The only place where a compiler extension may stand. */
#ifndef INGOT_COMPILER_H
#define INGOT_COMPILER_H

#if defined(__GNUC__)
#define INGOT_PRINTF(format_index, first_index) \
    __attribute__((format(printf, format_index, first_index)))
#define INGOT_TARGET(features) __attribute__((target(features)))
/* A function that is a template: its arguments that are constants in a call become constants in the
 * code, and functions among them are inlined too. */
#define INGOT_TEMPLATE static inline __attribute__((always_inline))
/* Before a loop of a constant number of rounds: written out in full. */
#define INGOT_UNROLL _Pragma("GCC unroll 16")
/* v is worked out here and kept, where a compiler would load it anew for each use, or in an
 * instruction that takes longer for it. */
#define INGOT_IN_REGISTER(v) __asm__("" : "+v"(v))
/* Sums of 32 bits += products of bytes, unsigned ones times signed ones, or of 16-bit integers,
 * with the four bytes at `at` in all lanes: with AVX-512 one instruction, where compilers take two
 * and a register. */
#define INGOT_DOT_BYTES(sums, v, at)       \
    __asm__("vpdpbusd %2%{1to16%}, %1, %0" \
            : "+v"(sums)                   \
            : "v"(v), "m"(*(const unsigned char(*)[4])(at)))
#define INGOT_DOT_WORDS(sums, v, at)       \
    __asm__("vpdpwssd %2%{1to16%}, %1, %0" \
            : "+v"(sums)                   \
            : "v"(v), "m"(*(const unsigned char(*)[4])(at)))
#else
#define INGOT_PRINTF(format_index, first_index)
#define INGOT_TARGET(features)
#define INGOT_TEMPLATE static inline
#define INGOT_UNROLL
#define INGOT_IN_REGISTER(v) ((void)0)
#endif

/* Tells the core that a loop waits for what another one writes. */
#if defined(__GNUC__) && (defined(__x86_64__) || defined(__i386__))
#define INGOT_PAUSE() __builtin_ia32_pause()
#elif defined(__GNUC__) && defined(__aarch64__)
#define INGOT_PAUSE() __asm__ __volatile__("isb")
#else
#define INGOT_PAUSE() ((void)0)
#endif

/* INGOT_X86_64: x86-64 and a compiler that can be asked for the features of the CPU it runs on. */
#if defined(__GNUC__) && defined(__x86_64__)
#include <cpuid.h>
#define INGOT_X86_64 1
#define INGOT_CPU_HAS(feature) (__builtin_cpu_supports(feature) != 0)
/* Not every compiler knows this one by name: leaf 1, register C, bit 29. */
static inline int ingot_cpu_has_f16c(void)
{
    unsigned a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c >> 29 & 1);
}
#endif

/* INGOT_AARCH64: 64-bit ARM and a compiler that can be asked for features of its CPUs. */
#if defined(__GNUC__) && defined(__aarch64__)
#define INGOT_AARCH64 1
#endif

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "Ingot is built for little-endian machines only."
#endif

#endif
