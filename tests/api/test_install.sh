#!/bin/sh
# Installs into a folder of its own and builds the examples against what is there, as somebody would
# who has nothing else: as C11 and as C++17, shared and static, through pkg-config.
. tests/cli/common.sh

case ${BUILD:-build/release} in
build/release) ;;
*)
    echo 'only the release build is installed'
    exit 77
    ;;
esac
prefix=$scratch/prefix
make=${MAKE:-make}

expect 0 "$make" install "PREFIX=$prefix"
for path in bin/ingot lib/libingot.a lib/libingot.so include/ingot.h lib/pkgconfig/ingot.pc \
    share/ingot/ingot.py share/man/man1/ingot.1 share/bash-completion/completions/ingot; do
    [ -s "$prefix/$path" ] || fail "make install: there is no $path"
done
[ "$n_failed" -eq 0 ] || finish

PKG_CONFIG_PATH=$prefix/lib/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}
LD_LIBRARY_PATH=$prefix/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export PKG_CONFIG_PATH LD_LIBRARY_PATH
version=$("$prefix/bin/ingot" --version)
[ "$version" = "ingot $(pkg-config --modversion ingot)" ] || fail "ingot.pc has another version: $version"

# ---- the library exports what the header declares, and nothing else

nm -D --defined-only "$prefix/lib/libingot.so" | awk '{ print $NF }' | grep '^ingot_' | sed 's/@.*//' | sort -u >"$scratch/exported"
nm -D --defined-only "$prefix/lib/libingot.so" | awk '$2 != "A" { print $NF }' | grep -v '^ingot_' >"$scratch/strange"
[ ! -s "$scratch/strange" ] || fail "libingot.so exports $(head -n 5 "$scratch/strange")"
grep -o 'ingot_[a-z0-9_]*(' "$prefix/include/ingot.h" | tr -d '(' | sort -u >"$scratch/declared"
cmp -s "$scratch/exported" "$scratch/declared" || fail "exported and declared: $(diff "$scratch/exported" "$scratch/declared")"
nm -g --defined-only "$prefix/lib/libingot.a" | awk 'NF == 3 { print $3 }' | sort -u >"$scratch/exported"
cmp -s "$scratch/exported" "$scratch/declared" || fail "libingot.a and declared: $(diff "$scratch/exported" "$scratch/declared" | head -n 5)"
readelf -d "$prefix/lib/libingot.so" | grep -q 'SONAME.*libingot\.so\.[0-9]' || fail 'libingot.so has no soname'

