#!/bin/sh
# GGUF files that the command writes, as gguf-py and llama.cpp read them.
. tests/cli/common.sh
need_fixture
peers=$(pwd)/../shared/peers/run.sh
converter=/shared/tools/hf_to_gguf.py
for needed in run.sh ../tools/hf_to_gguf.py ../data/lm/shakespeare-3m; do
    [ -e "../shared/peers/$needed" ] && continue
    echo "there is no ../shared/peers/$needed"
    exit 77
done
INGOT=$(realpath "$INGOT")
fixture=$(realpath "$fixture")
docs=$(realpath docs)
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

# A model that llama.cpp's converter made, through a container and back: the same file, though nothing
# of it was kept but its tensors and its metadata.
expect 0 "$peers" python3 "$converter" /shared/data/lm/shakespeare-3m --outfile /here/hf.gguf \
    --outtype bf16
expect 0 "$peers" llama-quantize /here/hf.gguf /here/q4.gguf Q4_K_M 2
for name in hf q4; do
    expect 0 "$INGOT" convert $name.gguf -o $name.ingot
    expect 0 "$INGOT" convert $name.ingot -o $name.back.gguf
    is_silent "$err"
    expect 0 "$INGOT" compare $name.gguf $name.back.gguf -q
    prints '39 tensors: 39 identical'
    expect 0 "$peers" python3 gguf_same.py same $name.gguf $name.back.gguf
    prints '39 tensors and 29 fields are the same'
    cmp $name.gguf $name.back.gguf || fail "$name.gguf did not come back"
done

# All parts of a split model become one file.
expect 0 "$peers" llama-gguf-split --split --split-max-tensors 20 /here/q4.gguf /here/part
expect 0 "$INGOT" convert part-00001-of-00002.gguf -o whole.gguf
expect 0 "$peers" python3 gguf_same.py same q4.gguf whole.gguf

# llama-perplexity now and then ends before its last lines are written: then it is asked again.
perplexity() { # FILE: as llama.cpp measures it
    for _ in 1 2 3 4 5; do
        measured=$("$peers" llama-perplexity -m "/here/$1" -f /here/text -c 256 --chunks 8 -t 1 2>&1 |
            sed -n 's/.*Final estimate: PPL = \([0-9.]*\).*/\1/p')
        [ -z "$measured" ] || break
    done
    echo "$measured"
}
same_perplexity() { # FILE FILE
    one=$(perplexity "$1")
    other=$(perplexity "$2")
    [ -n "$one" ] || fail "llama.cpp measures nothing of $1"
    [ "$one" = "$other" ] || fail "perplexity $one of $1, $other of $2"
    echo "note: llama.cpp's perplexity of $1 and of $2: $one"
}
same_perplexity hf.gguf hf.back.gguf
same_perplexity q4.gguf q4.back.gguf

# What a cast makes is a model that llama.cpp runs.
expect 0 "$INGOT" convert hf.ingot -o f32.gguf --encode f32
expect 0 "$INGOT" convert hf.ingot -o f16.gguf --encode f16
[ -n "$(perplexity f32.gguf)" ] || fail 'llama.cpp does not run f32.gguf'
[ -n "$(perplexity f16.gguf)" ] || fail 'llama.cpp does not run f16.gguf'

# The names in the documented map are those of the checkpoint and of llama.cpp's GGUF.
expect 0 "$INGOT" compare "$fixture" hf.gguf --map "$docs/llama-hf-gguf.map" --json
is_silent "$err"
json_holds 'j["n_identical"] == 22 and j["n_equal_values"] == 9 and j["n_different"] == 8'
json_holds 'j["n_only_a"] == 0 and j["n_only_b"] == 0'
json_holds 'all(t["name_b"][6:] in ("attn_q.weight", "attn_k.weight")
    for t in j["tensors"] if t["verdict"] == "different")'
# shellcheck disable=SC2086
expect 0 "$peers" python3 gguf_same.py permuted hf.gguf $shards
prints '8 tensors are permuted'

finish
