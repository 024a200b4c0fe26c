#!/bin/sh
# The golden files are those of version 1.0, byte for byte: SHA256SUMS names each of them, and they
# never change. What a later version adds gets files of its own, and lines of its own there.
set -eu
cd fixtures/golden
sha256sum --check --strict --quiet SHA256SUMS
for file in *; do
    [ "$file" = SHA256SUMS ] || grep -q " $file\$" SHA256SUMS || { echo "$file is not in SHA256SUMS"; exit 1; }
done
# The list itself, as it was when the format was frozen.
frozen=8e1f98e8335f78702b5d7dfcfbc1615efb9e809e94a107a26f89cb368fd174c1
[ "$(head -n 12 SHA256SUMS | sha256sum | cut -c 1-64)" = "$frozen" ] || { echo "SHA256SUMS has changed"; exit 1; }
