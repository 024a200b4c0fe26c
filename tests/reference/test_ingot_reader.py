#!/usr/bin/python3
"""Tests of ingot_reader.py: small files from a writer of their own, written from the specification.

Values are compared bit for bit with a decoder that computes one element at a time in Python's
floats, each step rounded to f32 (which is exact: a double has more than twice the digits). Every
rule of chapter 11 has at least one file that breaks it.
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
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import xxhash
import zstandard

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from ingot_reader import IngotFile, RuleError, Undecodable, unfilter  # noqa: E402

NONE = 0xFFFFFFFF
RECORDS = {  # from the tables of the specification: field:type
    "section": "kind:I flags:I offset:Q n_bytes:Q n_records:Q record_bytes:I reserved:I",
    "chunk": "offset:Q stored_bytes:I codec:B filter:B flags:H checksum:Q",
    "stream": "n_bytes:Q chunk_bytes:I chunk_step:I first_chunk:I reserved:I stride:Q raw_hash:16s",
    "slot": "form:B inverse:B group:B reserved:B constant:I table:I group_rows:I group_cols:Q last:Q",
    "coding": "map:B bits:B format:B vector_length:B signs:B index_bits:B reserved:H n_entries:I"
              " codebook_stream:I name:8s block_weights:I block_bytes:I"
              " zero:32s scale:32s bias:32s post:32s",
    "term": "kind:B combine:B flags:H coding:I coding_b:I first_stream:I n_streams:I name:8s"
            " multiplier:I rank:I mask:B reserved:3s block_rows:I block_cols:I n_kept:Q magnitude:I"
            " file:I target:8s last:Q",
    "tensor": "name:8s dtype:B rank:B stack:B split:B reserved:I first_term:I n_terms:I alias_of:I"
              " by_name:I rescale_coding:I rescale_stream:I dims:64s last:Q",
    "blob": "kind:I flags:I name:8s media_type:8s stream:I reserved:I",
    "file": "algorithm:B reserved:7s content_id:32s name:8s"}
DTYPE = {"f64": 1, "f32": 2, "f16": 3, "bf16": 4, "f8_e5m2": 5, "f8_e4m3": 6, "f6_e3m2": 7,
         "f6_e2m3": 8, "f4_e2m1": 9, "f8_e8m0": 10, "f8_e4m3fnuz": 11, "f8_e5m2fnuz": 12, "i8": 16,
         "i16": 17, "i32": 18, "i64": 19, "u8": 20, "u16": 21, "u32": 22, "u64": 23, "bool": 24,
         "c64": 25}
BITS = {1: 64, 2: 32, 3: 16, 4: 16, 5: 8, 6: 8, 7: 6, 8: 6, 9: 4, 10: 8, 11: 8, 12: 8, 16: 8,
        17: 16, 18: 32, 19: 64, 20: 8, 21: 16, 22: 32, 23: 64, 24: 8, 25: 64}
UINT, INT, FLOAT, CODEBOOK, VECTOR, OPAQUE = 1, 2, 3, 4, 5, 6
SLOTS = ("zero", "scale", "bias", "post")


FIELDS = {kind: [word.split(":") for word in words.split()] for kind, words in RECORDS.items()}
NOTHING = {kind: [(name, bytes(int(form[:-1])) if form[-1] == "s" else 0) for name, form in fields]
           for kind, fields in FIELDS.items()}


def layout(kind):
    return "<" + "".join(form for _, form in FIELDS[kind])


def pack(kind, values):
    return struct.pack(layout(kind), *(values.get(name, zero) for name, zero in NOTHING[kind]))


def xxh64(data):
    return xxhash.xxh3_64_intdigest(data)


def xxh128(data):
    return xxhash.xxh3_128_digest(data)


def up(a, b):
    return (a + b - 1) // b


# ---------------------------------------------------------------------------------------------
# Arithmetic of one element


def f32(x):
    """The f32 nearest to a double."""
    try:
        return struct.unpack("<f", struct.pack("<f", x))[0]
    except OverflowError:
        return math.copysign(math.inf, x)


def f32_bits(x):
    return struct.unpack("<I", struct.pack("<f", x))[0]


def bits_f32(bits):
    return struct.unpack("<f", struct.pack("<I", bits))[0]


def integer_f32(n):
    """The f32 nearest to an integer, ties to even, by integer arithmetic alone."""
    shift = max(abs(n).bit_length() - 24, 0)
    quotient, rest = divmod(abs(n), 1 << shift)
    if 2 * rest > 1 << shift or (2 * rest == 1 << shift and quotient & 1):
        quotient += 1
    return math.copysign(float(quotient << shift), n) if n else 0.0


def divide(x, y):
    if y:
        return f32(x / y)
    if x == 0 or math.isnan(x):
        return math.nan
    return math.inf * math.copysign(1, x) * math.copysign(1, y)


def float_value(code, dtype):
    """6.6 for one code."""
    if dtype == 1:
        return f32(struct.unpack("<d", struct.pack("<Q", code))[0])
    if dtype in (2, 4):
        return bits_f32(code << (16 if dtype == 4 else 0))
    if dtype == 3:
        return struct.unpack("<e", struct.pack("<H", code))[0]
    if dtype == 10:
        return math.nan if code == 255 else 2.0 ** (code - 127)
    exponent_bits, k, bias = {5: (5, 2, 15), 6: (4, 3, 7), 7: (3, 2, 3), 8: (2, 3, 1),
                              9: (2, 1, 1), 11: (4, 3, 8), 12: (5, 2, 16)}[dtype]
    s, e, f = code >> (exponent_bits + k), code >> k & ((1 << exponent_bits) - 1), code % (1 << k)
    if (dtype == 6 and code & 127 == 127) or (dtype in (11, 12) and code == 128):
        return math.nan
    if dtype == 5 and e == 31:
        return math.nan if f else (-1) ** s * math.inf
    mantissa = f * 2.0 ** (1 - bias - k) if e == 0 else (2**k + f) * 2.0 ** (e - bias - k)
    return -mantissa if s else mantissa


# ---------------------------------------------------------------------------------------------
# Descriptions of codings and data, a naive decoder, and the bytes that say the same


@dataclass
class Part:
    """A slot: a constant (as bits) or a table or both."""
    constant: int = None
    table: object = None
    group: int = 0
    rows: int = 0
    cols: int = 0
    inverse: int = 0


@dataclass
class Code:
    """A coding."""
    map: int = UINT
    bits: int = 8
    format: int = 0
    entries: list = None
    vector_length: int = 0
    signs: int = 0
    index_bits: int = 0
    slots: dict = field(default_factory=dict)
    name: bytes = b""
    block: tuple = (0, 0)


@dataclass
class Data:
    """What the streams of a coding hold."""
    codes: list
    signs: list = None
    index: list = None
    tables: dict = field(default_factory=dict)


def grid(part, stack):
    m, r, c = stack
    rows = part.rows or max(r, 1)
    if part.group == 1:
        return m, up(r, rows), up(c, part.cols or max(c, 1))
    return {2: (1, 1, 1), 3: (m, 1, up(r * c, part.cols or 1)), 4: (m, up(r, rows), part.cols)}[part.group]


def codes_shape(code, stack):
    return (*stack[:2], up(stack[2], code.vector_length)) if code.map == VECTOR else stack


def random_data(rng, code, stack, shape=None):
    n = math.prod(shape or codes_shape(code, stack))
    limit = len(code.entries) // max(code.vector_length, 1) if code.entries else 1 << code.bits
    data = Data([rng.randrange(limit) for _ in range(n)])
    if code.signs:
        data.signs = [rng.randrange(1 << code.signs) for _ in range(stack[0] * stack[1] * up(stack[2], 8))]
    if code.index_bits:
        most = min(part.cols for part in code.slots.values() if part.group == 4)
        data.index = [rng.randrange(most) for _ in range(stack[2])]
    for name, part in code.slots.items():
        if part.table:
            data.tables[name] = random_data(rng, part.table, grid(part, stack))
    return data


def scalar(code, n):
    """map(code) for one code, or for one value of a vector's entries."""
    if code.map in (CODEBOOK, VECTOR):
        n = code.entries[n]
        return float(n - 256 if n > 127 else n) if code.format == 16 else float_value(n, code.format)
    if code.map == FLOAT:
        return float_value(n, code.format)
    return integer_f32(n - (1 << code.bits) if code.map == INT and n >> (code.bits - 1) else n)


