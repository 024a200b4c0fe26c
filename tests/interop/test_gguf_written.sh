#!/bin/sh
# GGUF files that the command writes, as gguf-py and llama.cpp read them.
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
cp tests/interop/gguf_same.py "$scratch"
tail -c 20000 ../shared/data/text/tiny_shakespeare.txt >"$scratch/text"
cd "$scratch" || exit 1
"$peers" python3 -c 'import gguf' >/dev/null 2>"$err" || {
    echo "gguf-py does not run: $(tail -n 1 "$err")"
    exit 77
}

# Plain tensors of a checkpoint.
cp "$fixture"/*.safetensors .
expect 0 "$INGOT" convert "$fixture" -o plain.gguf
says 'general.architecture'
shards=$(ls -- *.safetensors)
# shellcheck disable=SC2086 # names without blanks
expect 0 "$peers" python3 gguf_same.py holds plain.gguf $shards
prints '39 tensors are the same'
finish
