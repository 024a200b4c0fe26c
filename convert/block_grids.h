/* The grids of ggml's i-quants, packed: see block_grids.c. For block_codings.c alone. */
#ifndef INGOT_CONVERT_BLOCK_GRIDS_H
#define INGOT_CONVERT_BLOCK_GRIDS_H

#include <stdint.h>

extern const uint16_t grid_iq2_xxs[256];
extern const uint16_t grid_iq2_xs[512];
extern const uint16_t grid_iq2_s[1024];
extern const uint16_t grid_iq3_xxs[256];
extern const uint16_t grid_iq3_s[512];
extern const uint16_t grid_iq1_s[2048];

#endif
