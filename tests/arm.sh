#!/bin/sh
# Builds for 64-bit ARM with a cross compiler and runs the tests of format and runtime in an emulator,
# once with all that it can emulate and once, for the kernels, as an old CPU. Debian, as root:
#
#   dpkg --add-architecture arm64 && apt-get update && apt-get install gcc-aarch64-linux-gnu \
#       qemu-user-static libzstd-dev:arm64 libxxhash-dev:arm64 libjansson-dev:arm64 \
#       libarchive-dev:arm64 liblapacke-dev:arm64 libopenblas-dev:arm64 libpcre2-dev:arm64 \
#       libutf8proc-dev:arm64 libcmocka-dev:arm64
set -u
for needed in aarch64-linux-gnu-gcc qemu-aarch64-static; do
    command -v "$needed" >/dev/null || { echo "test-arm: skipped: there is no $needed"; exit 77; }
done
# shellcheck disable=SC2046 # several words
PKG_CONFIG_LIBDIR=/usr/lib/aarch64-linux-gnu/pkgconfig:/usr/share/pkgconfig \
    pkg-config --exists $(sh tools/deps.sh --libraries) cmocka ||
    { echo 'test-arm: skipped: a library for arm64 is not there'; exit 77; }
make=${MAKE:-make}
tests=
for source in tests/format/test_*.c tests/runtime/test_*.c; do
    name=${source%.c}
    [ -z "${TESTS:-}" ] || case " $TESTS " in *" ${name##*/} "*) ;; *) continue ;; esac
    tests="$tests build/arm/$name"
done
# shellcheck disable=SC2086 # several targets
"$make" config=arm -j"$(nproc)" $tests || exit 1

n_failed=0
run() { # CPU PROGRAM
    output=$(timeout "${TEST_SECONDS:-1200}" qemu-aarch64-static -cpu "$1" "$2" 2>&1)
    status=$?
    case $status in
    0) echo "passed   ${2#build/arm/} [$1]" ;;
    77) echo "skipped  ${2#build/arm/} [$1]: $(printf '%s\n' "$output" | head -n 1)" ;;
    *)
        n_failed=$((n_failed + 1))
        echo "FAILED   ${2#build/arm/} [$1] (exit status $status)"
        printf '%s\n' "$output" | sed 's/^/    /'
        ;;
    esac
    printf '%s\n' "$output" | sed -n 's/^note: /         note: /p' | sort -u
}
for test in $tests; do run max "$test"; done
for test in $tests; do
    case $test in *_kernels | *_matmul | *_panels) run cortex-a53 "$test" ;; esac
done
[ "$n_failed" -eq 0 ]
