#!/bin/sh
# Finds out what the build lacks and installs it. The table below is the only list of what Ingot
# needs; the Makefile takes the names of the libraries from it.
#
#   deps.sh               installs what is missing (asks first, unless root or CI=true)
#   deps.sh --for-build   the same, but content when only optional things are missing
#   deps.sh --check       tells what is missing and installs nothing; fails when something needed is
#   deps.sh --print       prints the commands that install everything
#   deps.sh --libraries   prints the libraries' names for pkg-config
set -u
cc=${CC:-cc}

# need     | how it is looked for            | pkg-config | Debian, Ubuntu | Fedora | Arch | what it is for
table() {
    cat <<'TABLE'
needed   | command cc                        | -        | gcc            | gcc                        | gcc        | the C compiler
needed   | header stdlib.h                   | -        | libc6-dev      | glibc-devel                | glibc      | the headers of the C library
needed   | command pkg-config                | -        | pkg-config     | pkgconf-pkg-config         | pkgconf    | what finds the libraries
needed   | sanitizers                        | -        | gcc            | libasan libubsan           | gcc        | the checked build that the tests run in
needed   | header zstd.h                     | libzstd  | libzstd-dev    | libzstd-devel              | zstd       | lossless compression
needed   | header xxhash.h                   | libxxhash | libxxhash-dev | xxhash-devel               | xxhash     | checksums
needed   | header jansson.h                  | jansson  | libjansson-dev | jansson-devel              | jansson    | JSON
needed   | header archive.h                  | libarchive | libarchive-dev | libarchive-devel          | libarchive | checkpoints in zip and tar archives
needed   | header lapacke.h                  | lapacke  | liblapacke-dev | lapack-devel               | lapacke    | factorizations
needed   | header cblas.h                    | openblas | libopenblas-dev | openblas-devel            | openblas   | matrix products
needed   | header pcre2.h                    | libpcre2-8 | libpcre2-dev | pcre2-devel                | pcre2      | how tokenizers cut words
needed   | header utf8proc.h                 | libutf8proc | libutf8proc-dev | utf8proc-devel         | libutf8proc | how tokenizers normalize text
needed   | header cmocka.h                   | (cmocka) | libcmocka-dev  | libcmocka-devel            | cmocka     | the tests
optional | command glslc                     | -        | glslc          | glslc                      | shaderc    | the compiler of the Vulkan shaders
optional | header vulkan/vulkan.h            | -        | libvulkan-dev  | vulkan-headers vulkan-loader-devel | vulkan-headers vulkan-icd-loader | the headers of the Vulkan backend
optional | file vulkan/icd.d/*.json          | -        | mesa-vulkan-drivers | mesa-vulkan-drivers   | vulkan-swrast | a Vulkan device for the tests
optional | file vulkan/explicit_layer.d/*validation*.json | - | vulkan-validationlayers | vulkan-validation-layers | vulkan-validation-layers | what checks the use of Vulkan
optional | python numpy,zstandard,xxhash     | -        | python3 python3-numpy python3-zstandard python3-xxhash | python3 python3-numpy python3-zstandard python3-xxhash | python python-numpy python-zstandard python-xxhash | the second reader, which the tests compare with
optional | command clang-format              | -        | clang-format   | clang-tools-extra          | clang      | what checks the layout of the code
TABLE
}

trim() { # TEXT: without blanks at its ends
    printf '%s' "$1" | sed 's/^ *//; s/ *$//'
}

is_compilable() { # HEADER LIBRARY
    flags=
    case $2 in
    -) ;;
    *)
        if command -v pkg-config >/dev/null; then
            pkg-config --exists "$2" 2>/dev/null || return 1
            flags=$(pkg-config --cflags "$2")
        fi
        ;;
    esac
    # shellcheck disable=SC2086 # the flags are several words
    printf '#include <stdarg.h>\n#include <stddef.h>\n#include <stdint.h>\n#include <setjmp.h>\n#include <%s>\n' "$1" |
        "$cc" $flags -DPCRE2_CODE_UNIT_WIDTH=8 -fsyntax-only -x c - >/dev/null 2>&1
}

is_there() { # KIND ARGUMENT LIBRARY
    case $1 in
    command)
        if [ "$2" = cc ]; then set -- "$1" "$cc"; fi
        command -v "$2" >/dev/null
        ;;
    header) is_compilable "$2" "$(printf '%s' "$3" | tr -d '()')" ;;
    sanitizers)
        scratch=$(mktemp) || return 1
        echo 'int main(void) { return 0; }' |
            "$cc" -fsanitize=address,undefined -x c - -o "$scratch" >/dev/null 2>&1
        found=$?
        rm -f "$scratch"
        return $found
        ;;
    python) sh "$(dirname "$0")/python.sh" "$2" >/dev/null ;;
    file)
        for directory in /usr/share /usr/local/share /etc /usr/local/etc; do
            # shellcheck disable=SC2086 # the argument is a pattern
            for candidate in $directory/$2; do
                [ ! -e "$candidate" ] || return 0
            done
        done
        return 1
        ;;
    esac
}

