"""Blocks of ggml's types from the streams of a tensor, written from chapter 14 of the specification
(ingot-v1.md) alone. Part of ingot_reader.py."""

import re
from collections import namedtuple
from functools import cache

import numpy as np

# The table of 14.2: type, name, weights and bytes of a block, places.
PLACES = """
2 | Q4_0 | 32 | 18 | 4@16 16x8 2x4; 16@0
3 | Q4_1 | 32 | 20 | 4@32 16x8 2x4; 16@0; 16@16
6 | Q5_0 | 32 | 22 | 4@48 16x8 2x4; 1@16 32x1; 16@0
7 | Q5_1 | 32 | 24 | 4@64 16x8 2x4; 1@32 32x1; 16@0; 16@16
8 | Q8_0 | 32 | 34 | 8@16 32x8; 16@0
10 | Q2_K | 256 | 84 | 2@128 32x8 4x2 2x256; 4@0 16x8; 16@640; 4@4 16x8; 16@656
11 | Q3_K | 256 | 110 | 2@256 32x8 4x2 2x256; 1@0 32x8 8x1; 4@768 8x8 2x4; 2@832 4x8 4x2; 16@864
12 | Q4_K | 256 | 144 | 4@128 32x8 2x4 4x256; 4@32 4x8 2x64; 2@36 4x8 2x2; 16@0; 4@64 4x8 2x36; 2@68 4x8 2x2; 16@16
13 | Q5_K | 256 | 176 | 4@384 32x8 2x4 4x256; 1@128 32x8 8x1; 4@32 4x8 2x64; 2@36 4x8 2x2; 16@0; 4@64 4x8 2x36; 2@68 4x8 2x2; 16@16
14 | Q6_K | 256 | 210 | 4@0 64x8 2x4 2x512; 2@1024 32x8 4x2 2x256; 8@1536 16x8; 16@1664
16 | IQ2_XXS | 256 | 66 | 8@16 4x8 8x64; 4@48 4x7 8x64; 2@52 4x7 8x64; 1@54 4x7 8x64; 4@76 8x64; 16@0
17 | IQ2_XS | 256 | 74 | 8@16 32x16; 1@24 32x16; 4@25 32x16; 2@29 32x16; 1@31 32x16; 4@528 16x4; 16@0
18 | IQ3_XXS | 256 | 98 | 8@16 64x8; 4@528 4x7 8x32; 2@532 4x7 8x32; 1@534 4x7 8x32; 4@556 8x32; 16@0
19 | IQ1_S | 256 | 50 | 8@16 32x8; 2@272 4x3 8x16; 1@274 4x3 8x16; 1@287 8x16; 2@284 8x16; 1@286 8x16; 16@0
20 | IQ4_NL | 32 | 18 | 4@16 16x8 2x4; 16@0
21 | IQ3_S | 256 | 110 | 8@16 64x8; 1@528 64x1; 8@592 32x8; 4@848 8x4; 16@0
22 | IQ2_S | 256 | 82 | 8@16 32x8; 2@528 32x2; 8@272 32x8; 4@592 16x4; 16@0
23 | IQ4_XS | 256 | 136 | 4@64 16x8 2x4 8x128; 4@32 8x4; 2@16 8x2; 16@0
29 | IQ1_M | 256 | 56 | 8@0 32x8; 2@256 32x4; 1@258 32x4; 1@259 32x4; 2@384 4x3 4x16; 1@386 4x3 4x16; 4@396 4x16
34 | TQ1_0 | 256 | 54 | digits; 16@416
35 | TQ2_0 | 256 | 66 | 2@0 32x8 4x2 2x256; 16@512
39 | MXFP4 | 32 | 17 | 4@8 16x8 2x4; 8@0
40 | NVFP4 | 64 | 36 | 4@32 8x8 2x4 4x64; 8@0 4x8
41 | Q1_0 | 128 | 18 | 1@16 128x1; 16@0
42 | Q2_0 | 64 | 18 | 2@16 64x2; 16@0
"""

# The table of 14.3: first byte, bytes, digits a byte, first weight.
DIGIT_RUNS = ((0, 32, 5, 0), (32, 16, 5, 160), (48, 4, 4, 240))

Layout = namedtuple("Layout", "name weights bytes streams")


def bit_numbers(place):
    """The bit of the block for each bit of the stream, in order (14.2)."""
    (width, first), *dims = [map(int, re.split("[@x]", word)) for word in place.split()]
    at = np.array([first])
    for n, step in dims:  # the first dim varies fastest
        at = (np.arange(n)[:, None] * step + at).reshape(-1)
    return (at[:, None] + np.arange(width)).reshape(-1)


@cache
def layouts():
    """The layout of each type. A stream is its bit numbers, or None for digits."""
    out = {}
    for line in PLACES.strip().splitlines():
        kind, name, weights, n_bytes, places = (cell.strip() for cell in line.split("|"))
        streams = [None if p == "digits" else bit_numbers(p) for p in places.split("; ")]
        out[int(kind)] = Layout(name, int(weights), int(n_bytes), streams)
    return out


def bits_of(layout, stream):
    """How many bits a block gives to a stream."""
    bits = layout.streams[stream]
    return 2 * layout.weights if bits is None else len(bits)


def put_digits(codes, blocks):
    """Bytes of TQ1_0 from codes, n blocks x 256 (14.3)."""
    for first_byte, n_bytes, n_digits, first_weight in DIGIT_RUNS:
        v = np.zeros((len(codes), n_bytes), np.uint32)
        for k in range(5):
            at = first_weight + k * n_bytes
            v = v * 3 + (codes[:, at:at + n_bytes] if k < n_digits else 0)
        blocks[:, first_byte:first_byte + n_bytes] = (v * 256 + 242) // 243


def together(kind, rows):
    """The bytes of blocks from streams: for each stream an array of bits, n blocks x the bits of a
    block. None when a code is not a digit."""
    layout = layouts()[kind]
    bits = np.zeros((len(rows[0]), layout.bytes * 8), np.uint8)
    for numbers, row in zip(layout.streams, rows):
        if numbers is not None:
            bits[:, numbers] = row
    blocks = np.packbits(bits, axis=1, bitorder="little")
    if layout.streams[0] is None:
        codes = rows[0][:, 0::2] + 2 * rows[0][:, 1::2]
        if (codes == 3).any():
            return None
        put_digits(codes.astype(np.uint32), blocks)
    return blocks
