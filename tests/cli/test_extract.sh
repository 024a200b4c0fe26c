#!/bin/sh
# Parts of models: extract, --include and --exclude, --dry-run.
. tests/cli/common.sh
need_fixture
kept=$scratch/kept.ingot
name=model.norm.weight
expect 0 "$INGOT" convert "$fixture" -o "$kept" -q

for model in "$kept" "$fixture"; do
    expect 0 "$INGOT" extract "$model" config.json -o -
    is_silent "$err"
    cmp -s "$out" "$fixture/config.json" || fail 'extract gave another config.json'
    expect 0 "$INGOT" extract "$model" tokenizer.json -o "$scratch/tokenizer.json" -f
    cmp -s "$scratch/tokenizer.json" "$fixture/tokenizer.json" || fail 'another tokenizer.json'
    expect 0 "$INGOT" extract "$model" "$name" -o "$scratch/norm.npy" -f
    says 'NumPy has no bf16'
    [ "$(wc -c <"$scratch/norm.npy")" -eq $((128 + 256 * 4)) ] || fail 'the .npy has another length'
    head -c 128 "$scratch/norm.npy" | grep -q "'descr': '<f4', 'fortran_order': False, 'shape': (256,)" ||
        fail 'the .npy has another header'
    expect 0 "$INGOT" extract "$model" "$name" -o - --raw
    [ "$(wc -c <"$out")" -eq 512 ] || fail 'the raw tensor has another length'
    cp "$out" "$scratch/$(basename "$model").raw"
done
cmp -s "$scratch/kept.ingot.raw" "$scratch/shakespeare-3m.raw" || fail 'the raw tensors differ'
if python=$(sh tools/python.sh numpy); then
    "$python" -c 'import sys, numpy
v = numpy.load(sys.argv[1]); raw = numpy.fromfile(sys.argv[2], dtype="<u2").astype("<u4") << 16
assert v.dtype == "<f4" and v.shape == (256,) and (v == raw.view("<f4")).all()' \
        "$scratch/norm.npy" "$scratch/kept.ingot.raw" || fail 'NumPy reads other values'
else
    echo 'note: NumPy: skipped, it is not there'
fi

expect 1 "$INGOT" extract "$kept" "$name" -o "$scratch/norm.npy"
says '--force replaces it'
expect 1 "$INGOT" extract "$kept" model.norm.weigth -o -
says 'did you mean "model.norm.weight"?'
expect 1 "$INGOT" extract "$kept" confg.json -o -
says 'did you mean "config.json"?'
expect 1 "$INGOT" extract "$kept" config.json -o - --tensor
says 'there is no tensor "config.json"'
expect 1 "$INGOT" extract "$kept" "$name" -o - --attachment
expect 2 "$INGOT" extract "$kept" config.json -o - --raw
expect 2 "$INGOT" extract "$kept" config.json -o - --tensor --attachment
expect 2 "$INGOT" extract "$kept" config.json -o - --json
expect 0 "$INGOT" extract "$kept" "$name" -o "$scratch/norm.npy" -f --json
is_json
json_holds 'j["kind"] == "tensor" and j["dtype"] == "f32" and j["n_bytes"] == 1152'

# A tensor and a file of one name.
mkdir "$scratch/both"
make_safetensors "$scratch/both/m.safetensors" \
    '{"twin":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}' 4
echo text >"$scratch/both/twin"
expect 1 "$INGOT" extract "$scratch/both" twin -o -
says '--tensor or --attachment says which'
expect 0 "$INGOT" extract "$scratch/both" twin -o - --attachment
prints text
expect 0 "$INGOT" extract "$scratch/both" twin -o - --tensor
prints "'shape': ()"

# A plan writes nothing and is what happens then.
for encode in --keep --encode=int4 --encode=int4+lowrank16; do
    expect 0 "$INGOT" convert "$fixture" -o "$scratch/plan.ingot" "$encode" --compress none --dry-run --json
    is_json
    is_absent "$scratch/plan.ingot"
    json_holds 'not j["at_most"] and sum(t["coded_bytes"] for t in j["tensors"]) == j["tensor_bytes"]'
    cp "$out" "$scratch/plan.json"
    expect 0 "$INGOT" convert "$fixture" -o "$scratch/plan.ingot" "$encode" --compress none --json
    json_holds '(lambda p: [t["coded_bytes"] for t in p["tensors"]] == [t["coded_bytes"] for t in j["tensors"]]
        and p["n_encoded"] == j["n_encoded"] and p["restorable"] == j["restorable"])(json.load(open("'"$scratch"'/plan.json")))'
    rm "$scratch/plan.ingot"
done
expect 0 "$INGOT" convert "$fixture" -o "$scratch/plan.ingot" --encode int4 --dry-run
prints 'nothing was written'
prints 'at most'
prints 'model.norm.weight'
is_absent "$scratch/plan.ingot"
expect 0 "$INGOT" convert "$fixture" -o "$scratch/plan.ingot" --dry-run -q
[ "$(wc -l <"$out")" -lt 8 ] || fail 'a quiet plan lists tensors'
expect 1 "$INGOT" convert "$fixture" -o "$scratch/plan.safetensors" --encode int4 --dry-run

# Parts.
expect 0 "$INGOT" convert "$fixture" -o "$scratch/part.ingot" --include '*.layers.0.*' \
    --include=model.norm* --exclude '*.mlp.*' --exclude 'token*'
prints 'cannot be restored from it: 32 tensors were left out, 2 attached files were left out'
says 'left out, as was asked'
expect 0 "$INGOT" inspect "$scratch/part.ingot" --json
json_holds 'j["n_tensors"] == 7 and len(j["attachments"]) == 3 and not j["restorable"]'
expect 0 "$INGOT" validate "$scratch/part.ingot"
expect 1 "$INGOT" restore "$scratch/part.ingot" -o "$scratch/never"
is_absent "$scratch/never"
expect 0 "$INGOT" convert "$kept" -o "$scratch/one.ingot" --include "$name" --json
json_holds 'j["n_tensors_left_out"] == 38 and not j["restorable"]'
expect 0 "$INGOT" validate "$scratch/one.ingot"
prints 'valid: 1 tensor, '
expect 0 "$INGOT" convert "$kept" -o "$scratch/all.ingot" --include '*'
prints 'can be restored from it'
expect 1 "$INGOT" convert "$kept" -o "$scratch/none.ingot" --include 'no.such.*'
says "'no.such.*' matches no tensor"
is_absent "$scratch/none.ingot"
expect 2 "$INGOT" convert "$kept" -o "$scratch/none.ingot" --include ''

finish
