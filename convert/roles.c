/* The table of names. Sources: the parameter names of Hugging Face's transformers, and llama.cpp's
 * src/llama-arch.cpp. */
#include "convert/roles.h"

#include <string.h>

#include "convert/glob.h"

/* The first pattern that matches decides. */
static const struct {
    const char *pattern;
    uint32_t role;
} names[] = {
    {"*.bias", ROLE_BIAS},
    {"*_bias", ROLE_BIAS},
    {"*norm*", ROLE_NORM},
    {"*.ln_*", ROLE_NORM},
    {"ln_f.*", ROLE_NORM},
    {"*ffn_gate_inp*", ROLE_ROUTER},
    {"*.router.*", ROLE_ROUTER},
    {"*.mlp.gate.weight", ROLE_ROUTER},
    {"*.block_sparse_moe.gate.weight", ROLE_ROUTER},
    {"token_embd.weight", ROLE_EMBEDDING},
    {"*embed_tokens.weight", ROLE_EMBEDDING},
    {"*.wte.weight", ROLE_EMBEDDING},
    {"wte.weight", ROLE_EMBEDDING},
    {"*embed_in.weight", ROLE_EMBEDDING},
    {"*word_embeddings.weight", ROLE_EMBEDDING},
    {"output.weight", ROLE_OUTPUT},
    {"*lm_head.weight", ROLE_OUTPUT},
    {"*embed_out.weight", ROLE_OUTPUT},
    {"*.attn_q.weight", ROLE_ATTN_Q},
    {"*.q_proj.weight", ROLE_ATTN_Q},
    {"*.attn_k.weight", ROLE_ATTN_K},
    {"*.k_proj.weight", ROLE_ATTN_K},
    {"*.attn_v.weight", ROLE_ATTN_V},
    {"*.v_proj.weight", ROLE_ATTN_V},
    {"*.attn_qkv.weight", ROLE_ATTN_QKV},
    {"*.qkv_proj.weight", ROLE_ATTN_QKV},
    {"*.query_key_value.weight", ROLE_ATTN_QKV},
    {"*.c_attn.weight", ROLE_ATTN_QKV},
    {"*.attn_output.weight", ROLE_ATTN_OUTPUT},
    {"*attn*.o_proj.weight", ROLE_ATTN_OUTPUT},
    {"*attn*.c_proj.weight", ROLE_ATTN_OUTPUT},
    {"*attn*.dense.weight", ROLE_ATTN_OUTPUT},
    {"*attention.dense.weight", ROLE_ATTN_OUTPUT},
    {"*.ffn_gate*.weight", ROLE_FFN_GATE},
    {"*.gate_proj.weight", ROLE_FFN_GATE},
    {"*experts.*.w1.weight", ROLE_FFN_GATE},
    {"*.ffn_up*.weight", ROLE_FFN_UP},
    {"*.up_proj.weight", ROLE_FFN_UP},
    {"*.gate_up_proj*", ROLE_FFN_UP},
    {"*experts.*.w3.weight", ROLE_FFN_UP},
    {"*mlp.c_fc.weight", ROLE_FFN_UP},
    {"*.dense_h_to_4h.weight", ROLE_FFN_UP},
    {"*.ffn_down*.weight", ROLE_FFN_DOWN},
    {"*.down_proj*", ROLE_FFN_DOWN},
    {"*experts.*.w2.weight", ROLE_FFN_DOWN},
    {"*mlp.c_proj.weight", ROLE_FFN_DOWN},
    {"*.dense_4h_to_h.weight", ROLE_FFN_DOWN},
};

static const struct {
    const char *word;
    uint32_t role;
} words[] = {
    {"other", ROLE_OTHER},
    {"norm", ROLE_NORM},
    {"bias", ROLE_BIAS},
    {"router", ROLE_ROUTER},
    {"embedding", ROLE_EMBEDDING},
    {"output", ROLE_OUTPUT},
    {"attn_q", ROLE_ATTN_Q},
    {"attn_k", ROLE_ATTN_K},
    {"attn_v", ROLE_ATTN_V},
    {"attn_qkv", ROLE_ATTN_QKV},
    {"attn_output", ROLE_ATTN_OUTPUT},
    {"ffn_gate", ROLE_FFN_GATE},
    {"ffn_up", ROLE_FFN_UP},
    {"ffn_down", ROLE_FFN_DOWN},
};
enum { N_WORDS = sizeof words / sizeof *words };

static bool begins_with(const char *name, uint32_t name_bytes, const char *word, uint32_t *n)
{
    *n = (uint32_t)strlen(word);
    return name_bytes > *n && memcmp(name, word, *n) == 0;
}

/* The number after "layers.", "blk." or "h.", where that begins the name or follows a dot. */
static uint32_t layer_of(const char *name, uint32_t name_bytes)
{
    static const char *const lists[] = {"layers.", "blk.", "h.", "layer.", "blocks."};
    for (uint32_t at = 0; at < name_bytes; at++) {
        if (at > 0 && name[at - 1] != '.') continue;
        for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
            uint32_t n, layer = 0, n_digits = 0;
            if (!begins_with(name + at, name_bytes - at, lists[i], &n)) continue;
            for (n += at; n < name_bytes && name[n] >= '0' && name[n] <= '9'; n++) {
                layer = layer * 10 + (uint32_t)(name[n] - '0');
                if (++n_digits > 6) break;
            }
            if (n_digits > 0 && n_digits <= 6 && n < name_bytes && name[n] == '.') return layer;
        }
    }
    return INGOT_NONE;
}

struct place place_of(const char *name, uint32_t name_bytes)
{
    struct place place = {ROLE_OTHER, layer_of(name, name_bytes)};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!glob_matches(names[i].pattern, name, name_bytes)) continue;
        place.role = names[i].role;
        break;
    }
    return place;
}

struct model_facts model_facts_of(const struct model *model)
{
    struct model_facts facts = {.n_shared = 1};
    uint64_t n_query = 0, n_key = 0;
    for (uint32_t i = 0; i < model_n_tensors(model); i++) {
        struct model_tensor t;
        model_tensor(model, i, &t);
        const struct place place = place_of(t.name, t.name_bytes);
        const bool is_matrix = t.rank >= 2;
        if (place.layer != INGOT_NONE && place.layer >= facts.n_layers) {
            facts.n_layers = place.layer + 1;
        }
        if (place.role == ROLE_ATTN_Q && is_matrix && n_query == 0) n_query = t.n_rows;
        if (place.role == ROLE_ATTN_K && is_matrix && n_key == 0) n_key = t.n_rows;
        if (place.role == ROLE_ROUTER && is_matrix && facts.n_experts == 0) {
            facts.n_experts = (uint32_t)(t.n_rows < UINT32_MAX ? t.n_rows : UINT32_MAX);
        }
        if (place.role == ROLE_OUTPUT && model_alias_of(model, i) == INGOT_NONE) {
            facts.has_output = true;
        }
    }
    if (n_key > 0 && n_query / n_key > 1 && n_query / n_key < UINT32_MAX) {
        facts.n_shared = (uint32_t)(n_query / n_key);
    }
    return facts;
}

uint32_t role_named(const char *word)
{
    for (uint32_t i = 0; i < N_WORDS; i++) {
        if (strcmp(words[i].word, word) == 0) return words[i].role;
    }
    return 0;
}

const char *role_word_at(uint32_t index)
{
    return index < N_WORDS ? words[index].word : NULL;
}
