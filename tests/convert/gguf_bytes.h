/* A GGUF file read in the plainest way, for tests: what is wrong fails the test. Shares nothing
 * with the converter. Source: ggml's docs/gguf.md. */
#ifndef INGOT_TESTS_CONVERT_GGUF_BYTES_H
#define INGOT_TESTS_CONVERT_GGUF_BYTES_H

#include "tests/convert/files.h"

enum { GGUF_MAX = 32 };

struct gguf_bytes {
    uint8_t *bytes;
    size_t n_bytes;
    size_t at;
    uint64_t n_entries;
    struct gguf_entry {
        char key[128];
        uint32_t type;
        const uint8_t *value; /* behind the type, as it stands in the file */
        size_t n_bytes;
    } entries[GGUF_MAX];
    uint64_t n_tensors;
    struct gguf_tensor {
        char name[80];
        uint32_t rank;
        uint64_t ne[4]; /* innermost first */
        uint32_t type;
        uint64_t offset;
    } tensors[GGUF_MAX];
    size_t data; /* where the tensors begin */
};

static inline const uint8_t *gguf_take(struct gguf_bytes *g, uint64_t n)
{
    if (n > g->n_bytes - g->at) fail_msg("the file ends before byte %zu + %zu", g->at, (size_t)n);
    g->at += n;
    return g->bytes + g->at - n;
}

static inline uint64_t gguf_number(struct gguf_bytes *g, int n_bytes)
{
    uint64_t v = 0;
    const uint8_t *p = gguf_take(g, (uint64_t)n_bytes);
    for (int i = 0; i < n_bytes; i++) v |= (uint64_t)p[i] << (8 * i);
    return v;
}

static inline void gguf_text(struct gguf_bytes *g, char *text, size_t room)
{
    const uint64_t n = gguf_number(g, 8);
    assert_true(n < room);
    memcpy(text, gguf_take(g, n), n);
    text[n] = '\0';
}

static inline void gguf_skip_value(struct gguf_bytes *g, uint32_t type)
{
    static const int widths[13] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    assert_true(type < 13);
    if (type == 8) {
        gguf_take(g, gguf_number(g, 8));
    } else if (type == 9) {
        const uint32_t element = (uint32_t)gguf_number(g, 4);
        const uint64_t n = gguf_number(g, 8);
        for (uint64_t i = 0; i < n; i++) gguf_skip_value(g, element);
    } else {
        gguf_take(g, (uint64_t)widths[type]);
    }
}

/* Reads the header of a file whose tensors are aligned so. To be ended with gguf_release. */
static inline struct gguf_bytes gguf_read(const char *path, uint64_t alignment)
{
    struct gguf_bytes g = {0};
    g.bytes = file_read(path, &g.n_bytes);
    assert_memory_equal(gguf_take(&g, 4), "GGUF", 4);
    assert_int_equal(gguf_number(&g, 4), 3);
    g.n_tensors = gguf_number(&g, 8);
    g.n_entries = gguf_number(&g, 8);
    assert_true(g.n_tensors <= GGUF_MAX && g.n_entries <= GGUF_MAX);
    for (uint64_t i = 0; i < g.n_entries; i++) {
        struct gguf_entry *e = &g.entries[i];
        gguf_text(&g, e->key, sizeof e->key);
        e->type = (uint32_t)gguf_number(&g, 4);
        e->value = g.bytes + g.at;
        gguf_skip_value(&g, e->type);
        e->n_bytes = (size_t)(g.bytes + g.at - e->value);
    }
    for (uint64_t i = 0; i < g.n_tensors; i++) {
        struct gguf_tensor *t = &g.tensors[i];
        gguf_text(&g, t->name, sizeof t->name);
        t->rank = (uint32_t)gguf_number(&g, 4);
        assert_true(t->rank >= 1 && t->rank <= 4);
        for (uint32_t k = 0; k < t->rank; k++) t->ne[k] = gguf_number(&g, 8);
        t->type = (uint32_t)gguf_number(&g, 4);
        t->offset = gguf_number(&g, 8);
    }
    while (g.at % alignment != 0) assert_int_equal(*gguf_take(&g, 1), 0);
    g.data = g.at;
    return g;
}

/* The next tensor in the table's order: where the last one ended, with those bytes and then zeros
 * up to the alignment. */
static inline void gguf_expect_data(struct gguf_bytes *g, uint64_t index, const void *bytes,
                                    size_t n_bytes, uint64_t alignment)
{
    assert_int_equal(g->tensors[index].offset, g->at - g->data);
    assert_memory_equal(gguf_take(g, n_bytes), bytes, n_bytes);
    while ((g->at - g->data) % alignment != 0) assert_int_equal(*gguf_take(g, 1), 0);
}

static inline void gguf_release(struct gguf_bytes *g)
{
    free(g->bytes);
}

#endif
