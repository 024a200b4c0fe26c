#!/bin/sh
# Products straight from a file are right, on every CPU level and number of threads.
. tests/cli/common.sh
need_fixture

expect 0 "$INGOT" convert "$fixture" -o "$scratch/kept.ingot" -q
expect 0 "$INGOT" convert "$fixture" -o "$scratch/int4.ingot" --encode int4 -q
for model in "$scratch/kept.ingot" "$scratch/int4.ingot"; do
    expect 0 "$INGOT" bench "$model" --repeat 2 --json
    is_json
    json_holds 'j["totals"]["n_wrong"] == 0 and 0 < j["totals"]["bound_share"] <= 1'
    json_holds 'j["totals"]["n_matrices"] == len(j["matrices"]) and j["totals"]["n_not_run"] == 0'
    json_holds 'all(m["n_runs"] == 2 and m["min_seconds"] <= m["max_seconds"] for m in j["matrices"])'
done
for threads in 1 3; do
    expect 0 "$INGOT" bench "$scratch/int4.ingot" --repeat 1 --rows 5 --threads "$threads" -q
    prints 'results are right'
done
expect 0 "$INGOT" bench "$scratch/int4.ingot" --repeat 1 --cpu-level plain
prints 'GB/s'
prints 'plain'
expect 0 "$INGOT" bench "$scratch/int4.ingot" --repeat 1 --no-check
prints 'not checked'
for how in f32 bf16 i8; do
    expect 0 "$INGOT" bench --synthetic 96x1024 --encode int4 --repeat 2 --rows 7 --activations "$how" --json
    is_json
    json_holds 'j["ceilings"]["read_gb_per_second"] > 0 and j["ceilings"]["fma_gflop_per_second"] > 0'
    json_holds 'j["matrices"][0]["read_share"] > 0 and j["matrices"][0]["n_rows"] == 96'
    json_holds "j['activations'] == '$how' and j['totals']['n_wrong'] == 0"
done
expect 0 "$INGOT" bench "$scratch/int4.ingot" --repeat 2 --cold -q
for size in 12 0x4 99999999999x99999999999; do
    expect 2 "$INGOT" bench --synthetic "$size"
    says 'is no size'
done
expect 2 "$INGOT" bench --synthetic 8x64 --encode no-such-encoding
says 'no-such-encoding'
expect 2 "$INGOT" bench "$scratch/int4.ingot" --encode int4
expect 2 "$INGOT" bench "$scratch/int4.ingot" --synthetic 8x64
expect 1 "$INGOT" bench "$scratch/int4.ingot" --tensor no.such.tensor
says 'there is no tensor'
make_safetensors "$scratch/odd.safetensors" \
    '{"e":{"dtype":"F16","shape":[0,4],"data_offsets":[0,0]},"v":{"dtype":"F32","shape":[8],"data_offsets":[0,32]},"n":{"dtype":"I32","shape":[2,4],"data_offsets":[32,64]}}' 64
expect 0 "$INGOT" convert "$scratch/odd.safetensors" -o "$scratch/odd.ingot" -q
for name in e v; do
    expect 1 "$INGOT" bench "$scratch/odd.ingot" --tensor "$name"
    says 'ingot: '
done
expect 1 "$INGOT" bench "$scratch/odd.ingot"
says 'there was no matrix to run'
expect 3 "$INGOT" bench "$scratch/int4.ingot" --device 4000000
expect 2 "$INGOT" bench "$scratch/int4.ingot" --device no-such-device
says '--device takes'
expect 2 env INGOT_DEVICE=no-such-device "$INGOT" bench "$scratch/int4.ingot"
says 'INGOT_DEVICE takes'
expect 0 env INGOT_DEVICE=no-such-device "$INGOT" bench "$scratch/int4.ingot" --device cpu --repeat 1 -q

# The same products on a Vulkan device, where there is one, by number, UUID and name.
expect 0 "$INGOT" devices --json
is_json
json_holds 'all("avoids" in d for d in j["devices"])'
name=$(python3 -c 'import json, sys
for d in json.load(open(sys.argv[1]))["devices"]:
    if d["device"] == 0 and d["usable"]: print(d["uuid"] + ";" + d["name"][:6])' "$out")
if [ -n "$name" ]; then
    expect 0 "$INGOT" bench "$scratch/int4.ingot" --device 0 --repeat 1 --rows 3 -q
    prints 'results are right'
    expect 0 env INGOT_DEVICE="${name%;*}" "$INGOT" bench "$scratch/int4.ingot" --repeat 1 --json
    json_holds 'j["device"] == 0 and j["totals"]["n_wrong"] == 0'
    expect 0 "$INGOT" bench "$scratch/int4.ingot" --repeat 1 --device "${name#*;}" --json
    json_holds 'j["device"] == 0'
fi
expect 3 "$INGOT" bench "$scratch/int4.ingot" --cpu-level no-such-level

finish
