/* Reads the fields of a GGUF head in its version and byte order, and tells apart a head that is cut
 * short from one of which more is to be read. For the files that parse GGUF. */
#ifndef INGOT_CONVERT_GGUF_CURSOR_H
#define INGOT_CONVERT_GGUF_CURSOR_H

#include "convert/gguf.h"
#include "format/fail.h"

struct gguf_cursor {
    struct span head; /* what is at hand */
    uint64_t file_bytes;
    uint64_t offset;
    struct gguf_encoding encoding;
    uint64_t wanted; /* with INGOT_END */
    ingot_error *error;
};

/* Whether n_bytes more are there: INGOT_END when they are in the file and not at hand. */
static inline ingot_status gguf_need(struct gguf_cursor *c, uint64_t n_bytes, const char *field)
{
    if (n_bytes <= c->head.n_bytes - c->offset) return INGOT_OK;
    if (n_bytes > c->file_bytes - c->offset) {
        return ingot_fail(c->error, INGOT_INVALID, c->offset, field,
                          "%llu bytes are said to be here, but the file ends after %llu",
                          (unsigned long long)n_bytes,
                          (unsigned long long)(c->file_bytes - c->offset));
    }
    c->wanted = c->offset + n_bytes;
    return INGOT_END;
}

/* The following read what was proved to be there. */

static inline const uint8_t *gguf_take(struct gguf_cursor *c, uint64_t n_bytes)
{
    const uint8_t *p = c->head.data + c->offset;
    c->offset += n_bytes;
    return p;
}

static inline uint32_t gguf_take_u32(struct gguf_cursor *c)
{
    const uint32_t v = load_u32(gguf_take(c, 4));
    return c->encoding.big_endian ? swap_u32(v) : v;
}

static inline uint64_t gguf_take_u64(struct gguf_cursor *c)
{
    const uint64_t v = load_u64(gguf_take(c, 8));
    return c->encoding.big_endian ? swap_u64(v) : v;
}

/* A length or count, in the version's width. */
static inline uint64_t gguf_take_length(struct gguf_cursor *c)
{
    return c->encoding.length_bytes == 4 ? gguf_take_u32(c) : gguf_take_u64(c);
}

static inline ingot_status gguf_read_u32(struct gguf_cursor *c, const char *field, uint32_t *v)
{
    const ingot_status status = gguf_need(c, 4, field);
    if (status == INGOT_OK) *v = gguf_take_u32(c);
    return status;
}

static inline ingot_status gguf_read_length(struct gguf_cursor *c, const char *field, uint64_t *v)
{
    const ingot_status status = gguf_need(c, c->encoding.length_bytes, field);
    if (status == INGOT_OK) *v = gguf_take_length(c);
    return status;
}

/* A length and that many bytes. */
static inline ingot_status gguf_read_string(struct gguf_cursor *c, const char *field,
                                            struct span *text)
{
    uint64_t n_bytes = 0;
    ingot_status status = gguf_read_length(c, field, &n_bytes);
    if (status == INGOT_OK) status = gguf_need(c, n_bytes, field);
    if (status == INGOT_OK) *text = (struct span){gguf_take(c, n_bytes), n_bytes};
    return status;
}

/* ------------------------------------------------------------------ metadata */

/* Proves the entry that is next, and adds what it takes in a metadata blob to *blob_bytes. */
ingot_status gguf_check_entry(struct gguf_cursor *c, uint64_t *blob_bytes);
/* Appends an entry that was proved to a metadata blob. */
void gguf_copy_entry(struct gguf_cursor *c, struct byte_buffer *blob);
/* Refuses keys that are there twice with different values, and takes what the parser itself heeds:
 * the alignment, and of which set the file is a part. */
ingot_status gguf_heed_metadata(struct gguf *g, ingot_error *error);
/* Whether a key is about the files of a split and not about the model. */
bool gguf_is_split_key(const char *key, uint32_t key_bytes);

/* ------------------------------------------------------------------ tensors */

/* Finds the types of the tensors, and where their bytes lie: within the file, none over another's.
 */
ingot_status gguf_place_tensors(struct gguf *g, uint64_t file_bytes,
                                const struct assumptions *assumptions, ingot_error *error);

#endif
