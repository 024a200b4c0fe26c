#!/bin/sh
# Every header compiles alone as C11; the public one as C++17 too. $BUILD holds the generated files.
set -u
cc=${CC:-cc}
cxx=${CXX:-g++}
failed=0

# shellcheck disable=SC2046 # names and flags are several words
flags="-I. -I${BUILD:-build/release}/gen $(pkg-config --cflags $(sh tools/deps.sh --libraries) 2>/dev/null)"

compile() { # HEADER COMPILER...
    header=$1
    shift
    printf '#include "%s"\n' "$header" | "$@" -Wall -Wextra -Werror -fsyntax-only - && return 0
    echo "$header does not compile alone: $*"
    failed=1
}

# shellcheck disable=SC2086 # the flags are several words
for header in format/*.h convert/*.h runtime/*.h vulkan/*.h cli/*.h; do
    [ -f "$header" ] || continue
    case $header in
    vulkan/*) "$cc" -E -include vulkan/vulkan.h -x c /dev/null >/dev/null 2>&1 || continue ;;
    esac
    compile "$header" "$cc" -std=c11 -D_GNU_SOURCE $flags -x c
done

# The public header may not lean on the build's flags.
compile format/ingot.h "$cc" -std=c11 -pedantic -I. -x c
if command -v "$cxx" >/dev/null; then
    compile format/ingot.h "$cxx" -std=c++17 -pedantic -I. -x c++
else
    echo "note: C++17: skipped, there is no $cxx"
fi
exit $failed
