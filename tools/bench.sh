#!/bin/sh
# Measures the container: converting beside cp, memory, opening, validating, reading one row range.
# Each figure is printed with its command; paired commands take turns (A B A B ...), and ratios are
# of neighbours in time. Needs some disk: 3 x 2.2 GB in BENCH_DIR, and 2 x 20 GB more with LARGE=1.
# Usage: bench.sh [SECTION...]      sections: convert memory open validate rows quantize (default: all)
# quantize also measures llama-quantize where PEERS names a script that runs it (see bench_quantize).
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
    "$programs/make_model" "$work/header.safetensors" 0 0 620000
    rm -f "$work/header.ingot"
    printf '%s MB file that lists 620,000 tensors of 16 bytes, MiB: %s\n' \
        "$(awk "BEGIN { printf \"%.0f\", $(wc -c <"$work/header.safetensors") / 1e6 }")" \
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

# CPU seconds, user and system, of a command, and after them its wall seconds.
cpu_and_wall() {
    begin=$(now)
    ( "$@" >"$work/output.txt" 2>&1; times ) | sed -n 2p | tr 'ms' '  ' >"$work/times.txt"
    end=$(now)
    awk -v wall=$((end - begin)) '{ printf "%.3f %.3f\n", $1 * 60 + $2 + $3 * 60 + $4, wall / 1e9 }' \
        "$work/times.txt"
}

# One type: our preset and llama-quantize's, in turns; megabytes of bf16 weights a second of wall
# time and of CPU time, the median of the runs.
compare_type() {
    preset=$1 type=$2
    : >"$work/a"
    : >"$work/b"
    for _ in $(seq "$runs"); do
        warm "$work/layer.safetensors"
        rm -f "$work/layer.ingot"
        cpu_and_wall "$ingot" convert -q "$work/layer.safetensors" -o "$work/layer.ingot" \
            --compress none --encode "$preset" >>"$work/a"
        [ -n "$peers" ] || continue
        warm "$work/layer.gguf"
        (cd "$work" && cpu_and_wall "$peers" llama-quantize --pure --allow-requantize \
            /here/layer.gguf /here/out.gguf "$type" 2) >>"$work/b"
    done
    for file in a b; do
        [ -s "$work/$file" ] || { echo '- -'; continue; }
        for field in 2 1; do
            awk -v f=$field '{ print $f }' "$work/$file" | sort -n |
                awk -v n="$layer_bytes" '{ v[NR] = $1 } END { printf "%.0f\n", n / v[int((NR + 1) / 2)] / 1e6 }'
        done
    done | tr '\n' ' ' | awk -v p="$preset" '{ printf "%-16s %10s %10s %14s %10s\n", p, $1, $2, $3, $4 }'
}

# PEERS=SCRIPT: "SCRIPT COMMAND ..." runs llama-quantize and python3 with gguf-py, the current folder
# as /here.
bench_quantize() {
    printf '\n## error and speed of encodings on normal weights (tests/bench/quantize.c)\n'
    "$programs/quantize" 1024 int8 int4 int4-fast int4-g128 int3-g128 int2-g64 int4-g64-affine \
        int2-g64-affine nf4 nf4-absmax nf4-bnb nf4-g16-nested6 code4 code3 code2 int4-g32-affine-nested6 \
        ternary fp8 fp8-tensor fp8-b128 mxfp4 mxfp6 mxfp8 nvfp4 q4_0 q4_1 q5_0 q5_1 q8_0 q2_k q3_k q4_k \
        q5_k q6_k iq4_nl iq4_xs mxfp4_gguf
    peers=${PEERS:-}
    work=$(cd "$work" && pwd)
    ingot=$(cd "$(dirname "$ingot")" && pwd)/$(basename "$ingot")
    [ -f "$work/layer.safetensors" ] || "$programs/make_model" "$work/layer.safetensors" 1
    layer_bytes=$(wc -c <"$work/layer.safetensors")
    if [ -n "$peers" ]; then
        cp tests/bench/make_gguf.py "$work/make_gguf.py"
        [ -f "$work/layer.gguf" ] ||
            (cd "$work" && "$peers" python3 /here/make_gguf.py /here/layer.gguf 1 >"$work/output.txt" 2>&1)
    fi
    printf '\n## ingot convert --encode and llama-quantize --pure, MB of bf16 a second (of wall time, of CPU time)\n'
    printf '%-16s %10s %10s %14s %10s\n' type ingot 'its CPU' llama-quantize 'its CPU'
    for pair in ${TYPES:-q4_0=Q4_0 q8_0=Q8_0 q4_1=Q4_1 q5_0=Q5_0 q5_1=Q5_1 q2_k=Q2_K q3_k=Q3_K_M q4_k=Q4_K q5_k=Q5_K q6_k=Q6_K iq4_nl=IQ4_NL iq4_xs=IQ4_XS}; do
        compare_type "${pair%=*}" "${pair#*=}"
    done
}

machine
for section in ${*:-convert memory open validate rows quantize}; do
    "bench_$section"
done
