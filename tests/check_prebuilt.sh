#!/bin/sh
# The modules of vulkan/prebuilt come from the sources that are here, and are those that LOCK tells.
set -u
lock=vulkan/prebuilt/LOCK
[ -d vulkan ] || exit 77
sha256sum --check --quiet --strict "$lock" || {
    echo '"make shaders" compiles vulkan/prebuilt anew.'
    exit 1
}
for module in vulkan/prebuilt/*.spv; do
    grep -q "  $module\$" "$lock" || {
        echo "$module is not in $lock"
        exit 1
    }
done
grep -c '  vulkan/prebuilt/.*\.spv$' "$lock" | grep -q '^[1-9]' || {
    echo "$lock tells of no module"
    exit 1
}
