#!/usr/bin/python3
"""Every quantized checkpoint format that was studied is a sum of terms of the specification, without
anything added to it: one row a format, with random data, read by the second reader and by the command
to the values of the naive decoder. The codings are those of chapter 6; where a source keeps the bytes
is another question (8.2)."""

import math
import os
import random
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import numpy as np

from made_file import Writer
from naive_decoder import (
    CODEBOOK, FLOAT, INT, UINT, VECTOR, Code, Dense, Part, f32_bits, naive)
from random_terms import random_data, random_low_rank, random_sparse
from reader_case import ReaderTest

F32, F16, BF16 = (Code(FLOAT, bits, format) for bits, format in ((32, 2), (16, 3), (16, 4)))
E4M3, E8M0 = Code(FLOAT, 8, 6), Code(FLOAT, 8, 10)
E2M1 = (4, 9)
EXL2_SCALES = [f32_bits((i + 1) ** 2 / 256) for i in range(16)]


def block(code, cols, rows=1, **more):
    return Part(table=code, group=1, rows=rows, cols=cols, **more)


def whole(code, **more):
    return Part(table=code, group=2, **more)


def run(code, n, **more):
    return Part(table=code, group=3, cols=n, **more)


def indexed(code, groups, **more):
    return Part(table=code, group=4, rows=1, cols=groups, **more)


def uint(bits, **slots):
    return Code(UINT, bits, slots=slots)


def dense(code):
    return lambda rng, stack: Dense(code, random_data(rng, code, stack))


def sparse(code, mask, **fields):
    return lambda rng, stack: random_sparse(rng, code, stack, mask, **fields)


def vector(n):
    entries = [(0x3000 + 64 * (i % 37)) | 0x8000 * (i % 2) for i in range(8 * n)]
    return Code(VECTOR, 16, 3, entries=entries, vector_length=8)


def levels(n, format=2):
    return [f32_bits(i / n - 0.4) for i in range(n)]


# Name: the terms, the stack (matrices, rows, columns), and a rescale if there is one.
NF4 = Code(CODEBOOK, 4, 2, levels(16), slots={"scale": run(F32, 64)})
NESTED = Code(CODEBOOK, 8, 2, levels(256),
              slots={"scale": run(F32, 16), "bias": Part(constant=f32_bits(0.0422))})
