"""The index of an Ingot file: its records, and every rule that is proved when a file is opened.

Written from the specification (ingot-v1.md) alone, and meant to be read beside it: chapters and
rules are cited where they are applied. ingot_reader.py builds on this to read what the records
describe.
"""

import struct
from math import prod

from ingot_records import (
    ATTACHMENT, BITMAP, BLOBS, BLOCK, BLOCKS, C64, CHUNKS, CODEBOOK, CODINGS, COLUMNS, COLUMN_INDEX,
    DENSE, DTYPES, FILES, FIRST, FLOAT, FP8, INT, LIST, LOWRANK, METADATA, NONE, OPAQUE, RECEIPT,
    REF, ROWS, RUN, SECTION_RECORDS, SLOTS, SOURCE, SPARSE, STREAMS, STRINGS, TENSORS, TERMS,
    TWO_OF_FOUR, UINT, VECTOR, WHOLE, XOR, Header, Section, Slot, Stack, Trailer, ceil_div,
    filtered_bytes, finite, grid, need, plain, plane_bytes, plane_widths, safe_path, xxh64)


class Index:
    """The records of a file. Making one proves every rule marked "open" in chapter 11."""

    def __init__(self, data):
        self.data = memoryview(data)
        self._open_header()
        self._open_trailer()
        self._open_sections()
        self.strings = bytes(self._section_bytes(STRINGS))
        for kind, field in ((CHUNKS, "chunks"), (STREAMS, "streams"), (CODINGS, "codings"),
                            (TERMS, "terms"), (TENSORS, "tensors"), (BLOBS, "blobs"),
                            (FILES, "files")):
            of = SECTION_RECORDS[kind]
            setattr(self, field, [of(*fields) for fields in
                                  of.struct.iter_unpack(self._section_bytes(kind))])
        self.codings = [coding._replace(**{s: Slot.unpack(getattr(coding, s)) for s in SLOTS})
                        for coding in self.codings]
        self.tensors = [tensor._replace(dims=struct.unpack("<8Q", tensor.dims))
                        for tensor in self.tensors]
        self._check_chunks()
        self._check_streams()
        self.users = [None] * len(self.streams)  # what a stream is used as, for R-323
        self.depths = []                         # how deep the tables of a coding nest
        for i, coding in enumerate(self.codings):
            self._check_coding(i, coding)
        self._check_files()
        self._check_tensors()
        for i, tensor in enumerate(self.tensors):
            if tensor.alias_of == NONE:
                self._check_terms(i, tensor)
            self._check_rescale(i, tensor)
        self._check_blobs()
        for i, user in enumerate(self.users):
            need(user, "R-323", self._at(STREAMS, i), "the stream is not used")

    # --- header, trailer and sections (chapters 2 and 3) ---

    def _open_header(self):
        need(self.data[:8] == b"\x89IGT\r\n\x1a\n" or len(self.data) < 8, "R-101", 0,
             "this is not an Ingot file")
        need(len(self.data) >= 160, "R-121", 0, "the file is too short")
        self.header = header = Header.unpack(self.data[:64])
        need(header.major == 1, "R-102", 8, f"version {header.major}.{header.minor}, not 1")
        need(not header.flags & 0xFFFF, "R-103", 12, "an unknown flag is set")
        need(header.checksum == xxh64(self.data[:56]), "R-104", 56, "the header is damaged")
        need(header.alignment in [1 << n for n in range(6, 17)], "R-105", 16, "bad alignment")
        need(not any(header.reserved), "R-106", 20, "a reserved byte of the header is set")

    def _open_trailer(self):
        at, size = len(self.data) - 96, len(self.data)
        self.trailer = trailer = Trailer.unpack(self.data[at:])
        need(trailer.magic == b"INGOTEND", "R-121", at + 88, "the file does not end in a trailer")
        need(trailer.file_bytes == size, "R-122", at + 16, f"the file is {size} bytes long")
        need(trailer.header_checksum == self.header.checksum, "R-123", at + 32,
             "header and trailer are not of one file")
        need(trailer.checksum == xxh64(self.data[at:at + 80]), "R-124", at, "damaged trailer")
        start = trailer.index_offset
        need(start % 8 == 0 and start >= 64 and start + trailer.index_bytes == at, "R-125", at,
             "the index does not lie before the trailer")
        need(trailer.algorithm == 1 and not any(trailer.reserved + trailer.content_id[16:]),
             "R-126", at + 40, "the content id has an unknown form")
        self.index = self.data[start:at]
        need(trailer.index_checksum == xxh64(self.index), "R-201", start, "the index is damaged")

    def _open_sections(self):
        start, size = self.trailer.index_offset, len(self.index)
        need(size >= 8, "R-202", start, "the index has no directory")
        n_sections, reserved = struct.unpack("<II", self.index[:8])
        end = 8 + 40 * n_sections
        need(end <= size and reserved == 0, "R-202", start, "bad directory")
        self.sections = [Section(*s) for s in Section.struct.iter_unpack(self.index[8:end])]
        need(n_sections >= 8, "R-203", start, "a section is missing")
        for i, section in enumerate(self.sections):
            at = start + 8 + 40 * i
            if i < 8:
                of = SECTION_RECORDS[i + 1]
                need(section.kind == i + 1 and section.flags & 1
                     and section.record_bytes == (of.struct.size if of else 1), "R-203", at,
                     f"entry {i} of the directory is not that of section {i + 1}")
            else:
                need(section.kind not in SECTION_RECORDS, "R-203", at, "a section stands twice")
                need(section.kind >= 256 and not section.flags & 1, "R-205", at,
                     f"section {section.kind} is not known")
            need(section.flags < 4 and section.reserved == 0, "R-206", at, "bad section flags")
            begin = ceil_div(end, 8) * 8
            need(section.offset == begin and section.n_bytes <= size - begin
                 and section.n_bytes == section.n_records * section.record_bytes
                 and section.n_records < NONE, "R-204", at, "bad section bounds")
            need(not any(self.index[end:begin]), "R-204", start + end, "padding is not zero")
            end = begin + section.n_bytes
        need(end == size, "R-204", start + end, "the last section does not end the index")

    def _section_bytes(self, kind):
        section = self.sections[kind - 1]
        return self.index[section.offset:section.offset + section.n_bytes]

    def _at(self, kind, i, field=0):
        """The offset in the file of a field of record i of a section, for error messages."""
        section = self.sections[kind - 1]
        return self.trailer.index_offset + section.offset + i * section.record_bytes + field

    def _string(self, at, n_bytes, where):
        need(at + n_bytes <= len(self.strings) and (n_bytes or at == 0), "R-210", where,
             "a string leaves its section, or an empty one has an offset")
        need(n_bytes <= 65536, "R-211", where, "a string is too long")
        return self.strings[at:at + n_bytes]

    # --- chunks and streams (chapter 4) ---

    def _check_chunks(self):
        """What a chunk record shows by itself. The end of the header counts as a chunk's end."""
        alignment, end, seen = self.header.alignment, 64, set()
        self.gaps = []
        for i, chunk in enumerate(self.chunks):
            at = self._at(CHUNKS, i)
            need(chunk.codec <= 1 and chunk.filter <= FP8, "R-303", at, "unknown codec or filter")
            need(chunk.flags <= 1, "R-306", at, "an undefined flag of a chunk is set")
            if chunk.flags & 1:
                need(chunk._replace(flags=0) in seen, "R-305", at, "this repeats no earlier chunk")
                continue
            begin, gap = chunk.offset, chunk.offset - end
            need(gap >= 0 and begin + chunk.stored_bytes <= self.trailer.index_offset, "R-301", at,
                 "a chunk is out of order or bounds")
            need(gap < alignment and (not plain(chunk) or begin % alignment == 0), "R-302", at,
                 "a chunk is out of place")
            self.gaps.append((end, begin))
            end = begin + chunk.stored_bytes
            seen.add(chunk)
        need(self.trailer.index_offset - end < alignment, "R-302", end, "a gap before the index")
        self.gaps.append((end, self.trailer.index_offset))

    def _check_streams(self):
        self.raw_bytes = [None] * len(self.chunks)  # the raw length of each chunk
        for i, stream in enumerate(self.streams):
            at = self._at(STREAMS, i)
            need(stream.reserved == 0, "R-324", at, "a reserved field of a stream is set")
            if stream.n_bytes == 0:
                need(not any(stream[:6]), "R-324", at, "a field of an empty stream is set")
                continue
            need(1 <= stream.chunk_bytes <= 1 << 26 and stream.chunk_step >= 1, "R-320", at,
                 "bad chunk_bytes or chunk_step")
            n = ceil_div(stream.n_bytes, stream.chunk_bytes)
            need(stream.first_chunk + (n - 1) * stream.chunk_step < len(self.chunks), "R-320", at,
                 "a chunk of the stream is missing")
            single = (stream.n_bytes, 1, 0)
            need(n > 1 or (stream.chunk_bytes, stream.chunk_step, stream.stride) == single, "R-320",
                 at, "a stream of one chunk has one spelling")
            for k, c in enumerate(self.chunks_of(stream)):
                chunk = self.chunks[c]
                need(self.raw_bytes[c] is None, "R-312", self._at(CHUNKS, c),
                     "two streams share a chunk")
                raw = min(stream.chunk_bytes, stream.n_bytes - k * stream.chunk_bytes)
                fits = (chunk.stored_bytes == raw if plain(chunk) else
                        0 < chunk.stored_bytes < raw and
                        (chunk.codec or chunk.stored_bytes == filtered_bytes(chunk.filter, raw)))
                need(fits, "R-304", self._at(CHUNKS, c), f"bad length for {raw} raw bytes")
                apart = self.chunks[stream.first_chunk].offset + k * stream.stride
                need(not stream.stride or (plain(chunk) and chunk.offset == apart), "R-321",
                     at, "the stride is not kept")
                self.raw_bytes[c] = raw
        for c, raw in enumerate(self.raw_bytes):
            need(raw is not None, "R-312", self._at(CHUNKS, c), "the chunk belongs to no stream")

    def chunks_of(self, stream):
        """The numbers of a stream's chunk records."""
        n = ceil_div(stream.n_bytes, stream.chunk_bytes) if stream.n_bytes else 0
        step = max(stream.chunk_step, 1)
        return range(stream.first_chunk, stream.first_chunk + n * step, step)

    def _use(self, stream, user):
        """R-323: a term or a blob has its streams alone, codebooks and rescales share among them."""
        shared = user in ("codebook", "rescale") and self.users[stream] == user
        need(self.users[stream] is None or shared, "R-323", self._at(STREAMS, stream),
             f"a stream is used as {user} and as {self.users[stream]}")
        self.users[stream] = user

    # --- codings (chapter 6) ---

    def _check_coding(self, i, k):
        at = self._at(CODINGS, i)
        book = k.map in (CODEBOOK, VECTOR)
        need(k.map in (UINT, INT, FLOAT, CODEBOOK, VECTOR, OPAQUE), "R-401", at, "unknown map")
        formats = range(1, 13) if k.map == FLOAT else (2, 3, 4, 16) if book else (0,)
        need(k.format in formats, "R-402", at + 2, "the format does not fit the map")
        widths = {FLOAT: (DTYPES[k.format][1] if k.format else 0,), OPAQUE: (8,),
                  CODEBOOK: range(1, 17), VECTOR: range(1, 17)}.get(k.map, range(1, 65))
        need(k.bits in widths, "R-401", at + 1, "bits does not fit the map")
        vector = k.vector_length in (4, 8) and k.signs in (0, 7, 8)
        need(vector if k.map == VECTOR else k.vector_length == k.signs == 0, "R-404", at + 3,
             "vector_length or signs does not fit the map")
        if book:
            n_bytes = k.n_entries * max(k.vector_length, 1) * DTYPES[k.format][1] // 8
            need(1 <= k.n_entries <= 1 << k.bits and k.codebook_stream < len(self.streams)
                 and self.streams[k.codebook_stream].n_bytes == n_bytes, "R-403", at + 8,
                 "bad codebook")
            self._use(k.codebook_stream, "codebook")
        else:
            need(k.n_entries == 0 and k.codebook_stream == NONE, "R-403", at + 8,
                 "no codebook here")
        need(k.index_bits in (0, 16, 32), "R-405", at + 5, "bad index_bits")
        name = self._string(k.name_at, k.name_bytes, at + 16)
        slots = [getattr(k, s) for s in SLOTS]
        need(len(name) <= 31, "R-406", at + 16, "the name of a coding is too long")
        if k.map == OPAQUE:
            need(name and not any(s.form for s in slots), "R-406", at, "bad opaque coding")
            need((k.block_weights > 0) == (k.block_bytes > 0), "R-406", at + 24, "half a block")
        else:
            need(k.block_weights == k.block_bytes == 0, "R-406", at + 24, "no blocks here")
        need(k.reserved == 0, "R-407", at + 6, "a reserved field is set")
        depth = 0
        for n, slot in enumerate(slots):
            depth = max(depth, self._check_slot(i, SLOTS[n], slot, at + 32 + 32 * n))
        need((k.index_bits > 0) == any(s.group == COLUMN_INDEX for s in slots), "R-424", at + 5,
             "a column index without use, or missing")
        self.depths.append(depth)

    def _check_slot(self, i, name, slot, at):
        """Check a slot of coding i; return how deep its tables nest."""
        allowed = 0 if name == "zero" else slot.form
        need(slot.form <= 3 and not slot.inverse & ~allowed, "R-420", at, "bad form or inverse")
        need(slot.reserved == slot.reserved2 == 0, "R-420", at, "a reserved field is set")
        need(finite(slot.constant) if slot.form & 1 else slot.constant == 0, "R-423", at + 4,
             "bad constant")
        if not slot.form & 2:
            need(slot.group == slot.group_rows == slot.group_cols == 0, "R-421", at + 2,
                 "no group here")
            need(slot.table == NONE, "R-422", at + 8, "no table here")
            return 0
        fits = {BLOCK: True, WHOLE: slot.group_rows == slot.group_cols == 0,
                RUN: slot.group_rows == 0 < slot.group_cols, COLUMN_INDEX: slot.group_cols > 0}
        need(fits.get(slot.group), "R-421", at, "bad group")
        need(slot.table < i, "R-422", at + 8, "the table's coding is not an earlier one")
        need(self._fits_table(slot.table), "R-422", at + 8, "the coding is none for tables")
        return 1 + self.depths[slot.table]

    def _fits_table(self, coding):
        """Whether a table may use a coding (6.3), which magnitudes and rescales need as well."""
        k = self.codings[coding]
        return (k.map in (UINT, INT, FLOAT, CODEBOOK) and k.n_entries <= 256
                and k.post.form == 0 and k.index_bits == 0 and self.depths[coding] <= 1)

    def planes(self, coding, stack, codes=None):
        """The shape and width of each stream of a coding that is not opaque (6.5).

        `codes` is the shape of the codes where it is not that of the stack (sparse terms).
        """
        k, codes = self.codings[coding], codes or stack
        out = [(Stack(1, 1, stack.cols), k.index_bits)] if k.index_bits else []
        if k.map == VECTOR:
            codes = stack._replace(cols=ceil_div(stack.cols, k.vector_length))
        out += [(codes, width) for width in plane_widths(k.bits)]
        signs = stack._replace(cols=ceil_div(stack.cols, 8))
        out += [(signs, width) for width in plane_widths(k.signs)]
        for slot in (getattr(k, s) for s in SLOTS):
            if slot.form & 2:
                out += self.planes(slot.table, grid(slot, stack))
        return out

    def lengths(self, coding, stack, codes=None):
        """The lengths of the streams of a coding (6.5), None for any."""
        k = self.codings[coding]
        if k.map == OPAQUE:
            given = k.block_weights and k.block_bytes
            return [stack.matrices * stack.rows * k.block_bytes
                    * ceil_div(stack.cols, k.block_weights) if given else None]
        return [plane_bytes(*plane) for plane in self.planes(coding, stack, codes)]

    def is_raw(self, coding, dtype):
        """Whether a coding is the raw map of a type, without slots (5.3)."""
        k, bits = self.codings[coding], DTYPES[dtype][1]
        kind = FLOAT if dtype <= 12 else INT if dtype <= 19 else UINT
        return (k.map == kind and k.bits == bits and k.format == (dtype if kind == FLOAT else 0)
                and not any(getattr(k, s).form for s in SLOTS))

    # --- tensors and terms (chapters 5 and 7) ---

    def _check_tensors(self):
        next_term, self.names, self.stacks = 0, [], []
        for i, t in enumerate(self.tensors):
            at = self._at(TENSORS, i)
            self.names.append(self._string(t.name_at, t.name_bytes, at))
            need(t.dtype in DTYPES, "R-601", at + 8, "unknown dtype")
            need(t.stack <= t.split <= t.rank <= 8 and not any(t.dims[t.rank:])
                 and t.reserved == t.reserved2 == 0, "R-602", at + 9, "bad shape or reserved field")
            elements = prod(max(d, 1) for d in t.dims)
            need(elements < 1 << 57, "R-603", at + 40, "the tensor is too large")
            parts = (t.dims[:t.stack], t.dims[t.stack:t.split], t.dims[t.split:t.rank])
            self.stacks.append(Stack(*(prod(part) for part in parts)))
            need(1 <= t.n_terms <= 64, "R-604", at + 20, "bad number of terms")
            if t.alias_of == NONE:
                need(t.first_term == next_term, "R-604", at + 16, "terms do not follow each other")
                next_term += t.n_terms
            else:
                need(t.alias_of < i and self.tensors[t.alias_of].alias_of == NONE, "R-605", at + 24,
                     "an alias names no earlier tensor")
                same = {f: getattr(t, f) for f in ("name_at", "name_bytes", "alias_of", "by_name")}
                need(self.tensors[t.alias_of]._replace(**same) == t, "R-605", at + 24,
                     "an alias differs from its tensor")
        need(next_term == len(self.terms), "R-604", self._at(TERMS, 0), "terms without a tensor")
        for i, t in enumerate(self.tensors):
            need(t.by_name < len(self.tensors) and (i == 0 or self.names[t.by_name]
                 > self.names[self.tensors[i - 1].by_name]), "R-606", self._at(TENSORS, i, 28),
                 "names are not in ascending order")

    def _check_terms(self, tensor, of):
        magnitudes = 0  # of terms that are not optional
        for n in range(of.n_terms):
            i = of.first_term + n
            self._check_term(tensor, n, i)
            magnitudes += self.terms[i].magnitude != NONE and not self.terms[i].flags
            need(magnitudes <= 1, "R-521", self._at(TERMS, i, 56), "two magnitudes always apply")
        first = self.terms[of.first_term]
        alone = of.n_terms == 1 and of.rescale_coding == NONE and (
            first.kind == REF or first.kind == DENSE and self.is_raw(first.coding, of.dtype))
        need(of.dtype != C64 or alone or self._is_patch(of), "R-601", self._at(TENSORS, tensor, 8),
             "c64 is not held raw")

    def _check_term(self, tensor, n, i):
        """Check term i, which is term n of that tensor."""
        t, at, stack = self.terms[i], self._at(TERMS, i), self.stacks[tensor]
        need(t.kind in (DENSE, SPARSE, LOWRANK, REF), "R-501", at, "unknown kind of term")
        need(t.combine <= XOR and (t.combine == FIRST) == (n == 0), "R-502", at + 1, "bad combine")
        need(n or not t.flags & 1, "R-502", at + 2, "the first term is optional")
        name = self._string(t.name_at, t.name_bytes, at + 20)
        need(t.flags <= 1 and (name or not t.flags), "R-503", at + 2, "bad flags, or no name")
        need(not any(t.reserved) and t.reserved2 == 0, "R-505", at, "a reserved field is set")
        exists = (t.coding < len(self.codings)) if t.kind != REF else t.coding == NONE
        exists_b = (t.coding_b < len(self.codings)) if t.kind == LOWRANK else t.coding_b == NONE
        need(exists and exists_b, "R-505", at + 4, "a coding is missing or not used")
        self._check_opaque(t, self.tensors[tensor], at + 4)
        need(t.combine != XOR or self._is_patch(self.tensors[tensor]), "R-502", at + 1,
             "xor is for a dense raw term on a reference alone")
        if t.kind == LOWRANK:
            need(1 <= t.rank <= 65536 and finite(t.multiplier), "R-520", at + 28, "bad low rank")
            need(t.magnitude == NONE or (t.magnitude < len(self.codings)
                 and self._fits_table(t.magnitude)), "R-521", at + 56,
                 "the coding of magnitudes does not exist or is none for tables")
        else:
            need(t.multiplier == 0, "R-505", at + 28, "no multiplier here")
            need(t.rank == 0, "R-520", at + 32, "no rank here")
            need(t.magnitude == NONE, "R-521", at + 56, "no magnitude here")
        target = self._string(t.target_at, t.target_bytes, at + 64)
        named = t.file < len(self.files) if t.kind == REF else t.file == NONE and not target
        need(named, "R-530", at + 60, "bad reference")
        if t.kind == SPARSE:
            lengths, codes = self._mask_lengths(t, stack, at + 36)
            need(self.codings[t.coding].map not in (VECTOR, OPAQUE), "R-510", at + 4,
                 "a sparse term needs a scalar coding")
            lengths += self.lengths(t.coding, stack, codes)
        else:
            need(t.mask == t.block_rows == t.block_cols == t.n_kept == 0, "R-510", at + 36,
                 "no mask here")
            lengths = [n for part in self._parts(t, stack) for n in self.lengths(*part)]
        self._check_term_streams(t, lengths, at + 12)

    def _check_opaque(self, t, tensor, at):
        """6.2: an opaque coding is that of a dense term with nothing beside it."""
        opaque = [k for k in (t.coding, t.coding_b) if k != NONE and self.codings[k].map == OPAQUE]
        alone = tensor.n_terms == 1 and tensor.rescale_coding == tensor.rescale_stream == NONE
        need(not opaque or (t.kind == DENSE and alone), "R-505", at, "opaque bytes are not alone")

    def _is_patch(self, tensor):
        """Whether a tensor is a reference xor a dense raw term that always applies (7.2)."""
        if tensor.n_terms != 2 or (tensor.rescale_coding, tensor.rescale_stream) != (NONE, NONE):
            return False
        ref, dense = self.terms[tensor.first_term:tensor.first_term + 2]
        return (ref.kind == REF and dense.kind == DENSE and dense.combine == XOR
                and not dense.flags and self.is_raw(dense.coding, tensor.dtype))

    def _parts(self, t, stack):
        """The codings of a dense or lowrank term with the stacks they are over (7.2)."""
        if t.kind == DENSE:
            return [(t.coding, stack)]
        if t.kind == REF:
            return []
        parts = [(t.coding, stack._replace(rows=t.rank)), (t.coding_b, stack._replace(cols=t.rank))]
        return parts + ([(t.magnitude, stack._replace(cols=1))] if t.magnitude != NONE else [])

    def _check_term_streams(self, t, lengths, at):
        need(t.n_streams == len(lengths) <= 128 and (lengths or t.first_stream == 0)
             and t.first_stream + t.n_streams <= len(self.streams), "R-504", at,
             f"the term needs {len(lengths)} streams that exist")
        for k, n_bytes in enumerate(lengths, t.first_stream):
            need(n_bytes in (None, self.streams[k].n_bytes), "R-410", self._at(STREAMS, k),
                 f"the stream should be {n_bytes} bytes long")
            self._use(k, "term")

    def _check_rescale(self, i, tensor):
        at = self._at(TENSORS, i, 32)
        if NONE in (tensor.rescale_coding, tensor.rescale_stream):
            need(tensor.rescale_coding == tensor.rescale_stream, "R-608", at, "half a rescale")
            return
        need(tensor.rescale_coding < len(self.codings) and self._fits_table(tensor.rescale_coding),
             "R-608", at, "the coding does not exist or is none for tables")
        lengths = self.lengths(tensor.rescale_coding, self.stacks[i]._replace(cols=1))
        streams = range(tensor.rescale_stream, tensor.rescale_stream + len(lengths))
        need(streams.stop <= len(self.streams), "R-608", at + 4, "a stream does not exist")
        for k, n_bytes in zip(streams, lengths):
            need(n_bytes in (None, self.streams[k].n_bytes), "R-608", self._at(STREAMS, k),
                 "the rescale does not fit the rows")
            self._use(k, "rescale")

    def _mask_lengths(self, t, stack, at):
        """The lengths of a mask's streams, and the shape of the codes (7.3). Proves R-510."""
        n_rows, row = stack.matrices * stack.rows, Stack(1, 1, t.n_kept)
        offsets = (n_rows + 1) * (4 if t.n_kept < 1 << 32 else 8)
        need(BITMAP <= t.mask <= LIST, "R-510", at, "unknown mask")
        blocks = t.block_rows > 0 and t.block_cols > 0
        need(blocks if t.mask == BLOCKS else t.block_rows == t.block_cols == 0, "R-510", at,
             "bad block")
        need(t.n_kept <= n_rows * stack.cols, "R-510", at, "more values than positions")
        if t.mask == BITMAP:
            return [plane_bytes(stack, 1), offsets], row
        if t.mask == TWO_OF_FOUR:
            need(stack.cols % 4 == 0 and t.n_kept * 2 == n_rows * stack.cols, "R-510", at,
                 "bad number of values or columns")
            return ([plane_bytes(stack._replace(cols=stack.cols // 4), 4)],
                    stack._replace(cols=stack.cols // 2))
        if t.mask == COLUMNS:
            n, rest = divmod(t.n_kept, max(n_rows, 1))
            need(rest == 0, "R-510", at, "columns of unequal length")
            return [4 * n], stack._replace(cols=n)
        if t.mask == ROWS:
            n, rest = divmod(t.n_kept, max(stack.cols, 1))
            need(rest == 0, "R-510", at, "rows of unequal length")
            return [4 * n], Stack(1, n, stack.cols)
        if t.mask == BLOCKS:
            return [plane_bytes(self._block_stack(t, stack), 1), offsets], row
        return [offsets, 4 * t.n_kept], row

    @staticmethod
    def _block_stack(t, stack):
        return Stack(stack.matrices, ceil_div(stack.rows, t.block_rows),
                     ceil_div(stack.cols, t.block_cols))

    # --- blobs and files (chapter 8) ---

    def _check_blobs(self):
        seen, self.blob_names = set(), []
        for i, blob in enumerate(self.blobs):
            at = self._at(BLOBS, i)
            need(blob.flags <= 3 and (1 <= blob.kind <= 4 or not blob.flags & 1), "R-701", at,
                 "unknown kind of blob, or unknown flag")
            name = self._string(blob.name_at, blob.name_bytes, at + 8)
            self._string(blob.media_at, blob.media_bytes, at + 16)
            if blob.kind in (METADATA, SOURCE, RECEIPT, ATTACHMENT):
                need(safe_path(name) if blob.kind == ATTACHMENT else not name, "R-702", at + 8,
                     "bad name")
                need((blob.kind, name) not in seen, "R-702", at, "a blob stands twice")
            need(blob.stream < len(self.streams) and blob.reserved == 0, "R-703", at + 24,
                 "the stream does not exist, or a reserved field is set")
            self._use(blob.stream, "blob")
            seen.add((blob.kind, name))
            self.blob_names.append(name)

    def _check_files(self):
        for i, file in enumerate(self.files):
            at = self._at(FILES, i)
            name = self._string(file.name_at, file.name_bytes, at + 40)
            need(file.algorithm == 1 and not any(file.reserved + file.content_id[16:])
                 and safe_path(name), "R-531", at, "bad file record")
