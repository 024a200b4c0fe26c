#!/bin/sh
# Archives as sources and as targets of restore: the fixture's folder comes through every kind, and
# so does every real file there is.
. tests/cli/common.sh
need_fixture
kept=$scratch/kept.ingot

expect 0 "$INGOT" convert "$fixture" -o "$kept" -q
for suffix in zip tar tar.gz tgz tar.zst; do
    packed=$scratch/packed.$suffix
    expect 0 "$INGOT" restore "$kept" -o "$packed"
    prints '7 files'
    expect 1 "$INGOT" restore "$kept" -o "$packed"
    says 'the target exists'
    expect 0 "$INGOT" restore "$kept" -o "$scratch/second.$suffix" -q
    cmp -s "$packed" "$scratch/second.$suffix" || fail "two archives .$suffix differ"
    expect 0 "$INGOT" inspect "$packed" --json
    is_json
    json_holds 'j["format"] == "safetensors" and len(j["attachments"]) == 5'
    expect 0 "$INGOT" convert "$packed" -o "$scratch/again.ingot" -f
    prints 'can be restored from it'
    cmp -s "$kept" "$scratch/again.ingot" || fail ".$suffix and the folder give other bytes"
    expect 0 "$INGOT" restore "$scratch/again.ingot" -o "$scratch/from.$suffix.d"
    diff -r "$fixture" "$scratch/from.$suffix.d" || fail "restored other files from .$suffix"
    expect 0 "$INGOT" validate "$kept" --against "$packed"
    prints '39 identical'
done

# Archives that other programs make.
try_packer() { # ARCHIVE COMMAND...
    made=$1
    shift
    (cd "$(dirname "$fixture")" && "$@") >/dev/null 2>&1 || {
        echo "note: $made: skipped, it could not be made"
        return 0
    }
    expect 0 "$INGOT" convert "$scratch/$made" -o "$scratch/$made.ingot"
    expect 0 "$INGOT" restore "$scratch/$made.ingot" -o "$scratch/$made.d"
    diff -r "$fixture" "$scratch/$made.d/shakespeare-3m" || fail "restored other files from $made"
}
try_packer system.tar tar cf "$scratch/system.tar" shakespeare-3m
try_packer system.tar.gz tar czf "$scratch/system.tar.gz" ./shakespeare-3m
try_packer pax.tar tar --format=pax -cf "$scratch/pax.tar" ./shakespeare-3m
try_packer system.zip zip -qr "$scratch/system.zip" shakespeare-3m

# Links and names that leave the folder are named.
mkdir "$scratch/links"
cp "$fixture/config.json" "$scratch/links"
ln -s /etc/passwd "$scratch/links/secret"
tar cf "$scratch/links.tar" -C "$scratch" links
expect 1 "$INGOT" convert "$scratch/links.tar" -o "$scratch/never.ingot"
says 'links/secret'
says 'symbolic link'
is_absent "$scratch/never.ingot"
head -c 3000000 "$scratch/packed.tar.gz" >"$scratch/cut.tar.gz"
expect 1 "$INGOT" convert "$scratch/cut.tar.gz" -o "$scratch/never.ingot"
says 'cut.tar.gz'
is_absent "$scratch/never.ingot"

if (cd "$fixture" && zip -qP secret "$scratch/locked.zip" config.json) >/dev/null 2>&1; then
    expect 1 "$INGOT" convert "$scratch/locked.zip" -o "$scratch/never.ingot"
    says 'config.json: it is encrypted'
fi

# A single file into an archive; an archive's suffix on a folder that is there means the folder.
real=../shared/data
expect 0 "$INGOT" convert "$fixture/model-00001-of-00002.safetensors" -o "$scratch/one.ingot" -q
expect 0 "$INGOT" restore "$scratch/one.ingot" -o "$scratch/one.tar.zst"
prints '1 file,'
expect 0 "$INGOT" compare "$scratch/one.tar.zst" "$scratch/one.ingot" -q
mkdir "$scratch/folder.zip"
expect 0 "$INGOT" restore "$scratch/one.ingot" -o "$scratch/folder.zip"
cmp "$fixture/model-00001-of-00002.safetensors" "$scratch/folder.zip/model-00001-of-00002.safetensors" ||
    fail 'restored another file'

if [ ! -d "$real/safetensors" ]; then
    echo "note: real files: skipped, there is no $real"
    finish
fi
for file in "$real"/safetensors/*.safetensors "$real"/adapters/*.safetensors; do
    expect 0 "$INGOT" convert "$file" -o "$scratch/real.ingot" -f -q
    expect 0 "$INGOT" restore "$scratch/real.ingot" -o "$scratch/real.safetensors" -f -q
    cmp "$file" "$scratch/real.safetensors" || fail "$file did not come back"
    expect 0 "$INGOT" restore "$scratch/real.ingot" -o "$scratch/real.zip" -f -q
    expect 0 "$INGOT" convert "$scratch/real.zip" -o "$scratch/zipped.ingot" -f -q
    expect 0 "$INGOT" restore "$scratch/zipped.ingot" -o "$scratch/real.safetensors" -f -q
    cmp "$file" "$scratch/real.safetensors" || fail "$file did not come back through a zip"
done

finish
