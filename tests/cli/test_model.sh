#!/bin/sh
# A model on its whole way: convert, inspect, validate, restore, re-encode, compare.
. tests/cli/common.sh
need_fixture
kept=$scratch/kept.ingot

expect 0 "$INGOT" convert "$fixture" -o "$kept"
is_silent "$err"
prints 'none re-encoded'
prints 'can be restored from it'
is_absent "$kept.tmp"

# An existing target stays as it is, unless --force.
cp "$kept" "$scratch/copy"
expect 1 "$INGOT" convert "$fixture" -o "$kept" --compress none
says 'exists already; --force replaces it'
cmp -s "$kept" "$scratch/copy" || fail 'a refused conversion changed its target'
expect 0 "$INGOT" convert "$fixture" -o "$kept" --force -q
is_silent "$out"
cmp -s "$kept" "$scratch/copy" || fail 'the same conversion gave other bytes'
"$INGOT" convert "$fixture" -o - >"$scratch/piped" 2>"$err" || fail 'convert -o - failed'
cmp -s "$kept" "$scratch/piped" || fail 'a pipe and a file got different bytes'

# A target in the source's own folder does not become a part of itself.
cp -r "$fixture" "$scratch/own"
expect 0 "$INGOT" convert "$scratch/own" -o "$scratch/own/own.ingot" -q
cmp -s "$kept" "$scratch/own/own.ingot" || fail 'a target in the source folder has other bytes'
for force in '' --force; do
    # shellcheck disable=SC2086 # the option may be none
    expect 1 "$INGOT" convert "$scratch/own/" -o "$scratch/own/../own/own.ingot" $force
    says 'would become a part of itself'
    cmp -s "$kept" "$scratch/own/own.ingot" || fail 'a refused conversion changed its target'
done
rm -r "$scratch/own"

expect 0 "$INGOT" convert "$fixture" -o "$scratch/max.ingot" --compress max --json
is_json
json_holds 'j["restorable"] and j["n_encoded"] == 0 and j["n_tensors"] == len(j["tensors"])'
expect 0 "$INGOT" convert "$fixture" -o "$scratch/none.ingot" --compress=none -v
prints 'kept'
largest=$(wc -c <"$scratch/none.ingot")
smallest=$(wc -c <"$scratch/max.ingot")
[ "$smallest" -lt "$largest" ] || fail "--compress max gives $smallest bytes, none $largest"

expect 0 "$INGOT" inspect "$kept"
prints 'format:      ingot'
prints 'content id:'
prints 'restorable:  yes'
prints 'config.json'
expect 0 "$INGOT" inspect "$kept" --json
is_json
json_holds 'j["restorable"] and j["format"] == "ingot" and len(j["content_id"]) == 32'
json_holds 'sum(t["stored_bytes"] for t in j["tensors"] if "alias_of" not in t) == j["stored_bytes"]'
json_holds '"config.json" in [a["name"] for a in j["attachments"]]'
cp "$out" "$scratch/kept.json"
expect 0 "$INGOT" inspect "$fixture" --json
is_json
json_holds 'j["format"] != "ingot" and j["n_tensors"] > 0'
first=$(sed -n 's/^ *"name": "\(.*\)",$/\1/p' "$scratch/kept.json" | head -n 1)
expect 0 "$INGOT" inspect "$kept" --tensor "$first"
prints "$first"
prints 'dense (first)'
expect 0 "$INGOT" inspect "$kept" --tensor "$first" --json
is_json
json_holds 'j["terms"][0]["kind"] == "dense"'
expect 1 "$INGOT" inspect "$kept" --tensor "${first}x"
says "did you mean \"$first\"?"

expect 0 "$INGOT" validate "$kept"
prints 'valid: '
is_silent "$err"
expect 0 "$INGOT" validate "$kept" --against "$fixture" --json
is_json
json_holds 'j["valid"] and j["n_deviating"] == 0'
json_holds 'all(t["verdict"] == "identical" for t in j["against"])'

expect 0 "$INGOT" restore "$kept" -o "$scratch/again"
prints 'with the hash of its original'
diff -r "$fixture" "$scratch/again" || fail 'restore gave other files'
expect 1 "$INGOT" restore "$kept" -o "$scratch/again"
expect 0 "$INGOT" restore "$kept" -o "$scratch/again" --force --json
is_json
diff -r "$fixture" "$scratch/again" || fail 'restore --force gave other files'

# Through another format and back.
expect 0 "$INGOT" convert "$kept" -o "$scratch/one.safetensors"
prints 'attached files'
expect 0 "$INGOT" compare "$scratch/one.safetensors" "$fixture" --json
json_holds 'j["n_identical"] == len(j["tensors"])'

# With loss: everything says so.
small=$scratch/small.ingot
expect 0 "$INGOT" convert "$fixture" -o "$small" --encode int4 -v
prints 'int4'
prints 'worst first:'
prints 'the source files cannot be restored from it: '
expect 0 "$INGOT" inspect "$small" -q
prints 'restorable:  no'
expect 1 "$INGOT" restore "$small" -o "$scratch/never"
is_absent "$scratch/never"
expect 0 "$INGOT" validate "$small" --against "$fixture"
prints 'against the source: '
prints ' different'
expect 0 "$INGOT" compare "$fixture" "$small"
prints 'differs'
expect 0 "$INGOT" compare "$fixture" "$small" --json
is_json
json_holds 'j["n_different"] > 0 and j["n_not_compared"] == 0 and j["n_only_a"] == 0'
json_holds 'all(t["sqnr_db"] > 10 for t in j["tensors"] if t["verdict"] == "different")'
expect 1 "$INGOT" convert "$small" -o "$scratch/plain.safetensors"
is_absent "$scratch/plain.safetensors"
expect 0 "$INGOT" convert "$small" -o "$scratch/plain.safetensors" --encode f32
prints 'no value changed'
expect 0 "$INGOT" compare "$small" "$scratch/plain.safetensors"
prints 'with equal values'
expect 1 "$INGOT" convert "$fixture" -o "$scratch/model.unknown"
is_absent "$scratch/model.unknown"
expect 0 "$INGOT" compare "$kept" "$fixture" -q
prints 'identical'
[ "$(wc -l <"$out")" -eq 1 ] || fail 'compare -q prints more than its totals'

finish