FORMATS = {
    "GPTQ, zero of v2": ([dense(uint(4, zero=block(uint(4), 32), scale=block(F16, 32)))], (1, 6, 96)),
    "GPTQ, zero of v1": ([dense(uint(
        4, zero=block(uint(4, bias=Part(constant=f32_bits(1))), 32), scale=block(F16, 32)))], (1, 6, 96)),
    "GPTQ, 3 bits, act-order": ([dense(Code(UINT, 3, index_bits=32, slots={
        "zero": indexed(uint(3), 3), "scale": indexed(BF16, 3)}))], (1, 6, 96)),
    "AWQ": ([dense(uint(4, zero=block(uint(4), 32), scale=block(F16, 32)))], (1, 8, 64)),
    "bitsandbytes NF4": ([dense(NF4)], (1, 5, 51)),
    "bitsandbytes NF4, nested": ([dense(Code(CODEBOOK, 4, 2, levels(16),
                                             slots={"scale": run(NESTED, 32)}))], (1, 20, 51)),
    "LLM.int8": ([dense(Code(INT, 8, slots={
        "scale": block(F32, 0), "post": Part(constant=f32_bits(127), inverse=1)}))], (1, 6, 40)),
    "compressed-tensors, symmetric": ([dense(uint(4, zero=Part(constant=f32_bits(8)),
                                                  scale=block(BF16, 32)))], (1, 6, 96)),
    "compressed-tensors, asymmetric, actorder": ([dense(Code(UINT, 8, index_bits=16, slots={
        "zero": indexed(uint(8), 3), "scale": indexed(BF16, 3)}))], (1, 6, 96)),
    "compressed-tensors, int": ([dense(Code(INT, 8, slots={
        "zero": block(Code(INT, 8), 0), "scale": block(F32, 0)}))], (1, 6, 40)),
    "FP8, 128 x 128": ([dense(Code(FLOAT, 8, 6, slots={"scale": block(F32, 128, 128)}))], (2, 130, 129)),
    "FP8, one scale": ([dense(Code(FLOAT, 8, 6, slots={"scale": whole(F32)}))], (1, 6, 40)),
    "NVFP4, divided": ([dense(Code(FLOAT, *E2M1, slots={"scale": block(Code(FLOAT, 8, 6, slots={
        "scale": whole(F32, inverse=2)}), 16)}))], (1, 6, 64)),
    "NVFP4, a second scale an expert": ([dense(Code(FLOAT, *E2M1, slots={"scale": block(
        Code(FLOAT, 8, 6, slots={"scale": block(F32, 0, 0)}), 16)}))], (3, 4, 64)),
    "MXFP4": ([dense(Code(FLOAT, *E2M1, slots={"scale": block(E8M0, 32)}))], (3, 4, 64)),
    "MXFP8": ([dense(Code(FLOAT, 8, 6, slots={"scale": block(E8M0, 32)}))], (1, 4, 64)),
    "MLX, 6 bits": ([dense(uint(6, scale=block(BF16, 64), bias=block(BF16, 64)))], (1, 4, 128)),
    "MLX, 3 bits": ([dense(uint(3, scale=block(F16, 32), bias=block(F16, 32)))], (1, 4, 96)),
    "sparse-bitmask": ([sparse(F16, 1)], (1, 6, 40)),
    "sparse-bitmask, f8 with a scale": ([sparse(Code(FLOAT, 8, 6, slots={"scale": whole(F32)}), 1)],
                                        (1, 6, 40)),
    "sparse-24": ([sparse(BF16, 2)], (1, 6, 40)),
    "EXL2, two widths": ([sparse(Code(UINT, bits, index_bits=32, slots={
        "zero": Part(constant=f32_bits(1 << (bits - 1))),
        "scale": indexed(Code(CODEBOOK, 4, 2, EXL2_SCALES, slots={"scale": block(F16, 1, 0)}), 5)}), 3,
        **more) for bits, more in ((4, {}), (3, {"combine": 2}))], (1, 6, 40)),
    "AQLM, two codebooks": ([dense(vector(300)), dense(vector(300))], (1, 6, 40), F16),
    "SpQR": ([dense(uint(3, zero=block(uint(3, zero=block(F16, 1, 16), scale=block(F16, 1, 16)), 16),
                         scale=block(uint(3, zero=block(F16, 1, 16), scale=block(F16, 1, 16)), 16))),
              sparse(F16, 6, combine=2)], (1, 32, 48)),
    "QLoRA": ([dense(NF4), lambda rng, stack: random_low_rank(rng, stack, 4, combine=1)], (1, 6, 40)),
    "ONNX, groups of axis 0": ([dense(uint(4, zero=block(uint(4), 1, 16), scale=block(F32, 1, 16)))],
                               (1, 33, 20)),
}


class FormatsTest(ReaderTest):
    def test_formats(self):
        command = os.environ.get("INGOT")
        for name, (makers, stack, *rescale) in FORMATS.items():
            with self.subTest(name), tempfile.TemporaryDirectory() as folder:
                rng = random.Random(name)
                terms = [make(rng, stack) for make in makers]
                after = None
                if rescale:
                    after = (rescale[0], random_data(rng, rescale[0], (stack[0], stack[1], 1)))
                w = Writer()
                w.tensor(b"w", 4, stack, terms, 1, 2, after)
                file = self.opened(w)
                expected = naive(stack, terms, (), after)
                self.same(file.values(0), expected)
                self.assertTrue(any(math.isfinite(v) and v for v in expected))
                if command:
                    self.check_command(command, Path(folder), bytes(file.data), expected)

    def check_command(self, command, folder, data, expected):
        (folder / "f.ingot").write_bytes(data)
        subprocess.run([command, "validate", "-q", folder / "f.ingot"], check=True)
        subprocess.run([command, "extract", "-q", folder / "f.ingot", "w", "-o", folder / "w.npy"],
                       check=True)
        self.same(np.load(folder / "w.npy"), expected)


if __name__ == "__main__":
    unittest.main()
