/* Parts of JSON text as they are written, found without building anything. */
#ifndef INGOT_CONVERT_JSON_TEXT_H
#define INGOT_CONVERT_JSON_TEXT_H

#include "format/buffer.h"
#include "format/bytes.h"

/* Finds members of an object: values[i] becomes the text of the one called keys[i], the last if it
 * is there twice, and empty when it is not there. False when the text is not one JSON object. */
bool json_text_members(struct span object, const char *const *keys, uint32_t n_keys,
                       struct span *values);
/* Appends a struct span for each element of an array. False when the text is not one JSON array. */
bool json_text_elements(struct span array, struct byte_buffer *elements);
/* Whether the text is a JSON string that means these bytes of UTF-8. */
bool json_text_is(struct span text, const char *string, uint64_t n_bytes);

#endif
