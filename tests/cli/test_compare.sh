#!/bin/sh
# compare: pairs of names from a file, what is wrong with such a file, and shapes that differ.
. tests/cli/common.sh

make_safetensors "$scratch/a.safetensors" '{
"model.layers.0.mlp.up.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},
"model.layers.11.mlp.up.weight":{"dtype":"F32","shape":[3,2],"data_offsets":[24,48]},
"two words":{"dtype":"F32","shape":[4],"data_offsets":[48,64]},
"star*":{"dtype":"F32","shape":[1,4],"data_offsets":[64,80]},
"same":{"dtype":"I32","shape":[2],"data_offsets":[80,88]},
"alone":{"dtype":"I32","shape":[2],"data_offsets":[88,96]}}' 96
make_safetensors "$scratch/b.safetensors" '{
"blk.0.ffn_up.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},
"blk.11.ffn_up.weight":{"dtype":"F32","shape":[2,3],"data_offsets":[24,48]},
"words":{"dtype":"F32","shape":[4,1,1],"data_offsets":[48,64]},
"# star":{"dtype":"F32","shape":[4],"data_offsets":[64,80]},
"same":{"dtype":"I32","shape":[2],"data_offsets":[80,88]},
"other":{"dtype":"I32","shape":[2],"data_offsets":[88,96]}}' 96
a=$scratch/a.safetensors
b=$scratch/b.safetensors
map=$scratch/names.map
cat >"$map" <<'END'
# pairs
model.layers.*.mlp.up.weight blk.*.ffn_up.weight   # a pattern

"two words"	words
star\* "# star"
nowhere "to be \"found\""
END

expect 1 "$INGOT" compare "$a" "$b" --map "$map"
prints 'model.layers.0.mlp.up.weight = blk.0.ffn_up.weight'
prints 'the shapes differ: [3, 2] and [2, 3], with as many values'
prints 'identical; the shapes [4] and [4, 1, 1] differ in dimensions of 1'
prints '7 tensors: 4 identical, 1 not compared, 1 only in the first, 1 only in the second; 2 in another shape'
says "$map: note: line 6 matches no tensor of the first model"
expect 1 "$INGOT" compare "$a" "$b" --map "$map" --json -q
is_json
is_silent "$err"
json_holds 'j["n_identical"] == 4 and j["n_reshaped"] == 2 and j["n_not_compared"] == 1'
json_holds '[t.get("name_b") for t in j["tensors"] if t["name"] == "star*"] == ["# star"]'
json_holds '[t["name"] for t in j["tensors"] if t["verdict"] == "only_a"] == ["alone"]'
json_holds '[t["name"] for t in j["tensors"] if t["verdict"] == "only_b"] == ["other"]'
json_holds 'all("name_b" not in t for t in j["tensors"] if t["name"] == "same")'

# The first line that matches decides, several stars keep their order, and they may take nothing.
make_safetensors "$scratch/c.safetensors" '{
"x.1.y.2":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},
"x..y.":{"dtype":"F32","shape":[1],"data_offsets":[4,8]},
"x.y.y.y":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}' 12
make_safetensors "$scratch/d.safetensors" '{
"1-2":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},
"-":{"dtype":"F32","shape":[1],"data_offsets":[4,8]},
"last":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}' 12
printf 'x.y.y.y last\r\nx.*.y.* *-*\r\nx.1.* wrong*\n' >"$map"
expect 0 "$INGOT" compare "$scratch/c.safetensors" "$scratch/d.safetensors" --map "$map" --json
json_holds 'j["n_identical"] == 3 and j["n_only_a"] == 0 and j["n_only_b"] == 0'

# A name that a line gives to one tensor is not another's by its own name.
printf '"two words" same\n' >"$map"
expect 1 "$INGOT" compare "$a" "$a" --map "$map" --json
json_holds '[t["name"] for t in j["tensors"] if t["verdict"] == "only_a"] == ["same"]'
json_holds '[t["name"] for t in j["tensors"] if t["verdict"] == "only_b"] == ["two words"]'

# What is wrong with a map is said by file and line.
wrong() { # LINE MESSAGE: the map's second line is wrong
    printf '# map\n%b\n' "$1" >"$map"
    expect 1 "$INGOT" compare "$a" "$b" --map "$map"
    says "$map: line 2: $2"
    is_silent "$out"
}
wrong 'one' 'a name without its partner'
wrong 'one # two' 'a name without its partner'
wrong 'one two three' 'more than two names'
wrong 'one "two' 'a quote that is not closed'
wrong 'one ""' 'an empty name'
wrong 'one.* two' 'the two names have not as many stars'
wrong '********* *********' 'more than 8 stars'
printf 'alone same\nsame same\n' >"$map"
expect 1 "$INGOT" compare "$a" "$b" --map "$map"
says "$map: line 1: \"alone\" becomes \"same\", and by line 2 \"same\" does as well"
expect 3 "$INGOT" compare "$a" "$b" --map "$scratch/none"
says "$scratch/none: cannot open"

finish
