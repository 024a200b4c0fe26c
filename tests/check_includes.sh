#!/bin/sh
# Holds the folder law: a file includes its own folder or one below it. The table is the law; the
# folder table of CONTRIBUTING.md repeats it for people.
set -eu

# folder: what its files may include. A name with a dot is one file of a folder, not all of it.
law='
format:  format/
convert: format/ convert/
runtime: format/ runtime/
vulkan:  format/ runtime/backend.h vulkan/
cli:     format/ convert/ runtime/ vulkan/ cli/
tests:   format/ convert/ runtime/ vulkan/ cli/ tests/
'

for folder in format convert runtime vulkan cli tests; do
    allowed=$(printf '%s' "$law" | sed -n "s/^$folder: *//p")
    find "$folder" -name '*.[ch]' | sort | while read -r file; do
        sed -n 's/^[[:space:]]*#[[:space:]]*include[[:space:]]*\([<"][^>"]*\).*/\1/p' "$file" |
            awk -v file="$file" -v folder="$folder" -v allowed="$allowed" '
                function complain(why) { print file ": includes " name ": " why }
                BEGIN { n = split(allowed, paths, " ") }
                {
                    name = substr($0, 2)
                    if (substr($0, 1, 1) == "<") {
                        if (name ~ /^vulkan\// && folder != "vulkan" && folder != "tests")
                            complain("only vulkan/ knows Vulkan")
                        next
                    }
                    if (name == "rules.inc") next
                    if (name !~ /\//) { complain("the folder is to be named"); next }
                    if (name ~ /\.\./) { complain("paths start at the top folder"); next }
                    for (i = 1; i <= n; i++) if (index(name, paths[i]) == 1) next
                    complain("above " folder "/, which may include " allowed)
                }'
    done
done >"${TMPDIR:-/tmp}/check_includes.$$"
complaints=$(cat "${TMPDIR:-/tmp}/check_includes.$$")
rm -f "${TMPDIR:-/tmp}/check_includes.$$"
if [ -n "$complaints" ]; then
    echo "$complaints"
    exit 1
fi
