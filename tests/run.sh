#!/bin/sh
# Runs tests and sums them up: run.sh --config NAME INGOT TEST... [--config NAME INGOT TEST...]
#
# A test is a program or a script. It finds the command in $INGOT and its build folder in $BUILD,
# runs in the top folder, and is judged by its exit status: 0 passed, 77 skipped, else failed. The
# output of a failed test is shown, and of the others the first line of a skipped one and every line
# that begins with "note: ". A test given as NAME.c was left out of the build and counts as skipped.
set -u
passed=0
failed=0
skipped=0
failures=
output=$(mktemp) || exit 3
trap 'rm -f "$output"' EXIT

# Drivers of Vulkan devices leak and race: under a sanitizer no device is shown to the tests.
enter_config() { # NAME INGOT
    config=$1
    BUILD=build/$1
    INGOT=$2
    export BUILD INGOT
    wrapper=
    case $config in
    sanitize | thread)
        export VK_DRIVER_FILES=/dev/null VK_ICD_FILENAMES=/dev/null VK_LOADER_LAYERS_DISABLE='~implicit~'
        export ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1
        ;;
    *) unset VK_DRIVER_FILES VK_ICD_FILENAMES VK_LOADER_LAYERS_DISABLE ;;
    esac
    # The thread sanitizer of older compilers fails where addresses are too random.
    if [ "$config" = thread ] && setarch -R true 2>/dev/null; then wrapper='setarch -R'; fi
}

tell() { # RESULT NAME DETAIL
    where=
    [ "$config" = release ] || where=" [$config]"
    printf '%-7s  %s%s%s\n' "$1" "$2" "$where" "$3"
}

run() { # TEST
    name=${1#"$BUILD"/}
    case $1 in
    *.c)
        skipped=$((skipped + 1))
        tell skipped "${1%.c}" ': left out of this build'
        return
        ;;
    esac
    begin=$(date +%s)
    # shellcheck disable=SC2086 # the wrapper is several words or none
    case $1 in
    *.sh) timeout -k 10 "${TEST_SECONDS:-600}" sh "$1" ;;
    *) timeout -k 10 "${TEST_SECONDS:-600}" $wrapper "$1" ;;
    esac </dev/null >"$output" 2>&1
    status=$?
    seconds=$(($(date +%s) - begin))
    time=
    [ "$seconds" -lt 2 ] || time=" ($seconds s)"
    case $status in
    0)
        passed=$((passed + 1))
        tell passed "$name" "$time"
        sed -n 's/^note: /         note: /p' "$output"
        ;;
    77)
        skipped=$((skipped + 1))
        tell skipped "$name" ": $(head -n 1 "$output")"
        ;;
    *)
        failed=$((failed + 1))
        failures="$failures ${name}[${config}]"
        [ "$status" -ne 124 ] || echo "stopped after ${TEST_SECONDS:-600} seconds" >>"$output"
        tell FAILED "$name" " (exit status $status)$time"
        sed 's/^/    /' "$output"
        ;;
    esac
}

while [ $# -gt 0 ]; do
    if [ "$1" = --config ]; then
        enter_config "$2" "$3"
        shift 3
    else
        run "$1"
        shift
    fi
done

[ -z "$failures" ] || echo "failed:$failures"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
