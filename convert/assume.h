/* What a user says of a source where the source itself leaves a doubt. */
#ifndef INGOT_CONVERT_ASSUME_H
#define INGOT_CONVERT_ASSUME_H

#include "format/ingot.h"

/* Whose numbers the tensor types of a GGUF file are, and whether plain tensors may be parts of a
 * quantized one. */
enum dialect_assumed {
    DIALECT_UNSAID, /* ggml's, and a doubt is refused */
    DIALECT_GGML,   /* ggml's, whatever the offsets say */
    DIALECT_OPAQUE, /* of types that are unknown or that forks use otherwise, the bytes are carried
                     */
    DIALECT_PLAIN   /* each tensor of safetensors files stands for itself */
};

struct assumptions {
    enum dialect_assumed dialect;
};

/* Adds "KEY=VALUE". INGOT_REFUSED, listing what there is, when key or value is unknown, or the key
 * was given another value before. */
ingot_status assume_parse(const char *text, struct assumptions *assumptions, ingot_error *error);

#endif
