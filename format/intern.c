/* Open addressing over 128-bit hashes; the bytes themselves are not kept. */
#include "format/intern.h"

#include "format/alloc.h"
#include "format/fail.h"

struct intern_place {
    uint64_t low, high;
    uint64_t n_bytes;
    uint32_t value;
    uint32_t used;
};

static struct intern_place *find(const struct intern *map, const struct intern_place *key)
{
    uint64_t i = key->low & (map->n_places - 1);
    for (;;) {
        struct intern_place *p = &map->places[i];
        if (!p->used) return p;
        if (p->low == key->low && p->high == key->high && p->n_bytes == key->n_bytes) return p;
        i = (i + 1) & (map->n_places - 1);
    }
}

/* Keeps at least half of the places free. */
static ingot_status grow(struct intern *map, ingot_error *error)
{
    if (map->n_used * 2 < map->n_places) return INGOT_OK;
    struct intern grown = {map->allocator, NULL, map->n_places ? map->n_places * 2 : 64, 0};
    grown.places = ingot_allocate_zeroed(map->allocator, grown.n_places, sizeof *grown.places);
    if (grown.places == NULL) {
        return ingot_fail_memory(error, grown.n_places * sizeof *grown.places, "table of hashes");
    }
    for (uint64_t i = 0; i < map->n_places; i++) {
        if (map->places[i].used) *find(&grown, &map->places[i]) = map->places[i];
    }
    grown.n_used = map->n_used;
    ingot_release(map->allocator, map->places);
    *map = grown;
    return INGOT_OK;
}

ingot_status intern(struct intern *map, const void *bytes, uint64_t n_bytes, uint32_t *value,
                    bool *found, ingot_error *error)
{
    uint8_t hash[HASH_BYTES];
    hash_of(bytes, n_bytes, hash);
    return intern_hash(map, hash, n_bytes, value, found, error);
}

ingot_status intern_hash(struct intern *map, const uint8_t hash[HASH_BYTES], uint64_t n_bytes,
                         uint32_t *value, bool *found, ingot_error *error)
{
    const ingot_status status = grow(map, error);
    if (status != INGOT_OK) return status;
    const struct intern_place key = {load_u64(hash), load_u64(hash + 8), n_bytes, *value, 1};
    struct intern_place *place = find(map, &key);
    *found = place->used;
    if (place->used) {
        *value = place->value;
    } else {
        *place = key;
        map->n_used++;
    }
    return INGOT_OK;
}

void intern_release(struct intern *map)
{
    ingot_release(map->allocator, map->places);
    *map = (struct intern){.allocator = map->allocator};
}
