/* A file that is read from: by copying, never by mapping, so that a file that shrinks is an error
 * and not a crash. Remembers which file it was, and can tell whether it still is. Knows nothing of
 * what the bytes mean. */
#ifndef INGOT_CONVERT_INPUT_H
#define INGOT_CONVERT_INPUT_H

#include "format/ingot.h"
#include "format/writer.h"

struct input;

/* Opens a regular file; `name`, which is copied, is what errors call it. */
ingot_status input_open(const char *path, const char *name, const ingot_allocator *allocator,
                        struct input **input, ingot_error *error);
/* The same, but holds no descriptor: each read opens the file and sees that it is still the same
 * one. For folders of many files. A symbolic link is refused. */
ingot_status input_note(const char *path, const char *name, const ingot_allocator *allocator,
                        struct input **input, ingot_error *error);
/* Bytes that somebody else reads, and whose changes are that one's to see: a file in an archive.
 * What `bytes` points to must outlive the input. */
ingot_status input_over(const struct byte_source *bytes, uint64_t n_bytes, const char *name,
                        const ingot_allocator *allocator, struct input **input, ingot_error *error);
/* Takes NULL. */
void input_close(struct input *input);

const char *input_name(const struct input *input);
uint64_t input_bytes(const struct input *input);
/* INGOT_REFUSED when the file has become shorter. */
ingot_status input_read(const struct input *input, uint64_t offset, uint64_t n_bytes, void *dst,
                        ingot_error *error);
/* INGOT_REFUSED when the file's size, time of change or identity is not that of its opening. */
ingot_status input_unchanged(const struct input *input, ingot_error *error);

#endif
