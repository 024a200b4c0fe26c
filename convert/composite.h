/* A tensor that its source holds as several: the codes in one, scales in another, levels in a
 * third. Seen as one coding [spec chapter 6] whose sequences of codes and codebooks lie in those
 * parts, each in a packed form [spec 8.7]. Knows no dialect. */
#ifndef INGOT_CONVERT_COMPOSITE_H
#define INGOT_CONVERT_COMPOSITE_H

#include "convert/model.h"
#include "format/source_packed.h"

enum part_kind {
    PART_CODES,    /* a sequence; of one plane */
    PART_CODEBOOK, /* of the sequence form.sequence */
    PART_TEXT      /* what a program needs to know and the coding says already */
};

enum { COMPOSITE_MAX_PARTS = 6, COMPOSITE_MAX_BOOKS = 2 };

struct composite_part {
    uint8_t kind;             /* enum part_kind */
    uint32_t source;          /* its number in the source */
    struct packed_form form;  /* but of texts */
    struct byte_buffer bytes; /* of codebooks and texts */
};

struct composite {
    const struct model *source;
    const char *name; /* lives as long as the source; not terminated */
    uint32_t name_bytes;
    ingot_dtype dtype;
    uint32_t rank;
    uint64_t dims[INGOT_MAX_RANK];
    uint8_t stack;
    uint8_t split;
    struct stack_shape shape;
    struct ingot_coding coding; /* codebook_stream: the number of a codebook, its part's in books */
    struct ingot_coding tables[2];
    uint32_t books[COMPOSITE_MAX_BOOKS];
    uint32_t n_parts;
    struct composite_part parts[COMPOSITE_MAX_PARTS];
};

/* Of its parts' buffers. */
void composite_release(struct composite *composite);

/* The part that holds the codes of a stream, which is the sequence of that number. */
const struct composite_part *composite_stream_part(const struct composite *composite,
                                                   uint32_t stream);

/* Who has the packed bytes of a part. */
struct part_reader {
    void *context;
    ingot_status (*read)(void *context, const struct composite_part *part, uint64_t offset,
                         uint64_t n_bytes, void *dst, ingot_error *error);
};
/* Reads from the source; the composite must outlive it. */
struct part_reader composite_reader(const struct composite *composite);

/* Bytes [offset, offset + n_bytes) of a stream, which is of that shape. */
ingot_status composite_read_stream(const struct composite *composite, uint32_t stream,
                                   const struct stream_shape *shape,
                                   const struct part_reader *reader, uint64_t offset,
                                   uint64_t n_bytes, uint8_t *dst, ingot_error *error);

/* Rows of the stack as f32. */
ingot_status composite_decode(const struct composite *composite, uint64_t first_row,
                              uint64_t n_rows, float *dst, ingot_error *error);

/* Bytes of all parts. */
uint64_t composite_source_bytes(const struct composite *composite);

#endif
