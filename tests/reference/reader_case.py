"""What the tests of the reader share: a few files, and comparisons bit for bit."""

import math
import random
import struct
import unittest

import numpy as np

from ingot_reader import IngotFile
from made_file import Writer, attachment_segment, literal, source, tensor_segment, xxh128
from naive_decoder import BITS, FLOAT, INT, UINT, Code, Data, Dense, Part, bits_f32, f32_bits, naive
from random_terms import random_data


def raw_code(dtype):
    if dtype <= 12:
        return Code(map=FLOAT, bits=BITS[dtype], format=dtype)
    return Code(map=INT if dtype <= 19 else UINT, bits=BITS[dtype])


def simple(w, name=b"t", dims=(2, 3), codes=None, dtype=2, **how):
    """A tensor of u8 codes under a scale of one half."""
    code = Code(slots={"scale": Part(constant=f32_bits(0.5))})
    codes = codes or list(range(math.prod(dims)))
    return w.tensor(name, dtype, dims, [Dense(code, Data(codes))], **how)


class ReaderTest(unittest.TestCase):
    def same(self, got, expected):
        got = np.asarray(got)
        self.assertEqual(got.dtype, np.float32)
        got = got.reshape(-1).view(np.uint32).tolist()
        self.assertEqual(len(got), len(expected))
        for i, (a, b) in enumerate(zip(got, expected)):
            if not (math.isnan(b) and math.isnan(bits_f32(a))):
                self.assertEqual(a, f32_bits(b), f"element {i}: {bits_f32(a)} is not {b}")

    def opened(self, w, *find):
        file = IngotFile(w.finish(), *find)
        self.assertEqual(file.validate(), [])
        return file

    def check(self, dims, terms, stack=0, split=None, asked=(), rescale=None, **how):
        w = Writer()
        w.tensor(b"w", 4, dims, terms, stack, split, rescale, **how)
        file = self.opened(w)
        self.assertEqual(file.content_id()[:16], xxh128(w.content()))
        expected = naive(tuple(file.stacks[0]), terms, asked, rescale)
        got = file.values(0, asked)
        self.assertEqual(got.shape, tuple(dims))
        self.same(got, expected)
        return file


def with_source(*more, spoil=None, **how):
    """A file with a raw tensor 0, a coded tensor 1, attachment 0 and a source of two files."""
    w = Writer()
    w.tensor(b"r", 17, (4,), [Dense(raw_code(17), Data([1, 2, 3, 65535]))])
    simple(w)
    w.blob(4, b"licence text", b"LICENSE", b"text/plain")
    tensor = struct.pack("<4H", 1, 2, 3, 65535)
    files = list(more) or [(b"m/a.bin", b"head" + tensor + b"tail",
                            [literal(b"head"), tensor_segment(0), literal(b"tail")]),
                           (b"LICENSE", b"licence text", [attachment_segment(0)])]
    raw = source(*files, **how)
    w.blob(2, spoil(raw) if spoil else raw)
    return w


def with_blocks(*exceptions, kind=2, bits=4, cols=64, form=None, whole=None, ternary=False):
    """A file of 2 rows as blocks of Q4_0 (or TQ1_0), of which some are exceptions; and the blocks."""
    w, rng = Writer(), random.Random(5)
    group = 256 if ternary else 32
    code = Code(UINT, bits, slots={"scale": Part(table=raw_code(3), group=1, rows=1, cols=group)})
    data = random_data(rng, code, (1, 2, cols))
    w.tensor(b"t", 2, (2, cols), [Dense(code, data)])
    scales = [struct.pack("<H", n) for n in data.tables["scale"].codes]
    blocks = [scale + bytes(data.codes[32 * i + j] | data.codes[32 * i + 16 + j] << 4 for j in range(16))
              for i, scale in enumerate(scales)] if bits == 4 and cols % 32 == 0 else []
    if form is None:
        form = struct.pack("<BI", 2, kind)
        form += b"".join(struct.pack("<Q", n) + block for n, block in exceptions)
    w.blob(2, source((b"x", whole or b"".join(blocks), [tensor_segment(0, form)])))
    return w, blocks
