#!/bin/sh
# Block types of ggml: random blocks of each, and a model as llama.cpp quantizes it. All are held as
# streams, come back byte for byte, and have the values that gguf-py gives them.
. tests/cli/common.sh
need_fixture
peers=$(pwd)/../shared/peers/run.sh
converter=/shared/tools/hf_to_gguf.py
[ -x "$peers" ] && [ -f "../shared${converter#/shared}" ] || {
    echo "there is no $peers"
    exit 77
}
INGOT=$(realpath "$INGOT")
fixture=$(realpath "$fixture")
cp tests/interop/gguf_blocks.py tests/interop/gguf_same.py "$scratch"
cp -r "$fixture" "$scratch/model"
cd "$scratch" || exit 1
"$peers" python3 -c 'import gguf' >/dev/null 2>"$err" || {
    echo "gguf-py does not run: $(tail -n 1 "$err")"
    exit 77
}

round_trip() { # FILE: .gguf to .ingot and back
    expect 0 "$INGOT" convert --force "$1" -o x.ingot
    expect 0 "$INGOT" validate x.ingot
    expect 0 "$INGOT" restore --force x.ingot -o back.gguf
    cmp "$1" back.gguf || fail "$1 did not come back"
}

same_values() { # FILE TENSOR...: those tensors of x.ingot are what gguf-py decodes
    file=$1
    shift
    rm -rf values
    mkdir values
    for tensor; do
        expect 0 "$INGOT" extract x.ingot "$tensor" -o "values/$tensor.npy"
    done
    expect 0 "$peers" python3 gguf_blocks.py values "$file" values
    prints "$# tensors have the same values"
}

expect 0 "$peers" python3 gguf_blocks.py make random.gguf
round_trip random.gguf
expect 0 "$INGOT" convert --force random.gguf -o x.ingot
says "'careless' is held as TQ1_0 bytes and not as streams"
says "'TQ1_0' has 2 TQ1_0 blocks of bytes that are not canonical"
"$peers" python3 gguf_blocks.py types random.gguf >types || fail 'gguf_blocks.py types'
# shellcheck disable=SC2046 # names without blanks
same_values random.gguf $(cut -d ' ' -f 1 types | grep -v careless)
expect 0 "$INGOT" inspect x.ingot --json
json_holds 'sum("ggml:" in t["encoding"] for t in j["tensors"]) == 1'

# A model as llama.cpp quantizes it, and as a GGUF file again: the same metadata and tensors.
expect 0 "$peers" python3 "$converter" model --outfile plain.gguf
for type in Q4_0 Q3_K_M Q4_K_M Q6_K IQ3_S TQ1_0; do
    "$peers" llama-quantize --allow-requantize plain.gguf "$type.gguf" "$type" 2 >"$out" 2>"$err" || {
        fail "llama-quantize $type"
        continue
    }
    round_trip "$type.gguf"
    expect 0 "$INGOT" convert --force x.ingot -o again.gguf
    expect 0 "$peers" python3 gguf_same.py same "$type.gguf" again.gguf
done
finish
