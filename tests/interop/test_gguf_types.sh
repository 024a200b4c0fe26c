#!/bin/sh
# GGUF files of our search beside llama-quantize's own of the same type: not larger, loaded by
# llama.cpp, with a perplexity at most one standard error higher, and the values that gguf-py gives.
. tests/cli/common.sh
peers=$(pwd)/../shared/peers/run.sh
model=../shared/data/lm/shakespeare-3m
text=../shared/data/text/tiny_shakespeare.txt
converter=/shared/tools/hf_to_gguf.py
for needed in "$peers" "$model" "$text" "../shared${converter#/shared}"; do
    [ -e "$needed" ] || { echo "there is no $needed"; exit 77; }
done
INGOT=$(realpath "$INGOT")
tail -c 111540 "$text" >"$scratch/held-out.txt"
cp -r "$(realpath "$model")" "$scratch/model"
cd "$scratch" || exit 1
"$peers" python3 -c 'import gguf' >/dev/null 2>"$err" || {
    echo "the peers do not run: $(tail -n 1 "$err")"
    exit 77
}
n_windows=${WINDOWS:-100} # of 256 tokens; there are 435

# llama-perplexity sometimes ends before its last lines are written, the result among them.
perplexity() { # FILE: "VALUE DEVIATION"
    for _ in 1 2 3 4 5 6; do
        "$peers" llama-perplexity -m "/here/$1" -f /here/held-out.txt -c 256 \
            --chunks "$n_windows" -t 2 >log 2>&1
        sed -n 's/.*PPL = \([0-9.]*\) +\/- \([0-9.]*\).*/\1 \2/p' log
        grep -q 'PPL = ' log && return
    done
}

expect 0 "$peers" python3 "$converter" /here/model --outfile /here/plain.gguf --outtype bf16
for type in ${TYPES:-Q8_0 Q6_K Q4_K_M IQ4_XS Q4_0 Q2_K}; do
    expect 0 "$INGOT" convert plain.gguf -o ours.gguf -f --to-gguf-type "$type" --json
    cp "$out" told.json
    expect 0 "$peers" llama-quantize /here/plain.gguf /here/theirs.gguf "$type" 2
    [ "$(wc -c <ours.gguf)" -le "$(wc -c <theirs.gguf)" ] || fail "$type: ours is larger"
    # The errors that were told are those of the values that others read.
    expect 0 "$peers" python3 -c '
import gguf, json, math
from gguf.quants import dequantize
ours = {t.name: t for t in gguf.GGUFReader("/here/ours.gguf").tensors}
theirs = {t.name: t.tensor_type for t in gguf.GGUFReader("/here/theirs.gguf").tensors}
plain = {t.name: t for t in gguf.GGUFReader("/here/plain.gguf").tensors}
n = 0
for told in json.load(open("/here/told.json"))["tensors"]:
    t, source = ours[told["name"]], plain[told["name"]]
    assert t.tensor_type == theirs[t.name], (t.name, t.tensor_type, theirs[t.name])
    if told["kept"]: continue
    x = dequantize(source.data, source.tensor_type).astype("f8")
    y = dequantize(t.data, t.tensor_type).astype("f8")
    noise = float(((x - y) ** 2).sum())
    sqnr = 10 * math.log10(float((x ** 2).sum()) / noise) if noise else math.inf
    assert abs(sqnr - (told["sqnr_db"] or math.inf)) < 1e-4, (t.name, sqnr, told["sqnr_db"])
    n += 1
print(n, "tensors have the same values and types")'
    prints '30 tensors have the same values and types'
    ours=$(perplexity ours.gguf)
    theirs=$(perplexity theirs.gguf)
    [ -n "$ours" ] && [ -n "$theirs" ] || { fail "$type: llama-perplexity says nothing"; continue; }
    echo "note: $type: perplexity $ours, of llama-quantize's file $theirs, $(wc -c <ours.gguf) bytes"
    echo "$ours $theirs" | awk '{ exit !($1 <= $3 + $4) }' || fail "$type: $ours is not near $theirs"
done
finish
