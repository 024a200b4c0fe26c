/* The .dat form: a count, then for each entry a name, the number of passes that were summed and the
 * sums. All integers are i32; what follows the entries (passes and data set) is left aside.
 *
 * The GGUF form: for each matrix a tensor of f32, its name and ".in_sum2", with the sums of squares
 * of its columns, a row for each matrix of a stack. How many tokens were summed (".counts") does
 * not matter, as weights are brought to a mean of 1. Source: llama.cpp's tools/imatrix. */
#include "convert/imatrix.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "convert/gguf.h"
#include "convert/input.h"
#include "convert/names.h"
#include "format/alloc.h"
#include "format/fail.h"

struct entry {
    const uint8_t *name;
    uint32_t name_bytes;
    uint32_t n_values;
    const uint8_t *values; /* f32 */
};

struct imatrix {
    uint32_t n_entries;
    struct entry *entries;
    uint8_t *bytes;   /* of a file, else NULL */
    struct gguf gguf; /* of the GGUF form: it holds the names */
};

/* Least bytes of an entry: an empty name and no value. */
enum { ENTRY_BYTES = 12 };
#define MAX_FILE_BYTES (UINT64_C(1) << 32)

/* What is added to each channel, as a share of the mean. */
static const double FLOOR = 0.01;

static ingot_status fail_at(const struct cursor *at, const char *field, ingot_error *error)
{
    return ingot_fail(error, INGOT_INVALID, at->offset, field, "the imatrix is damaged");
}

static ingot_status parse_entry(struct cursor *at, struct entry *entry, ingot_error *error)
{
    entry->name_bytes = cursor_u32(at);
    if (entry->name_bytes > INT32_MAX) return fail_at(at, "imatrix name", error);
    entry->name = cursor_bytes(at, entry->name_bytes);
    const uint32_t n_calls = cursor_u32(at);
    entry->n_values = cursor_u32(at);
    entry->values = cursor_bytes(at, (uint64_t)entry->n_values * sizeof(float));
    if (at->failed || entry->n_values == 0 || n_calls > INT32_MAX) {
        return fail_at(at, "imatrix entry", error);
    }
    return INGOT_OK;
}

/* ------------------------------------------------------------------ the GGUF form */

static const char sums_suffix[] = ".in_sum2";
enum { SUFFIX_BYTES = sizeof sums_suffix - 1 };

static bool is_sums(const struct gguf *gguf, uint32_t index)
{
    const struct gguf_tensor *t = &gguf->tensors[index];
    const char *name = gguf_name(gguf, index);
    return t->name_bytes > SUFFIX_BYTES &&
           memcmp(name + t->name_bytes - SUFFIX_BYTES, sums_suffix, SUFFIX_BYTES) == 0;
}

static ingot_status take_sums(struct imatrix *m, struct span bytes, uint32_t index,
                              ingot_error *error)
{
    const struct gguf_tensor *t = &m->gguf.tensors[index];
    const uint64_t n_values = t->n_bytes / sizeof(float);
    if (t->type == NULL || t->type->dtype != INGOT_F32 || n_values == 0 || n_values > UINT32_MAX) {
        return ingot_fail(error, INGOT_INVALID, t->record, "imatrix entry",
                          "its sums are not a list of f32");
    }
    m->entries[m->n_entries++] = (struct entry){
        .name = (const uint8_t *)gguf_name(&m->gguf, index),
        .name_bytes = (uint32_t)(t->name_bytes - SUFFIX_BYTES),
        .n_values = (uint32_t)n_values,
        .values = bytes.data + m->gguf.data_offset + t->offset,
    };
    return INGOT_OK;
}

static ingot_status take_gguf(struct imatrix *m, struct span bytes, ingot_error *error)
{
    ingot_status status = INGOT_OK;
    if (m->gguf.encoding.big_endian) {
        return ingot_fail(error, INGOT_UNSUPPORTED, 0, "imatrix", "it is big-endian");
    }
    m->entries = ingot_allocate_zeroed(NULL, m->gguf.n_tensors, sizeof *m->entries);
    if (m->entries == NULL) {
        return ingot_fail_memory(error, m->gguf.n_tensors * sizeof *m->entries, "imatrix");
    }
    for (uint32_t i = 0; i < m->gguf.n_tensors && status == INGOT_OK; i++) {
        if (is_sums(&m->gguf, i)) status = take_sums(m, bytes, i, error);
    }
    if (status != INGOT_OK || m->n_entries > 0) return status;
    return ingot_fail(error, INGOT_INVALID, INGOT_NO_OFFSET, "imatrix",
                      "it has no tensor whose name ends in %s", sums_suffix);
}

