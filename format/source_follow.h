/* Source files put together from the streams of a file while these are checked in their order, so
 * that the files' hashes need no second decoding. It tells only of what is right: a file that it
 * loses, because its tensors come in another order or in a form, is left to be put together. */
#ifndef INGOT_SOURCE_FOLLOW_H
#define INGOT_SOURCE_FOLLOW_H

#include "format/reader.h"

struct source_follow;

/* *follow is NULL where there is no source blob, or none that can be read. INGOT_NO_MEMORY is the
 * only failure. */
ingot_status source_follow_open(const ingot_file *file, struct source_follow **follow,
                                ingot_error *error);
/* Takes NULL. */
void source_follow_close(struct source_follow *follow);

/* Whether the bytes of this stream come next in a file. To be asked of each stream, in order;
 * follow may be NULL here and below. */
bool source_follow_wants(struct source_follow *follow, uint32_t stream);
/* Bytes of the stream that is wanted, in order. */
void source_follow_put(struct source_follow *follow, const void *bytes, uint64_t n_bytes);
/* After the last stream: frees all but what was found. INGOT_NO_MEMORY is the only failure. */
ingot_status source_follow_end(struct source_follow *follow, ingot_error *error);
/* Whether a source file, by its number in the blob, was put together whole, with the length and the
 * hash that the blob gives it. */
bool source_follow_proved(const struct source_follow *follow, uint32_t source_file);

#endif
