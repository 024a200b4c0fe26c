#!/usr/bin/env python3
"""Prints convert/block_grids.c: the grids of ggml's i-quants, from gguf-py, packed.

Usage: python3 tools/block_grids.py >convert/block_grids.c   (needs the Python package gguf)
"""
import numpy as np
from gguf import GGMLQuantizationType as T
from gguf import quants

HEAD = """\
/* The grids of ggml's i-quants: constants of ggml (ggml-common.h), here with one level's number a
 * value, the first value in the lowest bits: 3 bits each for rows of four, 2 bits for rows of eight.
 * Made by tools/block_grids.py. */
#include "convert/block_grids.h"

/* clang-format off */"""


def grid(name, levels):
    cls = quants._type_traits[T[name]]
    cls.init_grid()
    values = cls.grid.reshape(cls.grid_shape).astype(int)
    bits = 3 if values.shape[1] == 4 else 2
    packed = sum(np.searchsorted(levels, values[:, i]) << (bits * i) for i in range(values.shape[1]))
    assert packed.max() < 65536 and all(v in levels for v in np.unique(values))
    print(f"const uint16_t grid_{name.lower()}[{len(packed)}] = {{")
    for at in range(0, len(packed), 16):
        print("    " + " ".join(f"{v}," for v in packed[at:at + 16]))
    print("};")


print(HEAD)
for row in (("IQ2_XXS", [8, 25, 43]), ("IQ2_XS", [8, 25, 43]), ("IQ2_S", [8, 25, 43]),
            ("IQ3_XXS", [4, 12, 20, 28, 36, 44, 52, 62]), ("IQ3_S", [1, 3, 5, 7, 9, 11, 13, 15]),
            ("IQ1_S", [-1, 0, 1])):
    grid(*row)
print("/* clang-format on */")
