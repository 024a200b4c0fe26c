/* The encodings that can be asked for: one table row each. */
#ifndef INGOT_PRESETS_H
#define INGOT_PRESETS_H

#include <stdint.h>

struct preset;

/* The table, in the order it is listed. NULL past the end. */
const struct preset *preset_at(uint32_t index);
const char *preset_name(const struct preset *preset);
const char *preset_help(const struct preset *preset);
/* Bits per weight of a rows x cols matrix in this encoding, tables and masks included. */
double preset_bits_per_weight(const struct preset *preset, uint64_t n_rows, uint64_t n_cols);

#endif
