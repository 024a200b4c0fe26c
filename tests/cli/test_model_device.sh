#!/bin/sh
# Language models on the first Vulkan device, a software driver if need be, predict and go on as on
# the CPU.
. "$(dirname "$0")/common.sh"

"$INGOT" devices | grep -q '^0 ' || { echo 'there is no Vulkan device'; exit 77; }
head -c 400 fixtures/shakespeare-held-out.txt >"$scratch/text"
for encode in '' '--encode int4' '--encode q4_k+lowrank4'; do
    # shellcheck disable=SC2086 # an option and its value
    expect 0 "$INGOT" convert "$fixture" -o "$scratch/model.ingot" $encode -q --force
    expect 0 "$INGOT" eval "$scratch/model.ingot" --text "$scratch/text" --no-speed --json
    cp "$out" "$scratch/cpu"
    expect 0 "$INGOT" eval "$scratch/model.ingot" --text "$scratch/text" --no-speed --json --device 0
    json_holds "abs(j['quality']['nats_per_token']['mean'] - json.load(open('$scratch/cpu'))['quality']['nats_per_token']['mean']) < 1e-5"
    json_holds "j['quality']['n_predicted'] == 256"
    expect 0 "$INGOT" run "$scratch/model.ingot" -p 'ROMEO:' -n 40 --temperature 0
    cp "$out" "$scratch/cpu"
    expect 0 "$INGOT" run "$scratch/model.ingot" -p 'ROMEO:' -n 40 --temperature 0 --device 0
    [ "$(wc -c <"$out")" -eq 40 ] || fail "$ran: not 40 bytes"
    cmp -s "$out" "$scratch/cpu" || fail "$ran: another text than on the CPU"
done
expect 3 "$INGOT" run "$scratch/model.ingot" -p 'ROMEO:' --device 99
says 'there is no device 99'
finish
