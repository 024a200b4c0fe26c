#!/bin/sh
# Measures the container: converting beside cp, memory, opening, validating, reading one row range.
# Each figure is printed with its command; paired commands take turns (A B A B ...), and ratios are
# of neighbours in time. Needs some disk: 3 x 2.2 GB in BENCH_DIR, and 2 x 20 GB more with LARGE=1.
# Section cpu: products of made-up weights, as shares of what the machine can do; where GGML_PERF is a
# command that runs ggml's test-backend-ops, its "perf" takes turns with them.
# Usage: bench.sh [SECTION...]      sections: convert memory open validate rows cpu (default: all)
set -eu

ingot=${INGOT:-build/ingot}
programs=${BENCH_PROGRAMS:-build/release/tests/bench}
work=${BENCH_DIR:-build/bench}
runs=${RUNS:-5}
mkdir -p "$work"
model=$work/model-2gb.safetensors

now() { date +%s%N; }
# min / median / max of the numbers on standard input, in columns of words.
spread() {
    sort -n | awk '{ v[NR] = $1 } END { printf "min %.3f  median %.3f  max %.3f", v[1], (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2, v[NR] }'
}
# Seconds of a command.
seconds() {
    begin=$(now)
    "$@" >"$work/output.txt" 2>&1 || { cat "$work/output.txt" >&2; exit 1; }
    end=$(now)
    awk "BEGIN { printf \"%.4f\\n\", ($end - $begin) / 1e9 }"
}
warm() { cat "$@" >/dev/null; }
gigabytes() { awk "BEGIN { printf \"%.2f\", $(wc -c <"$1") / 1e9 }"; }

machine() {
    printf 'machine: %s, %s cores, %s\n' \
        "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | sed -n 1p)" "$(nproc)" "$(uname -sr)"
    printf 'ingot: %s\n' "$("$ingot" --version | sed -n 1p)"
}

make_model() {
    [ -f "$model" ] || "$programs/make_model" "$model" 5
}

copy_and_sync() {
    rm -f "$work/copy"
    cp --reflink=never "$model" "$work/copy"
    sync "$work/copy"
}
convert_stored() {
    rm -f "$work/model.ingot"
    "$ingot" convert -q "$model" -o "$work/model.ingot" --compress none
}

bench_convert() {
    make_model
    printf '\n## ingot convert MODEL -o FILE --compress none, beside cp --reflink=never and sync (%s GB bf16)\n' \
        "$(gigabytes "$model")"
    : >"$work/a"
    : >"$work/b"
    for _ in $(seq "$runs"); do
        warm "$model"
        seconds copy_and_sync >>"$work/a"
        warm "$model"
        seconds convert_stored >>"$work/b"
    done
    printf 'cp and sync, s:  %s\n' "$(spread <"$work/a")"
    printf 'convert, s:      %s\n' "$(spread <"$work/b")"
    printf 'convert / cp:    %s\n' "$(paste "$work/b" "$work/a" | awk '{ print $1 / $2 }' | spread)"
    rm -f "$work/copy"
}

