"""The values of the tensors of an Ingot file: planes, maps, steps and terms (chapters 4 to 7).

Written from the specification (ingot-v1.md) alone, as ingot_reader.py says.
"""

from collections import deque
from functools import cache

import numpy as np
import zstandard

from ingot_chunks import frame_bytes, unfilter
from ingot_content import Content
from ingot_records import (
    ADD, BITMAP, BLOCKS, C64, CODEBOOK, COLUMNS, COLUMN_INDEX, DENSE, DTYPES, FILES, FLOAT, FLOATS,
    INT, NONE, OPAQUE, REF, ROWS, RUN, SLOTS, SPARSE, STREAMS, TERMS, TWO_OF_FOUR, VECTOR, WHOLE,
    XOR, RuleError, ceil_div, filtered_bytes, grid, group_sizes, need, plane_widths, record,
    row_bits, xxh128, xxh64)

F32 = np.float32


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


def pack_bits(bits, width):
    """Elements as bytes; those narrower than a byte lie close, the first in the lowest bits."""
    if width >= 8:
        return bits.astype(uint_type(width)).tobytes()
    spread = bits[:, None] >> np.arange(width, dtype=bits.dtype) & bits.dtype.type(1)
    return np.packbits(spread.astype(np.uint8).reshape(-1), bitorder="little").tobytes()


def streams_of(term):
    return deque(range(term.first_stream, term.first_stream + term.n_streams))


# ---------------------------------------------------------------------------------------------


class Values(Content):
    """A file whose streams are decoded.

    `find` gives the file that lies where a name of section 8 says, or None.
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
