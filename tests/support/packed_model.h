/* A container of tensors whose codes, and codebooks, a source blob gives in the packed form, as one
 * file, "packed.bin". What cannot be done ends the program. */
#ifndef INGOT_TESTS_SUPPORT_PACKED_MODEL_H
#define INGOT_TESTS_SUPPORT_PACKED_MODEL_H

#include "format/buffer.h"
#include "format/source_packed.h"
#include "format/writer.h"

/* The tensors: nested tables in runs, an odd number of codes; 6-bit codes in padded rows; a column
 * index; vectors with signs; 9-bit and 1-bit codes. */
enum { N_PACKED_TENSORS = 6 };

/* Adds all tensors and the source blob. With a form (whose bytes the file then lies about, unless
 * they are as many), the first segment, of the first tensor, has that one instead of its own. */
void packed_model_write(ingot_writer *writer, const struct byte_buffer *form);

#endif
