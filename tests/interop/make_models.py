"""Makes tiny random models of every architecture with transformers. Of these and of the model given
it prints the mean negative log-likelihood of a text, in double precision, and writes the tokens of
blocks of 256 as 32-bit integers and their logits as f32: make_models.py MODEL TEXT OUT."""
import shutil
import sys

import torch
import transformers as T

given, text_path, out = sys.argv[1:4]
torch.manual_seed(1)
text = open(text_path, "rb").read()[:4096]
common = dict(vocab_size=258, hidden_size=64, intermediate_size=96, num_hidden_layers=3, num_attention_heads=8,
              num_key_value_heads=2, max_position_embeddings=256, rms_norm_eps=1e-6, bos_token_id=256, eos_token_id=257)
experts = dict(num_experts=6, moe_intermediate_size=48)


def rope(**more):
    return dict(rope_parameters=dict(rope_theta=10000.0, **more))


@torch.no_grad()
def predict(name, model):
    total = 0.0
    with open(f"{out}/{name}.tokens", "wb") as tokens, open(f"{out}/{name}.logits", "wb") as logits:
        for at in range(0, len(text), 256):
            block = list(text[at:at + 256])
            seen = torch.tensor([[256] + block[:-1]])
            found = model(seen).logits[0]
            tokens.write(seen.numpy().astype("<u4").tobytes())
            logits.write(found.numpy().astype("<f4").tobytes())
            total -= torch.log_softmax(found.double(), -1)[torch.arange(256), torch.tensor(block)].sum().item()
    print(name, "%.8f" % (total / len(text)), flush=True)


@torch.no_grad()
def run(name, kind, config):
    model = getattr(T, kind + "ForCausalLM")(config).float().eval()
    for key, p in model.named_parameters():  # far from the small weights that models begin with
        if "bias" in key:
            p.normal_(0, 0.5)
        elif "norm" in key:
            p.add_(torch.randn_like(p) * 0.2)
        else:
            p.mul_(3)
    model.save_pretrained(f"{out}/{name}")
    for file in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(f"{given}/{file}", f"{out}/{name}")
    predict(name, model)


run("llama", "Llama", T.LlamaConfig(**common))
run("llama-bias", "Llama", T.LlamaConfig(**common, tie_word_embeddings=True, attention_bias=True, mlp_bias=True))
run("llama3", "Llama", T.LlamaConfig(**common, **rope(rope_type="llama3", factor=8.0, low_freq_factor=1.0,
                                                      high_freq_factor=4.0, original_max_position_embeddings=64)))
run("yarn", "Llama", T.LlamaConfig(**common, **rope(rope_type="yarn", factor=4.0, original_max_position_embeddings=64)))
run("linear", "Llama", T.LlamaConfig(**common, **rope(rope_type="linear", factor=4.0)))
run("mistral", "Mistral", T.MistralConfig(**common, sliding_window=50))
run("qwen2", "Qwen2", T.Qwen2Config(**common))
run("qwen2-window", "Qwen2", T.Qwen2Config(**common, use_sliding_window=True, sliding_window=40, max_window_layers=1))
run("qwen3", "Qwen3", T.Qwen3Config(**common, head_dim=16))
run("mixtral", "Mixtral", T.MixtralConfig(**common, num_local_experts=6, num_experts_per_tok=2, sliding_window=None))
run("qwen2_moe", "Qwen2Moe", T.Qwen2MoeConfig(**common, **experts, num_experts_per_tok=3,
                                              shared_expert_intermediate_size=80))
run("qwen3_moe", "Qwen3Moe", T.Qwen3MoeConfig(**common, **experts, head_dim=16, num_experts_per_tok=2,
                                              norm_topk_prob=True))
shutil.copytree(given, f"{out}/shakespeare-3m")
predict("shakespeare-3m", T.AutoModelForCausalLM.from_pretrained(given, dtype=torch.float32).eval())
