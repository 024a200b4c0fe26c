/* The encodings that can be asked for: one table row each. */
#ifndef INGOT_PRESETS_H
#define INGOT_PRESETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct preset;

/* The table, in the order it is listed. NULL past the end. */
const struct preset *preset_at(uint32_t index);
const char *preset_name(const struct preset *preset);
const char *preset_help(const struct preset *preset);
/* Bits per weight of a rows x cols matrix in this encoding, tables and masks included. */
double preset_bits_per_weight(const struct preset *preset, uint64_t n_rows, uint64_t n_cols);
/* Noise over signal (NMSE) of normal weights in rows of 4096, none more important than others; 0:
 * the values stay. NAN for a preset that leaves weights out, as what stands beside others in a sum,
 * and for names with options. */
double preset_normal_error(const struct preset *preset);

/* A row's name, and options behind it, as in "int4-g64-affine". */
bool preset_exists(const char *name);
/* The options, in the order they are listed: a word, whose N stands for a number. False past the
 * end. */
bool preset_option_at(uint32_t index, const char **name, const char **help);

#endif
