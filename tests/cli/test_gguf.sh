#!/bin/sh
# GGUF files through the command: --assume, and that real files, those of ../shared/data where it is
# there, come back byte for byte.
. tests/cli/common.sh
data=../shared/data/gguf

# A file with a tensor whose type forks use otherwise: 41, of 2 x 128 weights, 96 bytes long.
{
    printf 'GGUF\003\000\000\000\002\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000'
    printf '\001\000\000\000\000\000\000\000q\002\000\000\000\200\000\000\000\000\000\000\000'
    printf '\002\000\000\000\000\000\000\000\051\000\000\000\000\000\000\000\000\000\000\000'
    printf '\001\000\000\000\000\000\000\000r\001\000\000\000\004\000\000\000\000\000\000\000'
    printf '\030\000\000\000\140\000\000\000\000\000\000\000'
    head -c 32 /dev/zero
    head -c 100 tests/cli/common.sh
} | head -c 256 >"$scratch/forked.gguf"
expect 1 "$INGOT" convert "$scratch/forked.gguf" -o "$scratch/never.ingot"
says 'q at offset'
says "its type is 41, ggml's Q1_0, which takes 36 bytes, but there are 96"
says '--assume dialect=ggml or dialect=opaque'
is_absent "$scratch/never.ingot"
expect 1 "$INGOT" inspect "$scratch/forked.gguf"
expect 2 "$INGOT" convert "$scratch/forked.gguf" -o "$scratch/never.ingot" --assume dialect=mine
says 'dialect=ggml, dialect=opaque'
expect 2 "$INGOT" inspect "$scratch/forked.gguf" --assume dialect=ggml --assume dialect=opaque
says 'contradicts'
for dialect in ggml opaque; do
    assume="--assume dialect=$dialect"
    # shellcheck disable=SC2086
    expect 0 "$INGOT" convert "$scratch/forked.gguf" -o "$scratch/$dialect.ingot" $assume
    says "as was assumed (dialect=$dialect)"
    expect 0 "$INGOT" validate "$scratch/$dialect.ingot"
    # shellcheck disable=SC2086
    expect 0 "$INGOT" validate "$scratch/$dialect.ingot" --against "$scratch/forked.gguf" $assume
    prints '2 identical'
    # shellcheck disable=SC2086
    expect 0 "$INGOT" compare "$scratch/forked.gguf" "$scratch/$dialect.ingot" $assume
    # shellcheck disable=SC2086
    expect 0 "$INGOT" inspect "$scratch/forked.gguf" $assume
    expect 0 "$INGOT" restore "$scratch/$dialect.ingot" -o "$scratch/$dialect.gguf" -q
    cmp -s "$scratch/forked.gguf" "$scratch/$dialect.gguf" || fail "$dialect came back otherwise"
done
expect 1 "$INGOT" convert "$scratch/opaque.ingot" -o "$scratch/never.ingot" --encode f32
says 'q: its type ggml:'
is_absent "$scratch/never.ingot"
expect 0 "$INGOT" inspect "$scratch/opaque.ingot"
prints 'ggml:type-41'
expect 1 "$INGOT" compare "$scratch/ggml.ingot" "$scratch/opaque.ingot"
prints 'not compared'
# Bytes that differ are a difference, and not what the source says.
sed 's/common.sh/COMMON.sh/; s/tests/TESTS/' "$scratch/forked.gguf" >"$scratch/other.gguf"
expect 1 "$INGOT" validate "$scratch/ggml.ingot" --against "$scratch/other.gguf" \
    --assume dialect=ggml
prints 'differs'

comes_back() { # FILE
    name=$(basename "$1" .gguf)
    expect 0 "$INGOT" convert "$1" -o "$scratch/$name.ingot"
    prints 'can be restored from it, byte for byte'
    expect 0 "$INGOT" validate "$scratch/$name.ingot" --against "$1"
    expect 0 "$INGOT" restore "$scratch/$name.ingot" -o "$scratch/$name.gguf" -q
    cmp -s "$1" "$scratch/$name.gguf" || fail "$1 came back otherwise"
    expect 0 "$INGOT" convert "$scratch/$name.ingot" -o "$scratch/$name.again.ingot" -q -f
    n_back=$((n_back + 1))
}

n_back=0
for file in "$data"/*.gguf; do
    [ -e "$file" ] && comes_back "$file"
done
if [ "$n_back" -gt 0 ]; then
    echo "note: $n_back real files came back"
else
    echo "note: $data is not there: real files were not tried"
fi

[ "$n_failed" -eq 0 ]
