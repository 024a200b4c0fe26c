#!/bin/sh
# Measures the container: converting beside cp, memory, opening, validating, reading one row range.
# Each figure is printed with its command; paired commands take turns (A B A B ...), and ratios are
# of neighbours in time. Needs some disk: 3 x 2.2 GB in BENCH_DIR, and 2 x 20 GB more with LARGE=1.
# Usage: bench.sh [SECTION...]
# sections: convert memory open validate rows load compress cores quantize cpu (default: all)
# Real weights are measured where SHARED (../shared/data) has them.
# quantize also measures llama-quantize where PEERS names a script that runs it (see bench_quantize).
# cpu measures products of made-up weights, as shares of what the machine can do; where GGML_PERF is a
# command that runs ggml's test-backend-ops, its "perf" takes turns with them.
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

bench_load() {
    make_model
    [ -f "$work/model.ingot" ] || convert_stored
    [ -f "$work/fast.ingot" ] || convert_fast "$(nproc)"
    [ -f "$work/int4.ingot" ] ||
        "$ingot" convert -q "$model" -o "$work/int4.ingot" --encode int4 --compress none
    for kind in model fast int4; do
        printf '\n## loading %s.ingot (%s GB) from the page cache, %s threads (tests/bench/load.c)\n' \
            "$kind" "$(gigabytes "$work/$kind.ingot")" "$(nproc)"
        "$programs/load" "$work/$kind.ingot"
    done
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
        q5_k q6_k iq4_nl iq4_xs mxfp4_gguf iq3_s iq3_xxs iq2_s iq2_xs iq2_xxs iq1_m iq1_s tq2_0 q2_0 q1_0
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

# Each real file of weights: its path under SHARED, where the weights begin, and their type.
real_files='
raw/gpt2_h10_attn_c_proj_768x768.f32              0 f32
raw/gpt2_h11_attn_c_proj_768x768.f32              0 f32
safetensors/silero_vad_16k.safetensors         1500 f32
safetensors/burn_mnist.safetensors             2000 f32
adapters/rerun_step230.safetensors            16000 f32
adapters/rerun_stepfinal.safetensors          16000 f32
lm/stories260K.bin                               28 f32
torch/ckpt.pt                                     0 f32
torch/ggml_mnist_model.state_dict                 0 f32
torch/ava+logos-l14-linearMSE.pth                 0 f32
lm/shakespeare-3m-step01000.safetensors        3000 bf16
lm/shakespeare-3m-step02000.safetensors        3000 bf16
safetensors/hadamards.safetensors                 8 i8
'

# Sizes of whole files: what convert writes, with index, receipt and all, beside zstd -19 of the source.
whole_files() {
    printf '\n## whole files: shares of the source (zstd %s on the command line)\n' \
        "$(zstd --version | sed 's/.*v\([0-9.]*\).*/\1/')"
    for file in "$@"; do
        n=$(wc -c <"$file")
        for mode in fast max; do
            rm -f "$work/whole-$mode.ingot"
            "$ingot" convert -q "$file" -o "$work/whole-$mode.ingot" --compress "$mode"
        done
        printf '%-40s zstd -19 %s  fast %s  max %s\n' "${file##*/}" \
            $(for size in $(zstd -19 -c -q "$file" | wc -c) $(wc -c <"$work/whole-fast.ingot") \
                  $(wc -c <"$work/whole-max.ingot"); do
                  awk "BEGIN { printf \"%.4f \", $size / $n }"
              done)
        rm -f "$work/whole-fast.ingot" "$work/whole-max.ingot"
    done
}

# Drops a file from the page cache.
drop() {
    sync "$1"
    dd of="$1" oflag=nocache conv=notrunc,fdatasync count=0 status=none
}
convert_fast() { # THREADS
    rm -f "$work/fast.ingot"
    "$ingot" convert -q "$model" -o "$work/fast.ingot" --compress fast --threads "$1"
}

bench_compress() {
    shared=${SHARED:-../shared/data}
    make_model
    printf '\n## compression of weights beside zstd (tests/bench/compress.c): shares of the raw bytes, MB/s of CPU time of one thread\n'
    printf 'the first 256 MiB of the model; zstd -19 and max see 32 MiB\n'
    head -c 268435456 "$model" >"$work/part.bin"
    programs_at=$(cd "$programs" && pwd)
    (cd "$work" && "$programs_at/compress" part.bin 12296 bf16 33554432 &&
        "$programs_at/compress" fp8:part.bin 12296 f8_e4m3 33554432)
    rm -f "$work/part.bin"
    if [ -d "$shared" ]; then
        here=$(cd "$shared" && pwd)
        printf '%s' "$real_files" | while read -r file skip type; do
            [ -n "$file" ] && [ -f "$here/$file" ] || continue
            (cd "$work" && "$programs_at/compress" "$here/$file" "$skip" "$type")
        done
        whole_files "$shared"/safetensors/*k.safetensors "$shared"/safetensors/burn*.safetensors \
            "$shared"/safetensors/had*.safetensors "$shared"/adapters/*.safetensors \
            "$shared"/lm/*.safetensors
    else
        echo "real files: not there ($shared)"
    fi
}

bench_cores() {
    make_model
    n=$(wc -c <"$model")
    for threads in 1 2; do
        printf '\n## ingot convert --compress fast --threads %s, %s GB bf16 from the page cache, on %s core(s)\n' \
            "$threads" "$(gigabytes "$model")" "$threads"
        : >"$work/a"
        for _ in $(seq "$runs"); do
            warm "$model"
            seconds taskset -c "0-$((threads - 1))" sh "$0" --convert-fast "$threads" >>"$work/a"
        done
        printf 's: %s\n' "$(spread <"$work/a")"
        printf 'GB/s of input: %s\n' "$(awk -v n="$n" '{ print n / $1 / 1e9 }' "$work/a" | spread)"
    done
    printf 'size: %s of the source\n' \
        "$(awk "BEGIN { printf \"%.4f\", $(wc -c <"$work/fast.ingot") / $n }")"
    [ -f "$work/model.ingot" ] || convert_stored
    printf '\n## reading every tensor of a cold file (tests/bench/read_all.c): compressed beside raw, in turns\n'
    : >"$work/a"
    : >"$work/b"
    for _ in $(seq "$runs"); do
        drop "$work/model.ingot"
        seconds "$programs/read_all" "$work/model.ingot" >>"$work/a"
        drop "$work/fast.ingot"
        seconds "$programs/read_all" "$work/fast.ingot" >>"$work/b"
    done
    printf 'raw, s:             %s\n' "$(spread <"$work/a")"
    printf 'compressed, s:      %s\n' "$(spread <"$work/b")"
    printf 'compressed / raw:   %s\n' "$(paste "$work/b" "$work/a" | awk '{ print $1 / $2 }' | spread)"
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

if [ "${1:-}" = --convert-fast ]; then
    convert_fast "$2"
    exit
fi
machine
for section in ${*:-convert memory open validate rows load compress cores quantize cpu}; do
    "bench_$section"
done
