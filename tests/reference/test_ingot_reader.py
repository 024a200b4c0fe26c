#!/usr/bin/python3
"""Tests of ingot_reader.py on good files, which made_file.py writes from the specification alone.

Values are compared bit for bit with the decoder of naive_decoder.py.
"""

import json
import math
import random
import re
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np
import zstandard

import ingot_blocks
from ingot_reader import IngotFile, RuleError, Undecodable, unfilter
from made_file import Writer, array, counted, metadata, source, tensor_segment, xxh128
from naive_decoder import (
    BITS, CODEBOOK, DTYPE, FLOAT, INT, OPAQUE, UINT, VECTOR, Code, Data, Dense, Part, Ref, f32,
    f32_bits, float_value, naive, up)
from random_terms import random_data, random_low_rank, random_scalar, random_sparse, random_vector
from reader_case import ReaderTest, raw_code, simple, with_blocks, with_source

HERE = Path(__file__).resolve().parent

class Values(ReaderTest):
    def test_float_formats(self):
        for dtype in range(3, 13):
            codes = list(range(1 << BITS[dtype]))
            w = Writer()
            w.tensor(b"t", dtype, (len(codes),), [Dense(raw_code(dtype), Data(codes))])
            file = self.opened(w)
            self.assertTrue(file.held_raw(0))
            self.same(file.values(0), [float_value(code, dtype) for code in codes])
            self.assertEqual(file.bits(0).tolist(), codes)

    def test_known_float_values(self):
        for dtype, code, expected in (
                (5, 0x7B, 57344.0), (5, 0x7C, math.inf), (6, 0x7E, 448.0), (6, 0x01, 2.0**-9),
                (7, 0x1F, 28.0), (8, 0x1F, 7.5), (9, 0x7, 6.0), (9, 0x9, -0.5), (10, 0, 2.0**-127),
                (10, 254, 2.0**127), (11, 0x7F, 240.0), (12, 0x7F, 57344.0), (3, 0x7BFF, 65504.0),
                (4, 0xFF80, -math.inf), (11, 0, 0.0), (6, 0x80, -0.0)):
            self.check((1,), [Dense(raw_code(dtype), Data([code]))])
            self.assertEqual(float_value(code, dtype), expected)

    def test_f64_is_rounded_once(self):
        numbers = [1 / 3, 1e300, -1e300, 1e-45, 1e-46, 7e-46, 2.0**-150, 3.4028235677973366e38, 1 + 2.0**-24,
                   1 + 2.0**-24 + 2.0**-50, 1 + 3 * 2.0**-24, math.inf, math.nan, -0.0]
        codes = [struct.unpack("<Q", struct.pack("<d", x))[0] for x in numbers]
        self.check((len(codes),), [Dense(raw_code(1), Data(codes))])

    def test_wide_integers_are_rounded_to_even(self):
        rng = random.Random(1)
        for bits in range(1, 65):
            ties = [(1 << n) + (1 << (n - 24)) * k + d for n in range(25, bits) for k in (1, 3)
                    for d in (-1, 0, 1)]
            codes = [n % (1 << bits) for n in ties] + [0, (1 << bits) - 1, 1 << (bits - 1)]
            codes += [rng.randrange(1 << bits) for _ in range(20)]
            for kind in (UINT, INT):
                self.check((len(codes),), [Dense(Code(map=kind, bits=bits), Data(codes))])

    def test_padded_and_flat_rows(self):
        rng = random.Random(2)
        for n_cols in list(range(18)) + [31, 32, 33, 57, 60, 64, 67, 100, 121, 250, 255, 256, 257]:
            for bits in (1, 2, 3, 4, 6, 7):
                code = Code(bits=bits)
                self.check((3, n_cols), [Dense(code, random_data(rng, code, (1, 3, n_cols)))])

    def test_scalar_codings(self):
        rng = random.Random(3)
        for round_ in range(150):
            dims = tuple(rng.randrange(1, n) for n in (4, 6, 12))
            code = random_scalar(rng, round_ % 3)
            with self.subTest(round=round_, code=code):
                self.check(dims, [Dense(code, random_data(rng, code, dims))], 1, 2)

    def test_vector_codings(self):
        rng = random.Random(4)
        for round_ in range(60):
            dims = tuple(rng.randrange(1, n) for n in (3, 4, 30))
            code = random_vector(rng, round_ % 3)
            with self.subTest(round=round_, code=code):
                self.check(dims, [Dense(code, random_data(rng, code, dims))], 1, 2)

    def test_signs_flip_zero_before_the_slots(self):
        code = Code(map=VECTOR, bits=1, format=3, vector_length=4, signs=8, entries=[0] * 4)
        data = Data([0] * 4, [0b101, 0xFF])
        file = self.check((2, 5), [Dense(code, data)])  # the last sign covers five columns
        self.assertEqual(np.signbit(file.values(0)).reshape(-1).tolist(),
                         [True, False, True, False, False] + [True] * 5)
        code.slots["zero"] = Part(constant=0)
        self.check((2, 5), [Dense(code, data)])
        code.slots["bias"] = Part(constant=0)
        self.check((2, 5), [Dense(code, data)])

    def test_a_nan_is_hashed_as_one(self):
        code = Code(map=FLOAT, bits=16, format=4, slots={"scale": Part(constant=f32_bits(2.0))})
        w = Writer()
        w.tensor(b"t", 4, (2,), [Dense(code, Data([0xFFFF, 0x3F80]))])
        self.assertEqual(self.opened(w).tensor_bytes(0), ("f32", struct.pack("<If", 0x7FC00000, 2)))

    def test_c64_has_bits_alone(self):
        real, imaginary = f32_bits(1.5), f32_bits(-2.0)
        w = Writer()
        w.tensor(b"t", DTYPE["c64"], (1,), [Dense(raw_code(25), Data([real | imaginary << 32]))])
        file = self.opened(w)
        self.assertEqual(file.tensor_bytes(0), ("raw", struct.pack("<2f", 1.5, -2.0)))
        with self.assertRaises(Undecodable):
            file.values(0)
        w = Writer()
        w.tensor(b"t", DTYPE["c64"], (1,), [Dense(raw_code(2), Data([0]))])
        with self.assertRaises(RuleError) as caught:
            self.opened(w)
        self.assertEqual(caught.exception.rule, "R-601")

    def test_a_division_is_not_a_product_with_a_reciprocal(self):
        scale = Part(table=Code(map=FLOAT, bits=16, format=3), group=1, cols=0, rows=1,
                     constant=f32_bits(127.0), inverse=1)
        code = Code(map=INT, slots={"scale": scale})
        self.check((9, 40), [Dense(code, random_data(random.Random(5), code, (1, 9, 40)))])

    def test_nothing_is_fused(self):
        code = Code(map=FLOAT, bits=32, format=2, slots={
            "scale": Part(constant=f32_bits(f32(1 + 2.0**-12))),
            "bias": Part(constant=f32_bits(-1.0))})
        self.check((1,), [Dense(code, Data([f32_bits(1 + 2.0**-12)]))])

    def test_empty_and_scalar_shapes(self):
        rng = random.Random(6)
        code = Code(bits=3, slots={"scale": Part(table=Code(), group=1, rows=2, cols=0),
                                   "bias": Part(table=Code(), group=3, cols=4),
                                   "post": Part(table=Code(), group=2)})
        for dims, stack, split in (((), 0, 0), ((0,), 0, 0), ((0, 5), 0, 1), ((5, 0), 0, 1),
                                   ((0, 5, 5), 1, 2), ((3, 2, 2, 2), 1, 2), ((3, 4), 2, 2),
                                   ((3, 4), 0, 0), ((2,) * 8, 3, 5), ((0, 1 << 50), 0, 1)):
            shape = tuple(math.prod(dims[a:b]) for a, b in ((0, stack), (stack, split), (split, 8)))
            self.check(dims, [Dense(code, random_data(rng, code, shape))], stack, split)


