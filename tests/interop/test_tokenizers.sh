#!/bin/sh
# Texts become the tokens that the libraries of models and llama.cpp make of them. Needs the peers;
# exit status 77 means skipped, with the reason as first line.
. tests/cli/common.sh
data=../shared/data
[ -d "$data" ] || { echo "$data is not there"; exit 77; }
sh -c '../shared/peers/run.sh true' >/dev/null 2>&1 || { echo 'the peers are not set up'; exit 77; }
peers=$(cd ../shared/peers && pwd)/run.sh
make -s config=release build/release/tests/bench/tokenize >/dev/null || fail 'tokenize was not built'

run_peer() { # COMMAND...: in the scratch folder, which the peers see as /here
    (cd "$scratch" && "$peers" "$@") 2>"$scratch/log"
}

compare() { # FILE.ingot TEXT EXPECTED [special]
    build/release/tests/bench/tokenize "$1" "$2" ${4:+"$4"} >"$scratch/ids" 2>"$scratch/log" ||
        fail "${1##*/}: $(cat "$scratch/log")"
    cmp -s "$scratch/ids" "$3" || fail "${1##*/}: other tokens of ${2##*/}"
    n_same=$((n_same + 1))
}
n_same=0

for file in ggml-vocab-llama-spm ggml-vocab-falcon.d4ea2e8 stories260Ktok512; do
    expect 0 "$INGOT" convert -q "$data/gguf/$file.gguf" -o "$scratch/$file.ingot"
    for text in tiny_shakespeare tinystories_train_head; do
        run_peer llama-tokenize -m "/shared/data/gguf/$file.gguf" -f "/shared/data/text/$text.txt" \
            --ids --no-bos --log-disable | tr -d '[] ' | tr ',' '\n' >"$scratch/expected"
        compare "$scratch/$file.ingot" "$data/text/$text.txt" "$scratch/expected"
    done
done

mkdir "$scratch/kinds"
cp tests/interop/make_tokenizers.py "$scratch"
run_peer python3 make_tokenizers.py kinds /shared/data/text/tiny_shakespeare.txt \
    /shared/data/text/tinystories_train_head.txt >/dev/null || fail "make_tokenizers.py: $(tail -n 3 "$scratch/log")"
for kind in "$scratch"/kinds/*/; do
    kind=${kind%/}
    case $kind in */sp-*) special= ;; *) special=special ;; esac
    expect 0 "$INGOT" convert -q "$kind" -o "$kind.ingot"
    for ids in "$kind"/*.ids; do
        number=${ids##*/}
        compare "$kind.ingot" "$scratch/kinds/${number%.ids}.txt" "$ids" $special
    done
done
echo "note: the tokens of $n_same texts are the same"
[ "$n_same" -ge 60 ] || fail "only $n_same texts were compared"
[ "$n_failed" -eq 0 ]
