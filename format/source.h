/* The source blob [8.2]: what it takes to write the source files again. Building and walking it;
 * knows no foreign format. */
#ifndef INGOT_SOURCE_H
#define INGOT_SOURCE_H

#include "format/buffer.h"
#include "format/bytes.h"
#include "format/source_metadata.h"

enum segment_kind {
    SEGMENT_LITERAL = 1,
    SEGMENT_TENSOR = 2,
    SEGMENT_ATTACHMENT = 3,
    SEGMENT_METADATA = 4
};

/* The first byte of a form that is not empty. */
enum form_kind { FORM_SWAPPED = 1, FORM_BLOCKS = 2, FORM_PACKED = 3 };

struct source_segment {
    uint8_t kind;
    struct span literal; /* SEGMENT_LITERAL */
    uint32_t index;      /* tensor or blob */
    const char *form;    /* SEGMENT_TENSOR: not terminated */
    uint32_t form_bytes;
    struct metadata_range metadata; /* SEGMENT_METADATA */
};

struct source_file {
    const char *name; /* not terminated */
    uint32_t name_bytes;
    uint64_t n_bytes;
    uint8_t hash[16];
    uint32_t n_segments;
};

/* Building: begin, then for each file source_put_file and exactly n_segments puts. */
void source_begin(struct byte_buffer *out, uint32_t n_files);
void source_put_file(struct byte_buffer *out, const struct source_file *file);
/* Begins a literal segment, whose n_bytes bytes are appended next. */
void source_begin_literal(struct byte_buffer *out, uint64_t n_bytes);
/* Sets what is known of a file only after its segments were put; `record` is where source_put_file
 * began. */
void source_patch_file(struct byte_buffer *out, uint64_t record, const struct source_file *file);
void source_put_literal(struct byte_buffer *out, const void *bytes, uint64_t n_bytes);
void source_put_tensor(struct byte_buffer *out, uint32_t tensor, const void *form,
                       uint32_t form_bytes);
void source_put_metadata(struct byte_buffer *out, const struct metadata_range *range);
void source_put_attachment(struct byte_buffer *out, uint32_t blob);

/* Walking. The blob's bytes must outlive the walk. */
struct source_walk {
    struct cursor at;
    uint32_t files_left;
    uint32_t segments_left;
};
ingot_status source_open(struct span blob, struct source_walk *walk, ingot_error *error);
/* INGOT_END after the last. All segments of the file before must have been taken. */
ingot_status source_next_file(struct source_walk *walk, struct source_file *file,
                              ingot_error *error);
ingot_status source_next_segment(struct source_walk *walk, struct source_segment *segment,
                                 ingot_error *error);

/* Puts source files together again. Serves any number of them, one after the other. The pool, which
 * may be NULL, reads ahead; sinks are called on the calling thread. */
struct source_rebuild;
struct ingot_pool;
ingot_status source_rebuild_open(const ingot_file *file, struct ingot_pool *pool,
                                 struct source_rebuild **rebuild, ingot_error *error);
/* Takes NULL. */
void source_rebuild_close(struct source_rebuild *rebuild);
/* Gives the bytes of a source file whose segments are next in the walk to `sink`, in order, after
 * checking that each segment names something there is, and that length and
 * hash are right: when it fails, what was put is not to be used. */
ingot_status source_file_bytes(struct source_rebuild *rebuild, struct source_walk *walk,
                               const struct source_file *source, const struct byte_sink *sink,
                               ingot_error *error);

/* Whether a name is a safe path [8]. */
bool safe_path(const char *name, size_t name_bytes);

#endif