class Terms(ReaderTest):
    def test_masks(self):
        rng = random.Random(10)
        for round_ in range(120):
            mask = round_ % 6 + 1
            dims = (rng.randrange(1, 4), rng.randrange(1, 6), 4 * rng.randrange(1, 6))
            base, code = random_scalar(rng, 1), random_scalar(rng, round_ % 3)
            with self.subTest(round=round_, mask=mask):
                self.check(dims, [random_sparse(rng, code, dims, mask)], 1, 2)
                dense = Dense(base, random_data(rng, base, dims))
                for combine in (1, 2):
                    term = random_sparse(rng, code, dims, mask, combine=combine)
                    self.check(dims, [dense, term], 1, 2)

    def test_sparse_set_on_vectors(self):
        rng = random.Random(11)
        base = Code(map=VECTOR, bits=3, format=3, vector_length=8, entries=list(range(40)))
        term = random_sparse(rng, Code(bits=3), (2, 3, 20), 1, combine=2)
        self.check((2, 3, 20), [Dense(base, random_data(rng, base, (2, 3, 20))), term], 1, 2)

    def test_masks_of_nothing(self):
        rng = random.Random(18)
        for dims in ((0, 3, 4), (2, 0, 4), (2, 3, 0), (0, 0, 0)):
            for mask in range(1, 7):
                code = random_scalar(rng, 1)
                with self.subTest(dims=dims, mask=mask):
                    term = random_sparse(rng, code, dims, mask)
                    if mask in (3, 4):
                        term.mask = [b""]
                        term.shape = (2 if mask == 3 else 1, 0, 0)
                    self.assertEqual(term.fields["n_kept"], 0)
                    self.check(dims, [term], 1, 2)

    def test_low_rank(self):
        rng = random.Random(12)
        for round_ in range(40):
            dims = (2, 3, 7)
            base = Code(map=INT, bits=4, slots={"scale": Part(table=Code(), group=1, rows=1)})
            dense = Dense(base, random_data(rng, base, dims))
            term = random_low_rank(rng, dims, rng.randrange(1, 6), round_ % 2)
            with self.subTest(round=round_):
                self.check(dims, [dense, term], 1, 2)
                self.check(dims, [term], 1, 2)
                term.fields["combine"] = 2
                self.check(dims, [dense, term], 1, 2)

    def test_optional_terms(self):
        rng = random.Random(13)
        base = Code(bits=4)
        terms = [Dense(base, random_data(rng, base, (1, 3, 5))),
                 random_low_rank(rng, (1, 3, 5), 2, True, flags=1, name=b"a"),
                 random_low_rank(rng, (1, 3, 5), 2, True, flags=1, name=b"b")]
        for asked in ((), (b"a",), (b"b",), (b"c",)):
            file = self.check((3, 5), terms, asked=asked)
        with self.assertRaises(Undecodable):  # one magnitude at a time
            file.values(0, (b"a", b"b"))

    def test_rescale_and_alias(self):
        rng = random.Random(14)
        base, factors = Code(bits=5), Code(map=FLOAT, bits=32, format=2)
        dims, data = (2, 3, 5), Data([f32_bits(f32(rng.uniform(-2, 2))) for _ in range(6)])
        term = Dense(base, random_data(rng, base, dims))
        self.check(dims, [term], 1, 2, rescale=(factors, data))
        w = Writer()
        w.tensor(b"w", 2, dims, [term], 1, 2, (factors, data))
        w.tensor(b"v", 2, dims, [], alias_of=0)
        simple(w)
        file = self.opened(w)
        self.same(file.values(1), naive(dims, [term], (), (factors, data)))
        self.assertEqual([file.find(n) for n in (b"w", b"v", b"t", b"", b"z")], [0, 1, 2, None, None])
        w.tensor(b"u", 2, dims, [term], 1, 2)
        w.tensors[3].update({key: w.tensors[0][key] for key in ("rescale_coding", "rescale_stream")})
        self.same(self.opened(w).values(3), naive(dims, [term], (), (factors, data)))

    def test_rescale_by_a_coding_with_tables(self):
        rng = random.Random(19)
        dims, stack = (2, 3, 5), (2, 3, 1)
        table = Code(map=FLOAT, bits=16, format=3)
        factors = Code(slots={"scale": Part(table=table, group=1, rows=2),
                              "bias": Part(table=table, group=2, constant=f32_bits(0.5))})
        base = Code(bits=5)
        self.check(dims, [Dense(base, random_data(rng, base, dims))], 1, 2,
                   rescale=(factors, random_data(rng, factors, stack)))

    def test_raw_bits(self):
        rng = random.Random(15)
        for name, dtype in DTYPE.items():
            code = raw_code(dtype)
            data = random_data(rng, code, (1, 3, 5))
            w = Writer()
            w.tensor(b"t", dtype, (3, 5), [Dense(code, data)])
            file = self.opened(w)
            kind, got = file.tensor_bytes(0)
            self.assertEqual(kind, "raw")
            total = sum(c << (i * BITS[dtype]) for i, c in enumerate(data.codes))
            self.assertEqual(got, total.to_bytes(up(15 * BITS[dtype], 8), "little"), name)

    def test_references(self):
        rng = random.Random(16)
        raw = raw_code(4)
        base, delta, plus = (Dense(raw, random_data(rng, raw, (1, 3, 5))) for _ in range(3))
        delta.fields["combine"] = 3
        adapter = random_low_rank(rng, (1, 3, 5), 2, flags=1, name=b"a")
        one = Writer()
        one.tensor(b"base", 4, (3, 5), [base])
        one.tensor(b"more", 4, (3, 5), [base, adapter])
        two = Writer()
        files = {b"one": self.opened(one)}
        files[b"two"] = two
        two.file(files[b"one"].trailer.content_id, b"one")
        two.tensor(b"xor", 4, (3, 5), [Ref(0, b"base"), delta])
        two.tensor(b"add", 4, (3, 5), [Ref(0, b"base"), plus])
        two.tensor(b"lone", 4, (3, 1, 5), [Ref(0, b"base")])  # as a stack it is the same
        two.tensor(b"plain", 4, (3, 5), [Ref(0, b"more")])
        alone = IngotFile(two.finish())
        self.assertEqual(len(alone.validate()), 5)
        with self.assertRaises(Undecodable):
            alone.values(0)
        two = files[b"two"] = self.opened(two, files.get)
        patched = [a ^ b for a, b in zip(base.data.codes, delta.data.codes)]
        self.assertEqual(two.bits(0).tolist(), patched)
        self.same(two.values(0), [float_value(b, 4) for b in patched])
        self.same(two.values(1), naive((1, 3, 5), [base, plus]))
        self.assertEqual(two.tensor_bytes(2), ("raw", struct.pack("<15H", *base.data.codes)))
        self.same(two.values(3), naive((1, 3, 5), [base]))
        self.assertEqual([two.bits(i) is None for i in range(4)], [False, True, False, True])
        self.assertFalse(two.held_raw(0) or two.held_raw(2))
        three = Writer()
        three.file(two.trailer.content_id, b"two")
        three.tensor(b"back", 4, (3, 5), [Ref(0, b"xor"), delta])
        three.tensor(b"lone", 4, (3, 5), [Ref(0, b"lone"), delta])
        file = self.opened(three, files.get)
        self.assertEqual(file.bits(0).tolist(), base.data.codes)
        self.assertEqual(file.bits(1).tolist(), patched)
        three.tensor(b"inexact", 4, (3, 5), [Ref(0, b"add"), delta])
        with self.assertRaises(RuleError) as caught:
            IngotFile(three.finish(), files.get).validate()
        self.assertEqual(caught.exception.rule, "R-502")
        files[b"two"] = files[b"one"]  # another content id: not the file that is named
        with self.assertRaises(Undecodable):
            file.bits(0)

    def test_bad_references(self):
        one = Writer()
        one.tensor(b"t", 4, (3, 5), [Dense(raw_code(4), Data([1] * 15))])
        one = self.opened(one)
        for name, dtype, dims in ((b"t", 4, (5, 3)), (b"t", 4, (15,)), (b"t", 3, (3, 5)), (b"u", 4, (3, 5))):
            w = Writer()
            w.file(one.trailer.content_id, b"one")
            w.tensor(b"t", dtype, dims, [Ref(0, name)])
            with self.assertRaises(RuleError) as caught:
                IngotFile(w.finish(), lambda name: one).validate()
            self.assertEqual(caught.exception.rule, "R-530")

    def test_chains(self):
        w, files = Writer(), {}
        w.tensor(b"t", 4, (2,), [Dense(raw_code(4), Data([1, 2]))])
        for n in range(1, 9):
            file = files[b"%d" % n] = self.opened(w, files.get)
            self.assertEqual(file.bits(0).tolist(), [1, 2])
            w = Writer()
            w.file(file.trailer.content_id, b"%d" % n)
            w.tensor(b"t", 4, (2,), [Ref(0, b"t")])
        file = IngotFile(w.finish(), files.get)
        for work in (file.validate, lambda: file.bits(0), lambda: file.values(0)):
            with self.assertRaises(RuleError) as caught:
                work()
            self.assertEqual(caught.exception.rule, "R-530")

    def test_opaque(self):
        w = Writer()
        code = Code(map=OPAQUE, name=b"q9_z", block=(4, 5))
        w.tensor(b"t", 2, (2, 6), [Dense(code, Data([7] * 20))])
        file = IngotFile(w.finish())
        self.assertEqual(len(file.validate()), 1)
        with self.assertRaises(Undecodable):
            file.values(0)


