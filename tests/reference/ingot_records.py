"""The records of an Ingot file, and what follows from their fields alone: lengths and shapes.

Written from the specification (ingot-v1.md) alone, and meant to be read beside it.
"""

import struct
from collections import namedtuple

import xxhash

NONE = 0xFFFFFFFF


class RuleError(Exception):
    """A broken rule of chapter 11.

    `offset` is where it shows: an offset into the file, or, for what stands inside of a blob
    (R-710 to R-730), into that blob.
    """

    def __init__(self, rule, offset, words):
        super().__init__(f"{rule} at {offset}: {words}")
        self.rule, self.offset, self.words = rule, offset, words


def need(holds, rule, offset, words):
    if not holds:
        raise RuleError(rule, offset, words)


def ceil_div(a, b):
    return -(-a // b)


def xxh64(data):
    return xxhash.xxh3_64_intdigest(data)


def xxh128(data):
    return xxhash.xxh3_128_digest(data)  # canonical (big-endian) order, 1.2


# ---------------------------------------------------------------------------------------------
# Records. A string is a pair (x_at, x_bytes); f32 fields are kept as their bits.


def record(name, layout, fields):
    kind = namedtuple(name, fields)
    kind.struct = struct.Struct("<" + layout)
    kind.unpack = classmethod(lambda cls, data: cls(*cls.struct.unpack(data)))
    return kind


Header = record("Header", "8sHHII36sQ", "magic major minor flags alignment reserved checksum")
Trailer = record("Trailer", "QQQQQB7s32sQ8s", "index_offset index_bytes file_bytes index_checksum"
                 " header_checksum algorithm reserved content_id checksum magic")
Section = record("Section", "IIQQQII", "kind flags offset n_bytes n_records record_bytes reserved")
Chunk = record("Chunk", "QIBBHQ", "offset stored_bytes codec filter flags checksum")
Stream = record("Stream", "QIIIIQ16s",
                "n_bytes chunk_bytes chunk_step first_chunk reserved stride raw_hash")
Slot = record("Slot", "BBBBIIIQQ",
              "form inverse group reserved constant table group_rows group_cols reserved2")
Coding = record("Coding", "BBBBBBHIIIIII32s32s32s32s", "map bits format vector_length signs"
                " index_bits reserved n_entries codebook_stream name_at name_bytes block_weights"
                " block_bytes zero scale bias post")
Term = record("Term", "BBHIIIIIIIIB3sIIQIIIIQ", "kind combine flags coding coding_b first_stream"
              " n_streams name_at name_bytes multiplier rank mask reserved block_rows block_cols"
              " n_kept magnitude file target_at target_bytes reserved2")
Tensor = record("Tensor", "IIBBBBIIIIIII64sQ", "name_at name_bytes dtype rank stack split reserved"
                " first_term n_terms alias_of by_name rescale_coding rescale_stream dims reserved2")
Blob = record("Blob", "IIIIIIII",
              "kind flags name_at name_bytes media_at media_bytes stream reserved")
File = record("File", "B7s32sII", "algorithm reserved content_id name_at name_bytes")
SourceFile = namedtuple("SourceFile", "name n_bytes hash segments")
Stack = namedtuple("Stack", "matrices rows cols")

STRINGS, CHUNKS, STREAMS, CODINGS, TERMS, TENSORS, BLOBS, FILES = range(1, 9)
SECTION_RECORDS = {STRINGS: None, CHUNKS: Chunk, STREAMS: Stream, CODINGS: Coding, TERMS: Term,
                   TENSORS: Tensor, BLOBS: Blob, FILES: File}

UINT, INT, FLOAT, CODEBOOK, VECTOR, OPAQUE = range(1, 7)  # maps, 6.1
BLOCK, WHOLE, RUN, COLUMN_INDEX = range(1, 5)             # groups, 6.3 (WHOLE: "tensor")
DENSE, SPARSE, LOWRANK, REF = range(1, 5)                 # terms, 7.1
FIRST, ADD, SET, XOR = range(4)                           # combine, 7.1
BITMAP, TWO_OF_FOUR, COLUMNS, ROWS, BLOCKS, LIST = range(1, 7)  # masks, 7.3
METADATA, SOURCE, RECEIPT, ATTACHMENT = range(1, 5)       # blobs, 8
SLOTS = ("zero", "scale", "bias", "post")                 # in the order of 6.3

# Logical types (5.3): name and bits.
DTYPES = {
    1: ("f64", 64), 2: ("f32", 32), 3: ("f16", 16), 4: ("bf16", 16), 5: ("f8_e5m2", 8),
    6: ("f8_e4m3", 8), 7: ("f6_e3m2", 6), 8: ("f6_e2m3", 6), 9: ("f4_e2m1", 4),
    10: ("f8_e8m0", 8), 11: ("f8_e4m3fnuz", 8), 12: ("f8_e5m2fnuz", 8), 16: ("i8", 8),
    17: ("i16", 16), 18: ("i32", 32), 19: ("i64", 64), 20: ("u8", 8), 21: ("u16", 16),
    22: ("u32", 32), 23: ("u64", 64), 24: ("bool", 8), 25: ("c64", 64)}
C64 = 25
C64 = 25

# Float formats that have a table of values (6.6): sign bits, exponent bits, fraction bits, bias,
# and what is special: "ieee" infinity and NaN, or the codes that are NaN.
FLOATS = {3: (1, 5, 10, 15, "ieee"), 4: (1, 8, 7, 127, "ieee"), 5: (1, 5, 2, 15, "ieee"),
          6: (1, 4, 3, 7, (0x7F, 0xFF)), 7: (1, 3, 2, 3, ()), 8: (1, 2, 3, 1, ()),
          9: (1, 2, 1, 1, ()), 10: (0, 8, 0, 127, (255,)), 11: (1, 4, 3, 8, (0x80,)),
          12: (1, 5, 2, 16, (0x80,))}


# Filters that split elements (4.4): width in bytes, whether they are rotated. Then the others.
FILTERS = {1: (2, False), 2: (4, False), 3: (8, False), 4: (2, True), 5: (4, True)}
TRITS, FP8 = 6, 7


# ---------------------------------------------------------------------------------------------
# Lengths and shapes: filtered chunks (4.4), planes (6.4) and grids (6.3)


def filtered_bytes(number, n_bytes):
    if number == FP8:
        return n_bytes + ceil_div(n_bytes, 4)
    return n_bytes // 5 * 4 + n_bytes % 5 if number == TRITS else n_bytes


def plain(chunk):
    """Whether a chunk is stored as its raw bytes."""
    return chunk.codec == 0 and chunk.filter == 0


def plane_widths(bits):
    """The widths of the planes of a code of `bits` bits, widest first."""
    return [width for width in (64, 32, 16, 8, 4, 2, 1) if bits & width]


def row_bits(n_cols, width):
    used = n_cols * width
    padded = ceil_div(used, 32) * 32
    return padded if width < 8 and padded - used <= used // 8 else used


def plane_bytes(stack, width):
    return ceil_div(stack.matrices * stack.rows * row_bits(stack.cols, width), 8)


def group_sizes(slot, stack):
    """Rows and columns of a group; 0 stands for the whole extent, which no group exceeds."""
    extent = stack.rows * stack.cols if slot.group == RUN else stack.cols
    rows, cols = max(stack.rows, 1), max(extent, 1)
    return min(slot.group_rows or rows, rows), min(slot.group_cols or cols, cols)


def grid(slot, stack):
    """The stack of the entries of a slot's table over `stack`."""
    rows, cols = group_sizes(slot, stack)
    if slot.group == WHOLE:
        return Stack(1, 1, 1)
    if slot.group == RUN:
        return Stack(stack.matrices, 1, ceil_div(stack.rows * stack.cols, cols))
    if slot.group == COLUMN_INDEX:
        return Stack(stack.matrices, ceil_div(stack.rows, rows), slot.group_cols)
    return Stack(stack.matrices, ceil_div(stack.rows, rows), ceil_div(stack.cols, cols))


def finite(bits):
    return bits >> 23 & 0xFF != 0xFF


def safe_path(name):
    """Chapter 8: a path that names something below the place where it is used."""
    return (0 < len(name) <= 4096 and min(name) >= 32 and not set(name) & set(b"\\:")
            and all(part not in (b"", b".", b"..") for part in name.split(b"/")))


def counted(name):
    return struct.pack("<I", len(name)) + name
