#!/bin/sh
# Compiles the shaders that a distribution's glslc is too old for to vulkan/prebuilt/, and writes down
# in vulkan/prebuilt/LOCK the compiler and the hashes of what went in and came out;
# tests/check_prebuilt.sh reads it. $GLSLC is the compiler: shaderc 2024 or newer.
#
#     prebuilt_shaders.sh [FOLDER]     (vulkan/prebuilt)
set -eu
LC_ALL=C
export LC_ALL
glslc=${GLSLC:-glslc}
folder=${1:-vulkan/prebuilt}
maps='f16 bf16 integer lookup vector'

modules() { # NAME SOURCE MAP
    for map in $maps; do echo "gemm_matrix_$map gemm_matrix $map"; done
    echo 'peak_matrix peak_matrix none'
}

mkdir -p "$folder"
rm -f "$folder"/*.spv "$folder"/*.d "$folder/LOCK"
modules | while read -r name source map; do
    # Optimizing has been seen to break cooperative matrices.
    $glslc --target-env=vulkan1.3 -O0 -Ivulkan/shaders -DMAP_"$(echo "$map" | tr a-z A-Z)" \
        -MD -MF "$folder/$name.d" -MT x -o "$folder/$name.spv" "vulkan/shaders/$source.comp"
done
{
    $glslc --version | sed -n 's/^/# /; /^# shaderc/p; /^# spirv-tools/p; /^# glslang/p'
    # shellcheck disable=SC2046 # names of files
    sha256sum $(cat "$folder"/*.d | tr ' ' '\n' | grep '^vulkan/shaders/' | sort -u)
    sha256sum "$folder"/*.spv
} >"$folder/LOCK"
rm -f "$folder"/*.d
