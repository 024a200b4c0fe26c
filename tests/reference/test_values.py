#!/usr/bin/python3
"""Tests of the second reader's values and terms, on good files made from the specification alone.

Values are compared bit for bit with the decoder of naive_decoder.py.
"""

import math
import random
import struct
import unittest

import numpy as np

from ingot_reader import IngotFile, RuleError, Undecodable
from made_file import Writer
from naive_decoder import (
    BITS, DTYPE, FLOAT, INT, OPAQUE, UINT, VECTOR, Code, Data, Dense, Part, Ref, f32, f32_bits,
    float_value, naive, up)
from random_terms import random_data, random_low_rank, random_scalar, random_sparse, random_vector
from reader_case import ReaderTest, raw_code, simple


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


if __name__ == "__main__":
    unittest.main()
