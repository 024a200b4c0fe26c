#!/bin/sh
# The command line: helps, hints and exit statuses that do not depend on any model.
. tests/cli/common.sh

verbs='convert restore extract inspect validate compare devices bench'

expect 0 "$INGOT" --version
prints 'ingot 0.'
expect 0 "$INGOT" -h
for verb in $verbs; do prints "  $verb "; done
expect 0 "$INGOT" --help
expect 2 "$INGOT"
is_silent "$out"
says 'usage: ingot VERB'

# Every option that a help names is known to the parser, and every line fits a terminal.
for verb in $verbs; do
    expect 0 "$INGOT" "$verb" -h
    is_silent "$err"
    prints "usage: ingot $verb"
    prints "  ingot $verb"
    prints 'Examples:'
    awk 'length > 80 { exit 1 }' "$out" || fail "$verb -h has lines over 80 columns"
    sed -n 's/^  [ -].[ ,] \(--[a-z-]*\).*/\1/p' "$out" | grep -vx -e --help >"$scratch/options"
    [ -s "$scratch/options" ] || fail "$verb -h shows no options"
    while read -r option; do
        "$INGOT" "$verb" "$option=" >"$scratch/o" 2>"$scratch/e" </dev/null
        ! grep -q 'there is no option' "$scratch/e" || fail "$verb -h names $option in vain"
    done <"$scratch/options"
    expect 0 "$INGOT" "$verb" --help
    expect 2 "$INGOT" "$verb" --no-such-thing
    is_silent "$out"
    says "ingot: $verb: there is no option --no-such-thing"
    says "\"ingot $verb -h\" tells more"
    expect 2 "$INGOT" "$verb" -Z
    says 'there is no option -Z'
done

expect 2 "$INGOT" convrt
says 'there is no verb "convrt"; did you mean convert?'
expect 2 "$INGOT" --versoin
says 'there is no option "--versoin"'
expect 2 "$INGOT" convert a -o b --encoed int4
says 'did you mean --encode?'
expect 2 "$INGOT" convert a -o b --compress fats
says 'did you mean fast?'
expect 2 "$INGOT" convert a -o b --encode int44
says 'did you mean int4?'
expect 2 "$INGOT" convert a -o b --encode sparse+no-such-encoding
says 'there is no encoding'
expect 2 "$INGOT" convert a -o b --encode int4 --keep
says 'exclude each other'
expect 2 "$INGOT" convert a
says '-o DST is missing'
expect 2 "$INGOT" convert -o b
says 'SRC... is missing'
expect 2 "$INGOT" convert a -o
says '--output needs a value'
expect 2 "$INGOT" convert a -o b -o c
says '--output is given twice'
expect 2 "$INGOT" convert a -o b --force=yes
says '--force takes no value'
expect 2 "$INGOT" convert a -o - --json
expect 2 "$INGOT" inspect a b
says 'too many operands'
expect 2 "$INGOT" compare a
expect 2 "$INGOT" devices a
expect 2 "$INGOT" bench a --rows 0
says 'a whole number from 1 on'
expect 2 "$INGOT" bench a --rows 4294967296
expect 2 "$INGOT" bench a --device gpu
says '--device takes cpu or what'

# What is not there is a failure of the system, and the message names it.
for verb in inspect validate bench; do
    expect 3 "$INGOT" "$verb" "$scratch/none.ingot"
    is_silent "$out"
    says "ingot: $scratch/none.ingot"
done
expect 3 "$INGOT" inspect -- --none
says '--none'
expect 3 "$INGOT" compare "$scratch/none" "$scratch/none"
expect 3 "$INGOT" restore "$scratch/none.ingot" -o"$scratch/again"
is_absent "$scratch/again"
expect 3 "$INGOT" convert "$scratch/none" --output="$scratch/new.ingot"
is_absent "$scratch/new.ingot"

expect 0 "$INGOT" convert --list-encodings
prints 'int4'
expect 0 "$INGOT" convert --list-encodings --json
is_json
json_holds 'all(e["bits_per_weight"] > 0 and e["help"] for e in j["encodings"])'
json_holds '{e["name"]: round(e["db_above_bound"] or 0) for e in j["encodings"]}.items() >= {
    "int4": 5, "q4_k": 4, "iq2_xxs": 3, "sparse50": 0}.items()'
json_holds '[e["name"] for e in j["encodings"] if e["normal_error"] is None][0] == "sparse50"'

expect 0 "$INGOT" devices
prints 'cpu'
expect 0 "$INGOT" devices --json
is_json
json_holds 'j["devices"][-1]["device"] == "cpu" and j["devices"][-1]["usable"]'

# Standard output that takes nothing.
if [ -c /dev/full ]; then
    "$INGOT" -h >/dev/full 2>"$err"
    status=$?
    [ "$status" -eq 3 ] || fail "a full standard output gives $status, not 3"
    ran='ingot -h >/dev/full'
    says 'standard output'
fi

# A reader that went away.
{
    sleep 1
    "$INGOT" -h 2>"$err"
    echo $? >"$scratch/status"
} | :
[ "$(cat "$scratch/status")" -eq 3 ] || fail "a closed pipe gives $(cat "$scratch/status"), not 3"

finish
