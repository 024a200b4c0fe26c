/* GGUF files by hand, of any version and byte order, field by field: so also such as no program
 * should write. Shares nothing with the reader. */
#ifndef INGOT_TESTS_SUPPORT_GGUF_MAKER_H
#define INGOT_TESTS_SUPPORT_GGUF_MAKER_H

#include "format/buffer.h"

struct gguf_maker {
    struct byte_buffer bytes;
    uint32_t version;
    bool big_endian;
};

/* Begins with magic, version and counts. */
void make_gguf(struct gguf_maker *m, uint32_t version, bool big_endian, uint64_t n_tensors,
               uint64_t n_entries);
void make_number(struct gguf_maker *m, uint64_t v, uint32_t n_bytes);
void make_length(struct gguf_maker *m, uint64_t v); /* 4 bytes in version 1, else 8 */
void make_text(struct gguf_maker *m, const char *text);
void make_key(struct gguf_maker *m, const char *key, uint32_t type);
void make_array(struct gguf_maker *m, uint32_t element_type, uint64_t count);
void make_text_entry(struct gguf_maker *m, const char *key, const char *text);
void make_number_entry(struct gguf_maker *m, const char *key, uint32_t type, uint64_t v,
                       uint32_t n_bytes);
/* ne has the innermost dimension first, as in the file. */
void make_tensor(struct gguf_maker *m, const char *name, uint32_t rank, const uint64_t *ne,
                 uint32_t type, uint64_t offset);
void make_aligned(struct gguf_maker *m, uint64_t alignment);
/* Bytes that have no pattern. */
void make_data(struct gguf_maker *m, uint64_t seed, uint64_t n_bytes);
void make_end(struct gguf_maker *m); /* releases the bytes */

#endif
