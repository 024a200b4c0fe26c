"""The blobs of an Ingot file (chapter 8): metadata, receipt, attachments and the source files.

Written from the specification (ingot-v1.md) alone, as ingot_reader.py says.
"""

import json
import struct
from collections import deque
from math import prod

import numpy as np
import xxhash

from ingot_blocks import bits_of, layouts, together
from ingot_records import (
    ATTACHMENT, CODEBOOK, DENSE, DTYPES, METADATA, NONE, OPAQUE, RECEIPT, SLOTS, SOURCE, VECTOR,
    RuleError, SourceFile, ceil_div, grid, need, plane_widths, row_bits, safe_path)
from ingot_values import Undecodable, Values

SWAPPED, BLOCKS_FORM, PACKED_FORM = b"\1", 2, 3  # forms of tensors in source files, 8.2


class Cursor:
    """Reads the fields of a blob, or of a part of it; running past its end breaks `rule`."""

    def __init__(self, data, rule, begin=0, end=None):
        self.data, self.rule, self.at = data, rule, begin
        self.end = len(data) if end is None else end

    def take(self, n):
        need(n <= self.end - self.at, self.rule, self.at, "the blob ends within a field")
        self.at += n
        return self.data[self.at - n:self.at]

    def part(self, n, rule):
        """A cursor over the next n bytes, which this one skips."""
        self.take(n)
        return Cursor(self.data, rule, self.at - n, self.at)

    def number(self, layout):
        return struct.unpack("<" + layout, self.take(struct.calcsize("<" + layout)))[0]


def no_constant(word):
    raise ValueError(f"{word} is no JSON")  # json.loads takes NaN and Infinity


def whole(word):
    if len(word) > 20 or not -2**63 <= int(word) < 2**63:
        raise ValueError(f"{word[:30]} is not within i64")
    return int(word)


def finite(word):
    if not np.isfinite(float(word)):
        raise ValueError(f"{word[:30]} is not within f64")
    return float(word)


def unique_keys(pairs):
    """A JSON object; json.loads by itself takes the last of equal keys."""
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a key stands twice in an object")
    return dict(pairs)


METADATA_TYPES = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "B", 10: "Q", 11: "q",
                  12: "d"}


def metadata_value(cursor, kind, depth):
    """One value of the metadata (8.1) inside of `depth` arrays."""
    at = cursor.at
    if kind == 8:
        return cursor.take(cursor.number("Q"))
    if kind != 9:
        need(kind in METADATA_TYPES, "R-710", at, f"unknown type {kind}")
        value = cursor.number(METADATA_TYPES[kind])
        need(kind != 7 or value <= 1, "R-712" if depth else "R-710", at, "a bool is neither 0 nor 1")
        return bool(value) if kind == 7 else value
    need(depth < 4, "R-712", at, "arrays nest too deep")
    element, count, n_bytes = cursor.number("I"), cursor.number("Q"), cursor.number("Q")
    need(element in METADATA_TYPES or element in (8, 9), "R-712", at, f"unknown type {element}")
    inner = cursor.part(n_bytes, "R-712")
    need(count <= n_bytes, "R-712", at, "an array has more elements than bytes")
    values = [metadata_value(inner, element, depth + 1) for _ in range(count)]
    need(inner.at == inner.end, "R-712", at, "an array is not as long as it says")
    return element, values


# ---------------------------------------------------------------------------------------------