class Storage(ReaderTest):
    def test_chunks(self):
        raw = bytes(range(256)) * 64
        for how in ({"chunk_bytes": 1000}, {"chunk_bytes": 1 << 20}, {"chunk_bytes": len(raw)},
                    {"chunk_bytes": 256, "repeat": True}, {"zstd": True},
                    {"zstd": True, "chunk_bytes": 4096, "repeat": True},
                    {"chunk_bytes": 256, "stride": 256}, {"chunk_bytes": 200, "stride": 256}):
            for alignment in (64, 256):
                w = Writer(alignment)
                w.blob(4, raw, b"a/b", **how)
                self.assertEqual(self.opened(w).attachments(), {b"a/b": raw}, how)

    def test_frames(self):
        raw = bytes(range(256)) * 64
        frames = b"".join(zstandard.compress(raw[at:at + 5000]) for at in range(0, len(raw), 5000))
        w = Writer()
        w.blob(4, raw, b"a", zstd=frames)
        self.assertEqual(self.opened(w).attachments(), {b"a": raw})

    def test_filters(self):
        """Each filter, worked out by hand from chapter 4.4; also under zstd."""
        numbers = bytes(range(1, 18))  # two elements of 8 bytes and a tail of one
        floats = struct.pack("<HHB", 0x3F80, 0xBF81, 9)
        wide = struct.pack("<IIB", 0x3F800001, 0x80000000, 9)
        for number, raw, given in (
                (1, numbers[:5], bytes([2, 4, 1, 3, 5])),
                (2, numbers[:9], bytes([4, 8, 3, 7, 2, 6, 1, 5, 9])),
                (3, numbers, bytes([8, 16, 7, 15, 6, 14, 5, 13, 4, 12, 3, 11, 2, 10, 1, 9, 17])),
                (4, floats, bytes([0x7F, 0x7F, 0, 3, 9])),
                (5, wide, bytes([0x7F, 0, 0, 0, 0, 0, 2, 1, 9])),
                (6, bytes([0x64, 0x19]), bytes([129, 5])),
                (6, bytes([0x64, 0x19, 0, 0xAA, 5, 2]), bytes([129, 5, 234, 14, 2]))):
            w = Writer()
            if len(given) < len(raw):
                w.blob(4, raw, b"a", filtered=(number, given))
                self.assertEqual(self.opened(w).attachments(), {b"a": raw}, number)
            self.assertEqual(unfilter(number, given, len(raw), 0), raw, number)
        self.assertEqual(unfilter(7, b"\x1c\3\7", 2, 0), b"\xb9\7")
        for given in (b"\x5c\3\7", b"\x1c\3\x17"):
            with self.assertRaisesRegex(RuleError, "R-314"):
                unfilter(7, given, 2, 0)
        raw, given = floats[:4] * 50, b"\x7f" * 100 + b"\0\3" * 50
        w = Writer()
        w.blob(4, raw, b"a", zstd=True, filtered=(4, given))
        self.assertEqual(self.opened(w).attachments(), {b"a": raw})

    def test_interleaved(self):
        raws = [bytes([i]) * 1000 for i in range(3)]
        w = Writer()
        first = w.add_streams(raws, 300)
        w.blobs = [{"kind": 4, "name": w.string(b"%d" % i), "stream": first + i,
                    "media_type": w.string(b"")} for i in range(3)]
        self.assertEqual(list(self.opened(w).attachments().values()), raws)
        self.assertEqual([s["chunk_step"] for s in w.streams], [3] * 3)

    def test_unknown_section_is_skipped(self):
        w = Writer()
        simple(w)
        w.more_sections = [(300, b"12345", 5), (299, b"123", 1)]
        self.opened(w)

    def test_empty_file(self):
        self.opened(Writer())
        w = Writer(128)
        w.data = bytes(120)  # a gap without a chunk
        self.opened(w)

    def test_unknown_blobs_may_have_names(self):
        w = Writer()
        for _ in range(2):
            w.blob(9, b"?", b"../twice")
        self.opened(w)

    def test_codebooks_are_shared(self):
        w = Writer()
        for n, bits in enumerate((2, 5)):
            code = Code(map=CODEBOOK, bits=bits, format=3, entries=[1, 2, 3])
            w.tensor(b"%d" % n, 4, (2,), [Dense(code, Data([0, 2]))])
        self.assertEqual(len({c["codebook_stream"] for c in w.codings}), 1)
        self.opened(w)

    def test_content_id_is_of_the_content(self):
        plain, other = Writer(), Writer(256)
        for w in (plain, other):
            names = [b"a", b"b"] if w is plain else [b"b", b"a"]
            for name in names:
                simple(w, name, codes=[7] * 6 if name == b"a" else [9] * 6)
        other.blob(3, b"{}")
        other.blob(4, b"licence", b"LICENSE")
        ids = [self.opened(w).trailer.content_id for w in (plain, other)]
        self.assertEqual(*ids)
        other.blob(1, bytes(8))
        self.assertNotEqual(self.opened(other).trailer.content_id, ids[0])


