#!/bin/sh
# Runs tests and sums them up: run.sh --config NAME INGOT TEST... [--config NAME INGOT TEST...]
#
# A test is a program or a script. It finds the command in $INGOT and its build folder in $BUILD,
# runs in the top folder, and is judged by its exit status: 0 passed, 77 skipped, else failed. The
# output of a failed test is shown, and of the others the first line of a skipped one and every line
# that begins with "note: ". A test given as NAME.c was left out of the build and counts as skipped.
# As many run at a time as $TEST_JOBS says, or as there are cores.
set -u
passed=0
failed=0
skipped=0
failures=
n_begun=0
n_running=0
jobs=${TEST_JOBS:-$(nproc 2>/dev/null || echo 2)}
folder=$(mktemp -d) || exit 3

leave() {
    for file in "$folder"/*.pid; do
        [ ! -e "$file" ] || kill "$(cat "$file")" 2>/dev/null
    done
    wait
    rm -rf "$folder"
}
trap leave EXIT
trap 'exit 130' HUP INT TERM

# Each test that ends writes its number here.
mkfifo "$folder/ended" || exit 3
exec 3<>"$folder/ended"

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

# Runs a test. NUMBER.result has the one word by which it is counted, NUMBER.told what is told of it.
run() { # NUMBER TEST
    name=${2#"$BUILD"/}
    output=$folder/$1.output
    begin=$(date +%s)
    # shellcheck disable=SC2086 # the wrapper is several words or none
    case $2 in
    *.sh) timeout -k 10 "${TEST_SECONDS:-600}" sh "$2" ;;
    *) timeout -k 10 "${TEST_SECONDS:-600}" $wrapper "$2" ;;
    esac </dev/null >"$output" 2>&1 3>&- &
    echo $! >"$folder/$1.pid"
    wait $!
    status=$?
    rm "$folder/$1.pid"
    seconds=$(($(date +%s) - begin))
    time=
    [ "$seconds" -lt 2 ] || time=" ($seconds s)"
    case $status in
    0)
        result=passed
        tell passed "$name" "$time"
        sed -n 's/^note: /         note: /p' "$output"
        ;;
    77)
        result=skipped
        tell skipped "$name" ": $(head -n 1 "$output")"
        ;;
    *)
        result="${name}[${config}]"
        [ "$status" -ne 124 ] || echo "stopped after ${TEST_SECONDS:-600} seconds" >>"$output"
        tell FAILED "$name" " (exit status $status)$time"
        sed 's/^/    /' "$output"
        ;;
    esac >"$folder/$1.told"
    echo "$result" >"$folder/$1.result"
    rm "$output"
    echo "$1" >&3
}

# Waits until a test has ended, tells of it and counts it.
count() {
    read -r number <&3
    n_running=$((n_running - 1))
    cat "$folder/$number.told"
    result=$(cat "$folder/$number.result")
    case $result in
    passed) passed=$((passed + 1)) ;;
    skipped) skipped=$((skipped + 1)) ;;
    *)
        failed=$((failed + 1))
        failures="$failures $result"
        ;;
    esac
}

while [ $# -gt 0 ]; do
    case $1 in
    --config)
        enter_config "$2" "$3"
        shift 2
        ;;
    *.c)
        skipped=$((skipped + 1))
        tell skipped "${1%.c}" ': left out of this build'
        ;;
    *)
        [ "$n_running" -lt "$jobs" ] || count
        n_begun=$((n_begun + 1))
        n_running=$((n_running + 1))
        run "$n_begun" "$1" &
        ;;
    esac
    shift
done
while [ "$n_running" -gt 0 ]; do count; done

[ -z "$failures" ] || echo "failed:$failures"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