# Largest anonymous resident memory of a command, in MiB, sampled every 20 ms.
anonymous_memory() {
    "$@" >"$work/output.txt" 2>&1 &
    child=$!
    most=0
    while [ -r "/proc/$child/status" ]; do
        found=$(sed -n 's/^RssAnon:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$child/status" 2>/dev/null || echo 0)
        [ "${found:-0}" -gt "$most" ] && most=$found
        sleep 0.02
    done
    wait "$child" || { cat "$work/output.txt" >&2; exit 1; }
    echo $((most / 1024))
}

bench_memory() {
    make_model
    printf '\n## anonymous resident memory of ingot convert --compress none\n'
    rm -f "$work/model.ingot"
    printf '%s GB model, MiB: %s\n' "$(gigabytes "$model")" \
        "$(anonymous_memory "$ingot" convert -q "$model" -o "$work/model.ingot" --compress none)"
    "$programs/make_model" "$work/header.safetensors" 1 90000000
    rm -f "$work/header.ingot"
    printf '90 MB header, MiB: %s\n' \
        "$(anonymous_memory "$ingot" convert -q "$work/header.safetensors" -o "$work/header.ingot" --compress none)"
    rm -f "$work/header.safetensors" "$work/header.ingot"
    if [ "${LARGE:-0}" = 1 ]; then
        "$programs/make_model" "$work/large.safetensors" 46
        printf '%s GB model, MiB: %s\n' "$(gigabytes "$work/large.safetensors")" \
            "$(anonymous_memory "$ingot" convert -q "$work/large.safetensors" -o "$work/large.ingot" --compress none)"
        rm -f "$work/large.safetensors" "$work/large.ingot"
    else
        echo '20 GB model: not run (LARGE=1 runs it)'
    fi
}

bench_open() {
    printf '\n## opening a file of 100,000 tensors and listing them (tests/bench/open_many.c)\n'
    rm -f "$work/many.ingot"
    "$programs/open_many" "$work/many.ingot" 100000 1 >/dev/null
    printf 'ms: %s\n' "$("$programs/open_many" "$work/many.ingot" 100000 21 | spread)"
}

bench_validate() {
    make_model
    [ -f "$work/model.ingot" ] || convert_stored
    printf '\n## taskset -c 0 ingot validate FILE, from the page cache (%s GB)\n' "$(gigabytes "$work/model.ingot")"
    : >"$work/a"
    for _ in $(seq "$runs"); do
        warm "$work/model.ingot"
        seconds taskset -c 0 "$ingot" validate "$work/model.ingot" >>"$work/a"
    done
    printf 's: %s\n' "$(spread <"$work/a")"
    printf 'GB/s: %s\n' "$(awk -v n="$(wc -c <"$work/model.ingot")" '{ print n / $1 / 1e9 }' "$work/a" | spread)"
}

bench_rows() {
    make_model
    [ -f "$work/model.ingot" ] || convert_stored
    printf '\n## bytes of the file that reading 8 rows of one 14336 x 4096 matrix touches (tests/bench/read_rows.c)\n'
    "$programs/read_rows" "$work/model.ingot" model.layers.2.mlp.up_proj.weight 7000 8
}

# One line: encoding, rows of x, activations, threads.
product() {
    printf '%-9s n = %-3s %-4s %s threads: ' "$1" "$2" "$3" "$4"
    "$ingot" bench --synthetic 4096x14336 --encode "$1" --rows "$2" --activations "$3" --threads "$4" \
        --no-check | sed -n 4p
}
ggml() {
    [ -n "${GGML_PERF:-}" ] || return 0
    $GGML_PERF perf -o MUL_MAT -b CPU -p "type_a=$1,.*m=4096,n=$2,k=14336" 2>/dev/null |
        sed -n 's/^ *MUL_MAT(type_a=\([^,]*\),.*n=\([0-9]*\),k=14336.* \([0-9.]* GFLOPS\).*/ggml \1 n = \2, one thread: \3/p'
}
bench_cpu() {
    printf '\n## products, 4096 x 14336, cold caches (ingot bench --synthetic)\n'
    "$ingot" bench --synthetic 4096x14336 --encode int4 --no-check | sed -n 2,3p
    for _ in $(seq "$runs"); do
        for threads in 1 "$(nproc)"; do
            for encoding in int4 int8 bf16 f32 sparse50; do product "$encoding" 1 f32 "$threads"; done
            product int4 1 i8 "$threads"
        done
        ggml q4_0 1
        ggml q8_0 1
        ggml bf16 1
    done
    for rows in 128 512; do
        for how in f32 bf16 i8; do product int4 "$rows" "$how" "$(nproc)"; done
        product int8 "$rows" i8 "$(nproc)"
        product bf16 "$rows" bf16 "$(nproc)"
        ggml q4_0 "$rows"
    done
}

machine
for section in ${*:-convert memory open validate rows cpu}; do
    "bench_$section"
done
