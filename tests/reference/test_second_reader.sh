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

validate() {
    # What cannot be proved here, such as foreign bytes, is remarked upon on standard error.
    said=$(reader --validate "$1" 2>"$folder/log")
    [ "$said" = valid ] || fail "$1: $said $(cat "$folder/log")"
}

for tests in tests/reference/test_*.py; do
    "$python" -B "$tests" >"$folder/log" 2>&1 || {
        cat "$folder/log"
        fail "$tests"
    }
done

for encoding in none int8 int4 sparse50 int4+lowrank16 sparse50+int8; do
    file=$folder/$encoding.ingot
    if [ "$encoding" = none ]; then
        "$INGOT" convert -q "$model" -o "$file"
    else
        "$INGOT" convert -q "$model" -o "$file" --encode "$encoding"
    fi || { fail "convert --encode $encoding"; continue; }
    validate "$file"
done

reader --restore "$folder/restored" "$folder/none.ingot" || fail "restore"
diff -r "$model" "$folder/restored" || fail "the restored files differ"

for file in "$golden"/*.ingot; do
    [ -e "$file" ] || continue
    validate "$file"
    { reader --hash "$file" >"$folder/hashes" && diff "${file%.ingot}.hashes" "$folder/hashes"; } ||
        fail "$file: the hashes differ"
done

# Blocks of every type: their bytes again, and the values that ggml's own decoders gave.
reader --restore "$folder/blocks" "$golden/blocks.ingot" || fail "restore blocks"
reader --dump "$folder/values" "$golden/blocks.ingot" || fail "dump blocks"
"$python" -B tests/reference/compare_blocks.py fixtures/blocks "$folder/blocks/blocks.bin" "$folder/values" ||
    fail "blocks"

# Files that break one rule each: this reader must name the same one.
for file in fixtures/bad/*.ingot; do
    rule=${file##*/}
    said=$(reader --validate "$file" 2>"$folder/log") || :
    case $said in
    "${rule%.ingot} "*) ;;
    *) fail "$file: $said $(cat "$folder/log")" ;;
    esac
done

[ "$failures" -eq 0 ]
