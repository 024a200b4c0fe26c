#!/usr/bin/python3
"""A reader of the Ingot file format, written from its specification (ingot-v1.md) alone.

It is meant to be read beside that text, and stands on ingot_index.py, which opens files. It
favours plainness over speed, and shares nothing with any other implementation, so that the two can
be compared. Needs Python 3.11, numpy, zstandard and xxhash.

    ingot_reader.py FILE                list the contents
    ingot_reader.py --validate FILE     print "valid", or the broken rule and exit with 1
    ingot_reader.py --dump DIR FILE     write every tensor as .f32 (or .raw) and manifest.json
    ingot_reader.py --restore DIR FILE  write the source files again
    ingot_reader.py --hash FILE         print NAME <tab> XXH3-128 of every tensor

A tensor that has exact bits is given as its logical bytes (5.3): one held raw, or a reference to
one with or without a lossless patch. Any other is given as f32 values, little-endian, row by row;
every NaN among them is 7FC00000 (6.6). Files that a reference names are looked for where their
names say, from the folder of the file that names them.
"""

import argparse
import json
import mmap
import os
import struct
import sys
from collections import deque
from functools import cache
from math import prod
from pathlib import Path
from urllib.parse import quote

import numpy as np
import xxhash
import zstandard

from ingot_index import (
    ADD, ATTACHMENT, BITMAP, BLOCKS, C64, CODEBOOK, COLUMN_INDEX, COLUMNS, DENSE, DTYPES, FILES,
    FILTERS, FLOAT, FP8, FLOATS, INT, METADATA, NONE, OPAQUE, RECEIPT, REF, ROWS, RUN, SLOTS, SOURCE,
    SPARSE, STREAMS, TERMS, TRITS, TWO_OF_FOUR, VECTOR, WHOLE, XOR, Index, RuleError, SourceFile,
    ceil_div, filtered_bytes, grid, group_sizes, need, plane_widths, row_bits, safe_path, xxh64,
    xxh128)
from ingot_blocks import bits_of, layouts, together

F32 = np.float32
SWAPPED, BLOCKS_FORM, PACKED_FORM = b"\1", 2, 3  # forms of tensors in source files, 8.2


class Undecodable(Exception):
    """What is asked for cannot be given, and the file is not at fault: a foreign encoding, an
    unknown form, a file that is not here, values of c64, two magnitudes at once."""


# ---------------------------------------------------------------------------------------------
# Planes (6.4), maps (6.2, 6.6) and steps (6.3)


def uint_type(bits):
    return np.dtype(next(t for t in ("<u1", "<u2", "<u4", "<u8") if int(t[2]) * 8 >= bits))


def unpack_plane(raw, stack, width, where):
    """The elements of a plane as an array of the shape of the stack."""
    if width >= 8:
        return np.frombuffer(raw, uint_type(width)).reshape(stack)
    n_rows, each = stack.matrices * stack.rows, row_bits(stack.cols, width)
    bits = np.unpackbits(np.frombuffer(raw, np.uint8), bitorder="little")
    rows = bits[:n_rows * each].reshape(n_rows, each)
    spare = rows[:, stack.cols * width:].any() or bits[n_rows * each:].any()
    need(not spare, "R-411", where, "a bit of a plane that holds no code is set")
    elements = rows[:, :stack.cols * width].reshape(*stack, width)
    out = np.zeros(stack, np.uint8)
    for bit in range(width):
        out |= elements[..., bit] << np.uint8(bit)
    return out


@cache
def float_table(dtype):
    """The values of all codes of a float format of at most 16 bits (6.6)."""
    sign_bits, exponent_bits, k, bias, special = FLOATS[dtype]
    code = np.arange(1 << (sign_bits + exponent_bits + k))
    fraction = (code & ((1 << k) - 1)).astype(np.float64)
    e = (code >> k) & ((1 << exponent_bits) - 1)
    if dtype == 10:  # e8m0 has no subnormals: 2^(code - 127), also for 0
        value = np.ldexp(1.0, code - 127)
    else:
        value = np.where(e == 0, np.ldexp(fraction, 1 - bias - k),
                         np.ldexp(2.0**k + fraction, e - bias - k))
    if special == "ieee":
        top = e == (1 << exponent_bits) - 1
        value = np.where(top, np.where(fraction == 0, np.inf, np.nan), value)
    else:
        value[list(special)] = np.nan
    negative = code >> (exponent_bits + k) if sign_bits else np.zeros_like(code)
    return np.where(negative == 1, -value, value).astype(F32)  # exact: no value needs 25 bits


