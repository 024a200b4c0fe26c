#!/bin/sh
# Reads what the command writes with the second reader, which was written from the specification
# alone: both must understand the format alike. Run from the root of the repository with
# INGOT=path of the command. Exit status 77 means skipped, with the reason as first line.

python=$(sh tools/python.sh) || {
    echo 'no Python 3.11 with numpy, zstandard and xxhash ("make deps" installs them)'
    exit 77
}
INGOT=${INGOT:-build/ingot}
model=fixtures/shakespeare-3m
golden=fixtures/golden
failures=0
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' HUP INT TERM

reader() {
    "$python" -B tests/reference/ingot_reader.py "$@"
}

fail() {
    echo "failed: $*"
    failures=$((failures + 1))
}

# All of these in one go, as Python takes its time to begin.
check_files() { # FILE...
    "$python" -B tests/reference/check_files.py "$@" >"$folder/log" 2>&1 || fail "$(cat "$folder/log")"
}

multiply() { # FILE [OPTION...]: products are compared with the decoded weights
    "$INGOT" bench --repeat 1 --rows 2 -q "$@" >"$folder/log" 2>&1 || fail "products of $*: $(cat "$folder/log")"
}

for tests in tests/reference/test_*.py; do
    INGOT=$INGOT "$python" -B "$tests" >"$folder/log" 2>&1 || {
        cat "$folder/log"
        fail "$tests"
    }
done

# Every preset of the table, some with options and some sums, on one layer: valid for both readers, the
# same values from both, and products that are those of the values.
"$INGOT" convert --list-encodings --json >"$folder/list.json" || fail "convert --list-encodings"
encodings=$("$python" -c 'import json, sys
print(*(e["name"] for e in json.load(open(sys.argv[1]))["encodings"]))' "$folder/list.json")
for encoding in none $encodings int4-g64-affine int5-g24-bf16 int4-g20-affine-nested6 nf4-g16-nested8 \
    fp8-tensor fp8-b128 int8-b128 int4-g48+lowrank4 sparse50+int8 outliers2+int3 columns3+int8 code3+int2; do
    file=$folder/$encoding.ingot
    if [ "$encoding" = none ]; then
        "$INGOT" convert -q "$model" -o "$file"
    else
        "$INGOT" convert -q "$model" -o "$file" --encode "$encoding" --include 'model.layers.0.*'
    fi || { fail "convert --encode $encoding"; continue; }
    "$INGOT" validate -q "$file" || fail "$encoding: the validator says otherwise"
    multiply "$file"
    multiply "$file" --cpu-level plain
    case $encoding in none | f16 | bf16) continue ;; esac
    # What this reader decodes is what the command decodes.
    "$INGOT" convert -q "$file" -o "$folder/$encoding.safetensors" --encode f32 ||
        fail "decode $encoding"
done
check_files "$folder"/*.ingot
rm "$folder"/*.safetensors

reader --restore "$folder/restored" "$folder/none.ingot" || fail "restore"
diff -r "$model" "$folder/restored" || fail "the restored files differ"

check_files "$golden"/*.ingot
# Of the command line as well.
[ "$(reader --validate "$golden/every-feature.ingot" 2>"$folder/log")" = valid ] || fail "$(cat "$folder/log")"
reader --hash "$golden/every-feature.ingot" | cmp - "$golden/every-feature.hashes" || fail 'reader --hash'

# Blocks of every type: their bytes again, and the values that ggml's own decoders gave.
reader --restore "$folder/blocks" "$golden/blocks.ingot" || fail "restore blocks"
reader --dump "$folder/values" "$golden/blocks.ingot" || fail "dump blocks"
"$python" -B tests/reference/compare_blocks.py fixtures/blocks "$folder/blocks/blocks.bin" "$folder/values" ||
    fail "blocks"

# Files that break one rule each: this reader must name the same one.
check_files fixtures/bad/*.ingot
! said=$(reader --validate fixtures/bad/R-101.ingot) || fail 'reader --validate: a bad file is taken'
case $said in
'R-101 '*) ;;
*) fail "reader --validate: $said" ;;
esac

[ "$failures" -eq 0 ]
