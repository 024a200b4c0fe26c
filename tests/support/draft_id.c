/* The content id of a draft: chapter 10, word for word. A draft may be broken, so every reference
 * is looked at before it is followed. */
#include <string.h>
#include <xxhash.h>

#include "tests/support/draft.h"

enum { MAX_DEPTH = 4 };

struct content {
    const struct draft *d;
    struct byte_buffer bytes;
    bool broken;
};

/* A record, or NULL when there is none of that number. */
static const uint8_t *find(struct content *c, enum draft_kind kind, uint64_t index)
{
    const uint64_t n = c->d->sections[kind].n_bytes / draft_record_bytes[kind];
    if (index < n) return c->d->sections[kind].data + index * draft_record_bytes[kind];
    c->broken = true;
    return NULL;
}

static uint64_t field(const uint8_t *p, uint32_t offset, uint32_t n_bytes)
{
    uint64_t v = 0;
    for (uint32_t i = 0; i < n_bytes; i++) v |= (uint64_t)p[offset + i] << 8 * i;
    return v;
}

static void put_string(struct content *c, const uint8_t *p, uint32_t offset)
{
    const uint64_t at = field(p, offset, 4), n_bytes = field(p, offset + 4, 4);
    const struct byte_buffer *strings = &c->d->sections[DRAFT_STRINGS];
    if (at + n_bytes > strings->n_bytes) {
        c->broken = true;
        return;
    }
    buffer_u32(&c->bytes, (uint32_t)n_bytes);
    buffer_append(&c->bytes, strings->data + at, n_bytes);
}

static void put_stream(struct content *c, uint64_t index)
{
    const uint8_t *p = find(c, DRAFT_STREAMS, index);
    if (p == NULL) return;
    buffer_append(&c->bytes, p, 8);
    buffer_append(&c->bytes, p + 32, 16);
}

static void put_coding(struct content *c, uint64_t index, uint32_t depth)
{
    const uint8_t *p = find(c, DRAFT_CODINGS, index);
    if (p == NULL || depth > MAX_DEPTH) {
        c->broken = true;
        return;
    }
    buffer_append(&c->bytes, p, 12);
    if (p[0] == 4 || p[0] == 5) put_stream(c, field(p, 12, 4));
    if (p[0] == 6) {
        put_string(c, p, 16);
        buffer_append(&c->bytes, p + 24, 8);
    }
    for (uint32_t slot = 0; slot < 4; slot++) {
        const uint8_t *s = p + 32 + 32 * slot;
        buffer_append(&c->bytes, s, 8);
        buffer_append(&c->bytes, s + 12, 12);
        if (s[0] & 2) put_coding(c, field(s, 8, 4), depth + 1);
    }
}

static void put_term(struct content *c, uint64_t index)
{
    const uint8_t *p = find(c, DRAFT_TERMS, index);
    static const uint32_t codings[] = {4, 8, 56};
    if (p == NULL) return;
    buffer_append(&c->bytes, p, 4);
    put_string(c, p, 20);
    buffer_append(&c->bytes, p + 28, 8);
    buffer_append(&c->bytes, p + 36, 1);
    buffer_append(&c->bytes, p + 40, 16);
    for (int i = 0; i < 3; i++) {
        if (field(p, codings[i], 4) != UINT32_MAX) put_coding(c, field(p, codings[i], 4), 0);
    }
    if (p[0] == 4) {
        const uint8_t *file = find(c, DRAFT_FILES, field(p, 60, 4));
        if (file == NULL) return;
        buffer_append(&c->bytes, file, 1);
        buffer_append(&c->bytes, file + 8, 32);
        put_string(c, p, 64);
    }
    const uint64_t n = field(p, 16, 4);
    buffer_u32(&c->bytes, (uint32_t)n);
    for (uint64_t i = 0; i < n && !c->broken; i++) put_stream(c, field(p, 12, 4) + i);
}

static uint32_t n_ones(uint64_t v)
{
    uint32_t n = 0;
    for (; v; v >>= 1) n += v & 1;
    return n;
}

/* Planes, sign planes, a column index, and those of all tables. */
static uint32_t n_streams(struct content *c, uint64_t coding, uint32_t depth)
{
    const uint8_t *p = find(c, DRAFT_CODINGS, coding);
    if (p == NULL || depth > MAX_DEPTH) return 0;
    uint32_t n = n_ones(p[1]) + n_ones(p[4]) + (p[5] != 0);
    for (uint32_t slot = 0; slot < 4; slot++) {
        const uint8_t *s = p + 32 + 32 * slot;
        if (s[0] & 2) n += n_streams(c, field(s, 8, 4), depth + 1);
    }
    return n;
}

static void put_tensor(struct content *c, uint64_t index)
{
    const uint8_t *p = find(c, DRAFT_TENSORS, index);
    if (p == NULL || p[9] > 8) {
        c->broken = true;
        return;
    }
    put_string(c, p, 0);
    buffer_append(&c->bytes, p + 8, 4);
    buffer_append(&c->bytes, p + 40, 8 * (uint64_t)p[9]);
    const uint64_t n = field(p, 20, 4);
    buffer_u32(&c->bytes, (uint32_t)n);
    for (uint64_t i = 0; i < n && !c->broken; i++) put_term(c, field(p, 16, 4) + i);
    const uint64_t rescale = field(p, 32, 4);
    buffer_u8(&c->bytes, rescale != UINT32_MAX);
    if (rescale == UINT32_MAX) return;
    put_coding(c, rescale, 0);
    const uint32_t n_rescale = n_streams(c, rescale, 0);
    buffer_u32(&c->bytes, n_rescale);
    for (uint32_t i = 0; i < n_rescale; i++) put_stream(c, field(p, 36, 4) + i);
}

static void put_metadata(struct content *c)
{
    const uint64_t n = c->d->sections[DRAFT_BLOBS].n_bytes / 32;
    for (uint64_t i = 0; i < n; i++) {
        const uint8_t *p = find(c, DRAFT_BLOBS, i);
        if (field(p, 0, 4) != 1) continue;
        put_stream(c, field(p, 24, 4));
        return;
    }
    buffer_u64(&c->bytes, 0);
}

void draft_content_id(const struct draft *d, uint8_t id[16])
{
    struct content c = {.d = d};
    const uint64_t n = d->sections[DRAFT_TENSORS].n_bytes / 112;
    memset(id, 0, 16);
    for (uint64_t i = 0; i < n && !c.broken; i++) {
        put_tensor(&c, draft_get(d, DRAFT_TENSORS, (uint32_t)i, 28, 4));
    }
    put_metadata(&c);
    if (!c.broken) {
        XXH128_canonical_t canonical;
        XXH128_canonicalFromHash(&canonical, XXH3_128bits(c.bytes.data, (size_t)c.bytes.n_bytes));
        memcpy(id, canonical.digest, sizeof canonical.digest);
    }
    buffer_release(&c.bytes);
}
