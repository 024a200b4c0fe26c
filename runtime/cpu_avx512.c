/* The AVX-512 level (with BW, VL, DQ, VBMI, VBMI2, VNNI and BF16): panels, and the AVX2 level for
 * what has no such form. Knows no threads or parts. */
#include "runtime/cpu_avx512.h"

#ifdef INGOT_X86_64

#include "runtime/cpu_level.h"

static void multiply_panels(const struct panels *panels, enum panel_mode mode, const void *ready,
                            uint64_t n_x, uint64_t first_panel, uint64_t n_panels, float *y,
                            uint64_t y_stride)
{
    const struct panel_job job = {
        .panels = panels,
        .mode = mode,
        .ready = ready,
        .row = avx512_ready_row(panels, mode, n_x),
        .n_x = n_x,
        .first_panel = first_panel,
        .n_panels = n_panels,
        .y = y,
        .y_stride = y_stride,
    };
    if (n_x <= DOT_X) {
        avx512_dot(&job);
    } else {
        avx512_multiply(&job);
    }
}

const struct panel_ops cpu_avx512_panels = {avx512_x_bytes, avx512_x_prepare, multiply_panels};

bool cpu_avx512_available(void)
{
    return INGOT_CPU_HAS("avx512f") && INGOT_CPU_HAS("avx512bw") && INGOT_CPU_HAS("avx512vl") &&
           INGOT_CPU_HAS("avx512dq") && INGOT_CPU_HAS("avx512vbmi") &&
           INGOT_CPU_HAS("avx512vbmi2") && INGOT_CPU_HAS("avx512vnni") &&
           INGOT_CPU_HAS("avx512bf16") && INGOT_CPU_HAS("fma") && ingot_cpu_has_f16c();
}

#endif
