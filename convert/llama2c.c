/* Checkpoints of llama2.c: where each array lies. */
#include "convert/llama2c.h"

#include <string.h>

#include "format/fail.h"
#include "format/metadata.h"

enum { HEAD_NUMBERS = 7, HEAD_V0_BYTES = 28, HEAD_V1_BYTES = 256, MAX_LAYERS = 1 << 20 };
static const uint32_t MAGIC = 0x616b3432; /* "ak42" */

/* run.c has it as a constant. */
static const float NORM_EPS = 1e-5f;

/* What an array's sides are. */
enum side { SIDE_NONE, SIDE_HIDDEN, SIDE_FFN, SIDE_HEADS, SIDE_KV, SIDE_VOCAB, N_SIDES };

struct row {
    const char *name; /* NULL: tables of rotary positions, which follow from the numbers */
    bool of_layers;
    uint8_t rows;
    uint8_t cols;
    bool untied; /* there where the head is not the embedding */
};

static const struct row rows_v0[] = {
    {"token_embd.weight", false, SIDE_VOCAB, SIDE_HIDDEN, false},
    {"attn_norm.weight", true, SIDE_HIDDEN, SIDE_NONE, false},
    {"attn_q.weight", true, SIDE_HEADS, SIDE_HIDDEN, false},
    {"attn_k.weight", true, SIDE_KV, SIDE_HIDDEN, false},
    {"attn_v.weight", true, SIDE_KV, SIDE_HIDDEN, false},
    {"attn_output.weight", true, SIDE_HIDDEN, SIDE_HEADS, false},
    {"ffn_norm.weight", true, SIDE_HIDDEN, SIDE_NONE, false},
    {"ffn_gate.weight", true, SIDE_FFN, SIDE_HIDDEN, false},
    {"ffn_down.weight", true, SIDE_HIDDEN, SIDE_FFN, false},
    {"ffn_up.weight", true, SIDE_FFN, SIDE_HIDDEN, false},
    {"output_norm.weight", false, SIDE_HIDDEN, SIDE_NONE, false},
    {NULL, false, SIDE_NONE, SIDE_NONE, false},
    {"output.weight", false, SIDE_VOCAB, SIDE_HIDDEN, true},
};

static const struct row rows_v1[] = {
    {"attn_norm.weight", true, SIDE_HIDDEN, SIDE_NONE, false},
    {"ffn_norm.weight", true, SIDE_HIDDEN, SIDE_NONE, false},
    {"output_norm.weight", false, SIDE_HIDDEN, SIDE_NONE, false},
    {"token_embd.weight", false, SIDE_VOCAB, SIDE_HIDDEN, false},
    {"attn_q.weight", true, SIDE_HEADS, SIDE_HIDDEN, false},
    {"attn_k.weight", true, SIDE_KV, SIDE_HIDDEN, false},
    {"attn_v.weight", true, SIDE_KV, SIDE_HIDDEN, false},
    {"attn_output.weight", true, SIDE_HIDDEN, SIDE_HEADS, false},
    {"ffn_gate.weight", true, SIDE_FFN, SIDE_HIDDEN, false},
    {"ffn_down.weight", true, SIDE_HIDDEN, SIDE_FFN, false},
    {"ffn_up.weight", true, SIDE_FFN, SIDE_HIDDEN, false},
    {"output.weight", false, SIDE_VOCAB, SIDE_HIDDEN, true},
};

/* ------------------------------------------------------------------ the head */

static ingot_status wrong(uint64_t offset, const char *field, const char *what, ingot_error *error)
{
    return ingot_fail(error, INGOT_INVALID, offset, field, "%s", what);
}

static ingot_status no_checkpoint(ingot_error *error)
{
    return ingot_fail(error, INGOT_UNSUPPORTED, 0, "head",
                      "it does not begin as a checkpoint of llama2.c does, which is the kind of "
                      ".bin file that is read; PyTorch's are to be saved as safetensors first");
}

static ingot_status take_numbers(const uint8_t *at, uint64_t offset, struct llama2c *c,
                                 ingot_error *error)
{
    static const char *const names[HEAD_NUMBERS] = {
        "dim", "hidden_dim", "n_layers", "n_heads", "n_kv_heads", "vocab_size", "max_seq_len"};
    uint32_t *const places[HEAD_NUMBERS] = {&c->n_hidden,   &c->n_ffn,   &c->n_layers, &c->n_heads,
                                            &c->n_kv_heads, &c->n_vocab, &c->n_context};
    for (uint32_t i = 0; i < HEAD_NUMBERS; i++) {
        const int32_t value = (int32_t)load_u32(at + 4 * i);
        /* Where there is no version, a vocabulary below 0 says that the head is its own matrix. */
        const bool negated = value < 0 && places[i] == &c->n_vocab && !c->has_version;
        if (value == 0 || value == INT32_MIN || (value < 0 && !negated)) {
            if (!c->has_version) return no_checkpoint(error);
            return wrong(offset + 4 * i, names[i], "is not above 0", error);
        }
        if (negated) c->tied = false;
        *places[i] = (uint32_t)(negated ? -value : value);
    }
    if (c->n_hidden % c->n_heads != 0 || c->n_heads % c->n_kv_heads != 0 ||
        c->n_hidden / c->n_heads % 2 != 0 || c->n_layers > MAX_LAYERS) {
        if (!c->has_version) return no_checkpoint(error);
        return wrong(offset, "n_heads", "does not fit dim, n_kv_heads or n_layers", error);
    }
    return INGOT_OK;
}

