/* A map from hashed bytes to a number: how equal chunks, codings and names are found. */
#ifndef INGOT_INTERN_H
#define INGOT_INTERN_H

#include "format/records.h"

struct intern_place;

struct intern {
    const ingot_allocator *allocator;
    struct intern_place *places;
    uint64_t n_places; /* a power of two, or 0 */
    uint64_t n_used;
};

/* Looks up bytes by their XXH3-128 and length. Sets *value to the number stored with them and
 * *found; when they were not there, stores *value with them. INGOT_NO_MEMORY is the only failure.
 */
ingot_status intern(struct intern *map, const void *bytes, uint64_t n_bytes, uint32_t *value,
                    bool *found, ingot_error *error);
/* The same where the hash is known. */
ingot_status intern_hash(struct intern *map, const uint8_t hash[HASH_BYTES], uint64_t n_bytes,
                         uint32_t *value, bool *found, ingot_error *error);
void intern_release(struct intern *map);

#endif
