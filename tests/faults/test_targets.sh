#!/bin/sh
# Targets that are there already, are no files or cannot be, and standard output.
. tests/cli/common.sh
need_fixture
one=$scratch/one.safetensors
make_safetensors "$one" \
    '{"a":{"dtype":"F32","shape":[2,8],"data_offsets":[0,64]},"n":{"dtype":"I64","shape":[2],"data_offsets":[64,80]}}' 80
new=$scratch/new.ingot
expect 0 "$INGOT" convert "$one" -o "$new" -q

holds() { # FILE TEXT
    [ "$(cat "$1")" = "$2" ] || fail "$ran: changed $1"
}

left() { # FOLDER NAMES...: the folder holds these and nothing else
    folder=$1
    shift
    # shellcheck disable=SC2012 # the names are ours
    found=$(ls -A "$folder" | tr '\n' ' ')
    [ "$found" = "${*:+$* }" ] || fail "$ran: $folder holds $found"
}

# A file that is there: as it was without --force; with it, another file takes its name.
mkdir "$scratch/there"
target=$scratch/there/m.ingot
echo old >"$target"
ln "$target" "$scratch/there/old"
expect 1 "$INGOT" convert "$one" -o "$target"
says 'exists already; --force replaces it'
says "$target"
holds "$target" old
expect 0 "$INGOT" convert "$one" -o "$target" --force -q
cmp "$target" "$new" || fail '--force gave another file'
holds "$scratch/there/old" old
expect 1 "$INGOT" restore "$new" -o "$scratch/there/old"
says '--force replaces files'
holds "$scratch/there/old" old
expect 0 "$INGOT" restore "$new" -o "$scratch/there/old" --force -q
cmp "$one" "$scratch/there/old" || fail 'restore --force gave another file'
expect 0 "$INGOT" convert "$target" -o "$target" --force -q
expect 0 "$INGOT" validate "$target" --against "$one" -q
left "$scratch/there" m.ingot old

# What is no file stays what it is.
mkdir "$scratch/odd" "$scratch/odd/folder.ingot"
echo precious >"$scratch/precious"
ln -s ../precious "$scratch/odd/link.ingot"
ln -s nowhere "$scratch/odd/dangling.ingot"
mkfifo "$scratch/odd/pipe.ingot"
for force in '' --force; do
    for name in folder:'is a folder' link:'is a symbolic link' dangling:'is a symbolic link' \
        pipe:'is not a regular file'; do
        target=$scratch/odd/${name%%:*}.ingot
        # shellcheck disable=SC2086 # the option may be none
        expect 1 "$INGOT" convert "$one" -o "$target" $force
        says "the target ${name#*:}"
        says "$target"
    done
    # shellcheck disable=SC2086
    expect 1 "$INGOT" restore "$new" -o /dev/null $force
    says '/dev/null'
done
left "$scratch/odd" dangling.ingot folder.ingot link.ingot pipe.ingot
left "$scratch/odd/folder.ingot"
holds "$scratch/precious" precious
for name in link dangling; do
    [ -h "$scratch/odd/$name.ingot" ] || fail "the link $name.ingot is gone"
done
[ -c /dev/null ] || fail '/dev/null is gone'

# Links in a folder that is restored into do not lead out of it.
expect 0 "$INGOT" convert "$fixture" -o "$scratch/fixture.ingot" -q
mkdir "$scratch/linked"
ln -s ../precious "$scratch/linked/config.json"
expect 1 "$INGOT" restore "$scratch/fixture.ingot" -o "$scratch/linked" --force
says "$scratch/linked/config.json"
holds "$scratch/precious" precious

# Folders that are not there, or are none, or take no files.
expect 3 "$INGOT" convert "$one" -o "$scratch/none/m.ingot"
says "$scratch/none/m.ingot: cannot create a file in its folder"
[ ! -e "$scratch/none" ] || fail 'a folder was made'
expect 3 "$INGOT" convert "$one" -o "$one/m.ingot"
says "$one/m.ingot"
mkdir "$scratch/closed"
chmod a-w "$scratch/closed"
if [ ! -w "$scratch/closed" ]; then
    expect 3 "$INGOT" convert "$one" -o "$scratch/closed/m.ingot"
    says "$scratch/closed/m.ingot"
fi

# The longest name that a file can have; the temporary name does not need to be longer.
ten=0123456789
hundred=$ten$ten$ten$ten$ten$ten$ten$ten$ten$ten
mkdir "$scratch/long"
for name in "$hundred$hundred${ten}${ten}${ten}${ten}012345678" "${hundred}${hundred}größe-größe-größe-größe-größe"; do
    expect 0 "$INGOT" convert "$one" -o "$scratch/long/$name.ingot" -q
    left "$scratch/long" "$name.ingot"
    rm "$scratch/long/$name.ingot"
done
expect 3 "$INGOT" convert "$one" -o "$scratch/long/$hundred$hundred$hundred.ingot"
says 'too long'
says "$ten.ingot: "
left "$scratch/long"

# A limit on the length of files is a failed write, not the end.
(
    ulimit -f 1000
    "$INGOT" convert "$fixture" -o "$scratch/long/m.ingot"
) >"$out" 2>"$err"
status=$?
ran='convert beyond ulimit -f'
[ "$status" -eq 3 ] || fail "a file over its limit gives $status, not 3"
says "$scratch/long/m.ingot at offset"
left "$scratch/long"

# Standard output: a pipe and a file get the same bytes; what cannot be written is told.
("$INGOT" convert "$fixture" -o - 2>"$err" | cat) >"$scratch/piped"
ran='convert -o - | cat'
cmp "$scratch/piped" "$scratch/fixture.ingot" || fail 'a pipe got other bytes'
"$INGOT" convert "$fixture" -o - >"$scratch/piped" 2>"$err" || fail 'a file for -o - fails'
cmp "$scratch/piped" "$scratch/fixture.ingot" || fail 'standard output got other bytes'
{
    "$INGOT" convert "$fixture" -o - 2>"$err"
    echo $? >"$scratch/status"
} | head -c 100 >/dev/null
ran='convert -o - | head -c 100'
[ "$(cat "$scratch/status")" = 3 ] || fail "a closed pipe gives $(cat "$scratch/status"), not 3"
says 'standard output at offset'
if [ -c /dev/full ]; then
    "$INGOT" convert "$fixture" -o - >/dev/full 2>"$err"
    status=$?
    ran='convert -o - >/dev/full'
    [ "$status" -eq 3 ] || fail "a full standard output gives $status, not 3"
    says 'standard output'
fi
"$INGOT" convert "$one" -o - >&- 2>"$err"
status=$?
ran='convert -o - >&-'
[ "$status" -eq 3 ] || fail "no standard output gives $status, not 3"
expect 0 "$INGOT" restore "$new" -o "$scratch/again" -q
cmp "$one" "$scratch/again" || fail 'the source was written to'

# A pipe that does not wait.
if command -v python3 >/dev/null; then
    python3 -c 'import os, sys
os.set_blocking(1, False)
os.execv(sys.argv[1], sys.argv[1:])' "$INGOT" convert "$fixture" -o - 2>"$err" |
        (sleep 1 && cat) >"$scratch/piped"
    ran='convert -o - into a pipe that does not wait'
    cmp "$scratch/piped" "$scratch/fixture.ingot" || fail 'other bytes'
fi

finish
