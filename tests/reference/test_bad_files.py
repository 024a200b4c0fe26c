#!/usr/bin/python3
"""Tests of ingot_reader.py on bad files: every rule of chapter 11 has at least one that breaks it.

They are functions from which every test takes a file and the rule that it breaks; those of bad
records are bad_records.py's.
"""

import random
import re
import struct
import unittest
from pathlib import Path

import bad_records
from bad_records import BOOK, INT4, LOW, REFERENCE, SPARSE, VEC, rich
from ingot_reader import IngotFile, RuleError
from made_file import (
    NONE, Writer, array, attachment_segment, literal, metadata, tensor_segment, xxh64, xxh128)
from naive_decoder import (
    CODEBOOK, FLOAT, OPAQUE, VECTOR, Code, Data, Dense, LowRank, Part, Ref, Sparse, f32_bits)
from random_terms import random_low_rank, random_sparse
from reader_case import raw_code, simple, with_blocks, with_source

HERE = Path(__file__).resolve().parent


class BadFiles(bad_records.BadRecords):
    def test_lengths_and_data(self):
        def stream(w, term, i, change):
            """Write stream i of a term again."""
            s = w.streams[w.terms[term]["first_stream"] + i]
            c = w.chunks[s["first_chunk"]]
            at = c["offset"] - 64
            raw = bytearray(w.data[at:at + c["stored_bytes"]])
            change(raw)
            w.data = w.data[:at] + bytes(raw) + w.data[at + len(raw):]
            c["checksum"], s["raw_hash"] = xxh64(bytes(raw)), xxh128(bytes(raw))
        def put(term, i, at, byte):
            return lambda w: stream(w, term, i, lambda raw: raw.__setitem__(at, byte))
        self.spoil_tensor("R-410", 2, dims=struct.pack("<8Q", 4, 9, *[0] * 6))
        self.spoil("R-430", put(INT4, 0, 2, 3))
        self.spoil("R-431", put(BOOK, 1, 0, 7), lambda: self.with_book(3))
        self.spoil("R-411", put(BOOK, 0, 1, 0x80), lambda: self.with_book(5))
        self.spoil("R-411", put(BOOK, 0, 3, 0x80), lambda: self.with_book(29, bits=1))
        self.spoil("R-512", put(SPARSE, 1, 0, 1))
        self.spoil("R-512", put(SPARSE, 1, 16, 99))
        self.spoil("R-512", put(SPARSE, 1, 4, 30))
        self.spoil("R-511", lambda w: stream(w, SPARSE, 0, lambda raw: raw.__setitem__(0, raw[0] ^ 1)))

    def with_vector(self, n):
        """A file whose term VEC, as in rich(), has a codebook of n bytes."""
        w = Writer()
        for name in (b"a", b"b", b"c", b"d"):
            simple(w, name)
        code = Code(map=VECTOR, bits=8, format=16, vector_length=4, entries=[0] * n)
        w.tensor(b"vector", 4, (4, 8), [Dense(code, Data([0] * 8))])
        return w

    def with_book(self, cols, bits=3):
        """A file whose term BOOK, as in rich(), has one row of `cols` codes, and no slot."""
        w = Writer()
        code = Code(map=CODEBOOK, bits=bits, format=16, entries=[1, 2] if bits == 1 else [1, 2, 3, 4, 5])
        one = Code(bits=1)
        for name in (b"a", b"b"):
            w.tensor(name, 2, (1,), [Dense(one, Data([1]))])
        w.tensor(b"c", 2, (cols,), [Dense(code, Data([1] * cols))])
        return w

    def test_lists(self):
        code = Code()
        def sparse(mask, *streams, kept=2, dims=(2, 4)):
            def change(w):
                shape = {3: (1, 2, kept // 2), 4: (1, kept // 4, 4)}.get(mask, (1, 1, kept))
                term = Sparse(code, Data([1] * kept), [], shape, list(streams),
                              {"mask": mask, "n_kept": kept})
                w.tensor(b"t", 2, dims, [term])
            return change
        def u32(*numbers):
            return struct.pack(f"<{len(numbers)}I", *numbers)
        for change in (sparse(3, u32(4)), sparse(3, u32(1, 1), kept=4), sparse(3, u32(2, 1), kept=4),
                       sparse(4, u32(2), kept=4), sparse(4, u32(1, 0), kept=8),
                       sparse(6, u32(0, 2, 2), u32(1, 1)), sparse(6, u32(0, 1, 2), u32(1, 4)),
                       sparse(6, u32(0, 3, 2), u32(1, 2)), sparse(6, u32(0, 1, 1), u32(1, 2)),
                       sparse(2, b"\x41", kept=4, dims=(2, 4)), sparse(2, b"\x45", kept=4, dims=(2, 4))):
            with self.assertRaises(RuleError) as caught:
                w = Writer()
                change(w)
                IngotFile(w.finish()).validate()
            self.assertEqual(caught.exception.rule, "R-512", str(caught.exception))
        w = Writer()
        sparse(6, u32(0, 1, 2), u32(3, 0))(w)  # columns ascend within a row only
        IngotFile(w.finish()).validate()

    def test_terms(self):
        for rule, number, fields in (
                ("R-501", INT4, {"kind": 5}), ("R-502", INT4, {"combine": 1}), ("R-502", LOW, {"combine": 0}),
                ("R-502", LOW, {"combine": 3}), ("R-502", LOW, {"combine": 4}), ("R-503", INT4, {"flags": 2}),
                ("R-502", INT4, {"flags": 1}), ("R-503", LOW, {"flags": 3}),
                ("R-503", LOW, {"name": bytes(8)}),
                ("R-504", INT4, {"n_streams": 1}),
                ("R-504", INT4, {"first_stream": 1000}), ("R-504", REFERENCE, {"first_stream": 1}),
                ("R-505", INT4, {"coding": NONE}), ("R-505", INT4, {"coding": 1000}),
                ("R-505", INT4, {"coding_b": 0}), ("R-505", INT4, {"reserved": b"\0\0\1"}),
                ("R-505", INT4, {"last": 1}), ("R-505", INT4, {"multiplier": 1}),
                ("R-505", REFERENCE, {"coding": 0}), ("R-505", LOW, {"coding_b": NONE}),
                ("R-520", INT4, {"rank": 1}), ("R-520", LOW, {"rank": 0}), ("R-520", LOW, {"rank": 65537}),
                ("R-520", LOW, {"multiplier": 0x7FC00000}), ("R-510", INT4, {"mask": 1}),
                ("R-510", INT4, {"n_kept": 1}), ("R-510", INT4, {"block_rows": 1}),
                ("R-510", SPARSE, {"mask": 0}),
                ("R-510", SPARSE, {"mask": 7}), ("R-510", SPARSE, {"mask": 5}),
                ("R-510", SPARSE, {"block_cols": 1}), ("R-510", SPARSE, {"mask": 5, "block_rows": 1}),
                ("R-510", SPARSE, {"n_kept": 33}),
                ("R-510", SPARSE, {"mask": 2, "n_kept": 15}), ("R-510", SPARSE, {"mask": 3, "n_kept": 15}),
                ("R-510", SPARSE, {"mask": 4, "n_kept": 15}), ("R-521", INT4, {"magnitude": 0}),
                ("R-521", LOW, {"magnitude": 1000}), ("R-530", INT4, {"file": 0}),
                ("R-530", INT4, {"target": struct.pack("<II", 0, 1)}), ("R-530", REFERENCE, {"file": 1}),
                ("R-530", REFERENCE, {"file": NONE})):
            self.spoil_term(rule, number, **fields)
        self.spoil("R-510", lambda w: w.terms[SPARSE].update(coding=w.terms[VEC]["coding"]))
        self.spoil("R-502", lambda w: w.tensor(b"x", 4, (4, 8), [
            Dense(Code(bits=1), Data([0] * 32), {"flags": 1, "name": b"named"})]))

    def test_opaque_is_alone(self):
        opaque, data = Code(map=OPAQUE, name=b"o"), Data([1] * 8)
        one, ones = Code(), Data([1] * 8)
        row = Code(bits=32)
        for terms, rescale in (
                ([Dense(opaque, data), Dense(one, ones)], None),
                ([Dense(one, ones), Dense(opaque, data)], None),
                ([Dense(opaque, data)], (row, Data([1] * 2))),
                ([LowRank(opaque, one, data, Data([1] * 2), 1)], None),
                ([LowRank(one, opaque, Data([1] * 4), Data([1] * 2), 1)], None)):
            self.spoil("R-505", lambda w: w.tensor(b"x", 4, (2, 4), terms, rescale=rescale), Writer)

    def test_xor(self):
        raw = raw_code(4)
        half = Code(map=FLOAT, bits=16, format=4, slots={"scale": Part(constant=f32_bits(0.5))})
        one = Data([1] * 8)
        ref, patch = Ref(0, b"base"), Dense(raw, one, {"combine": 3})
        for terms, rescale in (
                ([Dense(raw, one), patch], None),
                ([Dense(raw, one), Ref(0, b"base", {"combine": 3})], None),
                ([ref, Ref(0, b"base", {"combine": 3})], None),
                ([ref, Dense(half, one, {"combine": 3})], None),
                ([ref, Dense(raw_code(3), one, {"combine": 3})], None),
                ([ref, Dense(raw, one, {"combine": 3, "flags": 1, "name": b"x"})], None),
                ([ref, patch, patch], None),
                ([ref, patch, Dense(raw, one)], None),
                ([ref, Dense(raw, one), patch], None),
                ([ref, patch], (Code(bits=32), Data([1] * 2))),
                ([ref, random_sparse(random.Random(21), raw, (1, 2, 4), 1, combine=3)], None)):
            self.spoil("R-502", lambda w: w.tensor(b"x", 4, (2, 4), terms, rescale=rescale))
        w = rich()
        w.tensor(b"x", 4, (2, 4), [ref, patch])
        IngotFile(w.finish()).validate()

    def test_magnitudes(self):
        rng, stack = random.Random(22), (1, 2, 4)
        def tensor(*optional):
            w = Writer()
            terms = [random_low_rank(rng, stack, 1, True, **({"flags": 1, "name": b"x"} if o else {}))
                     for o in optional]
            w.tensor(b"x", 4, (2, 4), [Dense(Code(), Data([1] * 8)), *terms])
            return w
        for optional in ((False, True), (True, False, True), (True, True)):
            self.opened(tensor(*optional))
        for optional in ((False, False), (False, True, False)):
            self.bad("R-521", tensor(*optional).finish())

    def test_files_and_tensors(self):
        for fields in ({"algorithm": 0}, {"reserved": bytes(6) + b"\1"}, {"name": bytes(8)},
                       {"content_id": bytes(16) + b"\1" + bytes(15)}):
            self.spoil("R-531", lambda w: w.files[0].update(fields))
        for rule, number, fields in (
                ("R-601", 0, {"dtype": 0}), ("R-601", 0, {"dtype": 13}), ("R-602", 0, {"rank": 9}),
                ("R-602", 0, {"stack": 2}), ("R-602", 0, {"split": 3}), ("R-602", 0, {"reserved": 1}),
                ("R-602", 0, {"last": 1}), ("R-602", 0, {"rank": 1, "split": 1}),
                ("R-603", 0, {"dims": struct.pack("<8Q", 1 << 57, 1, *[0] * 6)}),
                ("R-603", 0, {"dims": struct.pack("<8Q", 1 << 57, 0, *[0] * 6)}),
                ("R-604", 0, {"n_terms": 0}), ("R-604", 0, {"n_terms": 65}), ("R-604", 0, {"n_terms": 1}),
                ("R-604", 1, {"first_term": 1}), ("R-605", 6, {"alias_of": 6}), ("R-605", 6, {"alias_of": 7}),
                ("R-605", 6, {"dtype": 4}), ("R-605", 6, {"split": 1}),
                ("R-605", 6, {"stack": 1, "split": 1}),
                ("R-605", 6, {"rank": 2, "dims": struct.pack("<8Q", 3, 1, *[0] * 6)}),
                ("R-605", 6, {"dims": struct.pack("<8Q", 4, *[0] * 7)}), ("R-605", 6, {"n_terms": 2}),
                ("R-605", 6, {"rescale_coding": 0}), ("R-605", 6, {"rescale_stream": 0}),
                ("R-603", 0, {"dims": struct.pack("<8Q", 1 << 56, 2, *[0] * 6)}),
                ("R-605", 6, {"alias_of": 0}),
                ("R-605", 6, {"first_term": 0}), ("R-606", 0, {"spoilt_by_name": 0}),
                ("R-606", 0, {"spoilt_by_name": 1000}), ("R-608", 1, {"rescale_stream": NONE}),
                ("R-608", 1, {"rescale_coding": NONE}), ("R-608", 1, {"rescale_coding": 1000}),
                ("R-608", 1, {"rescale_stream": 1000}), ("R-608", 1, {"rescale_stream": 1})):
            self.spoil_tensor(rule, number, **fields)
        self.spoil("R-606", lambda w: simple(w, b"raw"))
        self.spoil("R-604", lambda w: w.terms.append(dict(w.terms[INT4])))
        self.spoil("R-605", lambda w: w.tensor(b"third", 2, (3,), [], alias_of=6))

    def test_blobs(self):
        for rule, number, fields in (
                ("R-701", 4, {"flags": 1}), ("R-701", 0, {"flags": 4}), ("R-701", 4, {"kind": 0, "flags": 1}),
                ("R-702", 0, {"name": struct.pack("<II", 0, 1)}), ("R-702", 2, {"name": bytes(8)}),
                ("R-702", 0, {"kind": 3}), ("R-703", 0, {"stream": 1000}), ("R-703", 0, {"reserved": 1})):
            self.spoil(rule, lambda w: w.blobs[number].update(fields))
        for name in (b"a", b"/x", b"x/", b"x//y", b".", b"x/..", b"x\\y", b"c:x", b"x\n", b"x\0",
                     b"x" * 4097):
            self.spoil("R-702", lambda w: w.blob(4, b"z", name))

    def test_metadata(self):
        good = metadata((b"k", 4, bytes(4)))
        for rule, raw in (
                ("R-710", b""), ("R-710", good + b"\0"), ("R-710", good[:-1]),
                ("R-710", metadata((b"k", 13, b""))),
                ("R-710", metadata((b"k", 7, b"\2"))), ("R-710", metadata((b"k", 8, struct.pack("<Q", 1)))),
                ("R-711", metadata((b"k", 0, b"\0"), (b"k", 0, b"\0"))),
                ("R-711", metadata((b"k" * 65536, 0, b"\0"))),
                ("R-712", metadata((b"k", 9, struct.pack("<IQQ", 0, 1, 2) + b"\0\0"))),
                ("R-712", metadata((b"k", 9, struct.pack("<IQQ", 0, 2, 1) + b"\0"))),
                ("R-712", metadata((b"k", 9, struct.pack("<IQQ", 4, 1, 3) + b"\0\0\0"))),
                ("R-712", metadata((b"k", 9, array(13)))),
                ("R-712", metadata((b"k", 9, array(9, array(13))))),
                ("R-712", metadata((b"k", 9, array(9, array(9, array(9, array(9, array(0))))))))):
            self.spoil(rule, lambda w: w.blob(1, raw), Writer)

    def test_source(self):
        for rule, w in (
                ("R-720", with_source(version=2)), ("R-720", with_source(spoil=lambda raw: raw + b"\0")),
                ("R-720", with_source(spoil=lambda raw: raw[:-1])),
                ("R-725", with_blocks(form=b"\2\2\0\0")[0]), ("R-725", with_blocks(kind=3)[0]),
                ("R-725", with_blocks(bits=5)[0]), ("R-725", with_blocks(cols=40)[0]),
                ("R-725", with_blocks((4, bytes(18)))[0]), ("R-725", with_blocks((1, bytes(17)))[0]),
                ("R-725", with_blocks((1, bytes(18)), (1, bytes(18)))[0]),
                ("R-725", with_blocks((1, bytes(18)), (0, bytes(18)))[0]),
                ("R-725", with_blocks(kind=34, bits=2, cols=256, ternary=True, whole=bytes(108))[0]),
                ("R-722", with_blocks(whole=bytes(71))[0]), ("R-723", with_blocks(whole=bytes(72))[0]),
                ("R-720", with_source((b"x", b"", [b"\5" + bytes(4)]))),
                ("R-720", with_source((b"x", b"", [tensor_segment(1)]))),
                ("R-720", with_source((b"x", b"", [tensor_segment(2, b"f")]))),
                ("R-720", with_source((b"x", b"", [attachment_segment(1)]))),
                ("R-720", with_source((b"x", b"", [attachment_segment(9)]))),
                ("R-724", with_source((b"x", b"", [b"\4" + struct.pack("<IIBB", 0, 1, 8, 0)]))),
                ("R-724", with_source((b"x", b"", [b"\4" + struct.pack("<IIBB", 0, 0, 8, 0)]))),
                ("R-724", with_source((b"x", b"", [b"\4" + struct.pack("<IIBB", 0, 0, 2, 0)]))),
                ("R-725", with_source((b"x", b"", [tensor_segment(1, b"\1")]))),
                ("R-725", with_source((b"x", b"", [tensor_segment(0, b"\1\1")]))),
                ("R-721", with_source((b"../x", b"", []))),
                ("R-721", with_source((b"x", b"", []), (b"x", b"", []))),
                ("R-722", with_source((b"x", b"abc", [literal(b"ab")]))),
                ("R-722", with_source((b"x", b"abc", [tensor_segment(0)]))),
                ("R-723", with_source((b"x", b"abc", [literal(b"abd")])))):
            self.bad(rule, w.finish())

    def test_receipt_and_content_id(self):
        for raw in (b'{"a": 1, "a": 1}', b'{"b": [{"a": 1, "\\u0061": 2}]}',
                    b"", b"[]", b"{", b"\xef\xbb\xbf{}", b'{"a": NaN}',
                    b'{"a": "\xff"}', b"[" * 100000):
            self.spoil("R-730", lambda w: w.blob(3, raw), Writer)
        self.spoil("R-740", lambda w: setattr(w, "content_id", bytes(32)))

    def test_zero_rules_lack_a_bad_file(self):
        """Runs last; also sets off the tests of this class that did not run before it."""
        for name in dir(self):
            if name.startswith("test_") and name not in self.ran:
                getattr(self, name)()
        text = (HERE.parent.parent / "spec" / "ingot-v1.md").read_text()
        rules = set(re.findall(r"^\| (R-\d{3}) \|", text, re.MULTILINE))
        self.assertEqual(rules - self.covered, set())


if __name__ == "__main__":
    unittest.main()
