#!/bin/sh
# GGUF as a target and a source of the command: what it says, and what it refuses.
. tests/cli/common.sh
need_fixture
t=$scratch/t.gguf

expect 0 "$INGOT" convert "$fixture" -o "$t" --dry-run --json
is_json
is_absent "$t"
says 'general.architecture'
json_holds 'j["dry_run"] and len(j["notes"]) == 1 and j["n_attachments_lost"] == 5'
planned=$(sed -n 's/.*"target_bytes": \([0-9]*\).*/\1/p' "$out")
expect 0 "$INGOT" convert "$fixture" -o "$t" --json -q
is_json
is_silent "$err"
json_holds 'j["n_encoded"] == 0 and not j["restorable"] and len(j["notes"]) == 1'
[ "$(wc -c <"$t")" -eq "$planned" ] || fail "the file is not $planned bytes long"
expect 1 "$INGOT" convert "$fixture" -o "$t"
says 'exists already'
expect 0 "$INGOT" compare "$fixture" "$t" --json
json_holds 'j["n_identical"] == len(j["tensors"])'
expect 0 "$INGOT" inspect "$t" --json
json_holds 'j["format"] == "gguf" and [e["encoding"] for e in j["encodings"]] == ["bf16"]'
json_holds 'sum(e["stored_bytes"] for e in j["encodings"]) == j["stored_bytes"]'
expect 0 "$INGOT" convert "$t" -o "$scratch/t.ingot"
expect 0 "$INGOT" convert "$scratch/t.ingot" -o "$scratch/again.gguf"
cmp "$t" "$scratch/again.gguf" || fail 'another file came back by way of a container'

# Every tensor that cannot be held is named: twenty, and how many more.
header='{"fine":{"dtype":"I8","shape":[1],"data_offsets":[0,1]}'
for i in $(seq 10 34); do
    header="$header,\"t$i\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[$((i - 9)),$((i - 8))]}"
done
make_safetensors "$scratch/many.safetensors" "$header}" 26
for dry in --dry-run -q; do
    expect 1 "$INGOT" convert "$scratch/many.safetensors" -o "$scratch/none.gguf" $dry
    [ "$(grep -c ': GGUF has no type for u8' "$err")" -eq 20 ] || fail 'not 20 refusals'
    says 't29: GGUF has no type for u8'
    says 'and 5 more'
    says "25 of its tensors cannot be in $scratch/none.gguf; nothing was written"
    is_absent "$scratch/none.gguf"
done
expect 0 "$INGOT" convert "$scratch/many.safetensors" -o "$scratch/some.gguf" --include fine

# One value of the metadata, and one tensor's.
expect 0 "$INGOT" inspect "$t" --key format
[ "$(cat "$out")" = pt ] || fail '--key prints more than the value'
expect 0 "$INGOT" inspect "$t" --key format --json
json_holds 'j == {"key": "format", "type": "string", "value": "pt"}'
expect 1 "$INGOT" inspect "$t" --key fromat
says 'there is no key "fromat"; did you mean "format"?'
expect 2 "$INGOT" inspect "$t" --key format --tensor x
make_safetensors "$scratch/v.safetensors" \
    '{"v":{"dtype":"F16","shape":[2,5],"data_offsets":[0,20]}}' 0
printf '\000\074\000\300\000\000\000\200\000\176\000\174\000\074\000\074\000\074\000\074' \
    >>"$scratch/v.safetensors"
for path in "$scratch/v.safetensors" "$scratch/v.ingot" "$scratch/v.gguf"; do
    [ -e "$path" ] || expect 0 "$INGOT" convert "$scratch/v.safetensors" -o "$path" -q
    expect 0 "$INGOT" inspect "$path" --tensor v
    prints 'min -2, max 1, mean 0.375, deviation 0.992157'
    prints '2 zero, 1 NaN, 1 infinite'
    prints 'first:       1 -2 0 -0 nan inf 1 1 ...'
    expect 0 "$INGOT" inspect "$path" --tensor v --json
    is_json
    json_holds 'j["values"]["n"] == 10 and j["values"]["first"][4:6] == ["nan", "inf"]'
done

finish
