/* GGUF files by hand. */
#include "tests/support/gguf_maker.h"

#include <string.h>

#include "tests/support/random.h"

void make_number(struct gguf_maker *m, uint64_t v, uint32_t n_bytes)
{
    for (uint32_t i = 0; i < n_bytes; i++) {
        const uint32_t place = m->big_endian ? n_bytes - 1 - i : i;
        buffer_u8(&m->bytes, (uint8_t)(v >> 8 * place));
    }
}

void make_length(struct gguf_maker *m, uint64_t v)
{
    make_number(m, v, m->version == 1 ? 4 : 8);
}

void make_gguf(struct gguf_maker *m, uint32_t version, bool big_endian, uint64_t n_tensors,
               uint64_t n_entries)
{
    *m = (struct gguf_maker){.version = version, .big_endian = big_endian};
    buffer_append(&m->bytes, "GGUF", 4);
    make_number(m, version, 4);
    make_length(m, n_tensors);
    make_length(m, n_entries);
}

void make_text(struct gguf_maker *m, const char *text)
{
    make_length(m, strlen(text));
    buffer_append(&m->bytes, text, strlen(text));
}

void make_key(struct gguf_maker *m, const char *key, uint32_t type)
{
    make_text(m, key);
    make_number(m, type, 4);
}

void make_array(struct gguf_maker *m, uint32_t element_type, uint64_t count)
{
    make_number(m, element_type, 4);
    make_length(m, count);
}

void make_text_entry(struct gguf_maker *m, const char *key, const char *text)
{
    make_key(m, key, 8);
    make_text(m, text);
}

void make_number_entry(struct gguf_maker *m, const char *key, uint32_t type, uint64_t v,
                       uint32_t n_bytes)
{
    make_key(m, key, type);
    make_number(m, v, n_bytes);
}

void make_tensor(struct gguf_maker *m, const char *name, uint32_t rank, const uint64_t *ne,
                 uint32_t type, uint64_t offset)
{
    make_text(m, name);
    make_number(m, rank, 4);
    for (uint32_t i = 0; i < rank; i++) make_length(m, ne[i]);
    make_number(m, type, 4);
    make_number(m, offset, 8);
}

void make_aligned(struct gguf_maker *m, uint64_t alignment)
{
    buffer_align(&m->bytes, alignment);
}

void make_data(struct gguf_maker *m, uint64_t seed, uint64_t n_bytes)
{
    struct random random = {seed};
    for (uint64_t i = 0; i < n_bytes; i++) buffer_u8(&m->bytes, (uint8_t)random_bits(&random));
}

void make_end(struct gguf_maker *m)
{
    buffer_release(&m->bytes);
}
