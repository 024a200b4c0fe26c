"""The content id of an Ingot file (chapter 10), over its index."""

import struct

import xxhash

from ingot_index import Index
from ingot_records import (
    CODEBOOK, CODINGS, METADATA, NONE, OPAQUE, REF, SLOTS, VECTOR, Slot, counted)


class Content(Index):
    """An index that knows the content id of what it lists."""

    def content_id(self):
        digest = xxhash.xxh3_128()
        for i in (t.by_name for t in self.tensors):
            t = self.tensors[i]
            digest.update(counted(self.names[i]) + bytes([t.dtype, t.rank, t.stack, t.split])
                          + struct.pack(f"<{t.rank}QI", *t.dims[:t.rank], t.n_terms))
            for term in self.terms[t.first_term:t.first_term + t.n_terms]:
                digest.update(self._term_content(term))
            if t.rescale_coding == NONE:
                digest.update(b"\0")
                continue
            n = len(self.lengths(t.rescale_coding, self.stacks[i]._replace(cols=1)))
            digest.update(b"\1" + self._coding_content(t.rescale_coding)
                          + self._streams_content(t.rescale_stream, n))
        blob = next((b for b in self.blobs if b.kind == METADATA), None)
        digest.update(self._stream_content(blob.stream) if blob else bytes(8))
        return digest.digest() + bytes(16)

    def _term_content(self, t):
        out = (struct.pack("<BBH", t.kind, t.combine, t.flags)
               + counted(self._string(t.name_at, t.name_bytes, 0))
               + struct.pack("<IIBIIQ", t.multiplier, t.rank, t.mask, t.block_rows, t.block_cols,
                             t.n_kept))
        for coding in (t.coding, t.coding_b, t.magnitude):
            if coding != NONE:
                out += self._coding_content(coding)
        if t.kind == REF:
            file = self.files[t.file]
            out += bytes([file.algorithm]) + file.content_id
            out += counted(self._string(t.target_at, t.target_bytes, 0))
        return out + self._streams_content(t.first_stream, t.n_streams)

    def _stream_content(self, i):
        return struct.pack("<Q", self.streams[i].n_bytes) + self.streams[i].raw_hash

    def _streams_content(self, first, n):
        return struct.pack("<I", n) + b"".join(self._stream_content(first + k) for k in range(n))

    def _coding_content(self, i):
        k = self.codings[i]
        at = 160 * i
        out = bytes(self._section_bytes(CODINGS)[at:at + 12])
        if k.map in (CODEBOOK, VECTOR):
            out += self._stream_content(k.codebook_stream)
        if k.map == OPAQUE:
            out += counted(self._string(k.name_at, k.name_bytes, 0))
            out += struct.pack("<II", k.block_weights, k.block_bytes)
        for slot in (getattr(k, s) for s in SLOTS):
            fields = Slot.struct.pack(*slot)
            out += fields[:8] + fields[12:24]
            if slot.form & 2:
                out += self._coding_content(slot.table)
        return out
