#!/bin/sh
# Each file of fixtures/bad breaks one rule, all its checksums being right: "validate" names that rule
# and no other, says where and why, and exits with 1.
set -eu

output=$(mktemp)
trap 'rm -f "$output"' EXIT
n=0
for file in fixtures/bad/R-*.ingot; do
    rule=${file#fixtures/bad/}
    rule=$(expr "$rule" : '\(R-[0-9]*\)')
    status=0
    "$INGOT" validate "$file" >"$output" 2>&1 || status=$?
    if [ "$status" -ne 1 ]; then
        echo "$file: exit status $status, not 1"
        cat "$output"
        exit 1
    fi
    found=$(grep -o '\[R-[0-9]*\]' "$output" | sort -u | tr -d '[]')
    if [ "$found" != "$rule" ]; then
        echo "$file: the rules found are: $found"
        cat "$output"
        exit 1
    fi
    grep -q "^ *$rule: " "$output" || { echo "$file: the rule's text is missing"; exit 1; }
    n=$((n + 1))
done
echo "$n rules"
# Every rule of the specification has its file.
for rule in $(sed -n 's/^| \(R-[0-9]*\) |.*/\1/p' spec/ingot-v1.md); do
    [ -f "fixtures/bad/$rule.ingot" ] || { echo "fixtures/bad/$rule.ingot is missing"; exit 1; }
done
# A draft is called one.
"$INGOT" inspect fixtures/bad/R-102-draft.ingot >"$output" 2>&1 && exit 1
grep -q 'draft' "$output"
