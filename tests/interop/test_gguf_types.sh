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
head -c 200000 "$text" >"$scratch/seen.txt"
cp -r "$(realpath "$model")" "$scratch/model"
cd "$scratch" || exit 1
"$peers" python3 -c 'import gguf' >/dev/null 2>"$err" || {
    echo "the peers do not run: $(tail -n 1 "$err")"
    exit 77
}
n_windows=${WINDOWS:-100} # of 256 tokens; there are 435

# llama-perplexity sometimes ends before its last lines are written, the result among them. Of its
# threads each waits for the others at every step, which takes forever beside other work: there is one.
perplexity() { # FILE: "VALUE DEVIATION"
    for _ in 1 2 3 4 5 6; do
        "$peers" llama-perplexity -m "/here/$1" -f /here/held-out.txt -c 256 \
            --chunks "$n_windows" -t 1 >log 2>&1
        sed -n 's/.*PPL = \([0-9.]*\) +\/- \([0-9.]*\).*/\1 \2/p' log
        grep -q 'PPL = ' log && return
    done
}

# What was asked of both: the files have the same types, and ours is not larger.
same_types() { # TYPE
    [ "$(wc -c <ours.gguf)" -le "$(wc -c <theirs.gguf)" ] || fail "$1: ours is larger"
    expect 0 "$peers" python3 -c '
import gguf
ours = {t.name: t.tensor_type.name for t in gguf.GGUFReader("/here/ours.gguf").tensors}
theirs = {t.name: t.tensor_type.name for t in gguf.GGUFReader("/here/theirs.gguf").tensors}
assert ours == theirs, [(n, ours[n], theirs[n]) for n in ours if ours[n] != theirs.get(n)]
print(len(ours), "tensors have the same types")'
    prints 'tensors have the same types'
}

# The errors that were told of ours.gguf are those of the values that others read.
same_values() {
    expect 0 "$peers" python3 -c '
import gguf, json, math
from gguf.quants import dequantize
ours = {t.name: t for t in gguf.GGUFReader("/here/ours.gguf").tensors}
plain = {t.name: t for t in gguf.GGUFReader("/here/plain.gguf").tensors}
n = 0
for told in json.load(open("/here/told.json"))["tensors"]:
    t, source = ours[told["name"]], plain[told["name"]]
    if told["kept"]: continue
    x = dequantize(source.data, source.tensor_type).astype("f8")
    y = dequantize(t.data, t.tensor_type).astype("f8")
    noise = float(((x - y) ** 2).sum())
    sqnr = 10 * math.log10(float((x ** 2).sum()) / noise) if noise else math.inf
    assert abs(sqnr - (told["sqnr_db"] or math.inf)) < 1e-4, (t.name, sqnr, told["sqnr_db"])
    n += 1
print(n, "tensors have the same values")'
    prints '30 tensors have the same values'
}

expect 0 "$peers" python3 "$converter" /here/model --outfile /here/plain.gguf --outtype bf16
expect 0 "$peers" llama-imatrix -m /here/plain.gguf -f /here/seen.txt -c 256 --chunks "${IMATRIX_WINDOWS:-50}" -t 1 \
    -o /here/seen.imatrix.gguf

# Every mix, with an imatrix; those that can be made without one, without.
for type in Q8_0 Q6_K Q5_K_M Q5_K_S Q5_1 Q5_0 Q4_K_M Q4_K_S Q4_1 Q4_0 IQ4_NL IQ4_XS MXFP4_MOE \
    Q3_K_L Q3_K_M Q3_K_S IQ3_M IQ3_S IQ3_XS IQ3_XXS Q2_K Q2_K_S IQ2_M IQ2_S IQ2_XS IQ2_XXS IQ1_M \
    IQ1_S TQ2_0 TQ1_0 Q2_0 Q1_0; do
    expect 0 "$INGOT" convert plain.gguf -o ours.gguf -f --to-gguf-type "$type" --fast \
        --imatrix seen.imatrix.gguf
    expect 0 "$peers" llama-quantize --imatrix /here/seen.imatrix.gguf /here/plain.gguf \
        /here/theirs.gguf "$type" 2
    same_types "$type with an imatrix"
    case $type in Q2_K_S | IQ1* | IQ2* | IQ3_XS | IQ3_XXS) continue ;; esac
    expect 0 "$INGOT" convert plain.gguf -o ours.gguf -f --to-gguf-type "$type" --fast
    expect 0 "$peers" llama-quantize /here/plain.gguf /here/theirs.gguf "$type" 2
    same_types "$type"
done

# What llama-quantize has no name for: loaded, and read as we read it.
for type in MXFP4 NVFP4; do
    expect 0 "$INGOT" convert plain.gguf -o ours.gguf -f --to-gguf-type "$type" --json
    cp "$out" told.json
    same_values
    ours=$(perplexity ours.gguf)
    echo "note: $type: perplexity $ours, $(wc -c <ours.gguf) bytes"
    echo "$ours" | awk '{ exit !($1 > 1 && $1 < 6) }' || fail "$type: a perplexity of $ours"
done

for type in ${TYPES:-Q8_0 Q6_K Q4_K_M IQ4_XS Q4_0 Q2_K IQ3_S IQ3_XXS IQ2_M IQ2_S IQ2_XS IQ2_XXS IQ1_M IQ1_S \
    TQ2_0}; do
    # With an imatrix what llama-quantize does not make without.
    imatrix=
    case $type in IQ[123]*) imatrix=seen.imatrix.gguf ;; esac
    expect 0 "$INGOT" convert plain.gguf -o ours.gguf -f --to-gguf-type "$type" --json \
        ${imatrix:+--imatrix "$imatrix"}
    cp "$out" told.json
    expect 0 "$peers" llama-quantize ${imatrix:+--imatrix "/here/$imatrix"} /here/plain.gguf \
        /here/theirs.gguf "$type" 2
    same_types "$type"
    same_values
    ours=$(perplexity ours.gguf)
    theirs=$(perplexity theirs.gguf)
    [ -n "$ours" ] && [ -n "$theirs" ] || { fail "$type: llama-perplexity says nothing"; continue; }
    echo "note: $type: perplexity $ours, of llama-quantize's file $theirs, $(wc -c <ours.gguf) bytes"
    echo "$ours $theirs" | awk '{ exit !($1 <= $3 + $4) }' || fail "$type: $ours is not near $theirs"
done
finish
