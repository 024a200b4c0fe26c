#!/bin/sh
# Encodings that look at a whole tensor: what grows with it is not anonymous memory. The values of
# this one take 256 MiB.
. tests/cli/common.sh
zeros=$scratch/zeros.safetensors
target=$scratch/zeros.ingot
limit_kilobytes=100000

case ${BUILD:-} in
*release) ;;
*) echo 'skipped: the sanitizers take memory of their own' && exit 77 ;;
esac
[ -r /proc/self/status ] || { echo 'skipped: no /proc' && exit 77; }
header='{"a.weight":{"dtype":"BF16","shape":[16384,4096],"data_offsets":[0,134217728]}}'
header="$header "
printf 'P\0\0\0\0\0\0\0%s' "$header" >"$zeros"
truncate -s $((8 + 80 + 134217728)) "$zeros"

# Prints the largest anonymous resident memory of a command, in kilobytes, as it was seen.
most_anonymous() {
    "$@" >"$out" 2>"$err" &
    most=0
    while found=$(sed -n 's/^RssAnon:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$!/status" 2>/dev/null) && [ -n "$found" ]; do
        [ "$found" -gt "$most" ] && most=$found
    done
    wait $! || most=failed
    echo "$most"
}

for encoding in code4 nvfp4 nf4-bnb; do
    most=$(most_anonymous "$INGOT" convert -q "$zeros" -o "$target" --force --threads 2 --encode "$encoding")
    [ "$most" != failed ] || fail "$encoding: convert failed"
    [ "$most" = failed ] || [ "$most" -lt "$limit_kilobytes" ] || fail "$encoding: $most kB of anonymous memory"
    expect 0 "$INGOT" validate "$target"
done
finish