static ingot_status parse_gguf(struct span bytes, struct imatrix **imatrix, ingot_error *error)
{
    const struct assumptions none = {0};
    uint64_t wanted;
    struct imatrix *m = ingot_allocate_zeroed(NULL, 1, sizeof *m);
    if (m == NULL) return ingot_fail_memory(error, sizeof *m, "imatrix");
    ingot_status status = gguf_parse(bytes, bytes.n_bytes, &none, NULL, &m->gguf, &wanted, error);
    if (status == INGOT_END) {
        status = ingot_fail(error, INGOT_INVALID, bytes.n_bytes, "imatrix", "it ends too soon");
    }
    if (status == INGOT_OK) {
        status = take_gguf(m, bytes, error);
        if (status == INGOT_OK) {
            *imatrix = m;
            return status;
        }
        gguf_release(&m->gguf);
    }
    m->gguf = (struct gguf){0};
    imatrix_close(m);
    return status;
}

ingot_status imatrix_parse(struct span bytes, struct imatrix **imatrix, ingot_error *error)
{
    struct cursor at = cursor_over(bytes.data, bytes.n_bytes);
    if (bytes.n_bytes >= 4 && memcmp(bytes.data, "GGUF", 4) == 0) {
        return parse_gguf(bytes, imatrix, error);
    }
    const uint32_t n_entries = cursor_u32(&at);
    if (at.failed || n_entries == 0 || n_entries > cursor_left(&at) / ENTRY_BYTES) {
        return fail_at(&at, "number of imatrix entries", error);
    }
    struct imatrix *m = ingot_allocate_zeroed(NULL, 1, sizeof *m);
    if (m == NULL) return ingot_fail_memory(error, sizeof *m, "imatrix");
    ingot_status status = INGOT_OK;
    m->n_entries = n_entries;
    m->entries = ingot_allocate_zeroed(NULL, n_entries, sizeof *m->entries);
    if (m->entries == NULL) {
        status = ingot_fail_memory(error, n_entries * sizeof *m->entries, "imatrix");
    }
    for (uint32_t i = 0; i < n_entries && status == INGOT_OK; i++) {
        status = parse_entry(&at, &m->entries[i], error);
    }
    if (status == INGOT_OK) {
        *imatrix = m;
    } else {
        imatrix_close(m);
    }
    return status;
}

ingot_status imatrix_open(const char *path, struct imatrix **imatrix, ingot_error *error)
{
    struct input *input = NULL;
    uint8_t *bytes = NULL;
    ingot_status status = input_open(path, path, NULL, &input, error);
    if (status != INGOT_OK) return status;
    const uint64_t n_bytes = input_bytes(input);
    if (n_bytes > MAX_FILE_BYTES) {
        status = ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, path, "too large");
        goto done;
    }
    bytes = ingot_allocate(NULL, n_bytes);
    if (bytes == NULL) {
        status = ingot_fail_memory(error, n_bytes, path);
        goto done;
    }
    status = input_read(input, 0, n_bytes, bytes, error);
    if (status == INGOT_OK) status = imatrix_parse((struct span){bytes, n_bytes}, imatrix, error);
    if (status == INGOT_OK) {
        (*imatrix)->bytes = bytes;
        bytes = NULL;
    }
done:
    ingot_release(NULL, bytes);
    input_close(input);
    return status;
}

void imatrix_close(struct imatrix *imatrix)
{
    if (imatrix == NULL) return;
    gguf_release(&imatrix->gguf);
    ingot_release(NULL, imatrix->bytes);
    ingot_release(NULL, imatrix->entries);
    ingot_release(NULL, imatrix);
}

uint32_t imatrix_n_entries(const struct imatrix *imatrix)
{
    return imatrix->n_entries;
}

/* ------------------------------------------------------------------ names */

/* The parts of a layer, as Hugging Face and llama.cpp call them. */
static const struct {
    const char *theirs, *ours;
} parts[] = {
    {"self_attn.q_proj", "attn_q"},     {"self_attn.k_proj", "attn_k"},
    {"self_attn.v_proj", "attn_v"},     {"self_attn.o_proj", "attn_output"},
    {"self_attn.qkv_proj", "attn_qkv"}, {"mlp.gate_proj", "ffn_gate"},
    {"mlp.up_proj", "ffn_up"},          {"mlp.down_proj", "ffn_down"},
    {"mlp.gate_up_proj", "ffn_up"},     {"mlp.gate", "ffn_gate_inp"},
};
enum { N_PARTS = sizeof parts / sizeof *parts };