def value(code, data, stack, at, number=None):
    """The value of a coding at a position; `number` is the place of its code in a sparse term."""
    (m, r, c), (_, n_rows, n_cols) = at, stack
    row = m * n_rows + r
    if code.map == VECTOR:
        entry = data.codes[row * up(n_cols, code.vector_length) + c // code.vector_length]
        v = scalar(code, entry * code.vector_length + c % code.vector_length)
        if code.signs:
            signs = data.signs[row * up(n_cols, 8) + c // 8]
            if code.signs == 7:
                signs |= bin(signs).count("1") % 2 << 7
            v = -v if signs >> c % 8 & 1 else v
    else:
        v = scalar(code, data.codes[row * n_cols + c if number is None else number])
    for name in SLOTS:
        part = code.slots.get(name)
        for is_table in (True, False):
            if not part or (part.table if is_table else part.constant) is None:
                continue
            x = bits_f32(part.constant or 0)
            if is_table:
                rows, cols = part.rows or max(n_rows, 1), part.cols or max(n_cols, 1)
                where = {1: (m, r // rows, c // cols), 2: (0, 0, 0),
                         3: (m, 0, (r * n_cols + c) // cols),
                         4: (m, r // rows, data.index[c] if data.index else 0)}[part.group]
                x = value(part.table, data.tables[name], grid(part, stack), where)
            inverse = part.inverse & (2 if is_table else 1)
            if name == "zero" or (name == "bias" and inverse):
                v = f32(v - x)
            elif name == "bias":
                v = f32(v + x)
            else:
                v = divide(v, x) if inverse else f32(v * x)
    return v


def plane(elements, n_cols, width):
    """A plane of elements in rows of n_cols (6.4)."""
    used = n_cols * width
    padded = up(used, 32) * 32
    each = padded if width < 8 and padded - used <= used // 8 else used
    n_rows = len(elements) // n_cols if n_cols else 0
    total = 0
    for i, element in enumerate(elements):
        total |= element << (i // n_cols * each + i % n_cols * width)
    return total.to_bytes(up(n_rows * each, 8), "little")


def planes(codes, n_cols, bits):
    out, shift = [], 0
    for width in (64, 32, 16, 8, 4, 2, 1):
        if bits & width:
            out.append(plane([code >> shift & ((1 << width) - 1) for code in codes], n_cols, width))
            shift += width
    return out


def stream_bytes(code, data, stack, shape=None):
    """The streams of a coding (6.5)."""
    if code.map == OPAQUE:
        return [bytes(data.codes)]
    out = [plane(data.index, stack[2], code.index_bits)] if code.index_bits else []
    out += planes(data.codes, (shape or codes_shape(code, stack))[2], code.bits)
    if code.signs:
        out += planes(data.signs, up(stack[2], 8), code.signs)
    for name in SLOTS:
        if name in code.slots and code.slots[name].table:
            part = code.slots[name]
            out += stream_bytes(part.table, data.tables[name], grid(part, stack))
    return out


# ---------------------------------------------------------------------------------------------
# Terms with their naive values


@dataclass
class Dense:
    code: Code
    data: Data
    fields: dict = field(default_factory=dict)

    def streams(self, stack):
        return stream_bytes(self.code, self.data, stack)

    def at(self, stack, at):
        return value(self.code, self.data, stack, at)


@dataclass
class Sparse:
    """`held`: the positions in order; `mask`: the streams before the values."""
    code: Code
    data: Data
    held: list
    shape: tuple
    mask: list
    fields: dict

    def streams(self, stack):
        return self.mask + stream_bytes(self.code, self.data, stack, self.shape)

    def at(self, stack, at):
        if at not in self.held:
            return None
        return value(self.code, self.data, stack, at, self.held.index(at))


@dataclass
class LowRank:
    a: Code
    b: Code
    a_data: Data
    b_data: Data
    rank: int
    multiplier: float = 1.0
    magnitude: Code = None
    magnitude_data: Data = None
    fields: dict = field(default_factory=dict)

    def streams(self, stack):
        m, r, c = stack
        out = stream_bytes(self.a, self.a_data, (m, self.rank, c))
        out += stream_bytes(self.b, self.b_data, (m, r, self.rank))
        return out + (stream_bytes(self.magnitude, self.magnitude_data, (m, r, 1))
                      if self.magnitude else [])

    def at(self, stack, at):
        (n, rows, cols), (m, r, c), t = stack, at, 0.0
        for k in range(self.rank):
            b = value(self.b, self.b_data, (n, rows, self.rank), (m, r, k))
            a = value(self.a, self.a_data, (n, self.rank, cols), (m, k, c))
            t = f32(t + f32(b * a))
        return f32(self.multiplier * t)


@dataclass
class Ref:
    file: int
    target: bytes
    fields: dict = field(default_factory=dict)

    def streams(self, stack):
        return []


def all_positions(stack):
    m, r, c = stack
    return [(i, j, k) for i in range(m) for j in range(r) for k in range(c)]


def naive(stack, terms, asked=(), rescale=None):
    """The values of a tensor (7.2), one element at a time."""
    v = {at: 0.0 for at in all_positions(stack)}
    for n, term in enumerate(terms):
        if term.fields.get("flags") and term.fields.get("name") not in asked:
            continue
        for at in v:
            x = term.at(stack, at)
            if x is not None:
                v[at] = f32(v[at] + x) if term.fields.get("combine", n and 1) == 1 else x
        if getattr(term, "magnitude", None):
            for m in range(stack[0]):
                for r in range(stack[1]):
                    total = 0.0
                    for c in range(stack[2]):
                        total = f32(total + f32(v[m, r, c] * v[m, r, c]))
                    norm = f32(math.sqrt(total))
                    for c in range(stack[2]):
                        x = value(term.magnitude, term.magnitude_data, (*stack[:2], 1), (m, r, 0))
                        v[m, r, c] = f32(x * divide(v[m, r, c], norm))
    if rescale:
        code, data = rescale
        v = {(m, r, c): f32(x * value(code, data, (*stack[:2], 1), (m, r, 0)))
             for (m, r, c), x in v.items()}
    return list(v.values())


def random_sparse(rng, code, stack, mask, **fields):
    m, r, c = stack
    n_rows, every = m * r, all_positions(stack)
    extra, fields = [], {"mask": mask, **fields}
    if mask == 2:
        pairs = [rng.choice([(a, b) for b in range(4) for a in range(b)]) for _ in range(n_rows * c // 4)]
        held = [at for at in every
                if at[2] % 4 in pairs[(at[0] * r + at[1]) * (c // 4) + at[2] // 4]]
        extra, shape = [plane([a | b << 2 for a, b in pairs], c // 4, 4)], (m, r, c // 2)
    elif mask == 3:
        cols = sorted(rng.sample(range(c), rng.randrange(c + 1)))
        held, shape = [at for at in every if at[2] in cols], (m, r, len(cols))
        extra = [struct.pack(f"<{len(cols)}I", *cols)]
    elif mask == 4:
        rows = sorted(rng.sample(range(n_rows), rng.randrange(n_rows + 1)))
        held, shape = [at for at in every if at[0] * r + at[1] in rows], (1, len(rows), c)
        extra = [struct.pack(f"<{len(rows)}I", *rows)]
    else:
        br, bc = (rng.randrange(1, 4), rng.randrange(1, 6)) if mask == 5 else (1, 1)
        coarse = (m, up(r, br), up(c, bc))
        bits = {at: rng.randrange(2) for at in all_positions(coarse)}
        held = [at for at in every if bits[at[0], at[1] // br, at[2] // bc]]
        shape = (1, 1, len(held))
        offsets = [sum(at[0] * r + at[1] < row for at in held) for row in range(n_rows + 1)]
        extra = [plane(list(bits.values()), coarse[2], 1)] if mask != 6 else []
        extra.append(struct.pack(f"<{n_rows + 1}I", *offsets))
        if mask == 6:
            extra.append(struct.pack(f"<{len(held)}I", *(at[2] for at in held)))
        if mask == 5:
            fields.update(block_rows=br, block_cols=bc)
    fields["n_kept"] = len(held)
    return Sparse(code, random_data(rng, code, stack, shape), held, shape, extra, fields)


# ---------------------------------------------------------------------------------------------
# The writer. Records are dictionaries until finish(), so that a test can spoil them.


class Writer:
    def __init__(self, alignment=64):
        self.alignment, self.data, self.strings = alignment, b"", b""
        self.chunks, self.streams, self.codings, self.terms = [], [], [], []
        self.tensors, self.blobs, self.files, self.names = [], [], [], []
        self.known, self.books, self.n_rescale = {}, {}, {}
        self.header, self.trailer, self.content_id = {}, {}, None
        self.more_sections, self.spoil_directory = [], lambda sections: None

    def string(self, text):
        self.strings += text
        if not text:
            return bytes(8)
        return struct.pack("<II", len(self.strings) - len(text), len(text))

    def text(self, pair):
        at, n = struct.unpack("<II", pair)
        return self.strings[at:at + n]

    def chunk(self, raw, zstd=False, repeat=False, filtered=None):
        """`filtered` is (filter, what it makes of raw)."""
        number, given = filtered or (0, raw)
        stored, codec = given, 0
        if zstd is not False:
            stored, codec = zstandard.compress(given) if zstd is True else zstd, 1
        old = [c for c in self.chunks if not c["flags"] and c["codec"] == codec
               and self.data[c["offset"] - 64:c["offset"] - 64 + c["stored_bytes"]] == stored]
        if repeat and old:
            self.chunks.append({**old[0], "flags": 1})
            return
        if codec == number == 0:
            self.data += bytes(-(64 + len(self.data)) % self.alignment)
        self.chunks.append({"offset": 64 + len(self.data), "stored_bytes": len(stored), "flags": 0,
                            "codec": codec, "filter": number, "checksum": xxh64(stored)})
        self.data += stored

    def add_streams(self, raws, chunk_bytes=None, zstd=False, repeat=False, stride=0,
                    filtered=None):
        """Streams side by side: their chunks alternate. One chunk_bytes for all."""
        first, step = len(self.chunks), len(raws)
        for n, raw in enumerate(raws):
            entry = {"n_bytes": len(raw), "raw_hash": xxh128(raw)}
            if len(raw) > (chunk_bytes or len(raw)):
                entry.update(chunk_bytes=chunk_bytes, chunk_step=step, stride=stride)
            elif raw:  # one chunk has one spelling
                entry.update(chunk_bytes=len(raw), chunk_step=1)
            if raw:
                entry["first_chunk"] = first + n
            self.streams.append(entry)
        for i in range(up(len(raws[0]), chunk_bytes or max(len(raws[0]), 1))):
            for raw in raws:
                each = chunk_bytes or len(raw)
                self.chunk(raw[i * each:(i + 1) * each], zstd, repeat, filtered)
        return len(self.streams) - len(raws)

    def stream(self, raw, **how):
        return self.add_streams([raw], **how)

    def slot(self, part):
        if part is None:
            return pack("slot", {"table": NONE})
        return pack("slot", {
            "form": (part.constant is not None) + 2 * (part.table is not None),
            "inverse": part.inverse, "group": part.group, "constant": part.constant or 0,
            "table": self.coding(part.table) if part.table else NONE,
            "group_rows": part.rows, "group_cols": part.cols})

    def coding(self, code):
        if id(code) in self.known:
            return self.known[id(code)][0]
        book = NONE
        if code.entries:
            key = code.format, tuple(code.entries)
            if key not in self.books:
                raw = b"".join(e.to_bytes(BITS[code.format] // 8, "little") for e in code.entries)
                self.books[key] = self.stream(raw)
            book = self.books[key]
        fields = {
            "map": code.map, "bits": code.bits, "format": code.format, "signs": code.signs,
            "vector_length": code.vector_length, "index_bits": code.index_bits,
            "n_entries": len(code.entries or ()) // max(code.vector_length, 1),
            "codebook_stream": book, "name": self.string(code.name), "block_weights": code.block[0],
            "block_bytes": code.block[1], **{s: self.slot(code.slots.get(s)) for s in SLOTS}}
        self.codings.append(fields)
        self.known[id(code)] = len(self.codings) - 1, code
        return len(self.codings) - 1

    def tensor(self, name, dtype, dims, terms, stack=0, split=None, rescale=None, alias_of=NONE, **how):
        split = (len(dims) > 1) + stack if split is None else split
        shape = tuple(math.prod(dims[a:b]) for a, b in ((0, stack), (stack, split), (split, 8)))
        entry = {"name": self.string(name), "dtype": dtype, "rank": len(dims), "stack": stack,
                 "split": split, "first_term": len(self.terms), "n_terms": len(terms),
                 "alias_of": alias_of, "dims": struct.pack("<8Q", *dims, *[0] * (8 - len(dims))),
                 "rescale_coding": NONE, "rescale_stream": NONE}
        if alias_of != NONE:
            entry = {**self.tensors[alias_of], "name": entry["name"], "alias_of": alias_of}
        self.names.append(name)
        for n, term in enumerate(terms):
            self.term(term, n, shape, how)
        if rescale:
            code, data = rescale
            entry["rescale_coding"] = self.coding(code)
            raws = stream_bytes(code, data, (*shape[:2], 1))
            entry["rescale_stream"] = [self.stream(raw) for raw in raws][0]
            self.n_rescale[entry["rescale_stream"]] = len(raws)
        self.tensors.append(entry)
        return len(self.tensors) - 1

    def term(self, term, n, shape, how):
        fields = {"kind": [Dense, Sparse, LowRank, Ref].index(type(term)) + 1, "combine": int(n > 0),
                  "coding": NONE, "coding_b": NONE, "magnitude": NONE, "file": NONE}
        if isinstance(term, LowRank):
            fields.update(coding=self.coding(term.a), coding_b=self.coding(term.b),
                          rank=term.rank, multiplier=f32_bits(term.multiplier))
            if term.magnitude:
                fields["magnitude"] = self.coding(term.magnitude)
        elif isinstance(term, Ref):
            fields.update(file=term.file, target=self.string(term.target))
        else:
            fields["coding"] = self.coding(term.code)
        raws = term.streams(shape)
        if raws:
            fields.update(first_stream=len(self.streams), n_streams=len(raws))
        for raw in raws:
            self.stream(raw, **how)
        fields.update(term.fields)
        fields["name"] = self.string(term.fields.get("name", b""))
        self.terms.append(fields)

    def blob(self, kind, raw, name=b"", media_type=b"", flags=0, **how):
        self.blobs.append({"kind": kind, "name": self.string(name), "flags": flags,
                           "media_type": self.string(media_type), "stream": self.stream(raw, **how)})
        return len(self.blobs) - 1

    def file(self, content_id, name):
        self.files.append({"algorithm": 1, "content_id": content_id, "name": self.string(name)})
        return len(self.files) - 1

    # chapter 10

    def said(self, i):
        return struct.pack("<Q", self.streams[i]["n_bytes"]) + self.streams[i]["raw_hash"]

    def coding_said(self, i):
        record = pack("coding", self.codings[i])
        out = record[:12]
        if record[0] in (CODEBOOK, VECTOR):
            out += self.said(self.codings[i]["codebook_stream"])
        if record[0] == OPAQUE:
            name = self.text(record[16:24])
            out += struct.pack("<I", len(name)) + name + record[24:32]
        for at in (32, 64, 96, 128):
            out += record[at:at + 8] + record[at + 12:at + 24]
            if record[at] & 2:
                out += self.coding_said(struct.unpack("<I", record[at + 8:at + 12])[0])
        return out

    def streams_said(self, first, n):
        return struct.pack("<I", n) + b"".join(self.said(first + i) for i in range(n))

    def content(self):
        out = b""
        for i in sorted(range(len(self.tensors)), key=lambda i: self.names[i]):
            t, name = self.tensors[i], self.names[i]
            dims = t["dims"][:8 * t["rank"]]
            out += struct.pack("<I", len(name)) + name
            out += bytes([t["dtype"], t["rank"], t["stack"], t["split"]]) + dims
            out += struct.pack("<I", t["n_terms"])
            for term in self.terms[t["first_term"]:t["first_term"] + t["n_terms"]]:
                get = lambda key: term.get(key, 0)  # noqa: E731
                name = self.text(term["name"])
                out += struct.pack("<BBHI", term["kind"], term["combine"], get("flags"), len(name))
                out += name + struct.pack("<IIBIIQ", get("multiplier"), get("rank"), get("mask"),
                                          get("block_rows"), get("block_cols"), get("n_kept"))
                for key in ("coding", "coding_b", "magnitude"):
                    out += self.coding_said(term[key]) if term[key] != NONE else b""
                if term["kind"] == 4:
                    target, record = self.text(term["target"]), self.files[term["file"]]
                    out += bytes([1]) + record["content_id"]
                    out += struct.pack("<I", len(target)) + target
                out += self.streams_said(get("first_stream"), get("n_streams"))
            out += bytes([t["rescale_coding"] != NONE])
            if t["rescale_coding"] != NONE:
                out += self.coding_said(t["rescale_coding"])
                out += self.streams_said(t["rescale_stream"], self.n_rescale[t["rescale_stream"]])
        for blob in self.blobs:
            if blob["kind"] == 1:
                return out + self.said(blob["stream"])
        return out + bytes(8)

    def finish(self):
        order = sorted(range(len(self.tensors)), key=lambda i: self.names[i])
        for tensor, by_name in zip(self.tensors, order):
            tensor["by_name"] = tensor.pop("spoilt_by_name", by_name)
        try:
            content_id = self.content_id or xxh128(self.content()) + bytes(16)
        except (LookupError, RecursionError):  # a spoilt number
            content_id = bytes(32)
        bodies = [(1, self.strings, 1)] + [
            (kind, b"".join(pack(name, r) for r in records), len(pack(name, {})))
            for kind, (name, records) in enumerate([
                ("chunk", self.chunks), ("stream", self.streams), ("coding", self.codings),
                ("term", self.terms), ("tensor", self.tensors), ("blob", self.blobs),
                ("file", self.files)], 2)]
        sections, parts = [], b""
        bodies += self.more_sections
        begin = 8 + 40 * len(bodies)
        for kind, body, each in bodies:
            parts += bytes(-len(parts) % 8)
            sections.append({"kind": kind, "flags": int(kind < 256), "offset": begin + len(parts),
                             "n_bytes": len(body), "n_records": len(body) // each,
                             "record_bytes": each})
            parts += body
        self.spoil_directory(sections)
        index = struct.pack("<II", len(sections), 0) + b"".join(pack("section", s) for s in sections)
        index += parts
        self.data += bytes(-len(self.data) % 8)
        header = {"magic": b"\x89IGT\r\n\x1a\n", "major": 0, "minor": 1, "flags": 0,
                  "alignment": self.alignment, "reserved": bytes(36), **self.header}
        head = struct.pack("<8sHHII36s", *(header[k] for k in (
            "magic", "major", "minor", "flags", "alignment", "reserved")))
        head += struct.pack("<Q", header.get("checksum", xxh64(head)))
        return seal(head + self.data, index, content_id, self.trailer)


def seal(head, index, content_id, spoilt=None):
    t = {"index_offset": len(head), "index_bytes": len(index),
         "file_bytes": len(head) + len(index) + 96, "index_checksum": xxh64(index),
         "header_checksum": struct.unpack("<Q", head[56:64])[0], "algorithm": 1,
         "reserved": bytes(7), "content_id": content_id, **(spoilt or {})}
    tail = struct.pack("<QQQQQB7s32s", *(t[k] for k in (
        "index_offset", "index_bytes", "file_bytes", "index_checksum", "header_checksum",
        "algorithm", "reserved", "content_id")))
    tail += struct.pack("<Q", t.get("checksum", xxh64(tail)))
    return head + index + tail + b"INGOTEND"


# ---------------------------------------------------------------------------------------------


def random_constant(rng):
    return f32_bits(f32(rng.choice([rng.uniform(-4, 4), rng.uniform(-1e-3, 1e-3), 127.0, 1e-40])))


def random_scalar(rng, depth, in_table=False):
    """A coding other than VECTOR and OPAQUE with tables at most `depth` deep."""
    code = Code(map=rng.choice([UINT, INT, FLOAT, CODEBOOK]))
    if code.map in (UINT, INT):
        code.bits = rng.choice([1, 2, 3, 4, 5, 6, 7, 8, 11, 13, 16, 24, 31, 40, 63, 64])
    elif code.map == FLOAT:
        code.format = rng.randrange(1, 13)
        code.bits = BITS[code.format]
    else:
        code.bits, code.format = rng.randrange(1, 9), rng.choice([2, 3, 4, 16])
        n = rng.randrange(1, 1 + (1 << code.bits))
        code.entries = [rng.randrange(1 << BITS[code.format]) for _ in range(n)]
    add_slots(rng, code, depth, in_table)
    return code


def add_slots(rng, code, depth, in_table=False):
    for name in SLOTS[:3 if in_table else 4]:
        if rng.random() < 0.5:
            continue
        part = Part(inverse=0)
        if depth == 0 or rng.random() < 0.5:
            part.constant = random_constant(rng)
        if depth and (part.constant is None or rng.random() < 0.5):
            part.table = random_scalar(rng, depth - 1, True)
            part.group = rng.randrange(1, 4 if in_table else 5)
            part.rows = rng.choice([0, 1, 2, 3, 1 << 31]) if part.group in (1, 4) else 0
            part.cols = {1: rng.choice([0, 1, 4, 5, 1 << 63]), 2: 0, 3: rng.choice([1, 4, 7, 1 << 63]),
                         4: rng.randrange(1, 5)}[part.group]
        have = (part.constant is not None) + 2 * (part.table is not None)
        part.inverse = 0 if name == "zero" else rng.randrange(4) & have
        code.slots[name] = part
    if any(part.group == 4 for part in code.slots.values()):
        code.index_bits = rng.choice([16, 32])


def random_vector(rng, depth):
    code = Code(map=VECTOR, bits=rng.randrange(1, 12), format=rng.choice([2, 3, 4, 16]),
                vector_length=rng.choice([4, 8]), signs=rng.choice([0, 7, 8]))
    n = code.vector_length * rng.randrange(1, 1 + min(1 << code.bits, 20))
    code.entries = [rng.randrange(1 << BITS[code.format]) for _ in range(n)]
    add_slots(rng, code, depth)
    return code


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

    def low_rank(self, rng, stack, rank, magnitude=False, **fields):
        m, r, c = stack
        a, b = random_scalar(rng, 1), random_scalar(rng, 1)
        for code in (a, b):
            code.slots.setdefault("post", Part(constant=f32_bits(0.25)))
        norms = Code(map=FLOAT, bits=16, format=4) if magnitude else None
        return LowRank(a, b, random_data(rng, a, (m, rank, c)), random_data(rng, b, (m, r, rank)),
                       rank, f32(rng.uniform(-2, 2)), norms,
                       random_data(rng, norms, (m, r, 1)) if norms else None, fields)

    def test_low_rank(self):
        rng = random.Random(12)
        for round_ in range(40):
            dims = (2, 3, 7)
            base = Code(map=INT, bits=4, slots={"scale": Part(table=Code(), group=1, rows=1)})
            dense = Dense(base, random_data(rng, base, dims))
            term = self.low_rank(rng, dims, rng.randrange(1, 6), round_ % 2)
            with self.subTest(round=round_):
                self.check(dims, [dense, term], 1, 2)
                self.check(dims, [term], 1, 2)
                term.fields["combine"] = 2
                self.check(dims, [dense, term], 1, 2)

    def test_optional_terms(self):
        rng = random.Random(13)
        base = Code(bits=4)
        terms = [Dense(base, random_data(rng, base, (1, 3, 5))),
                 self.low_rank(rng, (1, 3, 5), 2, True, flags=1, name=b"a"),
                 self.low_rank(rng, (1, 3, 5), 2, True, flags=1, name=b"b")]
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
        adapter = self.low_rank(rng, (1, 3, 5), 2, flags=1, name=b"a")
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


def counted(text, form="<I"):
    return struct.pack(form, len(text)) + text


def metadata(*entries):
    return struct.pack("<Q", len(entries)) + b"".join(
        counted(key) + struct.pack("<I", kind) + value_ for key, kind, value_ in entries)


def array(kind, *elements):
    body = b"".join(elements)
    return struct.pack("<IQQ", kind, len(elements), len(body)) + body


def source(*files, version=1):
    out = struct.pack("<II", version, len(files))
    for name, whole, segments in files:
        out += counted(name) + struct.pack("<Q", len(whole)) + xxh128(whole)
        out += struct.pack("<I", len(segments)) + b"".join(segments)
    return out


def literal(data):
    return b"\1" + counted(data, "<Q")


def tensor_segment(number, form=b""):
    return b"\2" + struct.pack("<I", number) + counted(form)


def attachment_segment(blob):
    return b"\3" + struct.pack("<I", blob)


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

    def test_unknown_form(self):
        file = IngotFile(with_source((b"x", b"abc", [tensor_segment(1, b"some-form")])).finish())
        self.assertEqual(len(file.validate()), 1)

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


# ---------------------------------------------------------------------------------------------
# Bad files: functions from which every test takes a file and the rule that it breaks


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
    low = Terms().low_rank(rng, stack, 2, True, flags=1, name=b"style")
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
        for rule, fields in (("R-102", {"major": 1}), ("R-102", {"minor": 2}), ("R-103", {"flags": 2}),
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
            terms = [Terms().low_rank(rng, stack, 1, True, **({"flags": 1, "name": b"x"} if o else {}))
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
                ("R-720", with_source((b"x", b"", [b"\4" + bytes(4)]))),
                ("R-720", with_source((b"x", b"", [tensor_segment(1)]))),
                ("R-720", with_source((b"x", b"", [tensor_segment(2, b"f")]))),
                ("R-720", with_source((b"x", b"", [attachment_segment(1)]))),
                ("R-720", with_source((b"x", b"", [attachment_segment(9)]))),
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
