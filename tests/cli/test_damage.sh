#!/bin/sh
# Files that were damaged, cut or are not what they seem: exit status 1, and where it is.
. tests/cli/common.sh
need_fixture
good=$scratch/good.ingot
bad=$scratch/bad.ingot
expect 0 "$INGOT" convert "$fixture" -o "$good" --compress none -q
n_bytes=$(wc -c <"$good")

# The middle of a file is a tensor's data.
cp "$good" "$bad"
flip_byte "$bad" $((n_bytes / 2))
expect 1 "$INGOT" validate "$bad"
prints '[R-310]'
prints 'at offset '
prints "R-310: A chunk's checksum is"
prints 'invalid: '
grep -qE 'weight|model\.' "$out" || fail 'the violation does not name the tensor'
expect 1 "$INGOT" validate "$bad" --json
is_json
json_holds 'not j["valid"] and j["n_violations"] == len(j["violations"]) > 0'
json_holds 'any(v["rule"] == "R-310" and v["rule_text"] for v in j["violations"])'
expect 1 "$INGOT" restore "$bad" -o "$scratch/again"
is_silent "$out"
expect 1 "$INGOT" compare "$bad" "$fixture"
prints 'not compared'
expect 1 "$INGOT" bench "$bad"

# Header, index and trailer are proved when a file is opened.
for offset in 3 20 $((n_bytes - 200)) $((n_bytes - 90)) $((n_bytes - 1)); do
    cp "$good" "$bad"
    flip_byte "$bad" "$offset"
    expect 1 "$INGOT" validate "$bad"
    prints '[R-'
    expect 1 "$INGOT" inspect "$bad"
    says "ingot: $bad: "
done

for n in 0 1 63 64 159 $((n_bytes / 2)) $((n_bytes - 1)); do
    head -c "$n" "$good" >"$bad"
    expect 1 "$INGOT" validate "$bad"
    prints '[R-'
done

cp "$good" "$bad"
echo more >>"$bad"
expect 1 "$INGOT" validate "$bad"

# Not an .ingot file at all.
expect 1 "$INGOT" bench "$fixture/config.json"
says '"ingot convert" makes .ingot files'

# A source that is cut gives no target, and one that differs from the file shows.
make_safetensors "$scratch/t.safetensors" \
    '{"a":{"dtype":"F32","shape":[2,8],"data_offsets":[0,64]},"n":{"dtype":"I64","shape":[2],"data_offsets":[64,80]}}' 80
expect 0 "$INGOT" convert "$scratch/t.safetensors" -o "$scratch/t.ingot"
expect 0 "$INGOT" restore "$scratch/t.ingot" -o "$scratch/t2.safetensors"
cmp "$scratch/t.safetensors" "$scratch/t2.safetensors" || fail 'restore gave another file'
flip_byte "$scratch/t2.safetensors" $(($(wc -c <"$scratch/t2.safetensors") - 1))
expect 1 "$INGOT" validate "$scratch/t.ingot" --against "$scratch/t2.safetensors"
prints 'not what the source says: 1 tensor'
expect 0 "$INGOT" compare "$scratch/t.ingot" "$scratch/t2.safetensors"
prints '1 identical, 1 different'
head -c 100 "$scratch/t.safetensors" >"$scratch/cut.safetensors"
expect 1 "$INGOT" convert "$scratch/cut.safetensors" -o "$scratch/cut.ingot"
is_absent "$scratch/cut.ingot"

# Models without a name in common cannot be compared.
make_safetensors "$scratch/u.safetensors" '{"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}' 4
expect 1 "$INGOT" compare "$scratch/t.safetensors" "$scratch/u.safetensors"
prints 'only in the first'
prints 'only in the second'
make_safetensors "$scratch/v.safetensors" '{"a":{"dtype":"F32","shape":[8],"data_offsets":[0,32]}}' 32
expect 1 "$INGOT" compare "$scratch/t.safetensors" "$scratch/v.safetensors"
prints 'not compared'
expect 1 "$INGOT" validate "$scratch/t.ingot" --against "$scratch/v.safetensors"

# A disk that takes no more: nothing is left, and what was there stays.
echo old >"$scratch/full.ingot"
(
    trap '' XFSZ
    ulimit -f 1000
    "$INGOT" convert "$fixture" -o "$scratch/full.ingot" --compress none --force
) >"$out" 2>"$err"
status=$?
ran='convert on a full disk'
[ "$status" -eq 3 ] || fail "a full disk gives $status, not 3"
[ "$(cat "$scratch/full.ingot")" = old ] || fail 'a failed conversion changed its target'
rm "$scratch/full.ingot"
is_absent "$scratch/full.ingot"

finish
