/* XXH3-128 as 16 bytes in canonical order, the form that files hold it in [spec 1.2]. */
#ifndef INGOT_CONVERT_HASH_H
#define INGOT_CONVERT_HASH_H

#include <stdint.h>
#include <string.h>

#include "format/xxh3.h"

/* Bytes that a hash in the making takes, about, for the message that there are none. */
enum { HASH_STATE_BYTES = 640 };

static inline void hash_digest(const XXH3_state_t *state, uint8_t hash[16])
{
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state));
    memcpy(hash, canonical.digest, 16);
}

static inline void hash_of(const void *bytes, uint64_t n_bytes, uint8_t hash[16])
{
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes, (size_t)n_bytes));
    memcpy(hash, canonical.digest, 16);
}

#endif
