/* The end of a draft: order of names, index, trailer, and the checksums over them. */
#include <assert.h>
#include <string.h>
#include <xxhash.h>

#include "format/bytes.h"
#include "tests/support/draft.h"

enum { TRAILER = 96 };

/* Whether the name of tensor a comes before that of b. */
static bool before(const struct draft *d, uint32_t a, uint32_t b)
{
    const uint8_t *text = d->sections[DRAFT_STRINGS].data;
    const uint64_t a_at = draft_get(d, DRAFT_TENSORS, a, 0, 4);
    const uint64_t b_at = draft_get(d, DRAFT_TENSORS, b, 0, 4);
    const uint64_t a_bytes = draft_get(d, DRAFT_TENSORS, a, 4, 4);
    const uint64_t b_bytes = draft_get(d, DRAFT_TENSORS, b, 4, 4);
    const uint64_t total = d->sections[DRAFT_STRINGS].n_bytes;
    if (a_at + a_bytes > total || b_at + b_bytes > total) return a < b;
    for (uint64_t i = 0; i < a_bytes && i < b_bytes; i++) {
        if (text[a_at + i] != text[b_at + i]) return text[a_at + i] < text[b_at + i];
    }
    return a_bytes < b_bytes;
}

/* The tensor that has exactly `place` others before it gets that place. */
static void order_names(struct draft *d)
{
    const uint32_t n = (uint32_t)(d->sections[DRAFT_TENSORS].n_bytes / 112);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t place = 0;
        for (uint32_t k = 0; k < n; k++) place += before(d, k, i);
        draft_set(d, DRAFT_TENSORS, place, 28, 4, i);
    }
}

static void put_section(struct draft *d, int kind)
{
    const uint64_t n_bytes = d->sections[kind].n_bytes;
    buffer_u32(&d->file, kind == DRAFT_OTHER ? 256 : (uint32_t)kind);
    buffer_u32(&d->file, kind == DRAFT_OTHER ? 0 : 1);
    buffer_u64(&d->file, 0); /* where, see below */
    buffer_u64(&d->file, n_bytes);
    buffer_u64(&d->file, n_bytes / draft_record_bytes[kind]);
    buffer_u32(&d->file, draft_record_bytes[kind]);
    buffer_u32(&d->file, 0);
}

static void put_index(struct draft *d)
{
    const int last = d->sections[DRAFT_OTHER].n_bytes ? DRAFT_OTHER : DRAFT_FILES;
    buffer_align(&d->file, 8);
    d->index_offset = d->file.n_bytes;
    buffer_u32(&d->file, (uint32_t)last);
    buffer_u32(&d->file, 0);
    for (int kind = 1; kind <= last; kind++) put_section(d, kind);
    for (int kind = 1; kind <= last; kind++) {
        buffer_align(&d->file, 8);
        const uint64_t entry = d->index_offset + 8 + 40 * ((uint64_t)kind - 1);
        store_u64(d->file.data + entry + 8, d->file.n_bytes - d->index_offset);
        buffer_append(&d->file, d->sections[kind].data, d->sections[kind].n_bytes);
    }
}

static uint8_t *trailer(struct draft *d)
{
    return d->file.data + d->file.n_bytes - TRAILER;
}

void draft_fix_trailer(struct draft *d)
{
    store_u64(trailer(d) + 80, XXH3_64bits(trailer(d), 80));
}

void draft_fix_index(struct draft *d)
{
    const uint64_t n_bytes = d->file.n_bytes - TRAILER - d->index_offset;
    store_u64(trailer(d) + 24, XXH3_64bits(d->file.data + d->index_offset, n_bytes));
    draft_fix_trailer(d);
}

void draft_fix_header(struct draft *d)
{
    store_u64(d->file.data + 56, XXH3_64bits(d->file.data, 56));
    store_u64(trailer(d) + 32, load_u64(d->file.data + 56));
    draft_fix_trailer(d);
}

void draft_seal(struct draft *d)
{
    static const uint8_t magic[8] = {0x49, 0x4e, 0x47, 0x4f, 0x54, 0x45, 0x4e, 0x44};
    uint8_t record[TRAILER] = {0};
    if (!d->keep_order) order_names(d);
    draft_content_id(d, record + 48);
    put_index(d);
    store_u64(record, d->index_offset);
    store_u64(record + 8, d->file.n_bytes - d->index_offset);
    store_u64(record + 16, d->file.n_bytes + TRAILER);
    record[40] = 1;
    memcpy(record + 88, magic, sizeof magic);
    buffer_append(&d->file, record, sizeof record);
    assert(!d->file.failed);
    draft_fix_header(d);
    draft_fix_index(d);
}
