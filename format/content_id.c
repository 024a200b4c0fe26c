/* The content id [chapter 10]: a hash over what a file says. */
#include "format/xxh3.h"

#include "format/fail.h"
#include "format/file.h"

/* The state takes its bytes in the order of the specification. */
struct hasher {
    const struct ingot_file *file;
    XXH3_state_t *state;
};

static void put(const struct hasher *h, const void *bytes, uint64_t n_bytes)
{
    if (n_bytes) XXH3_128bits_update(h->state, bytes, (size_t)n_bytes);
}

static void put_u32(const struct hasher *h, uint32_t v)
{
    uint8_t bytes[4];
    store_u32(bytes, v);
    put(h, bytes, sizeof bytes);
}

static void put_string(const struct hasher *h, struct string_ref s)
{
    put_u32(h, s.n_bytes);
    put(h, string_at(h->file, s), s.n_bytes);
}

static void put_stream(const struct hasher *h, uint32_t stream)
{
    const uint8_t *p = record_at(h->file, SECTION_STREAMS, stream);
    put(h, p, 8);
    put(h, p + 32, HASH_BYTES);
}

static void put_coding(const struct hasher *h, uint32_t index)
{
    const uint8_t *p = record_at(h->file, SECTION_CODINGS, index);
    struct coding_record r;
    coding_read(p, &r);
    put(h, p, 12);
    if (r.codebook_stream != INGOT_NONE) put_stream(h, r.codebook_stream);
    if (r.map == MAP_OPAQUE) {
        put_string(h, r.name);
        put(h, p + 24, 8);
    }
    for (uint32_t i = 0; i < N_SLOTS; i++) {
        const uint8_t *slot = p + 32 + i * SLOT_BYTES;
        put(h, slot, 8);
        put(h, slot + 12, 12);
        if (r.slots[i].form & FORM_TABLE) put_coding(h, r.slots[i].table);
    }
}

static void put_ref(const struct hasher *h, const struct term_record *t)
{
    struct file_record f;
    file_read(record_at(h->file, SECTION_FILES, t->file), &f);
    put(h, &f.content_algorithm, 1);
    put(h, f.content_id, CONTENT_ID_BYTES);
    put_string(h, t->target);
}

static void put_term(const struct hasher *h, uint32_t index)
{
    const uint8_t *p = record_at(h->file, SECTION_TERMS, index);
    struct term_record t;
    term_read(p, &t);
    put(h, p, 4); /* kind, combine, flags */
    put_string(h, t.name);
    put(h, p + 28, 8);  /* multiplier, rank */
    put(h, p + 36, 1);  /* mask */
    put(h, p + 40, 16); /* block_rows, block_cols, n_kept */
    if (t.coding != INGOT_NONE) put_coding(h, t.coding);
    if (t.coding_b != INGOT_NONE) put_coding(h, t.coding_b);
    if (t.magnitude != INGOT_NONE) put_coding(h, t.magnitude);
    if (t.file != INGOT_NONE) put_ref(h, &t);
    put_u32(h, t.n_streams);
    for (uint32_t i = 0; i < t.n_streams; i++) put_stream(h, t.first_stream + i);
}

static void put_rescale(const struct hasher *h, uint32_t index, const struct tensor_record *t)
{
    struct stream_shape shapes[CODING_MAX_STREAMS];
    uint32_t n = 0;
    const struct stack_shape stack = ingot_file_layout(h->file, index).shape;
    const struct stack_shape factors = {stack.n_matrices, stack.n_rows, 1};
    const uint8_t follows = t->rescale_coding != INGOT_NONE;
    put(h, &follows, 1);
    if (!follows) return;
    put_coding(h, t->rescale_coding);
    coding_streams(&h->file->codings[t->rescale_coding], factors, shapes, &n);
    put_u32(h, n);
    for (uint32_t i = 0; i < n; i++) put_stream(h, t->rescale_stream + i);
}

static void put_tensor(const struct hasher *h, uint32_t index)
{
    const uint8_t *p = record_at(h->file, SECTION_TENSORS, index);
    struct tensor_record t;
    tensor_read(p, &t);
    put_string(h, t.name);
    put(h, p + 8, 4);                     /* dtype, rank, stack, split */
    put(h, p + 40, (uint64_t)t.rank * 8); /* dims */
    put_u32(h, t.n_terms);
    for (uint32_t i = 0; i < t.n_terms; i++) put_term(h, t.first_term + i);
    put_rescale(h, index, &t);
}

static void put_metadata(const struct hasher *h)
{
    static const uint8_t none[8];
    for (uint32_t i = 0; i < h->file->sections[SECTION_BLOBS].n_records; i++) {
        struct blob_record b;
        blob_read(record_at(h->file, SECTION_BLOBS, i), &b);
        if (b.kind != INGOT_BLOB_METADATA) continue;
        put_stream(h, b.stream);
        return;
    }
    put(h, none, sizeof none);
}

ingot_status content_id_of(const struct ingot_file *file, uint8_t id[HASH_BYTES],
                           ingot_error *error)
{
    struct hasher h = {file, XXH3_createState()};
    if (h.state == NULL) return ingot_fail_memory(error, 0, "hash state");
    XXH3_128bits_reset(h.state);
    const uint32_t n = file->sections[SECTION_TENSORS].n_records;
    for (uint32_t i = 0; i < n; i++) put_tensor(&h, tensor_at(file, i).by_name);
    put_metadata(&h);
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(h.state));
    memcpy(id, canonical.digest, HASH_BYTES);
    XXH3_freeState(h.state);
    return INGOT_OK;
}