/* llama.cpp's name for a Hugging Face one, or an empty string. */
static void other_name(const char *name, uint32_t name_bytes, char *other, size_t other_bytes)
{
    char text[256];
    char part[128];
    unsigned layer;
    int n = -1;
    other[0] = '\0';
    if (name_bytes >= sizeof text) return;
    memcpy(text, name, name_bytes);
    text[name_bytes] = '\0';
    if (strcmp(text, "lm_head.weight") == 0) snprintf(other, other_bytes, "output.weight");
    if (strcmp(text, "model.embed_tokens.weight") == 0) {
        snprintf(other, other_bytes, "token_embd.weight");
    }
    if (sscanf(text, "model.layers.%9u.%n", &layer, &n) != 1 || n < 0) return;
    const size_t left = strlen(text + n);
    if (left < 7 || left >= sizeof part || strcmp(text + n + left - 7, ".weight") != 0) return;
    memcpy(part, text + n, left - 7);
    part[left - 7] = '\0';
    for (uint32_t i = 0; i < N_PARTS; i++) {
        if (strcmp(part, parts[i].theirs) != 0) continue;
        snprintf(other, other_bytes, "blk.%u.%s.weight", layer, parts[i].ours);
    }
}

static const struct entry *find_entry(const struct imatrix *m, const char *name, size_t name_bytes)
{
    for (uint32_t i = 0; i < m->n_entries; i++) {
        const struct entry *entry = &m->entries[i];
        if (entry->name_bytes == name_bytes && memcmp(entry->name, name, name_bytes) == 0) {
            return entry;
        }
    }
    return NULL;
}

/* ------------------------------------------------------------------ weights */

/* n sums as weights of mean 1 with a floor. A matrix that was never seen has 1 everywhere. False,
 * with *bad set, when a sum is negative or not finite. */
static bool finish_weights(const uint8_t *sums, uint64_t n, float *weights, uint64_t *bad)
{
    double total = 0;
    for (uint64_t i = 0; i < n; i++) {
        const double sum = (double)load_f32(sums + 4 * i);
        if (!(sum >= 0) || !isfinite(sum)) {
            *bad = i;
            return false;
        }
        total += sum;
    }
    const double mean = total / (double)n;
    for (uint64_t i = 0; i < n; i++) {
        const double share = mean > 0 ? (double)load_f32(sums + 4 * i) / mean : 1;
        weights[i] = (float)((share + FLOOR) / (1 + FLOOR));
    }
    return true;
}

ingot_status imatrix_weights(const struct imatrix *imatrix, const char *name, uint32_t name_bytes,
                             uint64_t n_matrices, uint64_t n_cols, float **weights,
                             ingot_error *error)
{
    char other[320];
    uint64_t n;
    uint64_t bad = 0;
    *weights = NULL;
    const struct entry *entry = find_entry(imatrix, name, name_bytes);
    if (entry == NULL) {
        other_name(name, name_bytes, other, sizeof other);
        if (other[0]) entry = find_entry(imatrix, other, strlen(other));
    }
    if (entry == NULL || n_cols == 0 || n_matrices == 0) return INGOT_OK;
    if (!mul_u64(n_matrices, n_cols, &n) || (entry->n_values != n && entry->n_values != n_cols)) {
        return ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET, name_shown(name, name_bytes).text,
                          "the imatrix has %u values for %llu columns", entry->n_values,
                          (unsigned long long)n_cols);
    }
    float *w = ingot_allocate(NULL, n * sizeof *w);
    if (w == NULL) return ingot_fail_memory(error, n * sizeof *w, "importance");
    for (uint64_t m = 0; m < n_matrices; m++) {
        const uint64_t from = entry->n_values == n ? m * n_cols : 0;
        if (finish_weights(entry->values + 4 * from, n_cols, w + m * n_cols, &bad)) continue;
        ingot_release(NULL, w);
        return ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET, name_shown(name, name_bytes).text,
                          "value %llu of its imatrix is negative or not finite",
                          (unsigned long long)(from + bad));
    }
    *weights = w;
    return INGOT_OK;
}
