#!/bin/sh
# Errors of GGUF types beside llama-quantize's, on real matrices and made ones, with and without an
# imatrix: never above, for any type.
. tests/cli/common.sh
peers=$(pwd)/../shared/peers/run.sh
raw=../shared/data/raw
aesthetic=../shared/data/torch/ava+logos-l14-linearMSE.pth
model=../shared/data/lm/shakespeare-3m
converter=/shared/tools/hf_to_gguf.py
for needed in "$peers" "$raw" "$aesthetic" "$model" "../shared${converter#/shared}"; do
    [ -e "$needed" ] || { echo "there is no $needed"; exit 77; }
done
INGOT=$(realpath "$INGOT")
cp tests/interop/gguf_errors.py "$scratch"
cp -r "$(realpath "$model")" "$(realpath "$raw")" "$scratch"
cp "$(realpath "$aesthetic")" "$scratch/aesthetic.pth"
cd "$scratch" || exit 1
"$peers" python3 -c 'import gguf' >/dev/null 2>"$err" || {
    echo "the peers do not run: $(tail -n 1 "$err")"
    exit 77
}
expect 0 "$peers" python3 "$converter" /here/shakespeare-3m --outfile /here/plain.gguf --outtype bf16
expect 0 "$peers" python3 /here/gguf_errors.py make /here/raw /here/aesthetic.pth /here/plain.gguf \
    /here/all.gguf /here/all.dat

compare() { # TYPE [IMATRIX]
    preset=$(echo "$1" | tr '[:upper:]' '[:lower:]')
    case $1 in # the mix that is made of that type
        Q[345]_K) mix=${1}_S ;;
        IQ2_S) mix=IQ2_M ;;
        *) mix=$1 ;;
    esac
    how=--pure
    case $1 in # for which there is no mix
    MXFP4 | NVFP4) how="--tensor-type weight=$1" mix=Q8_0 preset=${preset}_gguf ;;
    esac
    expect 0 "$INGOT" convert all.gguf -o ours.gguf -f -q --encode "$preset" ${2:+--imatrix "$2"}
    # shellcheck disable=SC2086 # an option and its value
    expect 0 "$peers" llama-quantize $how --allow-requantize ${2:+--imatrix "/here/$2"} /here/all.gguf \
        /here/theirs.gguf "$mix" 2
    "$peers" python3 /here/gguf_errors.py compare /here/all.gguf /here/ours.gguf /here/theirs.gguf \
        ${2:+"/here/$2"} >"$out" 2>"$err" || fail "$1${2:+ with an imatrix}: an error is above llama-quantize's"
    echo "note: $1${2:+ with an imatrix}: $(tail -n 1 "$out")"
}

for type in ${TYPES:-Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q2_K Q3_K Q4_K Q5_K Q6_K IQ4_NL IQ4_XS MXFP4 NVFP4 IQ3_S TQ2_0}; do
    compare "$type"
done
for type in ${IMATRIX_TYPES:-Q4_0 Q4_1 Q5_0 Q5_1 Q2_K Q3_K Q4_K Q5_K Q6_K IQ4_NL IQ4_XS IQ3_S IQ3_XXS IQ2_S \
    IQ2_XS IQ2_XXS IQ1_M IQ1_S}; do
    compare "$type" all.dat
done
finish
