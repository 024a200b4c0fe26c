#!/bin/sh
# Names from files cannot steer a terminal, and stay whole in JSON.
. tests/cli/common.sh

escape=$(printf '\033')
make_safetensors "$scratch/n.safetensors" \
    '{"__metadata__":{"key\u001b[2J":"\u0007\u202evalue"},"\u001b[31mred\n":{"dtype":"BF16","shape":[4],"data_offsets":[0,8]},"größe":{"dtype":"BF16","shape":[],"data_offsets":[8,10]}}' 10
expect 0 "$INGOT" convert "$scratch/n.safetensors" -o "$scratch/n.ingot" -v
! grep -q "$escape" "$out" || fail 'convert -v writes an escape'
for model in "$scratch/n.safetensors" "$scratch/n.ingot"; do
    expect 0 "$INGOT" inspect "$model" -v
    ! grep -q "$escape" "$out" || fail 'inspect writes an escape'
    prints '\x1B[31mred\x0A'
    prints 'größe'
    expect 0 "$INGOT" inspect "$model" --json
    is_json
    json_holds '[t["name"] for t in j["tensors"]] == ["\x1b[31mred\n", "gr\u00f6\u00dfe"]'
    json_holds 'j["metadata"][0]["key"] == "key\x1b[2J"'
done
expect 1 "$INGOT" inspect "$scratch/n.ingot" --tensor "${escape}[0m"
! grep -q "$escape" "$err" || fail 'a message writes an escape'
expect 0 "$INGOT" restore "$scratch/n.ingot" -o "$scratch/n2.safetensors"
cmp "$scratch/n.safetensors" "$scratch/n2.safetensors" || fail 'restore gave another file'

finish
