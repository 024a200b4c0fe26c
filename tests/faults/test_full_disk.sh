#!/bin/sh
# Disks without room for all, for another file, or for any change. They are mounted where only this
# test sees them.
if [ "${1:-}" != inside ]; then
    for options in -m -rm; do
        unshare "$options" true 2>/dev/null && exec unshare "$options" sh "$0" inside
    done
    echo 'this user may not mount a disk of its own'
    exit 77
fi
. tests/cli/common.sh
need_fixture
disk=$scratch/disk
mkdir "$disk"
trap 'umount "$disk" 2>/dev/null; rm -rf "$scratch"' EXIT

new_disk() { # OPTIONS
    umount "$disk" 2>/dev/null
    mount -t tmpfs -o "$1" tmpfs "$disk" || {
        echo 'this user may not mount a tmpfs'
        exit 77
    }
}

is_empty() { # FOLDER
    [ -z "$(ls -A "$1")" ] || fail "$ran: left $(ls -A "$1")"
}

model=$scratch/model.ingot
new_disk size=4k
expect 0 "$INGOT" convert "$fixture" -o "$model" --compress none -q
n_kb=$(($(wc -c <"$model") / 1024))
for target in "$disk/m.ingot" "$disk/m.safetensors"; do
    for kb in 4 100 $((n_kb / 2)) $((n_kb - 100)); do
        new_disk "size=${kb}k"
        expect 3 "$INGOT" convert "$fixture" -o "$target" --compress none
        says "$target at offset"
        says 'No space left on device'
        is_silent "$out"
        is_empty "$disk"
    done
done
new_disk size=100k
echo old >"$disk/m.ingot"
expect 3 "$INGOT" convert "$fixture" -o "$disk/m.ingot" --force
[ "$(cat "$disk/m.ingot")" = old ] || fail 'a full disk changed the older file'
[ "$(ls -A "$disk")" = m.ingot ] || fail 'a full disk left a file behind'

# Files that are restored whole before the disk is full stay.
for kb in 4 100 $((n_kb * 3 / 4)); do
    new_disk "size=${kb}k"
    expect 3 "$INGOT" restore "$model" -o "$disk/again"
    says "$disk/again/"
    says 'No space left on device'
    for file in "$disk/again"/*; do
        [ -e "$file" ] || continue
        cmp "$file" "$fixture/${file##*/}" || fail "$kb KiB: restore left half of $file"
    done
done

new_disk size=16m,nr_inodes=2
echo old >"$disk/m.ingot"
expect 3 "$INGOT" convert "$fixture" -o "$disk/m.ingot" --force
says "$disk/m.ingot: cannot create a file in its folder"
[ "$(cat "$disk/m.ingot")" = old ] || fail 'a disk of few files changed the older file'

if mount -o remount,ro "$disk" 2>/dev/null; then
    expect 3 "$INGOT" convert "$fixture" -o "$disk/m.ingot" --force
    says "$disk/m.ingot"
    says 'Read-only file system'
    expect 3 "$INGOT" restore "$model" -o "$disk/again"
    says "$disk/again"
fi

new_disk "size=$((n_kb * 2 + 500))k"
expect 0 "$INGOT" convert "$fixture" -o "$disk/m.ingot" --compress none -q
cmp "$disk/m.ingot" "$model" || fail 'other bytes on a small disk'

finish
