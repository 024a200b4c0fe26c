#!/bin/sh
# GGUF files of every type that llama.cpp makes come back byte for byte. Needs the peers; exit
# status 77 means skipped, with the reason as first line.
. tests/cli/common.sh
peers=../shared/peers/run.sh
model=../shared/data/lm/shakespeare-3m
[ -d "$model" ] || { echo "$model is not there"; exit 77; }
sh -c "$peers true" >/dev/null 2>&1 || { echo 'the peers are not set up'; exit 77; }
peers=$(cd ../shared/peers && pwd)/run.sh

run_peer() { # COMMAND...: in the scratch folder, which the peers see as /here
    (cd "$scratch" && "$peers" "$@") >"$scratch/log" 2>&1
}

comes_back() { # NAME: the scratch folder's NAME.gguf
    expect 0 "$INGOT" convert "$scratch/$1.gguf" -o "$scratch/$1.ingot"
    prints 'can be restored from it, byte for byte'
    expect 0 "$INGOT" validate "$scratch/$1.ingot" --against "$scratch/$1.gguf" -q
    expect 0 "$INGOT" restore "$scratch/$1.ingot" -o "$scratch/$1.back.gguf" -q
    cmp -s "$scratch/$1.gguf" "$scratch/$1.back.gguf" || fail "$1.gguf came back otherwise"
    n_files=$((n_files + 1))
}

for type in bf16 f16 f32; do
    run_peer python3 /shared/tools/hf_to_gguf.py /shared/data/lm/shakespeare-3m \
        --outfile "/here/$type.gguf" --outtype "$type" || fail "$type.gguf was not made"
    comes_back "$type"
done
run_peer llama-imatrix -m /here/bf16.gguf -f /shared/data/text/tiny_shakespeare.txt -c 256 \
    --chunks 16 -o /here/imatrix.gguf || fail 'imatrix.gguf was not made'
comes_back imatrix

n_made=0
for type in Q1_0 Q2_0 Q4_0 Q4_1 MXFP4_MOE Q5_0 Q5_1 IQ2_XXS IQ2_XS IQ2_S IQ2_M IQ1_S IQ1_M TQ1_0 \
    TQ2_0 Q2_K Q2_K_S IQ3_XXS IQ3_S IQ3_M IQ3_XS Q3_K_S Q3_K_M Q3_K_L IQ4_NL IQ4_XS Q4_K_S Q4_K_M \
    Q5_K_S Q5_K_M Q6_K Q8_0; do
    if run_peer llama-quantize --imatrix /here/imatrix.gguf /here/bf16.gguf "/here/$type.gguf" \
        "$type" 2; then
        comes_back "$type"
        n_made=$((n_made + 1))
    else
        echo "note: $type: llama-quantize does not make it"
    fi
    rm -f "$scratch/$type".*
done
for type in MXFP4 NVFP4; do
    if run_peer llama-quantize --tensor-type "ffn_down=$type" /here/bf16.gguf "/here/$type.gguf" \
        Q8_0 2; then
        comes_back "$type"
        n_made=$((n_made + 1))
    else
        echo "note: $type: llama-quantize does not make it"
    fi
    rm -f "$scratch/$type".*
done

# Parts of a file, as its first part, as all parts and as a folder.
mkdir "$scratch/parts"
run_peer llama-gguf-split --split --split-max-tensors 7 /here/bf16.gguf /here/parts/model ||
    fail 'the parts were not made'
expect 0 "$INGOT" convert "$scratch/parts" -o "$scratch/folder.ingot" -q
expect 0 "$INGOT" convert "$scratch"/parts/model-00001-of-*.gguf -o "$scratch/first.ingot" -q
expect 0 "$INGOT" convert "$scratch"/parts/*.gguf -o "$scratch/all.ingot" -q
for name in folder first all; do
    cmp -s "$scratch/folder.ingot" "$scratch/$name.ingot" || fail "$name and folder differ"
    expect 0 "$INGOT" restore "$scratch/$name.ingot" -o "$scratch/$name.d" -q
    diff -r "$scratch/parts" "$scratch/$name.d" || fail "the parts came back otherwise: $name"
done
expect 0 "$INGOT" compare "$scratch/bf16.gguf" "$scratch/parts"
prints '39 identical'

echo "note: $n_files files came back, of $n_made quantized types"
[ "$n_failed" -eq 0 ]
