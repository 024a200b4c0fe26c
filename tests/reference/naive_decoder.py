"""A naive decoder, written from the specification: descriptions of codings and terms, their values
one element at a time in Python's floats, and the bytes of the streams that say the same.

Each step is rounded to f32, which is exact: a double has more than twice the digits.
"""

import math
import struct
from dataclasses import dataclass, field

DTYPE = {"f64": 1, "f32": 2, "f16": 3, "bf16": 4, "f8_e5m2": 5, "f8_e4m3": 6, "f6_e3m2": 7,
         "f6_e2m3": 8, "f4_e2m1": 9, "f8_e8m0": 10, "f8_e4m3fnuz": 11, "f8_e5m2fnuz": 12, "i8": 16,
         "i16": 17, "i32": 18, "i64": 19, "u8": 20, "u16": 21, "u32": 22, "u64": 23, "bool": 24,
         "c64": 25}
BITS = {1: 64, 2: 32, 3: 16, 4: 16, 5: 8, 6: 8, 7: 6, 8: 6, 9: 4, 10: 8, 11: 8, 12: 8, 16: 8,
        17: 16, 18: 32, 19: 64, 20: 8, 21: 16, 22: 32, 23: 64, 24: 8, 25: 64}
UINT, INT, FLOAT, CODEBOOK, VECTOR, OPAQUE = 1, 2, 3, 4, 5, 6
SLOTS = ("zero", "scale", "bias", "post")


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
