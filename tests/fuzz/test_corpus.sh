#!/bin/sh
# Runs every fuzz target over its corpus: what a fuzzer once found stays found.
set -eu

for target in tests/fuzz/fuzz_*.c; do
    name=${target#tests/fuzz/fuzz_}
    name=${name%.c}
    set -- "tests/fuzz/corpus/$name"
    if [ "$name" = ingot ]; then set -- "$@" fixtures/golden fixtures/bad; fi
    printf '%s: ' "$name"
    "$BUILD/tests/fuzz/replay_$name" "$@"
done
