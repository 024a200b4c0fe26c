"""Writes a GGUF file of normal bf16 weights with the shapes of a llama: make_gguf.py OUT LAYERS.

Needs gguf-py. For measuring llama-quantize beside ingot convert."""
import sys

import gguf
import numpy as np

out, layers = sys.argv[1], int(sys.argv[2])
dim, kv, hidden = 4096, 1024, 14336
rng = np.random.default_rng(1)
w = gguf.GGUFWriter(out, "llama")
w.add_block_count(layers)
w.add_context_length(128)
w.add_embedding_length(dim)
w.add_feed_forward_length(hidden)
w.add_head_count(32)
w.add_head_count_kv(8)
w.add_layer_norm_rms_eps(1e-5)
w.add_vocab_size(32)
w.add_tokenizer_model("llama")
w.add_token_list([b"<%d>" % i for i in range(32)])
w.add_token_scores([0.0] * 32)
w.add_token_types([1] * 32)
def put(name, rows, cols):
    values = rng.standard_normal((rows, cols), dtype=np.float32) if rows else np.ones(cols, np.float32)
    if rows:
        bits = (values.view(np.uint32) + 0x8000) >> 16
        w.add_tensor(name, bits.astype(np.uint16).view(np.uint8).reshape(rows, cols * 2), raw_dtype=gguf.GGMLQuantizationType.BF16)
    else:
        w.add_tensor(name, values)
put("token_embd.weight", 32, dim)
put("output_norm.weight", 0, dim)
put("output.weight", 32, dim)
for i in range(layers):
    b = f"blk.{i}."
    for n, r, c in (("attn_norm", 0, dim), ("attn_q", dim, dim), ("attn_k", kv, dim), ("attn_v", kv, dim),
                    ("attn_output", dim, dim), ("ffn_norm", 0, dim), ("ffn_gate", hidden, dim),
                    ("ffn_up", hidden, dim), ("ffn_down", dim, hidden)):
        put(b + n + ".weight", r, c)
w.write_header_to_file(); w.write_kv_data_to_file(); w.write_tensors_to_file(); w.close()
