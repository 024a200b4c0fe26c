#!/bin/sh
# The worked file of the specification's chapter 12 is fixtures/golden/worked.ingot, byte for byte, and
# every line of it stands at the offset that it names.
set -eu

said=$(mktemp)
trap 'rm -f "$said"' EXIT
awk '
    /^## 12\./ { inside = 1 }
    /^## 13\./ { inside = 0 }
    inside && /^[0-9a-f][0-9a-f][0-9a-f][0-9a-f]  / {
        if (sprintf("%04x", n) != $1) { print "offset " $1 " where " sprintf("%04x", n) " is due"; exit 1 }
        bytes = substr($0, 7, 47)
        if (bytes ~ /\*/) {
            split(bytes, part, " ")
            for (i = 0; i < part[3]; i++) { print "00"; n++ }
        } else {
            k = split(bytes, part, " ")
            for (i = 1; i <= k; i++) { print part[i]; n++ }
        }
    }' spec/ingot-v1.md >"$said"
od -An -v -tx1 fixtures/golden/worked.ingot | tr -s ' ' '\n' | sed '/^$/d' | cmp - "$said"
[ "$(wc -l <"$said")" -gt 1000 ]
