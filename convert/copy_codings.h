/* Codings from one container as another's writer wants them: the same, but that their codebooks are
 * streams of the writer's. Each codebook is copied once. Knows no tensors. */
#ifndef INGOT_CONVERT_COPY_CODINGS_H
#define INGOT_CONVERT_COPY_CODINGS_H

#include "format/buffer.h"
#include "format/writer.h"

struct coding_copy;

/* Begins with file and writer set and all else zero. */
struct coding_copies {
    const ingot_file *file;
    ingot_writer *writer;
    struct byte_buffer codebooks; /* pairs of u32: a stream of the file, and the writer's */
    struct coding_copy *copies;   /* made since the last clear */
};

/* Sets *out to a coding for the writer, which lives until the copies are cleared; NULL stays NULL.
 */
ingot_status copy_coding(struct coding_copies *copies, const struct ingot_coding *coding,
                         const struct ingot_coding **out, ingot_error *error);
/* Lets the codings go, and keeps what is known of codebooks. */
void coding_copies_clear(struct coding_copies *copies);
void coding_copies_release(struct coding_copies *copies);

#endif
