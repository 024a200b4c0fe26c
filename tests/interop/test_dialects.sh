#!/bin/sh
# Safetensors of dialects, ours and the fixtures', read by the programs of others where there are any
# (transformers for MXFP4) and by their formulas where there are none (bitsandbytes): the same values.
. tests/cli/common.sh
peers=$(pwd)/../shared/peers/run.sh
[ -e "$peers" ] || { echo "there is no $peers"; exit 77; }
INGOT=$(realpath "$INGOT")
cp tests/interop/dialect_values.py "$scratch"
for name in bitsandbytes mxfp4; do
    cp "fixtures/dialects/$name.safetensors" "$scratch/fixture-$name.safetensors"
done
cp -r fixtures/shakespeare-3m "$scratch/model"
cd "$scratch" || exit 1
"$peers" python3 -c 'from transformers.integrations.mxfp4 import convert_moe_packed_tensors' >/dev/null 2>"$err" || {
    echo "the peers do not run: $(tail -n 1 "$err")"
    exit 77
}

same_values() { # NAME.safetensors
    expect 0 "$INGOT" convert "$1" -o "$1.f32.safetensors" -f --encode f32
    expect 0 "$peers" python3 /here/dialect_values.py "/here/$1" "/here/$1.f32.safetensors"
    cat "$out"
}

same_values fixture-bitsandbytes.safetensors
same_values fixture-mxfp4.safetensors
for encoding in nf4-bnb nf4 fp4-f32 mxfp4 mxfp4_gguf; do
    dialect=bitsandbytes
    case $encoding in mxfp4*) dialect=mxfp4 ;; esac
    expect 0 "$INGOT" convert model -o "$encoding.ingot" --encode "$encoding"
    expect 0 "$INGOT" convert "$encoding.ingot" -o "$encoding.safetensors" --to-dialect "$dialect"
    same_values "$encoding.safetensors"
done

# There and back between the two orders of MXFP4's nibbles, without another rounding.
expect 0 "$INGOT" convert mxfp4_gguf.ingot -o one.gguf
expect 0 "$INGOT" convert one.gguf -o one.ingot
expect 0 "$INGOT" convert one.ingot -o two.safetensors --to-dialect mxfp4 -v
grep -q ' repacked ' "$out" || fail "nothing is repacked"
expect 0 "$INGOT" convert two.safetensors -o two.ingot
expect 0 "$INGOT" convert two.ingot -o two.gguf
expect 0 "$INGOT" compare one.gguf two.gguf
expect 0 "$peers" python3 -c '
import gguf
one, two = ({t.name: t for t in gguf.GGUFReader("/here/" + n).tensors} for n in ("one.gguf", "two.gguf"))
assert one.keys() == two.keys()
n = sum(t.tensor_type.name == "MXFP4" for t in one.values())
assert n > 20, n
for name, t in one.items():
    assert t.tensor_type == two[name].tensor_type and t.data.tobytes() == two[name].data.tobytes(), name
'

finish