class Source(Values):
    """A file whose metadata, receipt and source files are read."""

    def blob(self, kind):
        """The bytes of the metadata, source or receipt; None when there is none."""
        return next((self.stream(b.stream) for b in self.blobs if b.kind == kind), None)

    def attachments(self):
        return {name: self.stream(blob.stream) for name, blob in zip(self.blob_names, self.blobs)
                if blob.kind == ATTACHMENT}

    def metadata(self):
        """{key: (type, value)}; strings are bytes, arrays are pairs (type of elements, list)."""
        blob = self.blob(METADATA)
        cursor, out = Cursor(bytes(8) if blob is None else blob, "R-710"), {}
        for _ in range(cursor.number("Q")):
            at, key_bytes = cursor.at, cursor.number("I")
            need(key_bytes <= 65535, "R-711", at, "a key is too long")
            key = cursor.take(key_bytes)
            need(key not in out, "R-711", at, "a key stands twice")
            kind = cursor.number("I")
            out[key] = kind, metadata_value(cursor, kind, 0)
        need(cursor.at == cursor.end, "R-710", cursor.at, "bytes after the last entry")
        return out

    def receipt(self):
        blob = self.blob(RECEIPT)
        if blob is None:
            return {}
        try:
            out = json.loads(blob.decode(), parse_constant=no_constant,
                             object_pairs_hook=unique_keys, parse_int=whole, parse_float=finite)
            json.dumps(out, ensure_ascii=False).encode()  # no lone surrogates
        except (ValueError, RecursionError) as error:
            raise RuleError("R-730", 0, f"the receipt is not JSON: {error}") from error
        need(isinstance(out, dict), "R-730", 0, "the receipt is not an object")
        return out

    def source(self):
        """The source files and their segments (8.2): (1, bytes), (2, tensor, form), (3, blob) or
        (4, bytes)."""
        blob, out = self.blob(SOURCE), []
        if blob is None:
            return out
        cursor = Cursor(blob, "R-720")
        need(cursor.number("I") == 1, "R-720", 0, "unknown version")
        for _ in range(cursor.number("I")):
            at, name = cursor.at, cursor.take(cursor.number("I"))
            need(safe_path(name) and name not in [f.name for f in out], "R-721", at, "bad name")
            n_bytes, digest = cursor.number("Q"), cursor.take(16)
            segments = [self._segment(cursor) for _ in range(cursor.number("I"))]
            out.append(SourceFile(name, n_bytes, digest, segments))
            lengths = [self._segment_bytes(s) for s in segments]
            need(None in lengths or sum(lengths) == n_bytes, "R-722", at, "the length differs")
        need(cursor.at == cursor.end, "R-720", cursor.at, "bytes after the last file")
        return out

    def _segment(self, cursor):
        at, kind = cursor.at, cursor.number("B")
        if kind == 1:
            return kind, cursor.take(cursor.number("Q"))
        number = cursor.number("I")
        if kind == 2:
            form = cursor.take(cursor.number("I"))
            need(number < len(self.tensors) and
                 (form or self.held_raw(number) or self._opaque(number) is not None), "R-720", at,
                 "no such tensor, or neither held raw nor opaque")
            if form[:1] == SWAPPED:
                name, bits = DTYPES[self.tensors[number].dtype]
                need(form == SWAPPED and self.held_raw(number) and bits >= 16 and name != "c64",
                     "R-725", at, "this tensor is not swapped so")
            if form[:1] == bytes([BLOCKS_FORM]):
                self._check_blocks_form(number, form, at)
            if form[:1] == bytes([PACKED_FORM]):
                self._check_packed_form(number, form, at)
            return kind, number, form
        if kind == 4:
            count, *how = (cursor.number(form) for form in "IBB")
            entries = self._metadata_as_gguf(*how, at)
            need(count >= 1 and number + count <= len(entries), "R-724", at, "no such entries")
            return kind, b"".join(entries[number:number + count])
        need(kind == 3 and number < len(self.blobs) and self.blobs[number].kind == ATTACHMENT,
             "R-720", at, "unknown segment, or no such attachment")
        return kind, number

    def _opaque(self, number):
        """The stream of a tensor of foreign bytes, or None."""
        term = self.terms_of(self.tensors[number])[0]
        is_opaque = term.kind == DENSE and self.codings[term.coding].map == OPAQUE
        return term.first_stream if is_opaque else None

    def _metadata_as_gguf(self, length_bytes, order, where):
        """The entries of the metadata, each as GGUF encodes it."""
        need(length_bytes in (4, 8) and order in (0, 1), "R-724", where, "unknown encoding")
        self.metadata()  # proves it
        blob = self.blob(METADATA)
        cursor, out = Cursor(bytes(8) if blob is None else blob, "R-710"), []

        def number(n_bytes, value):
            need(value < 1 << 8 * n_bytes, "R-724", where, "a length does not fit")
            return value.to_bytes(n_bytes, "big" if order else "little")

        def value(kind):
            if kind == 8:
                text = cursor.take(cursor.number("Q"))
                return number(length_bytes, len(text)) + text
            if kind == 9:
                element, count, _ = cursor.number("I"), cursor.number("Q"), cursor.number("Q")
                head = number(4, element) + number(length_bytes, count)
                return head + b"".join(value(element) for _ in range(count))
            raw = cursor.take(struct.calcsize(METADATA_TYPES[kind]))
            return raw[::-1] if order else raw

        for _ in range(cursor.number("Q")):
            key = cursor.take(cursor.number("I"))
            kind = cursor.number("I")
            out.append(number(length_bytes, len(key)) + key + number(4, kind) + value(kind))
        return out

    def _segment_bytes(self, segment):
        """The length of a segment; None for a form that is not known here."""
        kind, what, *form = segment
        if kind in (1, 4):
            return len(what)
        if kind == 3:
            return self.streams[self.blobs[what].stream].n_bytes
        layout = self._layout_of(form[0])
        if layout:
            return prod(self.stacks[what]) // layout.weights * layout.bytes
        if form[0][:1] == bytes([PACKED_FORM]):
            book, _, _, (k, stack, widths, _) = self._packed(what, form[0])
            if book:
                return self.streams[self.codings[k].codebook_stream].n_bytes
            return ceil_div(prod(stack) * sum(widths), 8)
        if form[0] not in (b"", SWAPPED):
            return None
        stream = self._opaque(what)
        if stream is not None:
            return self.streams[stream].n_bytes
        return ceil_div(prod(self.stacks[what]) * DTYPES[self.tensors[what].dtype][1], 8)

    def _tensor_in_form(self, number, form):
        if self._layout_of(form):
            return self._blocks(number, form)
        if form[:1] == bytes([PACKED_FORM]):
            return self._packed_bytes(number, form)
        stream = self._opaque(number)
        if stream is not None:
            return self.stream(stream)
        raw = self.tensor_bytes(number)[1]
        if form == SWAPPED:
            width = DTYPES[self.tensors[number].dtype][1] // 8
            return np.frombuffer(raw, np.uint8).reshape(-1, width)[:, ::-1].tobytes()
        return raw

    # --- the form of blocks (8.6, chapter 14) ---

    @staticmethod
    def _layout_of(form):
        """The layout of blocks that a form names; None for any other form and unknown types."""
        if form[:1] != bytes([BLOCKS_FORM]):
            return None
        return layouts().get(int.from_bytes(form[1:5], "little"))

    def _check_blocks_form(self, number, form, at):
        need(len(form) >= 5, "R-725", at, "a form is cut short")
        layout = self._layout_of(form)
        if layout is None:
            return
        tensor, stack = self.tensors[number], self.stacks[number]
        term = self.terms[tensor.first_term]
        rows, (per_row, rest) = stack.matrices * stack.rows, divmod(stack.cols, layout.weights)
        need(tensor.n_terms == 1 and term.kind == DENSE and tensor.rescale_coding == NONE
             and self.codings[term.coding].map != OPAQUE and rest == 0, "R-725", at,
             "a tensor that cannot have the form of blocks")
        planes = self.planes(term.coding, stack)
        need(len(planes) == len(layout.streams), "R-725", at, "not the streams of the type")
        for i, (shape, width) in enumerate(planes):
            need(shape.matrices * shape.rows == rows
                 and shape.cols * width == per_row * bits_of(layout, i), "R-725", at,
                 "not the streams of the type")
        each = 8 + layout.bytes
        need((len(form) - 5) % each == 0, "R-725", at, "an exception is cut short")
        numbers = [int.from_bytes(form[i:i + 8], "little") for i in range(5, len(form), each)]
        need(all(a < b for a, b in zip(numbers, numbers[1:] + [rows * per_row])), "R-725", at,
             "exceptions do not ascend within the blocks")

    def _blocks(self, number, form):
        """The bytes of a tensor in the form of blocks."""
        kind, layout = int.from_bytes(form[1:5], "little"), self._layout_of(form)
        term, stack = self.terms[self.tensors[number].first_term], self.stacks[number]
        n_blocks, rows = stack.cols // layout.weights, []
        for i, (shape, width) in enumerate(self.planes(term.coding, stack)):
            raw, take = np.frombuffer(self.stream(term.first_stream + i), np.uint8), shape.cols * width
            each = row_bits(shape.cols, width)
            bits = np.unpackbits(raw, bitorder="little")[:stack.matrices * stack.rows * each]
            bits = bits.reshape(-1, each)[:, :take] if each else bits
            rows.append(bits.reshape(-1, bits_of(layout, i)))
        blocks = together(kind, rows) if n_blocks and rows else np.zeros((0, layout.bytes), np.uint8)
        need(blocks is not None, "R-725", 0, "a code that is not a digit")
        for i in range(5, len(form), 8 + layout.bytes):
            block = int.from_bytes(form[i:i + 8], "little")
            blocks[block] = np.frombuffer(form[i + 8:i + 8 + layout.bytes], np.uint8)
        return blocks.tobytes()

    # --- the packed form (8.7) ---

    def _sequences(self, coding, stack, first):
        """For each sequence of a coding: whose codes they are (or None), the shape, the widths of
        its planes and the stream of the first."""
        k, out = self.codings[coding], []
        columns = ceil_div(stack.cols, k.vector_length) if k.map == VECTOR else stack.cols
        for owner, shape, bits in (
                (None, stack._replace(matrices=1, rows=1), k.index_bits),
                (coding, stack._replace(cols=columns), k.bits),
                (None, stack._replace(cols=ceil_div(stack.cols, 8)), k.signs)):
            if bits:
                out.append((owner, shape, plane_widths(bits), first))
                first += len(out[-1][2])
        for slot in (getattr(k, s) for s in SLOTS):
            if slot.form & 2:
                inner = self._sequences(slot.table, grid(slot, stack), first)
                out += inner
                first = inner[-1][3] + len(inner[-1][2])
        return out

    def _packed(self, number, form):
        """What a packed form says: codebook or codes, order, rest, and its sequence."""
        term = self.terms[self.tensors[number].first_term]
        sequences = self._sequences(term.coding, self.stacks[number], term.first_stream)
        return form[1], form[2], form[3], sequences[int.from_bytes(form[4:], "little")]

    def _check_packed_form(self, number, form, at):
        tensor = self.tensors[number]
        term = self.terms[tensor.first_term]
        need(len(form) == 8 and form[1] < 2 and form[2] < 2, "R-725", at, "a bad packed form")
        need(tensor.n_terms == 1 and term.kind == DENSE and tensor.rescale_coding == NONE
             and self.codings[term.coding].map != OPAQUE, "R-725", at,
             "a tensor that cannot have the packed form")
        sequences = self._sequences(term.coding, self.stacks[number], term.first_stream)
        need(int.from_bytes(form[4:], "little") < len(sequences), "R-725", at, "no such sequence")
        book, order, rest, (owner, stack, widths, _) = self._packed(number, form)
        if book:
            need(owner is not None and self.codings[owner].map in (CODEBOOK, VECTOR), "R-725", at,
                 "a sequence without a codebook")
            need(order == 0 == rest, "R-725", at, "order or rest of a codebook")
            return
        bits = sum(widths)
        need(order == 0 or bits in (1, 2, 4), "R-725", at, "codes that have no order")
        used = prod(stack) * bits % 8 or 8
        need(rest & (((1 << used) - 1) << (8 - used if order else 0)) == 0, "R-725", at,
             "the rest lies on a code")

    def _packed_bytes(self, number, form):
        """The bytes of a tensor in the packed form."""
        book, order, rest, (owner, stack, widths, first) = self._packed(number, form)
        if book:
            return self.stream(self.codings[owner].codebook_stream)
        bits = sum(widths)
        codes = self._codes(deque(range(first, first + len(widths))), stack, bits).reshape(-1)
        each = codes[:, None] >> np.arange(bits, dtype=codes.dtype) & codes.dtype.type(1)
        flat = each.astype(np.uint8).reshape(-1)
        flat = np.concatenate([flat, np.zeros(-len(flat) % 8, np.uint8)])
        if order:  # the codes of a byte the other way round
            flat = flat.reshape(-1, 8 // bits, bits)[:, ::-1].reshape(-1)
        raw = bytearray(np.packbits(flat, bitorder="little").tobytes())
        if rest:
            raw[-1] |= rest
        return bytes(raw)

    def restored(self, file):
        """The bytes of a source file, piece by piece; its hash is proved at the end."""
        digest = xxhash.xxh3_128()
        for kind, what, *form in file.segments:
            known = not form or form[0] in (b"", SWAPPED) or form[0][0] == PACKED_FORM
            if not known and not self._layout_of(form[0]):
                raise Undecodable(f"tensor form {form[0]!r}")
            piece = (what if kind in (1, 4) else self._tensor_in_form(what, form[0]) if kind == 2
                     else self.stream(self.blobs[what].stream))
            digest.update(piece)
            yield piece
        need(digest.digest() == file.hash, "R-723", 0, f"the hash of {file.name!r} differs")
