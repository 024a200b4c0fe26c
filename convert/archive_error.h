/* What libarchive's failures mean. For the files that call it. */
#ifndef INGOT_CONVERT_ARCHIVE_ERROR_H
#define INGOT_CONVERT_ARCHIVE_ERROR_H

#include <archive.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <zstd_errors.h>

/* Whether a call that failed lacked memory. It gives a reason for everything but that, and for that
 * now and then: as a number, or only as the words of the library that it asked. `number` is the
 * errno that the call left behind: all that is known when zlib finds no memory within a stream. */
static inline bool archive_lacks_memory(struct archive *archive, int number)
{
    const char *why = archive_error_string(archive);
    return why == NULL || archive_errno(archive) == ENOMEM || number == ENOMEM ||
           strstr(why, ZSTD_getErrorString(ZSTD_error_memory_allocation)) != NULL;
}

#endif
