#!/bin/sh
# The kernels on matrix units, on the newer software driver and under the newer validation layer of
# ../shared/peers. $BUILD has the test program.
set -u
peers=$(pwd)/../shared/peers/run.sh
program=$(pwd)/${BUILD:-build/release}/tests/vulkan/test_rungs
[ -x "$peers" ] || {
    echo "skipped: there is no $peers"
    exit 77
}
# With the compiler that made them, the committed modules come out the same.
made=${BUILD:-build/release}/prebuilt
GLSLC="$peers glslc" sh tools/prebuilt_shaders.sh "$made" || exit 1
if [ "$(grep '^#' "$made/LOCK")" = "$(grep '^#' vulkan/prebuilt/LOCK)" ]; then
    for module in vulkan/prebuilt/*.spv; do
        cmp "$module" "$made/${module##*/}" || exit 1
        "$peers" spirv-val --target-env vulkan1.3 "$module" || exit 1
    done
    echo 'coopmat: the committed modules are what their sources make'
else
    echo 'note: coopmat: another compiler, the committed modules are not compared'
fi
scratch=$(mktemp -d) || exit 3
trap 'rm -rf "$scratch"' EXIT
# The root of the peers is a newer system: what it lacks of libraries is brought along, but not the
# C library.
cp "$program" "$scratch/program"
ldd "$program" | awk '/=> \// { print $3 }' | grep -vE '/(libc|libm|libdl|libpthread|librt)\.so' |
    while read -r library; do cp "$library" "$scratch"; done
cd "$scratch" || exit 3
run() {
    "$peers" env LD_LIBRARY_PATH=/here VK_LAYER_VALIDATE_SYNC=1 \
        VK_DRIVER_FILES=/usr/share/vulkan/icd.d/lvp_icd.json "$@"
}
run /here/program "${1:-3}" >out 2>&1
status=$?
cat out
[ "$status" -ne 2 ] || exit 77
if grep -q 'validation layer not installed' out; then
    echo 'coopmat: the validation layer is missing there'
    exit 77
fi
exit "$status"
