"""Files whose records are bad, for test_bad_files.py: header, directory, chunks, streams, codings.

A test spoils a field of a file that has something of everything.
"""

import random
import struct

import zstandard

from ingot_reader import IngotFile, RuleError
from made_file import FIELDS, NONE, Writer, counted, layout, metadata, pack, seal, xxh128
from naive_decoder import (
    CODEBOOK, FLOAT, INT, OPAQUE, VECTOR, Code, Data, Dense, Part, Ref, f32_bits)
from random_terms import random_data, random_low_rank, random_sparse
from reader_case import ReaderTest, raw_code, simple


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


class BadCase(ReaderTest):
    """Files that break a rule; the tests of each subject stand in a class of their own."""

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


class BadRecords(BadCase):
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
