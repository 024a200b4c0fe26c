#!/usr/bin/python3
"""Tests of ingot_reader.py on bad files: every rule of chapter 11 has at least one that breaks it.

They are functions from which every test takes a file and the rule that it breaks.
"""

import random
import re
import struct
import unittest
from pathlib import Path

import zstandard

from ingot_reader import IngotFile, RuleError
from made_file import (
    FIELDS, NONE, Writer, array, attachment_segment, counted, layout, literal, metadata, pack, seal,
    tensor_segment, xxh64, xxh128)
from naive_decoder import (
    CODEBOOK, FLOAT, INT, OPAQUE, VECTOR, Code, Data, Dense, LowRank, Part, Ref, Sparse, f32_bits)
from random_terms import random_data, random_low_rank, random_sparse
from reader_case import ReaderTest, raw_code, simple, with_blocks, with_source

HERE = Path(__file__).resolve().parent

def rich():
    """A file with something of everything, for tests that spoil one field."""
    rng = random.Random(20)
    w = Writer()
    stack = (1, 4, 8)
    table = Code(map=FLOAT, bits=16, format=3)
    int4 = Code(map=INT, bits=4, index_bits=16, slots={
        "scale": Part(table=table, group=1, rows=1, cols=4, constant=f32_bits(2.0)),
        "post": Part(table=table, group=4, rows=0, cols=3)})
    book = Code(map=CODEBOOK, bits=3, format=3, entries=[1, 2, 3, 4, 5])
    vector = Code(map=VECTOR, bits=4, format=16, vector_length=4, signs=7, entries=list(range(64)))
    low = random_low_rank(rng, stack, 2, True, flags=1, name=b"style")
    target = xxh128(b"") + bytes(16)
    w.file(target, b"base.ingot")
    w.tensor(b"int4", 4, (4, 8), [Dense(int4, random_data(rng, int4, stack)), low])
    w.tensor(b"book", 4, (4, 8), [Dense(book, random_data(rng, book, stack)),
                                  random_sparse(rng, book, stack, 1)],
             rescale=(table, Data([0x3C00] * 4)))
    w.tensor(b"vector", 4, (4, 8), [Dense(vector, random_data(rng, vector, stack))])
    w.tensor(b"ref", 4, (4, 8), [Ref(0, b"base")])
    opaque = Code(map=OPAQUE, name=b"foreign")
    w.tensor(b"foreign", 4, (4, 8), [Dense(opaque, Data([1, 2, 3]))])
    w.tensor(b"raw", 2, (3,), [Dense(raw_code(2), Data([1, 2, 3]))])
    w.tensor(b"twin", 2, (3,), [], alias_of=5)
    w.blob(1, metadata((b"general.name", 8, counted(b"x", "<Q"))), flags=3)
    w.blob(3, b"{}")
    w.blob(4, b"aaaa" * 100, b"a", zstd=True)
    w.blob(4, b"bbbb", b"b")
    w.blob(9, b"?")
    return w


INT4, LOW, BOOK, SPARSE, VEC, REFERENCE, FOREIGN = range(7)  # the terms of rich()


