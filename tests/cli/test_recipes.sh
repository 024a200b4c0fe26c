#!/bin/sh
# Recipes, target sizes and types of GGUF: what the command takes, writes and refuses.
. tests/cli/common.sh
need_fixture
t=$scratch/t.ingot
g=$scratch/t.gguf
size() { wc -c <"$1" | tr -d ' '; }

# Rules in their order: the first that fits decides, what none fits is kept.
cat >"$scratch/mix.json" <<'END'
{"about": "a test",
 "rules": [
  {"role": ["embedding", "output"], "encode": "int8"},
  {"name": "*.mlp.*", "layers": {"first": 1, "last": 1}, "encode": "int6"},
  {"name": "*.mlp.*", "encode": "int3"},
  {"role": "attn_v", "encode": "keep"},
  {"cols_multiple": 7, "encode": "int2"},
  {"encode": "int4"}]}
END
expect 0 "$INGOT" convert "$fixture" -o "$t" --recipe "$scratch/mix.json" --json
is_json
json_holds '{t["name"].replace("model.", ""): t["encoding"] for t in j["tensors"]}.items() >= {
    "embed_tokens.weight": "int8-row", "lm_head.weight": "int8-row",
    "layers.0.mlp.up_proj.weight": "int6-g32", "layers.3.mlp.down_proj.weight": "int6-g32",
    "layers.1.mlp.up_proj.weight": "int3-g32", "layers.1.self_attn.v_proj.weight": "bf16",
    "layers.1.self_attn.q_proj.weight": "int4-g32", "norm.weight": "bf16"}.items()'
expect 0 "$INGOT" validate "$t" -q
expect 0 "$INGOT" convert "$fixture" -o "$t" --recipe "$scratch/mix.json" --dry-run --json
json_holds 'j["n_encoded"] == 26 and j["target_bytes"] is None'
most=$(sed -n 's/.*"most_bytes": \([0-9]*\).*/\1/p' "$out")
[ "$(size "$t")" -le "$most" ] || fail "$(size "$t") bytes are more than the $most of the plan"
expect 0 "$INGOT" convert "$t" -o "$scratch/again.ingot" -q
expect 0 "$INGOT" compare "$t" "$scratch/again.ingot" -q
prints '39 tensors: 13 identical, 26 with equal values'
echo '{"rules": [{"encode": "int4"}, {"encode": "int44"}]}' >"$scratch/bad.json"
expect 1 "$INGOT" convert "$fixture" -o "$scratch/bad.ingot" --recipe "$scratch/bad.json"
says 'rule 2: encode'
is_absent "$scratch/bad.ingot"

# Sizes are held, whatever the target and the lossless compression, and twice the same.
for limit in 1180000 1500000 6M; do
    bytes=$(echo "$limit" | sed 's/M/000000/')
    for target in "$t" "$g"; do
        for compress in none max; do
            expect 0 "$INGOT" convert "$fixture" -o "$target" -f -q --target-size "$limit" \
                --compress "$compress"
            [ "$(size "$target")" -le "$bytes" ] || fail "$ran: $(size "$target") bytes"
        done
        expect 0 "$INGOT" convert "$fixture" -o "$target" -q --target-size "$limit" --dry-run \
            --json --compress none
        json_holds "$(size "$target") <= j['most_bytes'] <= $bytes"
    done
done
[ "$(size "$g")" -gt 5400000 ] || fail 'a large target is not used'

# Other sources: a GGUF file of plain tensors, one of blocks, a container. What a dry run expects is
# what is written.
expect 0 "$INGOT" convert "$fixture" -o "$scratch/plain.gguf" -q
expect 0 "$INGOT" convert "$fixture" -o "$scratch/blocks.gguf" -q --to-gguf-type Q8_0
expect 0 "$INGOT" convert "$scratch/blocks.gguf" -o "$scratch/blocks.ingot" -q
for source in plain.gguf blocks.gguf blocks.ingot; do
    for target in "$t" "$g"; do
        expect 0 "$INGOT" convert "$scratch/$source" -o "$target" -q --target-size 1400000 --dry-run --json
        cp "$out" "$scratch/planned"
        expect 0 "$INGOT" convert "$scratch/$source" -o "$target" -f -q --target-size 1400000
        [ "$(size "$target")" -le 1400000 ] || fail "$ran: $(size "$target") bytes"
        cp "$scratch/planned" "$out"
        json_holds "(j['expected_bytes'] or j['target_bytes']) == $(size "$target")"
        expect 0 "$INGOT" convert "$scratch/$source" -o "$target" -f --target-bpw 3.9 --json
        json_holds '3.5 < j["coded_bits_per_weight"] <= 3.9'
    done