def float_values(codes, dtype):
    """The values of codes of a float format, each rounded once to f32."""
    if dtype == 1:
        return codes.view("<f8").astype(F32)
    return codes.view("<f4") if dtype == 2 else float_table(dtype)[codes]


def integer_values(codes, bits, signed):
    """Integers of `bits` bits, two's complement or not, each rounded once to f32."""
    if not signed:
        return codes.astype(F32)
    spare = 64 - bits
    return ((codes.astype(np.uint64) << np.uint64(spare)).view(np.int64) >> spare).astype(F32)


def entries_at(slot, table, stack, at, index):
    """The table's entry for each position of `at`, three arrays (m, r, c) that broadcast."""
    m, r, c = at
    rows, cols = group_sizes(slot, stack)
    if slot.group == WHOLE:
        return table[0, 0, 0]
    if slot.group == RUN:
        return table[m, 0, (r * stack.cols + c) // cols]
    return table[m, r // rows, index[c] if slot.group == COLUMN_INDEX else c // cols]


def apply_step(name, v, operand, inverse):
    """One step of a slot: one f32 operation, rounded once."""
    if name == "zero" or (name == "bias" and inverse):
        return v - operand
    if name == "bias":
        return v + operand
    return v / operand if inverse else v * operand


def f32_from_bits(bits):
    return np.array(bits, "<u4").view("<f4")[()]


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


# ---------------------------------------------------------------------------------------------


class IngotFile(Index):
    """An open file. validate() proves the rules marked "data" in chapter 11.

    `find` gives the IngotFile that lies where a name of section 8 says, or None.
    """

    def __init__(self, data, find=lambda name: None):
        super().__init__(data)
        self._find = find

    # --- data: the bytes of streams (chapter 4) ---

    def _chunk(self, c):
        chunk, raw_bytes = self.chunks[c], self.raw_bytes[c]
        stored = self.data[chunk.offset:chunk.offset + chunk.stored_bytes]
        need(xxh64(stored) == chunk.checksum, "R-310", chunk.offset, "the chunk is damaged")
        length = filtered_bytes(chunk.filter, raw_bytes)
        filtered = self._frames(stored, length, chunk.offset) if chunk.codec else stored
        return unfilter(chunk.filter, filtered, raw_bytes, chunk.offset)

    def _frames(self, stored, n_bytes, where):
        """What zstd frames, one after another, decode to: n_bytes bytes (4.1)."""
        out = b""
        try:
            while stored and len(out) < n_bytes:
                about = zstandard.get_frame_parameters(stored)
                end = frame_bytes(stored, about.has_checksum)
                sound = (stored[:4] == b"\x28\xb5\x2f\xfd" and about.dict_id == 0
                         and about.window_size <= 1 << 27 and end <= len(stored)
                         and (about.content_size == zstandard.CONTENTSIZE_UNKNOWN
                              or about.content_size <= n_bytes - len(out)))
                need(sound, "R-311", where, "not a frame of that length")
                # The second argument bounds what a frame without a content size may give.
                part = zstandard.ZstdDecompressor().decompress(stored[:end], n_bytes - len(out))
                need(part, "R-311", where, "an empty frame")
                out, stored = out + part, stored[end:]
        except zstandard.ZstdError as error:
            raise RuleError("R-311", where, str(error)) from error
        need(not stored and len(out) == n_bytes, "R-311", where, "the frames have another length")
        return out

    def _where(self, i):
        stream = self.streams[i]
        return self.chunks[stream.first_chunk].offset if stream.n_bytes else self._at(STREAMS, i)

    def stream(self, i):
        """The raw bytes of a stream, checked."""
        raw = b"".join(self._chunk(c) for c in self.chunks_of(self.streams[i]))
        need(xxh128(raw) == self.streams[i].raw_hash, "R-322", self._where(i), "the hash differs")
        return raw

    # --- data: values of codings (chapter 6) ---
    # `take` is a deque of stream numbers in their order; each method takes those that it reads.

    def _codes(self, take, stack, bits):
        codes, shift = np.zeros(stack, uint_type(bits)), 0
        for width in plane_widths(bits):
            i = take.popleft()
            plane = unpack_plane(self.stream(i), stack, width, self._where(i)).astype(codes.dtype)
            codes |= plane << codes.dtype.type(shift)  # the widest holds the lowest bits
            shift += width
        return codes

    def _map(self, k, codes, where):
        """map(code) for every code (6.2); one more axis for vectors."""
        if k.map in (CODEBOOK, VECTOR):
            need(not codes.size or codes.max() < k.n_entries, "R-431", where, "a code has no entry")
            raw, bits = self.stream(k.codebook_stream), DTYPES[k.format][1]
            entries = np.frombuffer(raw, uint_type(bits))
            entries = (integer_values(entries, 8, True) if k.format == 16
                       else float_values(entries, k.format))
            return (entries.reshape(-1, k.vector_length) if k.map == VECTOR else entries)[codes]
        if k.map == FLOAT:
            return float_values(codes, k.format)
        return integer_values(codes, k.bits, k.map == INT)

    def _values(self, coding, stack, take, codes_stack=None, at=None):
        """The values of a coding over a stack.

        With `at`, its codes have the shape `codes_stack` and stand for those positions only.
        """
        k, index = self.codings[coding], None
        if k.map == OPAQUE:
            name = self._string(k.name_at, k.name_bytes, 0)
            raise Undecodable(f"foreign encoding {name.decode(errors='replace')}")
        if k.index_bits:
            i = take.popleft()
            index = np.frombuffer(self.stream(i), uint_type(k.index_bits))
            for slot in (getattr(k, s) for s in SLOTS):
                need(slot.group != COLUMN_INDEX or not index.size or index.max() < slot.group_cols,
                     "R-430", self._where(i), "an entry of the column index is too large")
        where = self._where(take[0])
        if k.map == VECTOR:
            shape = stack._replace(cols=ceil_div(stack.cols, k.vector_length))
            vectors = self._map(k, self._codes(take, shape, k.bits), where)
            v = vectors.reshape(*stack[:2], shape.cols * k.vector_length)[..., :stack.cols]
            if k.signs:
                v = np.where(self._signs(k, stack, take), -v, v)
        else:
            v = self._map(k, self._codes(take, codes_stack or stack, k.bits), where)
        if at is not None:
            v = v.reshape(-1)
        elif v.size:  # an empty stack may have one extent that is too large to number
            at = np.ix_(*(np.arange(n) for n in stack))
        for name in SLOTS:
            slot = getattr(k, name)
            if slot.form & 2:
                table = self._values(slot.table, grid(slot, stack), take)
                if v.size:
                    entries = entries_at(slot, table, stack, at, index)
                    v = apply_step(name, v, entries, slot.inverse & 2)
            if slot.form & 1:
                v = apply_step(name, v, f32_from_bits(slot.constant), slot.inverse & 1)
        assert v.dtype == F32
        return v

    def _signs(self, k, stack, take):
        """Whether each column is negated: sign code j covers columns 8j to 8j + 7 (6.2)."""
        codes = self._codes(take, stack._replace(cols=ceil_div(stack.cols, 8)), k.signs)
        bits = [codes >> np.uint8(i) & np.uint8(1) for i in range(8)]
        if k.signs == 7:
            bits[7] = np.bitwise_xor.reduce(bits[:7])
        return np.stack(bits, -1).reshape(*stack[:2], 8 * codes.shape[2])[..., :stack.cols] == 1

    # --- data: terms and their sum (chapter 7) ---

    def _offsets(self, t, stack, take):
        i = take.popleft()
        offsets = np.frombuffer(self.stream(i), "<u4" if t.n_kept < 1 << 32 else "<u8")
        need(offsets[0] == 0 and (offsets[1:] >= offsets[:-1]).all() and offsets[-1] == t.n_kept,
             "R-512", self._where(i), "bad row offsets")
        return np.diff(offsets.astype(np.int64)), self._where(i)

    def _ascending(self, i, limit, new_row=None):
        """A list of u32 below `limit`, strictly ascending but where `new_row` says."""
        numbers = np.frombuffer(self.stream(i), "<u4").astype(np.int64)
        rising = np.diff(numbers) > 0
        need((rising if new_row is None else rising | new_row).all() and (numbers < limit).all(),
             "R-512", self._where(i), "a list is not ascending or leaves the shape")
        return numbers

    def _mask(self, t, stack, take):
        """The positions that a sparse term holds, in order: rows of the stack, columns (7.3)."""
        n_rows, n_cols = stack.matrices * stack.rows, stack.cols
        if t.mask in (BITMAP, BLOCKS):
            shape = stack if t.mask == BITMAP else self._block_stack(t, stack)
            mask = self._codes(take, shape, 1)
            if t.mask == BLOCKS:
                mask = mask[:, np.arange(stack.rows) // t.block_rows]
                mask = mask[:, :, np.arange(n_cols) // t.block_cols]
            mask = mask.reshape(n_rows, n_cols)
            counts, where = self._offsets(t, stack, take)
            need((mask.sum(1, dtype=np.int64) == counts).all(), "R-511", where,
                 "row offsets do not agree with the mask")
            return np.nonzero(mask)
        if t.mask == TWO_OF_FOUR:
            i = take.popleft()
            pairs = self._codes(deque([i]), stack._replace(cols=n_cols // 4), 4).astype(np.int64)
            first, second = pairs & 3, pairs >> 2
            need((first < second).all(), "R-512", self._where(i), "columns of four not ascending")
            cols = np.stack([first, second], -1) + 4 * np.arange(n_cols // 4)[:, None]
            return np.repeat(np.arange(n_rows), n_cols // 2), cols.reshape(-1)
        if t.mask == COLUMNS:
            cols = self._ascending(take.popleft(), n_cols)
            return np.repeat(np.arange(n_rows), len(cols)), np.tile(cols, n_rows)
        if t.mask == ROWS:
            rows = self._ascending(take.popleft(), n_rows)
            return np.repeat(rows, n_cols), np.tile(np.arange(n_cols), len(rows))
        rows = np.repeat(np.arange(n_rows), self._offsets(t, stack, take)[0])
        return rows, self._ascending(take.popleft(), n_cols, np.diff(rows) > 0)

    def _sparse(self, t, stack):
        """The positions (m, r, c) that a sparse term holds, and its values there."""
        take = streams_of(t)
        rows, cols = self._mask(t, stack, take)
        at = rows // max(stack.rows, 1), rows % max(stack.rows, 1), cols
        return at, self._values(t.coding, stack, take, self._mask_lengths(t, stack, 0)[1], at)

    def _term_parts(self, t, stack):
        """The values of each coding of a dense or lowrank term."""
        take = streams_of(t)
        return [self._values(coding, over, take) for coding, over in self._parts(t, stack)]

    @staticmethod
    def _product(t, a, b):
        """multiplier * (B A), every product and every sum rounded to f32 (7.2)."""
        total = np.zeros((b.shape[0], b.shape[1], a.shape[2]), F32)
        for k in range(t.rank):
            total = total + b[:, :, k, None] * a[:, k, None, :]
        return f32_from_bits(t.multiplier) * total

    @staticmethod
    def _with_magnitude(v, magnitude):
        """DoRA: every row brought to its magnitude (7.2)."""
        total = np.zeros(v.shape[:2], F32)
        for c in range(v.shape[2]):
            total = total + v[:, :, c] * v[:, :, c]
        return magnitude * (v / np.sqrt(total)[..., None])

    def _target(self, t, i, depth):
        """The file and the number of the tensor that a ref term of tensor i names.

        `depth` counts the files of the chain up to this one.
        """
        record, at = self.files[t.file], self._at(FILES, t.file)
        name = self._string(record.name_at, record.name_bytes, 0)
        need(depth < 8, "R-530", at, "the chain of files is too long")
        other = self._find(name)
        if other is None or other.trailer.content_id != record.content_id:
            raise Undecodable(f"no file {name.decode(errors='replace')} of that content id")
        j = other.find(self._string(t.target_at, t.target_bytes, 0))
        need(j is not None and other.tensors[j].dtype == self.tensors[i].dtype
             and other.stacks[j] == self.stacks[i], "R-530", at,
             "the file has no such tensor of this type and shape")
        return other, j

    def _prove_target(self, t, i, depth=1):
        """R-530 for a ref term, and for the chain that it begins."""
        other, j = self._target(t, i, depth)
        for term in other.terms_of(other.tensors[j]):
            if term.kind == REF and not term.flags & 1:
                other._prove_target(term, j, depth + 1)

    def terms_of(self, tensor):
        return self.terms[tensor.first_term:tensor.first_term + tensor.n_terms]

    def _patched_bits(self, i, depth):
        """The bits of a tensor that is a reference and a lossless patch (7.2)."""
        ref, dense = self.terms_of(self.tensors[i])
        other, j = self._target(ref, i, depth)
        theirs = other.bits(j, depth + 1)
        need(theirs is not None, "R-502", self._at(TERMS, self.tensors[i].first_term),
             "xor needs a target that has exact bits")
        codes = self._codes(streams_of(dense), self.stacks[i], DTYPES[self.tensors[i].dtype][1])
        return codes.reshape(-1) ^ theirs

    def held_raw(self, i):
        t = self.tensors[i]
        term = self.terms[t.first_term]
        return (t.n_terms == 1 and term.kind == DENSE and t.rescale_coding == NONE
                and self.is_raw(term.coding, t.dtype))

    def bits(self, i, depth=1):
        """The bits of a tensor that has exact ones, flat, as unsigned integers; else None."""
        t, first = self.tensors[i], self.terms[self.tensors[i].first_term]
        if self.held_raw(i):
            return self._codes(streams_of(first), self.stacks[i], DTYPES[t.dtype][1]).reshape(-1)
        if self._is_patch(t):
            return self._patched_bits(i, depth)
        if first.kind == REF and t.n_terms == 1 and t.rescale_coding == NONE:
            other, j = self._target(first, i, depth)
            return other.bits(j, depth + 1)
        return None

    def values(self, i, optional=(), depth=1):
        """The values of a tensor as f32 in its shape (7.2).

        Optional terms apply when their name is in `optional`.
        """
        tensor, stack = self.tensors[i], self.stacks[i]
        if tensor.dtype == C64:
            raise Undecodable("c64 has no values in f32")
        v, dora = np.zeros(stack, F32), 0
        with np.errstate(all="ignore"):
            for t in self.terms_of(tensor):
                if t.flags & 1 and self._string(t.name_at, t.name_bytes, 0) not in optional:
                    continue
                if t.kind == SPARSE:
                    at, x = self._sparse(t, stack)
                    v[at] = v[at] + x if t.combine == ADD else x
                    continue
                if t.combine == XOR:
                    bits = self._patched_bits(i, depth)
                    x = (float_values(bits, tensor.dtype) if tensor.dtype <= 12 else integer_values(
                        bits, DTYPES[tensor.dtype][1], tensor.dtype <= 19)).reshape(stack)
                elif t.kind == REF:
                    other, j = self._target(t, i, depth)
                    x = other.values(j, (), depth + 1).reshape(stack)
                else:
                    parts = self._term_parts(t, stack)
                    x = parts[0] if t.kind == DENSE else self._product(t, *parts[:2])
                v = v + x if t.combine == ADD else x
                if t.magnitude != NONE:
                    if dora:
                        raise Undecodable("two magnitudes are active")
                    dora, v = 1, self._with_magnitude(v, parts[2])
            if tensor.rescale_coding != NONE:
                v = v * self._rescale(i)
        assert v.dtype == F32
        return v.reshape(tensor.dims[:tensor.rank])

    def _rescale(self, i):
        t, stack = self.tensors[i], self.stacks[i]._replace(cols=1)
        n = len(self.lengths(t.rescale_coding, stack))
        take = deque(range(t.rescale_stream, t.rescale_stream + n))
        return self._values(t.rescale_coding, stack, take)

    def find(self, name):
        """The number of the tensor of that name, by the order of names (5.1), or None."""
        low, high = 0, len(self.tensors)
        while low < high:
            middle = (low + high) // 2
            if self.names[self.tensors[middle].by_name] < name:
                low = middle + 1
            else:
                high = middle
        if low < len(self.tensors) and self.names[self.tensors[low].by_name] == name:
            return self.tensors[low].by_name
        return None

    def tensor_bytes(self, i):
        """("raw", bits) or ("f32", values) of a tensor as bytes, little-endian and row by row."""
        bits = self.bits(i)
        if bits is not None:
            return "raw", pack_bits(bits, DTYPES[self.tensors[i].dtype][1])
        v = self.values(i)
        return "f32", np.where(np.isnan(v), f32_from_bits(0x7FC00000), v).astype("<f4").tobytes()

    # --- blobs (chapter 8) ---

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

    # --- validation (chapter 11) ---

    def validate(self):
        """Prove every rule marked "data". Returns remarks on what could not be proved."""
        remarks = []
        for begin, end in self.gaps:
            need(not any(self.data[begin:end]), "R-313", begin, "bytes between chunks are not zero")
        for i in range(len(self.streams)):
            self.stream(i)
        for i, tensor in enumerate(self.tensors):
            if tensor.alias_of != NONE:
                continue
            with np.errstate(all="ignore"):
                for t in self.terms_of(tensor):
                    if t.kind == REF:
                        self._prove(remarks, self._prove_target, t, i)
                    else:
                        self._prove(remarks, self._sparse if t.kind == SPARSE else
                                    self._term_parts, t, self.stacks[i])
                if self._is_patch(tensor):
                    self._prove(remarks, self.bits, i)
                if tensor.rescale_coding != NONE:
                    self._prove(remarks, self._rescale, i)
        self.metadata()
        self.receipt()
        for file in self.source():
            self._prove(remarks, lambda f: [None for _ in self.restored(f)], file)
        need(self.content_id() == self.trailer.content_id, "R-740", len(self.data) - 48,
             "the content id differs")
        return remarks

    @staticmethod
    def _prove(remarks, work, *what):
        try:
            work(*what)
        except Undecodable as error:
            remarks.append(f"not proved: {error}")


def unfilter(number, data, n_bytes, where):
    """The n_bytes raw bytes of which a filter made data (4.4)."""
    if number == 0:
        return data
    if number == TRITS:
        return from_trits(data, n_bytes, where)
    if number == FP8:
        return from_fp8(data, n_bytes, where)
    w, rotated = FILTERS[number]
    n = n_bytes // w
    planes = np.frombuffer(data, np.uint8, n * w).reshape(w, n)
    elements = np.ascontiguousarray(planes[::-1].T).view(f"<u{w}")[:, 0]
    if rotated:
        one, top = elements.dtype.type(1), elements.dtype.type(8 * w - 1)
        elements = elements >> one | elements << top
    return elements.tobytes() + data[n * w:]


def from_trits(data, n_bytes, where):
    numbers = np.frombuffer(data, np.uint8)
    need((numbers < 243).all(), "R-314", where, "a byte is no five digits")
    # A tail of r bytes is all that is kept of four.
    numbers = np.concatenate([numbers, np.zeros(-len(numbers) % 4, np.uint8)]).astype(np.uint32)
    codes = numbers[:, None] // 3 ** np.arange(5) % 3
    bits = np.stack([codes & 1, codes >> 1], -1).astype(np.uint8)
    raw = np.packbits(bits.reshape(-1), bitorder="little").tobytes()
    need(not any(raw[n_bytes:]), "R-314", where, "a digit after the end is set")
    return raw[:n_bytes]


def from_fp8(data, n_bytes, where):
    codes = np.frombuffer(data, np.uint8, n_bytes)
    bits = np.unpackbits(np.frombuffer(data, np.uint8, offset=n_bytes), bitorder="little")
    need((codes < 64).all() and not bits[2 * n_bytes:].any(), "R-314", where,
         "a code has more than six bits, or there is a pair after the last")
    low, high = bits[:2 * n_bytes].reshape(n_bytes, 2).T
    return (codes << np.uint8(1) | low | high << np.uint8(7)).tobytes()


def frame_bytes(data, has_checksum):
    """The length of the zstd frame that data begins with, from its block headers (RFC 8878)."""
    at, last = zstandard.frame_header_size(data), False
    while not last and at + 3 <= len(data):
        header = int.from_bytes(data[at:at + 3], "little")
        last = header & 1
        at += 3 + (1 if header >> 1 & 3 == 1 else header >> 3)
    return at + (4 if has_checksum else 0)


def pack_bits(bits, width):
    """Elements as bytes; those narrower than a byte lie close, the first in the lowest bits."""
    if width >= 8:
        return bits.astype(uint_type(width)).tobytes()
    spread = bits[:, None] >> np.arange(width, dtype=bits.dtype) & bits.dtype.type(1)
    return np.packbits(spread.astype(np.uint8).reshape(-1), bitorder="little").tobytes()


def streams_of(term):
    return deque(range(term.first_stream, term.first_stream + term.n_streams))


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
# Command line


def open_file(path):
    with open(path, "rb") as handle:
        empty = os.fstat(handle.fileno()).st_size == 0
        data = b"" if empty else mmap.mmap(handle.fileno(), 0, prot=mmap.PROT_READ)

    def find(name):
        try:
            return open_file(path.parent / os.fsdecode(name))
        except (OSError, RuleError):
            return None
    return IngotFile(data, find)


def list_contents(file):
    for i, t in enumerate(file.tensors):
        kinds = [("dense", "sparse", "lowrank", "ref")[term.kind - 1] for term in file.terms_of(t)]
        held = "raw" if file.held_raw(i) else "+".join(kinds)
        alias = "" if t.alias_of == NONE else f" = tensor {t.alias_of}"
        print(file.names[i].decode(errors="replace"), DTYPES[t.dtype][0],
              list(t.dims[:t.rank]), held + alias)
    for blob, name in zip(file.blobs, file.blob_names):
        kind = {1: "metadata", 2: "source", 3: "receipt", 4: "attachment"}.get(blob.kind, "unknown")
        print(f"[{kind}] {name.decode(errors='replace')} {file.streams[blob.stream].n_bytes} bytes")
    print("content id", file.trailer.content_id[:16].hex())


def dump(file, folder):
    folder.mkdir(parents=True, exist_ok=True)
    manifest = []
    for i, t in enumerate(file.tensors):
        entry = {"name": quote(file.names[i], safe=""), "dtype": DTYPES[t.dtype][0],
                 "shape": t.dims[:t.rank]}
        try:
            entry["held"], data = file.tensor_bytes(i)
            entry["file"] = f"{entry['name']}.{entry['held']}"
            entry["xxh3_128"] = xxh128(data).hex()
            (folder / entry["file"]).write_bytes(data)
        except Undecodable as error:
            entry["undecodable"] = str(error)
        manifest.append(entry)
    (folder / "manifest.json").write_text(json.dumps({"tensors": manifest}, indent=1) + "\n")


def restore(file, folder):
    if file.blob(SOURCE) is None:
        raise Undecodable("the file has no source blob")
    for source in file.source():
        path = folder / os.fsdecode(source.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "wb") as out:
            for piece in file.restored(source):
                out.write(piece)


def hashes(file):
    for i, name in enumerate(file.names):
        try:
            word = xxh128(file.tensor_bytes(i)[1]).hex()
        except Undecodable:
            word = "-"
        yield name + b"\t" + word.encode() + b"\n"


def main(arguments=None):
    parser = argparse.ArgumentParser(description="Read an Ingot file.")
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--validate", action="store_true", help="check every rule")
    action.add_argument("--hash", action="store_true", help="print a hash of every tensor")
    action.add_argument("--dump", metavar="DIR", type=Path, help="write every tensor")
    action.add_argument("--restore", metavar="DIR", type=Path, help="write the source files")
    parser.add_argument("file", metavar="FILE", type=Path)
    options = parser.parse_args(arguments)
    try:
        file = open_file(options.file)
        if options.validate:
            for remark in file.validate():
                print(remark, file=sys.stderr)
            print("valid")
        elif options.hash:
            sys.stdout.buffer.writelines(hashes(file))
        elif options.dump or options.restore:
            (dump if options.dump else restore)(file, options.dump or options.restore)
        else:
            list_contents(file)
    except RuleError as error:
        print(error, file=sys.stdout if options.validate else sys.stderr)
        return 1
    except (Undecodable, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
