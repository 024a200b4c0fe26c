/* Where finished bytes go: a file that appears under its name only when it is whole, a pipe, or
 * memory. Knows nothing of what the bytes mean. */
#ifndef INGOT_OUTPUT_H
#define INGOT_OUTPUT_H

#include "format/buffer.h"

struct output;

/* A file: written beside `path` as PATH.PID.N.tmp, PID being the process's and N a number; a long
 * PATH is cut. The file stays open, or marked by a descriptor of O_PATH, until it has its name.
 * With replace false an existing path is INGOT_EXISTS, checked now and again at the end; a path
 * that is not a regular file is INGOT_REFUSED. path "-" is standard output. */
ingot_status output_create(const char *path, bool replace, const ingot_allocator *allocator,
                           struct output **output, ingot_error *error);
/* Into `buffer`, which belongs to the caller. */
ingot_status output_to_memory(struct byte_buffer *buffer, const ingot_allocator *allocator,
                              struct output **output, ingot_error *error);
ingot_status output_write(struct output *output, const void *bytes, uint64_t n_bytes,
                          ingot_error *error);
/* Syncs and gives the file its name. Afterwards the output can only be closed. */
ingot_status output_finish(struct output *output, ingot_error *error);
/* Takes NULL. Removes the temporary file of an unfinished output. */
void output_close(struct output *output);

/* A writer over an output; the writer then owns it, also on failure. */
ingot_status ingot_writer_over(struct output *output, ingot_compression compression,
                               const ingot_allocator *allocator, ingot_writer **writer,
                               ingot_error *error);

#endif
