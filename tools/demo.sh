#!/bin/sh
# The walk through Ingot on the small trained model of fixtures/: convert, validate, restore,
# damage, compare, multiply, measure and write. It stops at the first thing that is not as it should be.
# Usage: demo.sh [MODEL]   MODEL is a checkpoint folder or a .safetensors file.
set -eu

ingot=${INGOT:-build/ingot}
model=${1:-fixtures/shakespeare-3m}
work=${DEMO_DIR:-build/demo}

say() { printf '\n# %s\n' "$*"; }
run() {
    printf '$ ingot %s\n' "$*"
    "$ingot" "$@"
}
# The same, showing the end of what it prints: the totals.
run_end() {
    lines=$1
    shift
    printf '$ ingot %s | tail -n %s\n' "$*" "$lines"
    "$ingot" "$@" >"$work/output.txt"
    tail -n "$lines" "$work/output.txt"
}
# Runs a command that must fail with exit status 1.
run_bad() {
    printf '$ ingot %s\n' "$*"
    status=0
    "$ingot" "$@" || status=$?
    [ "$status" -eq 1 ] || { echo "demo: exit status $status, not 1" >&2; exit 1; }
}
size() { wc -c <"$1" | tr -d ' '; }

rm -rf "$work"
mkdir -p "$work"

say "1. Convert: losslessly, and to 4 bits a weight"
run convert "$model" -o "$work/raw.ingot"
run convert "$model" -o "$work/int4.ingot" --encode int4
run convert "$model" -o "$work/sum.ingot" --encode int4+lowrank16

say "2. Validate every byte"
run validate "$work/raw.ingot"
run validate "$work/int4.ingot"
run_end 2 validate "$work/int4.ingot" --against "$model"

say "3. Restore the source files, byte for byte"
if [ -d "$model" ]; then
    run restore "$work/raw.ingot" -o "$work/restored"
    diff -r "$model" "$work/restored"
else
    run restore "$work/raw.ingot" -o "$work/restored.safetensors"
    cmp "$model" "$work/restored.safetensors"
fi
echo "equal to the source: every file, every byte"

say "4. Damage one byte of a copy: which tensor is hurt?"
cp "$work/int4.ingot" "$work/damaged.ingot"
place=$(($(size "$work/damaged.ingot") / 2))
byte=$(od -An -tu1 -j "$place" -N 1 "$work/damaged.ingot" | tr -d ' ')
printf "$(printf '\\%03o' $((byte ^ 255)))" |
    dd of="$work/damaged.ingot" bs=1 seek="$place" conv=notrunc 2>/dev/null
run_bad validate "$work/damaged.ingot"

say "5. What did 4 bits cost, and what does a low-rank term give back?"
run_end 6 compare "$model" "$work/int4.ingot"
run_end 6 compare "$model" "$work/sum.ingot"

say "6. Multiply straight from the files: on the CPU"
run_end 3 bench "$work/raw.ingot" --device cpu
run_end 3 bench "$work/int4.ingot" --device cpu
run_end 3 bench "$work/sum.ingot" --device cpu

say "7. ... and on the first Vulkan device, if there is one"
run devices
if "$ingot" devices --json | grep -q '"device": *0,'; then
    run_end 3 bench "$work/int4.ingot" --device 0
else
    echo "no Vulkan device here; the CPU does everything"
fi

if [ -f "$model/config.json" ]; then
    say "8. As a language model: what each is worth on a text it has not seen, and what it writes"
    head -c 12800 fixtures/shakespeare-held-out.txt >"$work/text.txt"
    run convert "$model" -o "$work/q4_k.ingot" --encode q4_k -q
    run convert "$model" -o "$work/sized.ingot" --target-bpw 3 -q
    for file in q4_k int4 sized; do
        run eval "$work/$file.ingot" --baseline "$work/raw.ingot" --text "$work/text.txt" --no-speed \
            --sample ROMEO: --write-receipt
        run report "$work/$file.ingot" -o "$work/$file.html"
    done
    run eval "$work/raw.ingot" --text "$work/text.txt" --sample ROMEO:
    run run "$work/raw.ingot" -p 'JULIET:' -n 100
    printf '\n%-12s %9s %12s %14s %9s\n' file bytes perplexity 'KLD, nats' 'same top'
    for file in raw q4_k int4 sized; do
        "$ingot" eval "$work/$file.ingot" --baseline "$work/raw.ingot" --text "$work/text.txt" \
            --no-speed -q >"$work/output.txt"
        printf '%-12s %9s %12s %14s %7s %%\n' "$file.ingot" "$(size "$work/$file.ingot")" \
            "$(sed -n 's/^perplexity: *\([^ ]*\) .*/\1/p' "$work/output.txt")" \
            "$(sed -n 's/^divergence: *mean \([^ ]*\) .*/\1/p' "$work/output.txt")" \
            "$(sed -n 's/^same top: *\([^ ]*\) .*/\1/p' "$work/output.txt")"
    done
fi

say "Sizes"
for file in raw int4 sum; do
    printf '%9s bytes  %s.ingot\n' "$(size "$work/$file.ingot")" "$file"
done
if [ -d "$model" ]; then
    printf '%9s bytes  the source\n' "$(cat "$model"/* | wc -c | tr -d ' ')"
else
    printf '%9s bytes  the source\n' "$(size "$model")"
fi