static ingot_status take_head(struct span head, struct llama2c *c, ingot_error *error)
{
    c->tied = true;
    if (head.n_bytes < HEAD_V0_BYTES) return no_checkpoint(error);
    if (load_u32(head.data) != MAGIC) return take_numbers(head.data, 0, c, error);
    if (load_u32(head.data + 4) != 1) {
        return ingot_fail(error, INGOT_UNSUPPORTED, 4, "version",
                          "version %u of llama2.c's checkpoints is not read: 0 and 1 are, of f32",
                          (unsigned)load_u32(head.data + 4));
    }
    if (head.n_bytes < LLAMA2C_HEAD_BYTES) return wrong(0, "head", "is cut short", error);
    c->has_version = true;
    const ingot_status status = take_numbers(head.data + 8, 8, c, error);
    const uint8_t shared = head.data[8 + HEAD_V0_BYTES];
    if (status != INGOT_OK) return status;
    if (shared > 1) return wrong(8 + HEAD_V0_BYTES, "shared_classifier", "is not 0 or 1", error);
    c->tied = shared == 1;
    return INGOT_OK;
}

/* ------------------------------------------------------------------ arrays */

/* Puts the next array at *offset and moves that past it. False when it is past all files. */
static bool add_array(struct llama2c *c, const struct row *row, uint64_t *offset)
{
    const uint64_t head_dim = c->n_hidden / c->n_heads;
    const uint64_t sides[N_SIDES] = {
        [SIDE_HIDDEN] = c->n_hidden,          [SIDE_FFN] = c->n_ffn,     [SIDE_HEADS] = c->n_hidden,
        [SIDE_KV] = c->n_kv_heads * head_dim, [SIDE_VOCAB] = c->n_vocab,
    };
    uint64_t n_bytes;
    if (row->name == NULL) {
        return mul_u64(4 * head_dim, c->n_context, &n_bytes) && add_u64(*offset, n_bytes, offset);
    }
    struct llama2c_array *array = &c->arrays[c->n_arrays++];
    *array = (struct llama2c_array){
        row->name, row->of_layers, {sides[row->rows], sides[row->cols]}, *offset, 0};
    const uint64_t n_cols = row->cols == SIDE_NONE ? 1 : array->dims[1];
    return mul_u64(array->dims[0] * 4, n_cols, &array->n_bytes) &&
           mul_u64(array->n_bytes, row->of_layers ? c->n_layers : 1, &n_bytes) &&
           add_u64(*offset, n_bytes, offset);
}

ingot_status llama2c_read(struct span head, uint64_t file_bytes, struct llama2c *checkpoint,
                          ingot_error *error)
{
    struct llama2c c = {0};
    const ingot_status status = take_head(head, &c, error);
    if (status != INGOT_OK) return status;
    const struct row *rows = c.has_version ? rows_v1 : rows_v0;
    const size_t n_rows =
        c.has_version ? sizeof rows_v1 / sizeof *rows_v1 : sizeof rows_v0 / sizeof *rows_v0;
    uint64_t end = c.has_version ? HEAD_V1_BYTES : HEAD_V0_BYTES;
    for (size_t i = 0; i < n_rows; i++) {
        if (rows[i].untied && c.tied) continue;
        if (!add_array(&c, &rows[i], &end)) end = UINT64_MAX;
        if (end > file_bytes) break;
    }
    if (end != file_bytes) {
        if (!c.has_version) return no_checkpoint(error);
        return ingot_fail(error, INGOT_INVALID, 0, "head",
                          "its numbers want %s bytes than the file's %llu",
                          end > file_bytes ? "more" : "fewer", (unsigned long long)file_bytes);
    }
    *checkpoint = c;
    return INGOT_OK;
}

uint32_t llama2c_n_tensors(const struct llama2c *checkpoint)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < checkpoint->n_arrays; i++) {
        n += checkpoint->arrays[i].of_layers ? checkpoint->n_layers : 1;
    }
    return n;
}

/* ------------------------------------------------------------------ metadata */

static void put_key(struct byte_buffer *out, const char *key, uint32_t type)
{
    buffer_u32(out, (uint32_t)strlen(key));
    buffer_append(out, key, strlen(key));
    buffer_u32(out, type);
}

void llama2c_put_metadata(const struct llama2c *checkpoint, struct byte_buffer *out)
{
    static const char architecture[] = "general.architecture";
    const struct {
        const char *key;
        uint32_t value;
    } counts[] = {
        {"llama.vocab_size", checkpoint->n_vocab},
        {"llama.context_length", checkpoint->n_context},
        {"llama.embedding_length", checkpoint->n_hidden},
        {"llama.feed_forward_length", checkpoint->n_ffn},
        {"llama.block_count", checkpoint->n_layers},
        {"llama.attention.head_count", checkpoint->n_heads},
        {"llama.attention.head_count_kv", checkpoint->n_kv_heads},
        {"llama.rope.dimension_count", checkpoint->n_hidden / checkpoint->n_heads},
    };
    const size_t n_counts = sizeof counts / sizeof *counts;
    metadata_begin(out, n_counts + 2);
    metadata_put_string(out, architecture, sizeof architecture - 1, "llama", 5);
    for (size_t i = 0; i < n_counts; i++) {
        put_key(out, counts[i].key, META_U32);
        buffer_u32(out, counts[i].value);
    }
    uint32_t eps;
    memcpy(&eps, &NORM_EPS, sizeof eps);
    put_key(out, "llama.attention.layer_norm_rms_epsilon", META_F32);
    buffer_u32(out, eps);
}
