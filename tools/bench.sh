#!/bin/sh
# Measures the container: converting beside cp, memory, opening, validating, reading one row range.
# Each figure is printed with its command; paired commands take turns (A B A B ...), and ratios are
# of neighbours in time. Needs some disk: 3 x 2.2 GB in BENCH_DIR, and 2 x 20 GB more with LARGE=1.
# Usage: bench.sh [SECTION...]
# sections: convert memory open validate rows load compress cores quantize cpu (default: all)
# Real weights are measured where SHARED (../shared/data) has them.
# quantize also measures llama-quantize where PEERS names a script that runs it (see bench_quantize).
# cpu measures products, as shares of what the machine can do, in turns with ggml's test-backend-ops and
# llama-bench where PEERS names a script that runs them (see bench_quantize).
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

# One type: our preset, the same with --fast, and llama-quantize, in turns; megabytes of bf16 weights a
# second of wall time (least, median, most), the median of those a second of CPU time, and how many
# times llama-quantize's wall speed ours is, pair by pair.
compare_type() {
    preset=$1 type=$2
    : >"$work/a"
    : >"$work/b"
    : >"$work/c"
    for _ in $(seq "$runs"); do
        warm "$work/layer.safetensors"
        for file in a b; do
            rm -f "$work/layer.ingot"
            cpu_and_wall "$ingot" convert -q "$work/layer.safetensors" -o "$work/layer.ingot" \
                --compress none --encode "$preset" $([ $file = a ] || echo --fast) >>"$work/$file"
        done
        [ -n "$peers" ] || continue
        warm "$work/layer.gguf"
        (cd "$work" && cpu_and_wall "$peers" llama-quantize --pure --allow-requantize \
            /here/layer.gguf /here/out.gguf "$type" 2) >>"$work/c"
    done
    for file in a b c; do
        [ -s "$work/$file" ] || continue
        printf '%-8s %-15s MB/s: %s  CPU: %s' "$preset" \
            "$(case $file in a) echo default ;; b) echo --fast ;; c) echo llama-quantize ;; esac)" \
            "$(awk -v n="$layer_bytes" '{ print n / $2 / 1e6 }' "$work/$file" | spread)" \
            "$(awk -v n="$layer_bytes" '{ print n / $1 / 1e6 }' "$work/$file" | spread | sed 's/.*median \([0-9.]*\).*/\1/')"
        [ "$file" = c ] || [ ! -s "$work/c" ] ||
            printf '  x: %s' "$(paste "$work/$file" "$work/c" | awk '{ print $4 / $2 }' | spread)"
        echo
    done
}

# PEERS=SCRIPT: "SCRIPT COMMAND ..." runs llama-quantize and python3 with gguf-py, the current folder
# as /here.
bench_quantize() {
    printf '\n## error and speed of encodings on normal weights (tests/bench/quantize.c)\n'
    "$programs/quantize" 1024 int8 int4 int4-fast int4-g128 int3-g128 int2-g64 int4-g64-affine \
        int2-g64-affine nf4 nf4-absmax nf4-bnb nf4-g16-nested6 code4 code3 code2 int4-g32-affine-nested6 \
        ternary fp8 fp8-tensor fp8-b128 mxfp4 mxfp6 mxfp8 nvfp4 q4_0 q4_1 q5_0 q5_1 q8_0 q2_k q3_k q4_k \
        q5_k q6_k iq4_nl iq4_xs mxfp4_gguf nvfp4_gguf iq3_s iq3_xxs iq2_s iq2_xs iq2_xxs iq1_m iq1_s tq2_0 q2_0 q1_0
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
    printf '\n## ingot convert --encode and llama-quantize --pure, %s threads\n' "$(nproc)"
    for pair in ${TYPES:-q4_0=Q4_0 q8_0=Q8_0 q4_1=Q4_1 q5_0=Q5_0 q5_1=Q5_1 q2_k=Q2_K q3_k=Q3_K_M q4_k=Q4_K q5_k=Q5_K q6_k=Q6_K iq4_nl=IQ4_NL iq4_xs=IQ4_XS mxfp4_gguf=MXFP4_MOE}; do
        compare_type "${pair%=*}" "${pair#*=}"
    done
}