class Blobs(ReaderTest):
    def test_metadata(self):
        entries = [(b"k%d" % i, i, struct.pack("<" + form, x)) for i, form, x in (
            (0, "B", 255), (1, "b", -1), (2, "H", 65535), (3, "h", -2), (4, "I", 1 << 31),
            (5, "i", -3), (6, "f", 0.5), (7, "B", 1), (10, "Q", 1 << 63), (11, "q", -4),
            (12, "d", 0.1))]
        entries.append((b"k8", 8, counted(b"text", "<Q")))
        entries.append((b"k9", 9, array(8, counted(b"x", "<Q"), counted(b"", "<Q"))))
        entries.append((b"deep", 9, array(9, array(9, array(9, array(4, bytes(4)))))))
        w = Writer()
        w.blob(1, metadata(*entries))
        got = self.opened(w).metadata()
        self.assertEqual([got[b"k%d" % i][1] for i in (0, 1, 2, 3, 4, 5, 6, 7, 10, 11, 12)],
                         [255, -1, 65535, -2, 1 << 31, -3, 0.5, True, 1 << 63, -4, 0.1])
        self.assertEqual(got[b"k8"], (8, b"text"))
        self.assertEqual(got[b"k9"], (9, (8, [b"x", b""])))
        self.assertEqual(got[b"deep"][1], (9, [(9, [(9, [(4, [0])])])]))

    def test_source(self):
        file = self.opened(with_source())
        first, second = file.source()
        self.assertEqual(b"".join(file.restored(first)), b"head\1\0\2\0\3\0\xff\xfftail")
        self.assertEqual(b"".join(file.restored(second)), b"licence text")

    def test_swapped_and_opaque(self):
        values = struct.pack(">4H", 1, 2, 3, 65535)
        files = [(b"x", values + b"blocks", [tensor_segment(0, b"\1"), tensor_segment(1)])]
        w = Writer()
        w.tensor(b"r", 17, (4,), [Dense(raw_code(17), Data([1, 2, 3, 65535]))])
        w.tensor(b"o", 2, (2,), [Dense(Code(map=OPAQUE, name=b"o"), Data(list(b"blocks")))])
        w.blob(2, source(*files))
        file = IngotFile(w.finish())
        self.assertEqual(b"".join(file.restored(file.source()[0])), values + b"blocks")

    def test_metadata_segments(self):
        w = Writer()
        w.blob(1, metadata((b"n", 2, b"\1\2"), (b"a", 9, array(9, array(8, counted(b"x", "<Q"))))))
        wide = (b"\1" + bytes(7) + b"n\2\0\0\0\1\2" + b"\1" + bytes(7) + b"a\x09\0\0\0\x09\0\0\0"
                b"\1" + bytes(7) + b"\x08\0\0\0\1" + bytes(7) + b"\1" + bytes(7) + b"x")
        narrow = b"\0\0\0\1n\0\0\0\2\2\1"
        w.blob(2, source((b"x", wide + narrow, [b"\4" + struct.pack("<IIBB", 0, 2, 8, 0),
                                                b"\4" + struct.pack("<IIBB", 0, 1, 4, 1)])))
        file = self.opened(w)
        self.assertEqual(b"".join(file.restored(file.source()[0])), wide + narrow)

    def test_unknown_form(self):
        file = IngotFile(with_source((b"x", b"abc", [tensor_segment(1, b"some-form")])).finish())
        self.assertEqual(len(file.validate()), 1)

    def test_places_are_those_of_the_specification(self):
        rows = Path("spec/ingot-v1.md").read_text().split("### 14.2")[1].split("### 14.3")[0]
        cells = [[cell.strip(" `") for cell in line.strip("| ").split("|")]
                 for line in rows.splitlines() if re.match(r"\| \d", line)]
        ours = [[cell.strip() for cell in line.split("|")]
                for line in ingot_blocks.PLACES.strip().splitlines()]
        self.assertEqual(cells, ours)

    def test_places_cover_their_blocks(self):
        for layout in ingot_blocks.layouts().values():
            at = [n for bits in layout.streams if bits is not None for n in bits]
            first = 52 * 8 if layout.streams[0] is None else 0
            self.assertEqual(sorted(at), list(range(first, layout.bytes * 8)))

    def test_blocks(self):
        for spoilt in ((), (0,), (1, 3)):
            w, blocks = with_blocks()
            for n in spoilt:
                blocks[n] = bytes(range(n, n + 18))
            w, _ = with_blocks(*((n, blocks[n]) for n in spoilt), whole=b"".join(blocks))
            file = self.opened(w)
            self.assertEqual(b"".join(file.restored(file.source()[0])), b"".join(blocks))

    def test_unknown_blocks(self):
        w, _ = with_blocks(kind=77)
        self.assertEqual(len(IngotFile(w.finish()).validate()), 1)

    def test_offsets_inside_of_arrays(self):
        w = Writer()
        w.blob(1, metadata((b"key", 9, array(9, array(7, b"\1", b"\2")))))
        with self.assertRaises(RuleError) as caught:
            IngotFile(w.finish()).validate()
        self.assertEqual((caught.exception.rule, caught.exception.offset), ("R-712", 8 + 11 + 20 + 20 + 1))

    def test_receipt(self):
        w = Writer()
        w.blob(3, b'{"tensors": [{"name": "a"}, {"name": "b"}], "name": {"name": 1}}')
        self.opened(w)
        w = Writer()
        w.blob(3, '{"ingot": "0.1", "notes": ["ä"]}'.encode())
        self.assertEqual(self.opened(w).receipt()["notes"], ["ä"])


