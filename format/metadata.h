/* The metadata blob [8.1]: ordered, typed key/values. Building and walking it. */
#ifndef INGOT_METADATA_H
#define INGOT_METADATA_H

#include "format/buffer.h"
#include "format/bytes.h"

enum metadata_type {
    META_U8 = 0,
    META_I8 = 1,
    META_U16 = 2,
    META_I16 = 3,
    META_U32 = 4,
    META_I32 = 5,
    META_F32 = 6,
    META_BOOL = 7,
    META_STRING = 8,
    META_ARRAY = 9,
    META_U64 = 10,
    META_I64 = 11,
    META_F64 = 12
};

/* Arrays in arrays, the outermost counted. */
enum { METADATA_MAX_NESTING = 4, METADATA_MAX_KEY_BYTES = 65535 };

struct metadata_value {
    uint32_t type;
    struct span bytes;     /* scalars: their bytes; strings: the text; arrays: the elements */
    uint32_t element_type; /* arrays */
    uint64_t count;        /* arrays */
};

void metadata_begin(struct byte_buffer *out, uint64_t n_entries);
void metadata_put_string(struct byte_buffer *out, const char *key, uint32_t key_bytes,
                         const char *text, uint64_t text_bytes);

struct metadata_walk {
    struct cursor at;
    uint64_t left;
};
ingot_status metadata_open(struct span blob, struct metadata_walk *walk, ingot_error *error);
/* INGOT_END after the last. Checks the entry whole. */
ingot_status metadata_next(struct metadata_walk *walk, const char **key, uint32_t *key_bytes,
                           struct metadata_value *value, ingot_error *error);
/* The elements of an array value, one by one: INGOT_END after the last. */
ingot_status metadata_element(struct cursor *at, uint32_t element_type,
                              struct metadata_value *value, ingot_error *error);
/* Bytes of a value of a scalar type; 0 for strings, arrays and what is no type. */
uint32_t metadata_type_bytes(uint32_t type);
/* Name of a type ("u32", "string"), or NULL. */
const char *metadata_type_name(uint32_t type);

#endif
