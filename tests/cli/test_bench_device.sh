#!/bin/sh
# Every encoding multiplied on the first Vulkan device, a software driver if need be, under the
# validation layer where it is installed: right products, and not a message.
. "$(dirname "$0")/common.sh"

"$INGOT" devices | grep -q '^0 ' || { echo 'there is no Vulkan device'; exit 77; }
VK_INSTANCE_LAYERS=VK_LAYER_KHRONOS_validation
export VK_INSTANCE_LAYERS
if [ ! -e /usr/share/vulkan/explicit_layer.d/VkLayer_khronos_validation.json ]; then
    echo 'note: validation layer not installed'
    unset VK_INSTANCE_LAYERS
fi
expect 0 "$INGOT" convert --list-encodings
encodings=$(awk '/^$/ {exit} NR > 1 {print $1}' "$out")
n=0
for encoding in $encodings; do
    case $encoding in sparse* | outliers* | columns* | lowrank*) encoding=int4+$encoding ;; esac
    expect 0 "$INGOT" convert "$fixture" -o "$scratch/on-device.ingot" --force --encode "$encoding" \
        --include lm_head.weight -q
    expect 0 "$INGOT" bench "$scratch/on-device.ingot" --device 0 --repeat 1 --rows 3 -q
    prints 'results are right'
    ! grep -q 'VUID\|UNASSIGNED' "$out" "$err" || fail "$ran: the validation layer has something to say"
    n=$((n + 1))
done
[ "$n" -gt 40 ] || fail "only $n encodings"
finish
