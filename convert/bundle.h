/* The files of an archive: .zip, .tar, .tar.gz, .tar.zst. Nothing is unpacked to disk and nothing
 * but a small window is held in memory, whatever the archive's size.
 *
 * What it costs. Opening reads the archive through once. Files of a plain tar are then read where
 * they lie. Those of a compressed archive come from one stream that goes forward: reading on, or in
 * a later file, costs the bytes on the way; going back starts anew from the first byte (in a zip:
 * from the first byte of the file). Who reads in the order of the files and of their bytes reads
 * the archive once. */
#ifndef INGOT_CONVERT_BUNDLE_H
#define INGOT_CONVERT_BUNDLE_H

#include "convert/input.h"

struct bundle;

/* Lists the regular files. Refused, naming the entry: links, devices, names that are no safe path
 * or there twice, a file that others lie under, encrypted and sparse files; more than 100,000
 * entries; contents of more than 16 TiB, or of more than 64 MiB and 256 times the archive. Folders
 * are passed over, and a leading "./" is taken off names. An archive in an archive is a file. */
ingot_status bundle_open(const char *path, const ingot_allocator *allocator, struct bundle **bundle,
                         ingot_error *error);
/* Takes NULL. */
void bundle_close(struct bundle *bundle);

/* Files are numbered in the archive's order. */
uint32_t bundle_n_files(const struct bundle *bundle);
const char *bundle_name(const struct bundle *bundle, uint32_t index);
/* The bundle must outlive the input. All inputs of a bundle share its stream, so they belong to one
 * thread. */
ingot_status bundle_input(struct bundle *bundle, uint32_t index, struct input **input,
                          ingot_error *error);
/* Folders that hold no file: names that each end with a zero byte. */
uint32_t bundle_n_empty(const struct bundle *bundle);
const char *bundle_empty(const struct bundle *bundle);
/* As input_unchanged, of the archive's file. */
ingot_status bundle_unchanged(const struct bundle *bundle, ingot_error *error);

#endif
