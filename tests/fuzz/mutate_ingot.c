/* The mutator of fuzz_ingot: changes bytes, mostly in the index, then repairs the checksums that a
 * reader meets before it looks at them. */
#include <string.h>

#include "format/records.h"
#include "tests/fuzz/fuzz.h"

static uint64_t next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* The index of a file that still has one. */
static bool find_index(const uint8_t *data, size_t n_bytes, uint64_t *offset, uint64_t *index_bytes)
{
    if (n_bytes < HEADER_BYTES + TRAILER_BYTES) return false;
    const uint64_t end = n_bytes - TRAILER_BYTES;
    *offset = load_u64(data + end);
    if (*offset < HEADER_BYTES || *offset > end) return false;
    *index_bytes = end - *offset;
    return *index_bytes >= DIRECTORY_BYTES + N_SECTIONS * SECTION_BYTES;
}

/* The chunk records of an index, if they are where they should be. */
static uint8_t *find_chunks(uint8_t *data, uint64_t index_offset, uint64_t index_bytes,
                            uint64_t *n_chunks)
{
    struct section_record s;
    section_read(data + index_offset + DIRECTORY_BYTES + SECTION_BYTES, &s);
    *n_chunks = s.n_bytes / CHUNK_BYTES;
    if (s.kind != SECTION_CHUNKS || !range_within(s.offset, s.n_bytes, index_bytes)) return NULL;
    return data + index_offset + s.offset;
}

static void repair_chunks(uint8_t *data, uint64_t index_offset, uint64_t index_bytes)
{
    uint64_t n_chunks;
    uint8_t *chunks = find_chunks(data, index_offset, index_bytes, &n_chunks);
    for (uint64_t i = 0; chunks && i < n_chunks; i++) {
        uint8_t *p = chunks + i * CHUNK_BYTES;
        struct chunk_record c;
        chunk_read(p, &c);
        if (!range_within(c.offset, c.stored_bytes, index_offset)) continue;
        c.checksum = checksum_of(data + c.offset, c.stored_bytes);
        chunk_write(&c, p);
    }
}

static void repair(uint8_t *data, size_t n_bytes)
{
    uint64_t offset, index_bytes;
    if (!find_index(data, n_bytes, &offset, &index_bytes)) return;
    uint8_t *trailer = data + n_bytes - TRAILER_BYTES;
    repair_chunks(data, offset, index_bytes);
    memcpy(data, header_magic, 8);
    store_u64(data + 56, checksum_of(data, 56));
    store_u64(trailer + 8, index_bytes);
    store_u64(trailer + 16, n_bytes);
    store_u64(trailer + 24, checksum_of(data + offset, index_bytes));
    memcpy(trailer + 32, data + 56, 8);
    store_u64(trailer + 80, checksum_of(trailer, 80));
    memcpy(trailer + 88, trailer_magic, 8);
}

/* Values that fields are often wrong by. */
static uint8_t interesting(uint64_t random)
{
    static const uint8_t values[] = {0, 1, 2, 3, 4, 7, 8, 0x7f, 0x80, 0xff};
    return values[random % sizeof values];
}

static void change_index(uint8_t *data, uint64_t offset, uint64_t index_bytes, uint64_t *random)
{
    const uint64_t n_changes = 1 + next(random) % 3;
    for (uint64_t i = 0; i < n_changes; i++) {
        uint8_t *p = data + offset + next(random) % index_bytes;
        switch (next(random) % 4) {
        case 0: *p = interesting(next(random)); break;
        case 1: *p = (uint8_t)next(random); break;
        case 2: (*p)++; break;
        default: (*p)--; break;
        }
    }
}

/* Another filter or codec for a chunk, of those that there are. */
static void change_chunk(uint8_t *data, uint64_t offset, uint64_t index_bytes, uint64_t *random)
{
    uint64_t n_chunks;
    uint8_t *chunks = find_chunks(data, offset, index_bytes, &n_chunks);
    if (chunks == NULL || n_chunks == 0) return;
    uint8_t *p = chunks + next(random) % n_chunks * CHUNK_BYTES;
    struct chunk_record c;
    chunk_read(p, &c);
    c.filter = (uint8_t)(next(random) % N_FILTERS);
    if (next(random) % 4 == 0) c.codec = (uint8_t)(next(random) % N_CODECS);
    chunk_write(&c, p);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n_bytes, size_t capacity, unsigned seed)
{
    uint64_t random = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    uint64_t offset, index_bytes;
    const bool indexed = find_index(data, n_bytes, &offset, &index_bytes);
    if (next(&random) % 4 != 0 && indexed) {
        if (next(&random) % 8 == 0) change_chunk(data, offset, index_bytes, &random);
        change_index(data, offset, index_bytes, &random);
    } else if (next(&random) % 2 == 0 && indexed) {
        /* Data alone, at its length. */
        (void)LLVMFuzzerMutate(data + HEADER_BYTES, (size_t)(offset - HEADER_BYTES),
                               (size_t)(offset - HEADER_BYTES));
    } else {
        n_bytes = LLVMFuzzerMutate(data, n_bytes, capacity);
    }
    if (next(&random) % 16 != 0) repair(data, n_bytes);
    return n_bytes;
}