# Each function is used by a test or by the Python module: what is exported is tested.
while read -r function; do
    grep -rqw "$function" tests/*/*.c python/ingot.py || fail "$function is tested nowhere"
done <"$scratch/declared"

# ---- the examples

build() { # NAME COMPILER...
    name=$1
    shift
    # shellcheck disable=SC2046 # several words
    expect 0 "$@" -Wall -Wextra -Werror $(pkg-config --cflags ingot) -o "$scratch/$name" "$source" \
        $(pkg-config --libs ingot) -lm
}

"$prefix/bin/ingot" convert -q fixtures/shakespeare-3m -o "$scratch/model.ingot" --encode int4 ||
    fail 'the fixture is not converted'

runs() { # SUFFIX: what the examples of one compiler print
    expect 0 "$scratch/statistics$1" "$scratch/model.ingot" lm_head.weight
    prints 'lm_head.weight: bf16 as int4-g32, 258 x 256'
    prints 'bits a weight in the file'
    expect 1 "$scratch/statistics$1" "$scratch/model.ingot" nothing
    says 'has no tensor nothing'
    expect 1 "$scratch/statistics$1" "$scratch/none.ingot" nothing
    rm -f "$scratch/written.ingot"
    expect 0 "$scratch/write$1" "$scratch/written.ingot"
    prints 'written'
    expect 1 "$scratch/write$1" "$scratch/written.ingot"
    expect 0 "$prefix/bin/ingot" validate "$scratch/written.ingot"
    prints '2 tensors, 2 blobs'
    expect 0 "$prefix/bin/ingot" inspect "$scratch/written.ingot"
    prints 'int4-g32'
    prints 'README.txt'
    expect 0 "$scratch/multiply$1" "$scratch/written.ingot" layer.weight
    prints 'y[3] ='
    says 'note: device'
    if "$prefix/bin/ingot" devices | grep -q '^0 '; then
        expect 0 "$scratch/multiply$1" "$scratch/written.ingot" layer.weight 0
        prints 'y[3] ='
    fi
    expect 1 "$scratch/multiply$1" "$scratch/written.ingot" layer.weight 999
    says 'there is no device 999'
}

n_compilers=0
for compiler in gcc clang; do
    command -v "$compiler" >/dev/null || continue
    n_compilers=$((n_compilers + 1))
    for source in examples/*.c; do
        build "$(basename "$source" .c)-$compiler" "$compiler" -std=c11 -pedantic
    done
    runs "-$compiler"
done
[ "$n_compilers" -gt 0 ] || echo 'note: neither gcc nor clang: the examples were not built as C'
for compiler in g++ clang++; do
    command -v "$compiler" >/dev/null || continue
    for source in examples/*.c; do
        build "$(basename "$source" .c)-$compiler" "$compiler" -std=c++17 -pedantic -x c++
    done
    runs "-$compiler"
done

# Products do not depend on the compiler of the program, and every device gives the sums of rows.
expect 0 "$prefix/bin/ingot" devices
if grep -q '^0 ' "$out" && command -v gcc >/dev/null; then
    expect 0 "$scratch/multiply-gcc" "$scratch/written.ingot" layer.weight 0
    prints 'y[3] ='
fi

# Statically: libingot.so is not needed then, only the libraries below it.
if command -v gcc >/dev/null; then
    # shellcheck disable=SC2046 # several words
    expect 0 gcc -std=c11 $(pkg-config --cflags ingot) -o "$scratch/static" examples/statistics.c \
        "$prefix/lib/libingot.a" $(pkg-config --libs $(pkg-config --print-requires-private ingot)) -lm -ldl -pthread
    expect 0 env -u LD_LIBRARY_PATH "$scratch/static" "$scratch/model.ingot" lm_head.weight
fi

# Python finds the library that was installed with the module.
if python=$(sh tools/python.sh numpy); then
    expect 0 env -u LD_LIBRARY_PATH -u INGOT_LIBRARY "PYTHONPATH=$prefix/share/ingot" "$python" -B -c \
        'import sys, ingot; print(ingot.open(sys.argv[1])["lm_head.weight"].encoding)' "$scratch/model.ingot"
    prints 'int4-g32'
else
    echo 'note: no Python 3.11 with numpy: the installed module was not used'
fi

# ---- manual pages and completion say what the command says

for verb in $(sh tools/verbs.sh "$INGOT"); do
    page=$prefix/share/man/man1/ingot-$verb.1
    grep -q "^ingot\\\\-$verb " "$page" || fail "$page has no name"
    "$INGOT" "$verb" -h | grep -o -e '^  [ -].[ ,] --[a-z-]*' | grep -o -e '--.*' | while read -r option; do
        grep -qF -e "$(printf '%s' "$option" | sed 's/-/\\-/g')" "$page" || echo "$verb $option"
    done >"$scratch/lacking"
    [ ! -s "$scratch/lacking" ] || fail "$page lacks $(cat "$scratch/lacking")"
done
if command -v man >/dev/null; then
    for page in "$prefix"/share/man/man1/*.1; do
        LC_ALL=C.UTF-8 man --warnings -E UTF-8 -l -Tutf8 -Z "$page" 2>&1 >/dev/null | head -n 3 >"$scratch/warnings"
        [ ! -s "$scratch/warnings" ] || fail "$page: $(cat "$scratch/warnings")"
    done
fi

completes() { # WORD...: what completes the last word, one a line
    # shellcheck disable=SC2016 # for bash
    PATH=$prefix/bin:$PATH bash -c '. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _ingot; printf "%s\n" "${COMPREPLY[@]}"' \
        bash "$prefix/share/bash-completion/completions/ingot" "$@" >"$out" 2>"$err"
    ran="completing $*"
    is_silent "$err"
}
if command -v bash >/dev/null; then
    completes ingot conv
    prints convert
    completes ingot convert a --enc
    prints --encode
    completes ingot convert a --encode int
    prints int4
    prints int8
    completes ingot convert a --compress ''
    prints max
    completes ingot bench --dev
    prints --device
fi

# ---- and all of it goes again

expect 0 "$make" uninstall "PREFIX=$prefix"
left=$(find "$prefix" -type f -o -type l)
[ -z "$left" ] || fail "make uninstall leaves $left"

# A staged installation names its prefix, not its stage.
expect 0 "$make" install PREFIX=/opt/ingot "DESTDIR=$scratch/stage"
grep -q '^prefix=/opt/ingot$' "$scratch/stage/opt/ingot/lib/pkgconfig/ingot.pc" || fail 'the stage is in ingot.pc'
finish
