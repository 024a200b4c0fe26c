#!/usr/bin/python3
"""Tests of ingot_reader.py on good files, which made_file.py writes from the specification alone:
storage, blobs and the command line. Values and terms have test_values.py.
"""

import json
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
from ingot_chunks import unfilter
from ingot_reader import IngotFile, RuleError
from made_file import Writer, array, counted, metadata, source, tensor_segment, xxh128
from naive_decoder import CODEBOOK, OPAQUE, Code, Data, Dense, Ref
from reader_case import ReaderTest, raw_code, simple, with_blocks, with_source

HERE = Path(__file__).resolve().parent


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