done
expect 0 "$INGOT" convert "$fixture" -o "$t" -f -q --target-bpw 4.25
expect 0 "$INGOT" convert "$fixture" -o "$scratch/one.ingot" -f -q --target-bpw 4.25
cmp -s "$t" "$scratch/one.ingot" || fail 'two conversions to 4.25 bits a weight differ'
expect 0 "$INGOT" convert "$fixture" -o "$t" -f --target-bpw 4.25 --json
json_holds '4.1 < j["coded_bits_per_weight"] <= 4.25'
# One choice for what is fused, and no less than the same size without a choice.
json_holds 'all(len({t["encoding"] for t in j["tensors"] if f"layers.{i}." in t["name"] and
    any(k in t["name"] for k in names)}) == 1
    for i in range(4) for names in (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj")))'
noise='sum(10 ** (-t["sqnr_db"] / 10) * t["n_weights"] for t in j["tensors"] if not t["kept"])'
ours=$(python3 -c "import json; j = json.load(open('$out')); print($noise)")
expect 0 "$INGOT" convert "$fixture" -o "$t" -f --encode q3_k --json
json_holds "$ours < $noise / 2"

# With an imatrix the choice is by what matters to it: the columns of one matrix, of no other.
python3 - "$scratch/one.dat" <<'END' 2>>"$err" || fail 'the imatrix was not made'
import struct, sys
entries = [(f"blk.{i}.attn_{k}.weight", 256) for i in range(4) for k in "qkv"]
with open(sys.argv[1], "wb") as f:
    f.write(struct.pack("<i", len(entries)))
    for name, n in entries:
        f.write(struct.pack("<i", len(name)) + name.encode() + struct.pack("<ii", 1, n))
        f.write(struct.pack(f"<{n}f", *[1e4 if c == 0 else 1e-4 for c in range(n)]))
END
for target in "$t" "$g"; do
    expect 0 "$INGOT" convert "$fixture" -o "$target" -f -q --target-size 1.6M --imatrix \
        "$scratch/one.dat"
    [ "$(size "$target")" -le 1600000 ] || fail "$ran: $(size "$target") bytes"
    cp "$target" "$scratch/with"
    expect 0 "$INGOT" convert "$fixture" -o "$target" -f -q --target-size 1.6M
    ! cmp -s "$target" "$scratch/with" || fail "$target: an imatrix makes no difference"
done

# A recipe's lists are what a size chooses from.
echo '{"rules": [{"role": "attn_v", "encode": "q8_0"}, {"encode": ["q3_k", "q5_k"]}]}' \
    >"$scratch/lists.json"
expect 0 "$INGOT" convert "$fixture" -o "$t" -f --recipe "$scratch/lists.json" --target-size 1.6M \
    --json
json_holds '{t["encoding"] for t in j["tensors"]} == {"bf16", "q3_k", "q5_k", "q8_0"}'
json_holds 'all((t["encoding"] == "q8_0") == ("v_proj" in t["name"]) for t in j["tensors"])'
expect 1 "$INGOT" convert "$fixture" -o "$scratch/none.safetensors" --target-size 3M
says 'target sizes are for .ingot and .gguf'
expect 0 "$INGOT" convert "$fixture" -o "$g" -f --target-size 2M
[ "$(grep -c architecture "$err")" -eq 1 ] || fail 'a note is told more than once'
expect 1 "$INGOT" convert "$fixture" -o "$scratch/none.ingot" --target-size 900k
says 'the smallest encodings that the rules allow take'
is_absent "$scratch/none.ingot"

# Types of GGUF: sizes of the plan, types as the mix has them.
for type in Q8_0 Q6_K Q5_K_M Q5_K_S Q5_1 Q5_0 Q4_K_M Q4_K_S Q4_1 Q4_0 IQ4_NL IQ4_XS MXFP4 MXFP4_MOE NVFP4 \
    Q3_K_L Q3_K_M Q3_K_S IQ3_M IQ3_S IQ3_XS IQ3_XXS Q2_K Q2_K_S IQ2_M IQ2_S IQ2_XS IQ2_XXS IQ1_M \
    IQ1_S TQ2_0 TQ1_0 Q2_0 Q1_0 F16 BF16 F32; do
    expect 0 "$INGOT" convert "$fixture" -o "$g" -f -q --to-gguf-type "$type" --fast
    expect 0 "$INGOT" convert "$fixture" -o "$g" -q --to-gguf-type "$type" --dry-run --json
    json_holds "j['target_bytes'] == $(size "$g")"
    expect 0 "$INGOT" inspect "$g" --key general.quantization_version
done
expect 0 "$INGOT" convert "$fixture" -o "$g" -f --to-gguf-type Q4_K_M --json
json_holds '{t["encoding"] for t in j["tensors"]} == {"f32", "Q4_K", "Q6_K"}'
# What it says it lost is what is lost.
python3 -c "import json
j = json.load(open('$out'))
print(*(f\"{t['name']} {t['sqnr_db']:.6f}\" for t in j['tensors'] if t['encoding'] == 'Q4_K'))" \
    >"$scratch/said"
expect 0 "$INGOT" compare "$fixture" "$g" --json
python3 -c "import json
j = json.load(open('$out'))
said = open('$scratch/said').read().split()
found = {t['name']: t for t in j['tensors']}
assert said
for name, sqnr in zip(said[::2], said[1::2]): assert f\"{found[name]['sqnr_db']:.6f}\" == sqnr, name
" 2>>"$err" || fail 'compare finds other errors than convert told'

# A receipt whose figures are not what is measured is found out.
expect 0 "$INGOT" convert "$fixture" -o "$t" -f -q --encode int3+lowrank4
expect 0 "$INGOT" validate "$t" --against "$fixture"
cp -r "$fixture" "$scratch/other"
chmod -R u+w "$scratch/other"
python3 - "$scratch/other" <<'END' 2>>"$err" || fail 'the changed source was not made'
import pathlib, struct, sys
path = sorted(pathlib.Path(sys.argv[1]).glob("*.safetensors"))[0]
data = bytearray(path.read_bytes())
data[len(data) // 2] ^= 0x40
path.write_bytes(data)
END
expect 1 "$INGOT" validate "$t" --against "$scratch/other"
prints 'the receipt says that sqnr_db is '
prints 'not what the receipt says: 1 tensor'
expect 1 "$INGOT" validate "$t" --against "$scratch/other" --json
json_holds '[t["figure"] for t in j["false_receipt"]] == ["sqnr_db"] and j["valid"]'

# Rows that are not whole blocks: the next shorter type, said; nothing fits 3 columns but f16.
make_safetensors "$scratch/odd.safetensors" '{"blk.0.attn_q.weight":{"dtype":"F32","shape":[8,96],
"data_offsets":[0,3072]},"blk.0.attn_k.weight":{"dtype":"F32","shape":[100,3],"data_offsets":[3072,4272]}}' 4272
expect 0 "$INGOT" convert "$scratch/odd.safetensors" -o "$g" -f --to-gguf-type Q4_K_M -v
says 'blk.0.attn_q.weight: rows of 96 weights are not whole blocks of q4_k: it becomes q5_0'
says 'blk.0.attn_k.weight: rows of 3 weights are not whole blocks of q4_k: it becomes f16'
prints 'Q5_0'

expect 1 "$INGOT" convert "$fixture" -o "$scratch/x.gguf" --to-gguf-type Q8_1
says 'there is no search that encodes into it'
expect 1 "$INGOT" convert "$fixture" -o "$scratch/x.gguf" --to-gguf-type Q9
says "no type or mix 'Q9'"
expect 1 "$INGOT" convert "$fixture" -o "$scratch/x.ingot" --to-gguf-type Q4_0
says 'ends in .gguf'
expect 1 "$INGOT" convert "$fixture" -o "$scratch/x.gguf" --encode nf4
says 'GGUF holds plain types'
expect 2 "$INGOT" convert "$fixture" -o "$t" --encode int4 --recipe x.json
says 'exclude each other'
expect 2 "$INGOT" convert "$fixture" -o "$t" --encode int4 --target-size 2M
says 'exclude each other'
expect 2 "$INGOT" convert "$fixture" -o "$t" --target-size 2M --target-bpw 4
expect 2 "$INGOT" convert "$fixture" -o "$t" --target-size 2X
expect 2 "$INGOT" convert "$fixture" -o "$t" --target-bpw -4
expect 2 "$INGOT" convert "$fixture" -o "$t" --target-bpw 0
finish
