"""Files made from the specification alone, as bytes: the writer that the tests of the reader use."""

import math
import struct

import xxhash
import zstandard

from naive_decoder import (
    BITS, CODEBOOK, OPAQUE, SLOTS, VECTOR, Dense, LowRank, Ref, Sparse, f32_bits, stream_bytes, up)

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
        header = {"magic": b"\x89IGT\r\n\x1a\n", "major": 1, "minor": 0, "flags": 0,
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
# Blobs


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