class BadFiles(ReaderTest):
    covered, ran = set(), set()

    def setUp(self):
        self.ran.add(self._testMethodName)

    def bad(self, rule, data):
        self.covered.add(rule)
        with self.assertRaises(RuleError) as caught:
            IngotFile(data).validate()
        self.assertEqual(caught.exception.rule, rule, str(caught.exception))

    def spoil(self, rule, change, make=rich):
        w = make()
        change(w)
        self.bad(rule, w.finish())

    def spoil_coding(self, rule, number, slot=None, **fields):
        def change(w):
            i = number if isinstance(number, int) else number(w)
            if slot:
                record = w.codings[i][slot]
                old = dict(zip((n for n, _ in FIELDS["slot"]), struct.unpack(layout("slot"), record)))
                w.codings[i][slot] = pack("slot", {**old, **fields})
            else:
                w.codings[i].update(fields)
        self.spoil(rule, change)

    def spoil_term(self, rule, number, **fields):
        self.spoil(rule, lambda w: w.terms[number].update(fields))

    def spoil_tensor(self, rule, number, **fields):
        self.spoil(rule, lambda w: w.tensors[number].update(fields))

    def test_the_file_is_good(self):
        file = IngotFile(rich().finish())
        self.assertEqual(len(file.validate()), 2)  # the foreign encoding and the file are not here
        self.assertEqual(file.codings[file.terms[INT4].coding].map, INT)

    def test_header(self):
        good = rich().finish()
        for short in (b"\x89PNG" + good[4:], b"\x89PNG\r\n\x1a\n", good[1:100]):
            self.bad("R-101", short)
        for short in (b"", b"?" * 7, good[:7], good[:8], good[:159]):
            self.bad("R-121", short)
        self.bad("R-104", good[:60] + b"\0" + good[61:])
        for rule, fields in (("R-102", {"major": 0, "minor": 1}), ("R-102", {"major": 2}), ("R-103", {"flags": 2}),
                             ("R-105", {"alignment": 32}), ("R-105", {"alignment": 96}),
                             ("R-105", {"alignment": 1 << 17}), ("R-106", {"reserved": bytes(35) + b"\1"})):
            self.spoil(rule, lambda w: w.header.update(fields))
        w = rich()
        w.header["flags"] = 1 << 16  # may be ignored
        IngotFile(w.finish())

    def test_trailer(self):
        good = rich().finish()
        self.bad("R-121", good[:-1])
        self.bad("R-121", good + b"\0")
        self.bad("R-122", good + good[-96:])
        for rule, fields in (("R-122", {"file_bytes": 7}), ("R-123", {"header_checksum": 1}),
                             ("R-124", {"checksum": 1}), ("R-125", {"index_bytes": 8}),
                             ("R-125", {"index_offset": 0}), ("R-125", {"index_offset": 1 << 63}),
                             ("R-126", {"algorithm": 2}), ("R-126", {"reserved": b"\1" + bytes(6)}),
                             ("R-126", {"content_id": bytes(31) + b"\1"}),
                             ("R-201", {"index_checksum": 1})):
            self.spoil(rule, lambda w: w.trailer.update(fields))

    def test_directory(self):
        w = rich()
        good = w.finish()
        begin = len(good) - 96 - struct.unpack("<Q", good[-88:-80])[0]
        index, content_id = good[begin:-96], good[-48:-16]
        for changed in (b"", index[:4] + b"\1" + index[5:], b"\xff" + index[1:], index[:300]):
            self.bad("R-202", seal(good[:begin], changed, content_id))
        self.bad("R-204", seal(good[:begin], index + bytes(8), content_id))
        at = struct.unpack("<Q", index[16:24])[0] + len(w.strings)
        self.assertTrue(at % 8)
        self.bad("R-204", seal(good[:begin], index[:at] + b"\1" + index[at + 1:], content_id))
        for rule, i, fields in (
                ("R-203", 0, {"kind": 2}), ("R-203", 3, {"record_bytes": 152}), ("R-203", 4, {"flags": 2}),
                ("R-206", 4, {"flags": 5}), ("R-206", 4, {"reserved": 1}), ("R-204", 2, {"offset": 8}),
                ("R-204", 2, {"n_records": 1}), ("R-204", 7, {"n_bytes": 48 * 9, "n_records": 9})):
            def spoil(sections, i=i, fields=fields):
                sections[i].update(fields)
            self.spoil(rule, lambda w: setattr(w, "spoil_directory", spoil))
        def many(sections):
            sections[8].update(n_records=NONE, record_bytes=0)
        def change(w):
            w.more_sections, w.spoil_directory = [(256, b"", 8)], many
        self.spoil("R-204", change)
        for rule, kind, flags in (("R-203", 3, 0), ("R-205", 9, 0), ("R-205", 256, 1), ("R-206", 256, 4)):
            def spoil(sections, flags=flags):
                sections[8]["flags"] = flags
            def change(w, kind=kind, spoil=spoil):
                w.more_sections, w.spoil_directory = [(kind, b"12345678", 8)], spoil
            self.spoil(rule, change)

    def test_strings(self):
        self.spoil_tensor("R-210", 0, name=struct.pack("<II", 1 << 31, 1))
        self.spoil_tensor("R-210", 0, name=struct.pack("<II", NONE, 2))
        empty = struct.pack("<II", 1, 0)
        self.spoil_term("R-210", INT4, name=empty)
        self.spoil_term("R-210", INT4, target=empty)
        self.spoil_coding("R-210", 0, name=empty)
        for key in ("name", "media_type"):
            self.spoil("R-210", lambda w: w.blobs[0].update({key: empty}))
        self.spoil("R-210", lambda w: w.files[0].update(name=empty))
        def nameless(w):
            w.tensors[0]["name"], w.names[0] = empty, b""
        self.spoil("R-210", nameless)
        def long_name(w):
            w.tensors[0]["name"], w.names[0] = w.string(b"x" * 65537), b"x" * 65537
        self.spoil("R-211", long_name)

    def test_chunks(self):
        for rule, fields in (("R-303", {"codec": 2}), ("R-303", {"filter": 8}), ("R-306", {"flags": 2}),
                             ("R-301", {"offset": 0}), ("R-301", {"offset": 1 << 63}),
                             ("R-305", {"flags": 1})):
            self.spoil(rule, lambda w: w.chunks[1].update(fields))
        self.spoil("R-302", lambda w: w.chunks[1].update(offset=w.chunks[1]["offset"] + 1))
        def gap(w):
            w.data += bytes(64)
            w.blob(4, b"x", b"y")
        self.spoil("R-302", gap, Writer)
        self.spoil("R-302", lambda w: setattr(w, "data", bytes(64)), Writer)
        self.spoil("R-313", lambda w: setattr(w, "data", bytes(7) + b"\1"), Writer)
        self.spoil("R-302", lambda w: setattr(w, "data", w.data + bytes(64)))
        self.spoil("R-304", lambda w: w.chunks[0].update(stored_bytes=w.chunks[0]["stored_bytes"] - 1))
        self.spoil("R-304", lambda w: w.blob(4, b"abc", b"y", zstd=b"abcd"))
        self.spoil("R-304", lambda w: w.blob(4, b"abc", b"y", zstd=b""))
        self.spoil("R-310", lambda w: w.chunks[0].update(checksum=1))
        raw = b"abcd" * 100
        frame = zstandard.compress(raw)
        for stored in (frame + frame, frame[:-1], frame + b"\0", b"\0" + frame[1:],
                       zstandard.compress(raw * 2), zstandard.compress(raw[:-1]),
                       b"\x50\x2a\x4d\x18" + struct.pack("<I", 4) + b"abcd"):
            self.spoil("R-311", lambda w: w.blob(4, raw, b"y", zstd=stored))
        halves = zstandard.compress(raw[:100]), zstandard.compress(raw[100:])
        for stored in (halves[0] + halves[1] + frame, halves[0] * 2, zstandard.compress(b"") + frame,
                       frame + zstandard.compress(b"")):
            self.spoil("R-311", lambda w: w.blob(4, raw, b"y", zstd=stored))
        for stored in (b"\xf3" * 4, b"\0" * 4 + b"\x51", b"\0" * 4 + b"\xff"):
            n = 5 if len(stored) == 4 else 6  # a tail of one byte has no fifth digit
            self.spoil("R-314", lambda w: w.blob(4, bytes(n), b"y", filtered=(6, stored)))
        self.spoil("R-304", lambda w: w.blob(4, bytes(8), b"y", filtered=(1, bytes(8))))
        self.spoil("R-304", lambda w: w.blob(4, bytes(10), b"y", filtered=(6, bytes(9))))
        def rle(flags, *fields):  # a frame of one block, 400 times "x"
            return b"\x28\xb5\x2f\xfd" + bytes([flags, *fields]) + (400 << 3 | 3).to_bytes(3, "little") + b"x"
        for good, stored in ((True, rle(0, 0x88)), (False, rle(0, 0x89)),   # windows of 128 MiB and more
                             (True, rle(1, 0x50, 0)), (False, rle(1, 0x50, 7)),  # a dictionary
                             (True, rle(0x60, 144, 0)), (False, rle(0x60, 145, 0))):  # the content size
            w = Writer()
            w.blob(4, b"x" * 400, b"y", zstd=stored)
            if good:
                self.opened(w)
            else:
                self.bad("R-311", w.finish())
        unsized = zstandard.ZstdCompressor(write_content_size=False, write_checksum=True)
        for rule, stored in ((None, unsized.compress(raw)), ("R-311", unsized.compress(raw + b"x")),
                             ("R-311", unsized.compress(raw[1:]))):
            w = rich()
            w.blob(4, raw, b"y", zstd=stored)
            if rule:
                self.bad(rule, w.finish())
            else:
                IngotFile(w.finish()).validate()
        self.spoil("R-312", lambda w: w.chunk(b"nobody's"))
        self.spoil("R-312", lambda w: w.streams[1].update(w.streams[0]))
        def dirty(w):
            at = w.chunks[1]["offset"] - 64
            w.data = w.data[:at - 1] + b"\1" + w.data[at:]
        self.spoil("R-313", dirty)

    def test_streams(self):
        def split(w):
            w.blob(4, b"x" * 200, b"split", chunk_bytes=64)
        for rule, fields in (("R-320", {"chunk_bytes": 0}), ("R-320", {"chunk_bytes": (1 << 26) + 1}),
                             ("R-320", {"chunk_step": 0}), ("R-320", {"first_chunk": 1000}),
                             ("R-320", {"chunk_step": NONE}), ("R-324", {"reserved": 1}),
                             ("R-321", {"stride": 128}), ("R-322", {"raw_hash": bytes(16)})):
            def change(w):
                split(w)
                w.streams[-1].update(fields)
            self.spoil(rule, change)
        for name in ("chunk_bytes", "chunk_step", "first_chunk", "stride"):
            def empty(w):
                w.blob(4, b"", b"empty")
                w.streams[-1][name] = 1
            self.spoil("R-324", empty)
        self.spoil("R-321", lambda w: (w.blob(4, b"x" * 256, b"y", zstd=True, chunk_bytes=64),
                                       w.streams[-1].update(stride=64)))
        for key, number in (("chunk_bytes", 100), ("chunk_step", 2), ("stride", 99), ("stride", 64)):
            self.spoil("R-320", lambda w: (w.blob(4, b"x" * 99, b"y"),
                                           w.streams[-1].update({key: number})))
        self.spoil("R-322", lambda w: (w.blob(4, b"", b"y"), w.streams[-1].update(raw_hash=bytes(16))))
        self.spoil("R-323", lambda w: w.stream(b"unused"))
        book = lambda w: w.codings[w.terms[BOOK]["coding"]]["codebook_stream"]  # noqa: E731
        self.spoil("R-323", lambda w: w.blobs[4].update(stream=book(w)))
        self.spoil("R-323", lambda w: w.blobs[4].update(stream=w.tensors[1]["rescale_stream"]))
        def book_as_rescale(w):  # 16 values of i8, or one of four rows
            simple(w, b"x", (4, 1))
            w.tensors[-1].update(rescale_coding=w.coding(Code(bits=32)),
                                 rescale_stream=w.codings[w.terms[VEC]["coding"]]["codebook_stream"])
            w.n_rescale[w.tensors[-1]["rescale_stream"]] = 1
        self.spoil("R-323", book_as_rescale, lambda: self.with_vector(16))
        self.spoil("R-323", lambda w: w.blobs[0].update(stream=w.blobs[1]["stream"]))
        self.spoil("R-323", lambda w: w.blobs.append({**w.blobs[3], "kind": 9, "name": bytes(8),
                                                      "stream": 0}))

    def test_codings(self):
        def of(term, key="coding"):
            return lambda w: w.terms[term][key]
        for rule, number, fields in (
                ("R-401", of(INT4), {"map": 7}), ("R-401", of(INT4), {"bits": 0}),
                ("R-401", of(INT4), {"bits": 65}), ("R-401", 0, {"bits": 8}),
                ("R-401", of(BOOK), {"bits": 17}), ("R-401", of(FOREIGN), {"bits": 4}),
                ("R-402", of(INT4), {"format": 2}), ("R-402", 0, {"format": 13}),
                ("R-402", of(BOOK), {"format": 5}), ("R-403", of(BOOK), {"n_entries": 0}),
                ("R-403", of(BOOK), {"n_entries": 9}), ("R-403", of(BOOK), {"n_entries": 4}),
                ("R-403", of(BOOK), {"codebook_stream": NONE}), ("R-403", of(INT4), {"n_entries": 1}),
                ("R-403", of(INT4), {"codebook_stream": 0}), ("R-404", of(VEC), {"vector_length": 5}),
                ("R-404", of(VEC), {"signs": 6}), ("R-404", of(BOOK), {"signs": 8}),
                ("R-404", of(INT4), {"vector_length": 4}), ("R-405", of(INT4), {"index_bits": 8}),
                ("R-406", of(INT4), {"name": struct.pack("<II", 0, 32)}),
                ("R-406", of(FOREIGN), {"name": bytes(8)}), ("R-406", of(INT4), {"block_bytes": 1}),
                ("R-406", of(INT4), {"block_weights": 1}),
                ("R-406", of(INT4), {"block_weights": 1, "block_bytes": 1}),
                ("R-406", of(FOREIGN), {"block_weights": 1}), ("R-406", of(FOREIGN), {"block_bytes": 1}),
                ("R-410", of(FOREIGN), {"block_weights": 8, "block_bytes": 1}),
                ("R-407", of(INT4), {"reserved": 1}),
                ("R-424", of(INT4), {"index_bits": 0}), ("R-424", of(BOOK), {"index_bits": 16})):
            self.spoil_coding(rule, number, **fields)
        constant = {"form": 1, "table": NONE}
        self.spoil_coding("R-406", of(FOREIGN), "scale", **constant)
        for rule, slot, fields in (
                ("R-420", "scale", {"form": 4}), ("R-420", "scale", {"inverse": 4}),
                ("R-420", "zero", {"inverse": 1, "form": 1}), ("R-420", "bias", {"inverse": 1}),
                ("R-420", "post", {"inverse": 1}), ("R-420", "post", {"inverse": 3}),
                ("R-420", "bias", {**constant, "inverse": 2}), ("R-420", "bias", {"reserved": 1}),
                ("R-420", "scale", {"reserved": 1}), ("R-420", "scale", {"last": 1}),
                ("R-423", "bias", {"constant": 1}), ("R-422", "bias", {"table": 0}),
                ("R-421", "bias", {"group": 1}), ("R-421", "bias", {"group_cols": 1}),
                ("R-421", "scale", {"group": 0}), ("R-421", "scale", {"group": 5}),
                ("R-421", "scale", {"group": 2}), ("R-421", "scale", {"group": 3}),
                ("R-421", "post", {"group_cols": 0}), ("R-421", "bias", {**constant, "group": 1}),
                ("R-421", "bias", {**constant, "group_rows": 1}), ("R-422", "scale", {"table": NONE}),
                ("R-422", "bias", {"form": 1, "table": 0}), ("R-422", "scale", {"table": 1}),
                ("R-423", "scale", {"constant": 0x7F800000}), ("R-423", "scale", {"constant": 0xFFC00000}),
                ("R-423", "post", {"constant": 1})):
            self.spoil_coding(rule, of(INT4), slot, **fields)

    def test_tables(self):
        def tensor_with(table):
            def change(w):
                code = Code(slots={"scale": Part(table=table, group=2)})
                w.tensor(b"t", 2, (1,), [Dense(code, random_data(random.Random(23), code, (1, 1, 1)))])
            return change
        vector = Code(map=VECTOR, bits=1, format=16, vector_length=4, entries=[1] * 4)
        wide = Code(map=CODEBOOK, bits=9, format=16, entries=[1] * 257)
        post = Code(slots={"post": Part(constant=f32_bits(2.0))})
        indexed = Code(index_bits=16, slots={"scale": Part(table=Code(), group=4, cols=1)})
        opaque = Code(map=OPAQUE, name=b"o")
        two_deep = Code(slots={"scale": Part(table=Code(slots={"bias": Part(table=Code(), group=2)}),
                                             group=2)})
        for table in (vector, wide, post, indexed, opaque, two_deep):
            self.spoil("R-422", tensor_with(table))
            # magnitudes and rescales need a coding that a table may use
            def change(w):
                simple(w, b"t", (2, 3))
                w.tensors[-1].update(rescale_coding=w.coding(table), rescale_stream=0)
            self.spoil("R-608", change)
            def change(w):
                w.terms[LOW].update(magnitude=w.coding(table))
            self.spoil("R-521", change)
        def deep(w):
            code, data = Code(), Data([1])
            for _ in range(3):
                code = Code(slots={"scale": Part(table=code, group=2)})
                data = Data([1], tables={"scale": data})
            w.tensor(b"t", 2, (1,), [Dense(code, data)])
        self.spoil("R-422", deep)

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
