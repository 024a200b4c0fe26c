/* A strict RFC 8259 reader that is pulled event by event from bytes in memory and builds nothing:
 * its own memory is this struct, whatever the text holds. It knows no format that is written in
 * JSON, and duplicate keys are its caller's affair. */
#ifndef INGOT_FORMAT_JSON_H
#define INGOT_FORMAT_JSON_H

#include "format/bytes.h"
#include "format/ingot.h"

enum { JSON_MAX_DEPTH = 1000 };

enum json_kind {
    JSON_KIND_OBJECT = 1, /* { */
    JSON_KIND_OBJECT_END,
    JSON_KIND_ARRAY, /* [ */
    JSON_KIND_ARRAY_END,
    JSON_KIND_KEY, /* and its colon */
    JSON_KIND_STRING,
    JSON_KIND_NUMBER,
    JSON_KIND_TRUE,
    JSON_KIND_FALSE,
    JSON_KIND_NULL
};

struct json_event {
    uint8_t kind;        /* enum json_kind */
    uint64_t offset;     /* of its first byte, counted as json_open was told */
    struct span text;    /* keys, strings: between the quotes, checked, escapes as written;
                            numbers: as written. Points into the text. */
    uint64_t text_bytes; /* keys, strings: the bytes that json_event_text writes */
};

struct json_pull {
    struct span text;
    uint64_t at;
    uint64_t first_offset;
    const char *field;
    uint32_t depth;
    uint8_t expects;
    uint8_t kinds[JSON_MAX_DEPTH]; /* of the open containers: enum json_kind */
};

/* The text and `field`, the name that errors give it, must outlive the reader. first_offset is that
 * of the text's first byte in its file. */
struct json_pull json_pull_open(struct span text, uint64_t first_offset, const char *field);
/* The next event; INGOT_END after the text's one value when nothing but white space follows.
 * INGOT_INVALID with the offset when the text is not JSON, or nests deeper than JSON_MAX_DEPTH. */
ingot_status json_pull_next(struct json_pull *pull, struct json_event *event, ingot_error *error);
/* After the event that begins a value: passes over the rest of that value. */
ingot_status json_pull_skip(struct json_pull *pull, const struct json_event *begin,
                            ingot_error *error);

/* The text of a key or string in UTF-8: text_bytes bytes, of which some may be zero. */
void json_event_text(const struct json_event *event, char *dst);
/* Whether a key or string is exactly this. */
bool json_event_is(const struct json_event *event, const char *text);
bool json_event_is_bytes(const struct json_event *event, const char *text, uint64_t n_bytes);
/* The number as an integer; false when it is not written as one or does not fit. */
bool json_event_u64(const struct json_event *event, uint64_t *out);

/* Whether bytes are UTF-8: shortest forms only, no surrogates, nothing past U+10FFFF. */
bool utf8_valid(const char *text, uint64_t n_bytes);

#endif
