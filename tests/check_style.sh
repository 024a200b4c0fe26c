#!/bin/sh
# clang-format owns the layout of C files; `make format` obeys it. Long files are a question.
set -u

files() {
    find format convert runtime vulkan cli examples tests -name '*.[ch]' | sort
}
if [ "${1:-}" = --files ]; then
    files
    exit 0
fi

files | while read -r file; do
    n=$(wc -l <"$file")
    [ "$n" -le 500 ] || echo "note: $file has $n lines: is there a second idea in it?"
done

if ! command -v clang-format >/dev/null; then
    echo 'note: layout: skipped, there is no clang-format'
    exit 0
fi
# Versions differ in details; .clang-format is written for this one.
version=$(clang-format --version | sed 's/.*version \([0-9]*\).*/\1/')
if [ "$version" != 14 ]; then
    echo "note: layout: skipped, clang-format is version $version and not 14"
    exit 0
fi
files | xargs clang-format --dry-run --Werror || {
    echo '"make format" mends this.'
    exit 1
}
