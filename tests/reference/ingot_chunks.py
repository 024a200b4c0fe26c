"""The bytes of chunks: filters and frames (4.4), as ingot_reader.py reads them."""

import numpy as np
import zstandard

from ingot_records import FILTERS, FP8, TRITS, need


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