# Codings whose codes have 4 bits, a slab of rows at a time.
bench_decode() {
    [ -f "$work/layer.safetensors" ] || "$programs/make_model" "$work/layer.safetensors" 1
    printf '\n## ingot_file_decode_f32 on one core, checksums included, 464 rows of 4096 at a time (tests/bench/decode.c)\n'
    for encoding in int4 nf4 mxfp4 q4_0 q4_k iq4_nl iq4_xs int4-g64-affine nf4-bnb code4 int8 q6_k; do
        rm -f "$work/decode.ingot"
        "$ingot" convert -q "$work/layer.safetensors" --include 'model.layers.0.self_attn.q_proj*' \
            -o "$work/decode.ingot" --compress none --encode "$encoding"
        for _ in $(seq "$runs"); do
            taskset -c 0 "$programs/decode" "$work/decode.ingot" 464 0.3
        done | sed 's/ G .*//; s/.* //' | spread | sed "s/^/$encoding: /; s/$/ G weights a second/" && echo
    done
    rm -f "$work/decode.ingot"
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

# GFLOP/s of one product of a file of one matrix, and its bytes as a share of the reading that was
# measured before it: by medians.
product() { # FILE ROWS ACTIVATIONS THREADS
    "$ingot" bench "$1" --cold --no-check --json --rows "$2" --activations "$3" --threads "$4" |
        sed -n 's/^ *"gflop_per_second": \([0-9.]*\),*/\1/p;s/^ *"read_share": \([0-9.]*\),*/\1/p' |
        head -2 | tr '\n' ' '
    echo
}
# GFLOP/s of ggml's kernel, which takes one thread and the blocks as they lie in the file.
ggml_product() { # TYPE ROWS
    "$peers" /usr/libexec/x86_64-linux-gnu/ggml/test-backend-ops perf -o MUL_MAT -b CPU \
        -p "type_a=$1,type_b=f32,m=4096,n=$2,k=14336" 2>/dev/null |
        sed -n 's/^ *MUL_MAT.* \([0-9.]*\) \([GTM]\)FLOPS.*/\1 \2/p' |
        awk '{ print $1 * ($2 == "T" ? 1000 : $2 == "M" ? 0.001 : 1) }'
}
# One type, in turns with ggml where PEERS is: GFLOP/s, the share of reading, the ratio of neighbours.
beside_ggml() { # FILE ROWS ACTIVATIONS THREADS [TYPE]
    : >"$work/a"
    : >"$work/b"
    for _ in $(seq "$runs"); do
        product "$1" "$2" "$3" "$4" >>"$work/a"
        if [ -n "$peers" ] && [ -n "${5:-}" ]; then ggml_product "$5" "$2" >>"$work/b"; fi
    done
    printf '%-26s n = %-3s x %-4s %s threads: GFLOP/s %s; of reading %s' "$(basename "$1" .ingot)" "$2" "$3" "$4" \
        "$(awk '{ print $1 }' "$work/a" | spread)" "$(awk '{ print $2 }' "$work/a" | spread)"
    [ ! -s "$work/b" ] || printf '; over ggml %s' "$(paste "$work/a" "$work/b" | awk '{ print $1 / $3 }' | spread)"
    echo
}
# One matrix in an encoding, made once.
matrix_file() {
    [ -f "$work/layer.safetensors" ] || "$programs/make_model" "$work/layer.safetensors" 1
    [ -f "$work/matrix-$1.ingot" ] ||
        "$ingot" convert -q "$work/layer.safetensors" -o "$work/matrix-$1.ingot" --compress none \
            --include '*down_proj*' --encode "$1"
    echo "$work/matrix-$1.ingot"
}
# All block types of ggml, as random blocks in files of its own; TYPES narrows them.
block_types='q4_0 q4_1 q5_0 q5_1 q8_0 q2_K q3_K q4_K q5_K q6_K iq4_nl iq4_xs iq2_xxs iq2_xs iq2_s iq3_xxs iq3_s
iq1_s iq1_m tq1_0 tq2_0 mxfp4 nvfp4'
block_file() {
    [ -f "$work/$1.gguf" ] || { cp tests/bench/make_blocks.py "$work" && (cd "$work" &&
        "$peers" python3 /here/make_blocks.py "/here/$1.gguf" "$1" 4096 14336 >"$work/output.txt" 2>&1); }
    [ -f "$work/blocks-$1.ingot" ] ||
        "$ingot" convert -q "$work/$1.gguf" -o "$work/blocks-$1.ingot" --compress none
    echo "$work/blocks-$1.ingot"
}
# Decoding and prefill of a model of about 1B weights in llama-bench, in turns with the products of
# all its matrices here: GFLOP/s.
beside_llama() { # TYPE ACTIVATIONS
    cp tests/bench/make_gguf.py "$work"
    [ -f "$work/llama.gguf" ] ||
        (cd "$work" && "$peers" python3 /here/make_gguf.py /here/llama.gguf 5 >"$work/output.txt" 2>&1)
    [ -f "$work/llama-$1.gguf" ] ||
        (cd "$work" && "$peers" llama-quantize --allow-requantize /here/llama.gguf "/here/llama-$1.gguf" "$1" 2 \
            >"$work/output.txt" 2>&1)
    [ -f "$work/llama-$1.ingot" ] ||
        "$ingot" convert -q "$work/llama-$1.gguf" -o "$work/llama-$1.ingot" --compress none
    for rows in 1 128; do
        : >"$work/a"
        : >"$work/b"
        tokens="-p $rows -n 0"
        [ "$rows" != 1 ] || tokens='-p 0 -n 16'
        for _ in $(seq "$runs"); do
            "$ingot" bench "$work/llama-$1.ingot" -q --no-check --json --repeat 3 --rows "$rows" \
                --activations "$2" | sed -n 's/^ *"gflop_per_second": \([0-9.]*\),*/\1/p' | tail -1 >>"$work/a"
            # shellcheck disable=SC2086
            (cd "$work" && "$peers" llama-bench -m "/here/llama-$1.gguf" -t "$(nproc)" $tokens -r 2 -o json 2>/dev/null) |
                awk -F'[:,]' '/"model_n_params"/ { n = $2 } /"avg_ts"/ { t = $2 } END { print 2 * n * t / 1e9 }' >>"$work/b"
        done
        printf '%-8s n = %-3s x %-4s all matrices: GFLOP/s %s; llama-bench %s; ratio %s\n' "$1" "$rows" "$2" \
            "$(spread <"$work/a")" "$(spread <"$work/b")" "$(paste "$work/a" "$work/b" | awk '{ print $1 / $2 }' | spread)"
    done
}
# PEERS=SCRIPT as in bench_quantize. ROWS, ENCODINGS, TYPES and MODELS narrow what is measured.
bench_cpu() {
    peers=${PEERS:-}
    work=$(cd "$work" && pwd)
    printf '\n## products, 4096 x 14336, cold caches (ingot bench --cold), beside test-backend-ops\n'
    for encoding in ${ENCODINGS-f32 f16 bf16 int8 int6 int5 int4 int4-g128 nf4 fp8 mxfp4 nvfp4 int3 int2 sparse50 int4+lowrank16}; do
        file=$(matrix_file "$encoding")
        type=
        case $encoding in f16 | bf16) type=$encoding ;; esac
        for rows in ${ROWS-1 128 512}; do
            for threads in 1 "$(nproc)"; do beside_ggml "$file" "$rows" f32 "$threads" "$type"; done
            [ "$rows" = 1 ] || beside_ggml "$file" "$rows" bf16 "$(nproc)" "$type"
            [ "$rows" = 1 ] || beside_ggml "$file" "$rows" i8 "$(nproc)" "$type"
        done
    done
    "$programs/make_sparse" "$work/kept-int8.ingot" 4096 14336 50 int8
    for threads in 1 "$(nproc)"; do beside_ggml "$work/kept-int8.ingot" 1 f32 "$threads" ''; done
    [ -n "$peers" ] || return 0
    for type in ${TYPES-$block_types}; do
        file=$(block_file "$type")
        for rows in ${ROWS-1 512}; do
            how=i8
            [ "$rows" != 1 ] || how=f32
            beside_ggml "$file" "$rows" "$how" 1 "$type"
            beside_ggml "$file" "$rows" "$how" "$(nproc)"
        done
    done
    printf '\n## all matrices of a llama of 1B weights, beside llama-bench\n'
    for type in ${MODELS-Q4_0 Q4_K_M Q8_0 F16}; do beside_llama "$type" i8; done
}

if [ "${1:-}" = --convert-fast ]; then
    convert_fast "$2"
    exit
fi
machine
for section in ${*:-convert memory open validate rows load compress cores quantize decode cpu}; do
    "bench_$section"
done
