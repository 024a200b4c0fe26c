/* Fuzzes what a file says of the language model that its tensors are: config.json, or the metadata
 * after a zero byte. The tensors are those of a small llama under the names of Hugging Face or of
 * GGUF; a model that opens must give finite logits. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/output.h"
#include "format/writer.h"
#include "runtime/lm.h"
#include "tests/fuzz/fuzz.h"

enum { N_VOCAB = 5, N_HIDDEN = 8, N_FFN = 4, N_KV = 4, MAX_VALUES = 64 };

static const struct {
    const char *hf;
    const char *gguf;
    uint64_t dims[2];
} tensors[] = {
    {"model.embed_tokens.weight", "token_embd.weight", {N_VOCAB, N_HIDDEN}},
    {"model.norm.weight", "output_norm.weight", {N_HIDDEN, 0}},
    {"lm_head.weight", "output.weight", {N_VOCAB, N_HIDDEN}},
    {"model.layers.0.input_layernorm.weight", "blk.0.attn_norm.weight", {N_HIDDEN, 0}},
    {"model.layers.0.self_attn.q_proj.weight", "blk.0.attn_q.weight", {N_HIDDEN, N_HIDDEN}},
    {"model.layers.0.self_attn.k_proj.weight", "blk.0.attn_k.weight", {N_KV, N_HIDDEN}},
    {"model.layers.0.self_attn.v_proj.weight", "blk.0.attn_v.weight", {N_KV, N_HIDDEN}},
    {"model.layers.0.self_attn.o_proj.weight", "blk.0.attn_output.weight", {N_HIDDEN, N_HIDDEN}},
    {"model.layers.0.post_attention_layernorm.weight", "blk.0.ffn_norm.weight", {N_HIDDEN, 0}},
    {"model.layers.0.mlp.gate_proj.weight", "blk.0.ffn_gate.weight", {N_FFN, N_HIDDEN}},
    {"model.layers.0.mlp.up_proj.weight", "blk.0.ffn_up.weight", {N_FFN, N_HIDDEN}},
    {"model.layers.0.mlp.down_proj.weight", "blk.0.ffn_down.weight", {N_HIDDEN, N_FFN}},
};

static void must(ingot_status status)
{
    if (status != INGOT_OK) abort();
}

static void add_tensors(ingot_writer *writer, bool gguf)
{
    float values[MAX_VALUES];
    for (int i = 0; i < MAX_VALUES; i++) values[i] = 0.25f * (float)(i % 7 - 3);
    for (size_t i = 0; i < sizeof tensors / sizeof *tensors; i++) {
        const uint32_t rank = tensors[i].dims[1] ? 2 : 1;
        must(ingot_writer_add(writer, gguf ? tensors[i].gguf : tensors[i].hf, INGOT_F32, rank,
                              tensors[i].dims, values, NULL));
    }
}

static struct byte_buffer write_file(struct span facts, bool gguf)
{
    struct byte_buffer bytes = {0};
    struct output *output;
    ingot_writer *writer;
    const struct byte_source source = memory_bytes(&facts);
    must(output_to_memory(&bytes, NULL, &output, NULL));
    must(ingot_writer_over(output, INGOT_COMPRESS_NONE, NULL, &writer, NULL));
    add_tensors(writer, gguf);
    must(ingot_writer_blob(writer, gguf ? INGOT_BLOB_METADATA : INGOT_BLOB_ATTACHMENT,
                           gguf ? NULL : "config.json", NULL, facts.n_bytes, &source, NULL, NULL));
    must(ingot_writer_finish(writer, NULL));
    ingot_writer_close(writer);
    return bytes;
}

static void run_model(const ingot_file *file, ingot_device *device)
{
    static const struct lm_options options = {.n_context = 4, .n_batch = 2, .cache = INGOT_F32};
    static const uint32_t tokens[] = {1, 4, 0};
    float logits[N_VOCAB];
    struct lm_memory memory;
    struct lm *lm;
    ingot_error error = {0};
    const ingot_status forecast = lm_forecast(file, device, &options, &memory, NULL);
    const ingot_status status = lm_open(file, device, &options, NULL, &lm, &error);
    if (status != INGOT_OK) {
        if (error.status != status || error.field[0] == 0) abort();
        return;
    }
    if (forecast != INGOT_OK || memory.total > 1 << 24) abort();
    must(lm_feed(lm, tokens, 3, NULL));
    must(lm_logits(lm, lm_n_last(lm) - 1, 1, logits, NULL));
    for (int i = 0; i < N_VOCAB; i++) {
        if (!isfinite(logits[i])) abort();
    }
    lm_close(lm);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    static ingot_device *device;
    if (device == NULL) must(ingot_device_open(INGOT_DEVICE_CPU, 1, NULL, NULL, &device, NULL));
    const bool gguf = n_bytes > 0 && data[0] == 0;
    ingot_file *file;
    struct byte_buffer bytes = write_file((struct span){data + gguf, n_bytes - gguf}, gguf);
    if (ingot_file_open_memory(bytes.data, bytes.n_bytes, NULL, &file, NULL) == INGOT_OK) {
        run_model(file, device);
        ingot_file_close(file);
    }
    buffer_release(&bytes);
    return 0;
}