# Fills missing_needed and missing_optional, the rows that were not found, one a line.
look() {
    missing_needed=
    missing_optional=
    newline='
'
    while IFS='|' read -r need how library debian fedora arch purpose; do
        need=$(trim "$need")
        # shellcheck disable=SC2086,SC2046 # two words
        set -- $how
        is_there "$1" "${2:-}" "$(trim "$library")" && continue
        row="${2:-$1}|$(trim "$debian")|$(trim "$fedora")|$(trim "$arch")|$(trim "$purpose")"
        case $need in
        needed) missing_needed="$missing_needed$row$newline" ;;
        *) missing_optional="$missing_optional$row$newline" ;;
        esac
    done <<ROWS
$(table)
ROWS
}

packages() { # COLUMN ROWS: that column of the rows as one line, each word once
    printf '%s' "$2" | cut -d '|' -f "$1" | tr ' ' '\n' | awk 'NF && !seen[$1]++ { printf "%s%s", gap, $1; gap = " " }'
}

print_commands() { # ROWS
    echo "  Debian, Ubuntu:  sudo apt-get update && sudo apt-get install $(packages 2 "$1")"
    echo "  Fedora:          sudo dnf install $(packages 3 "$1")"
    echo "  Arch:            sudo pacman -S --needed $(packages 4 "$1")"
}

list() { # TITLE ROWS
    [ -n "$2" ] || return 0
    echo "$1"
    printf '%s' "$2" | awk -F '|' '{ printf "  %s (%s)\n", $5, $1 }'
}

# Sets $as to the command that makes us root ("" when we are); fails when we may not.
permission() {
    as=
    [ "$(id -u)" -ne 0 ] || return 0
    command -v sudo >/dev/null || return 1
    as=sudo
    if [ "${CI:-}" = true ]; then
        as='sudo -n'
        return 0
    fi
    [ -t 0 ] || return 1
    printf 'Install them now with sudo apt-get? [y/N] '
    read -r answer
    case $answer in [yY]*) return 0 ;; *) return 1 ;; esac
}

install_debian() {
    $as apt-get update || echo 'deps: the list of packages could not be brought up to date' >&2
    # shellcheck disable=SC2046,SC2086 # several words each
    [ -z "$missing_needed" ] || $as env DEBIAN_FRONTEND=noninteractive apt-get install -y \
        --no-install-recommends $(packages 2 "$missing_needed") || return 1
    # An optional package that this release does not have must not stop the others.
    available=
    for package in $(packages 2 "$missing_optional"); do
        if [ -n "$(apt-cache show "$package" 2>/dev/null)" ]; then available="$available $package"; fi
    done
    # shellcheck disable=SC2086
    [ -z "$available" ] || $as env DEBIAN_FRONTEND=noninteractive apt-get install -y \
        --no-install-recommends $available || echo 'deps: optional packages were not installed' >&2
}

report_optional() {
    printf '%s' "$missing_optional" | awk -F '|' '{ printf "deps: not found, and optional: %s (%s)\n", $5, $1 }'
}

mode=${1:-}
case $mode in
--libraries)
    table | awk -F '|' '{ gsub(/ /, "", $3); if ($3 !~ /^[-(]/) printf "%s ", $3 }'
    exit 0
    ;;
--print)
    print_commands "$(table | sed 's/^[^|]*|\([^|]*\)|[^|]*|/\1|/')"
    exit 0
    ;;
'' | --check | --for-build) ;;
*)
    echo 'usage: deps.sh [--for-build | --check | --print | --libraries]' >&2
    exit 2
    ;;
esac

look
if [ -z "$missing_needed" ]; then
    if [ -z "$missing_optional" ]; then
        [ "$mode" = --for-build ] || echo 'deps: everything is there'
        exit 0
    fi
    if [ "$mode" = --check ] || { [ "$mode" = --for-build ] && [ "${CI:-}" != true ]; }; then
        report_optional
        exit 0
    fi
fi

list 'Needed and not found:' "$missing_needed"
list 'Optional and not found:' "$missing_optional"
if [ "$mode" != --check ] && command -v apt-get >/dev/null && permission; then
    install_debian
    look
    [ -n "$missing_needed" ] || {
        report_optional
        exit 0
    }
    list 'Still not found:' "$missing_needed"
fi
echo 'These commands install them:'
print_commands "$missing_needed$missing_optional"
[ -z "$missing_needed" ]
