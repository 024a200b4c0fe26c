#!/usr/bin/env python3
"""Makes fixtures/blocks/: for each of ggml's block types a few blocks (TYPE.blocks) and the f32 values
that ggml's own decoders give them (TYPE.values, every NaN written as 7FC00000).

Usage: python3 tests/golden/make_block_fixtures.py [FOLDER]
The oracle is the Python package gguf; for the types it lacks, ggml's C library.
"""
import ctypes
import struct
import sys

import numpy as np
from gguf import GGML_QUANT_SIZES, quants
from gguf import GGMLQuantizationType as T

# Where the f16 factors of a block are; IQ1_M has its bits in the top nibbles of four u16.
FACTORS = {
    "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q2_K": [80, 82], "Q3_K": [108],
    "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208], "IQ2_XXS": [0], "IQ2_XS": [0], "IQ3_XXS": [0], "IQ1_S": [0],
    "IQ4_NL": [0], "IQ3_S": [0], "IQ2_S": [0], "IQ4_XS": [0], "IQ1_M": [], "TQ1_0": [52], "TQ2_0": [64],
    "MXFP4": [], "NVFP4": [], "Q1_0": [0], "Q2_0": [0],
}
# One, minus one, the least subnormal, a negative subnormal, the largest, minus zero, something common.
EDGES = [0x3C00, 0xBC00, 0x0001, 0x83FF, 0x7BFF, 0x8000, 0x1234]
LIBRARY = "libggml-base.so.0"


def set_factor(name, block, bits):
    for at in FACTORS[name]:
        struct.pack_into("<H", block, at, bits)
    if name == "IQ1_M":
        for i in range(4):
            block[49 + 2 * i] = block[49 + 2 * i] & 0x0F | (bits >> 4 * i & 15) << 4


def canonical_digits(block):
    """Writes the bytes of TQ1_0 as its quantizer does: a value of ceil(256 / 243 * number)."""
    for i in range(52):
        number = block[i] % 243 if i < 48 else block[i] % 81 * 3
        block[i] = (number * 256 + 242) // 243


def make_blocks(name, rng):
    n_bytes = GGML_QUANT_SIZES[T[name]][1]
    zeros, ones = bytearray(n_bytes), bytearray(b"\xff" * n_bytes)
    plain_ones = bytearray(ones)
    set_factor(name, plain_ones, 0x3C00)
    blocks = [zeros, ones, plain_ones]
    for bits in EDGES:
        block = bytearray(rng.integers(0, 256, n_bytes, dtype=np.uint8).tobytes())
        set_factor(name, block, bits)
        blocks.append(block)
    if name in ("MXFP4", "NVFP4"):  # every scale code that differs from the published formats
        for i, code in enumerate((0, 1, 0x7F, 0x80, 0xFF, 0x7E)):
            blocks[4 + i][0] = code
    if name == "TQ1_0":
        for block in blocks[2:7]:  # the others are as a careless writer leaves them
            canonical_digits(block)
    return b"".join(blocks)


def decode_with_library(name, blocks, n_values):
    function = getattr(ctypes.CDLL(LIBRARY), "dequantize_row_" + name.lower())
    out = np.zeros(n_values, dtype=np.float32)
    function(blocks, out.ctypes.data_as(ctypes.c_void_p), ctypes.c_int64(n_values))
    return out


def decode(name, blocks):
    n_weights, n_bytes = GGML_QUANT_SIZES[T[name]]
    n_values = len(blocks) // n_bytes * n_weights
    with np.errstate(all="ignore"):
        try:
            values = quants.dequantize(np.frombuffer(blocks, dtype=np.uint8), T[name]).reshape(-1)
        except NotImplementedError:
            values = decode_with_library(name, blocks, n_values)
    values = values.astype("<f4").copy()
    assert len(values) == n_values
    values.view("<u4")[np.isnan(values)] = 0x7FC00000
    return values.tobytes()


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else "fixtures/blocks"
    for number, name in enumerate(FACTORS):
        blocks = make_blocks(name, np.random.default_rng(number))
        for suffix, content in (("blocks", blocks), ("values", decode(name, blocks))):
            with open(f"{folder}/{name.lower()}.{suffix}", "wb") as f:
                f.write(content)


main()
