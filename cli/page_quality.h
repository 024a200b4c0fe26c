/* The part of a page about how good a model is: perplexity, tasks, a sample. */
#ifndef CLI_PAGE_QUALITY_H
#define CLI_PAGE_QUALITY_H

#include <jansson.h>

#include "format/buffer.h"

/* quality: what "ingot eval --write-receipt" wrote, or NULL: then nothing is appended. */
void page_quality(struct byte_buffer *page, const json_t *quality);

#endif