class CommandLine(ReaderTest):
    def run_reader(self, *arguments):
        done = subprocess.run([sys.executable, "-B", str(HERE / "ingot_reader.py"), *map(str, arguments)],
                              capture_output=True, check=False)
        return done.returncode, done.stdout, done.stderr

    def test_actions(self):
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            path = folder / "x.ingot"
            w = with_source()
            simple(w, b"a/b c")
            path.write_bytes(w.finish())
            self.assertEqual(self.run_reader("--validate", path), (0, b"valid\n", b""))
            status, out, _ = self.run_reader(path)
            self.assertTrue(status == 0 and out.startswith(b"r i16 [4] raw\n"), out)
            half = np.arange(6, dtype="<f4") / np.float32(2)
            status, out, _ = self.run_reader("--hash", path)
            raw = struct.pack("<4H", 1, 2, 3, 65535)
            lines = [b"r\t" + xxh128(raw).hex().encode()] + [
                name + b"\t" + xxh128(half.tobytes()).hex().encode() for name in (b"t", b"a/b c")]
            self.assertEqual(out.splitlines(), lines)
            self.assertEqual(self.run_reader("--dump", folder / "d", path)[0], 0)
            self.assertEqual((folder / "d/r.raw").read_bytes(), raw)
            self.assertEqual((folder / "d/a%2Fb%20c.f32").read_bytes(), half.tobytes())
            manifest = json.loads((folder / "d/manifest.json").read_text())["tensors"]
            self.assertEqual([(t["name"], t["shape"], t["held"]) for t in manifest],
                             [("r", [4], "raw"), ("t", [2, 3], "f32"), ("a%2Fb%20c", [2, 3], "f32")])
            self.assertEqual(self.run_reader("--restore", folder / "s", path)[0], 0)
            self.assertEqual((folder / "s/LICENSE").read_bytes(), b"licence text")
            self.assertEqual((folder / "s/m/a.bin").read_bytes(), b"head" + raw + b"tail")
            path.write_bytes(path.read_bytes()[:-1])
            status, out, _ = self.run_reader("--validate", path)
            self.assertEqual((status, out[:5]), (1, b"R-121"))
            path.write_bytes(b"")
            self.assertEqual(self.run_reader("--validate", path)[1][:5], b"R-121")

    def test_references_between_files(self):
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            (folder / "x/y").mkdir(parents=True)
            w = Writer()
            w.tensor(b"t", 4, (2,), [Dense(raw_code(4), Data([1, 2]))])
            for path, name in (("x/y/base", b""), ("x/next", b"y/base"), ("last", b"x/next")):
                if name:
                    w = Writer()
                    w.file(before, name)
                    w.tensor(b"t", 4, (2,), [Ref(0, b"t")])
                data = w.finish()
                (folder / path).write_bytes(data)
                before = IngotFile(data).trailer.content_id
            line = b"t\t" + xxh128(struct.pack("<2H", 1, 2)).hex().encode() + b"\n"
            self.assertEqual(self.run_reader("--hash", folder / "last"), (0, line, b""))
            self.assertEqual(self.run_reader("--validate", folder / "last"), (0, b"valid\n", b""))
            (folder / "x/y/base").unlink()
            self.assertEqual(self.run_reader("--hash", folder / "last"), (0, b"t\t-\n", b""))
            status, out, error = self.run_reader("--validate", folder / "last")
            self.assertTrue((status, out) == (0, b"valid\n") and error.startswith(b"not proved"), error)


if __name__ == "__main__":
    unittest.main()
