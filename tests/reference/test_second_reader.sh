#!/bin/sh
# Reads what the command writes with the second reader, which was written from the specification
# alone: both must understand the format alike. Run from the root of the repository with
# INGOT=path of the command. Exit status 77 means skipped, with the reason as first line.

for python in python3 /usr/bin/python3 ''; do
    [ -n "$python" ] || { echo "no Python 3.11 with numpy, zstandard and xxhash"; exit 77; }
    "$python" -B -c 'import sys, numpy, zstandard, xxhash; sys.exit(sys.version_info < (3, 11))' \
        2>/dev/null && break
done
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

"$python" -B tests/reference/test_ingot_reader.py >"$folder/log" 2>&1 || {
    cat "$folder/log"
    fail "tests of the second reader"
}

# Every preset of the table, some with options and some sums, on one layer.
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
    validate "$file"
    "$INGOT" validate -q "$file" || fail "$encoding: the validator says otherwise"
    case $encoding in none | f16 | bf16) continue ;; esac
    # What this reader decodes is what the command decodes.
    "$INGOT" convert -q -f "$file" -o "$folder/plain.safetensors" --encode f32 || fail "decode $encoding"
    reader --hash "$file" >"$folder/hashes"
    "$python" -B - "$folder/plain.safetensors" "$folder/hashes" <<'PYTHON' || fail "$encoding: other values"
import json, sys, xxhash
sys.path.insert(0, "tests/reference")
data = open(sys.argv[1], "rb").read()
n = int.from_bytes(data[:8], "little")
header = json.loads(data[8:8 + n])
hashes = dict(line.rstrip("\n").split("\t") for line in open(sys.argv[2]))
compared = 0
for name, entry in header.items():
    if name == "__metadata__" or len(entry["shape"]) < 2:
        continue
    begin, end = entry["data_offsets"]
    compared += 1
    if xxhash.xxh3_128_hexdigest(data[8 + n + begin:8 + n + end]) != hashes[name]:
        sys.exit(f"{name}: the readers decode other values")
if compared == 0:
    sys.exit("nothing was compared")
PYTHON
done

reader --restore "$folder/restored" "$folder/none.ingot" || fail "restore"
diff -r "$model" "$folder/restored" || fail "the restored files differ"

for file in "$golden"/*.ingot; do
    [ -e "$file" ] || continue
    validate "$file"
    { reader --hash "$file" >"$folder/hashes" && diff "${file%.ingot}.hashes" "$folder/hashes"; } ||
        fail "$file: the hashes differ"
done

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
