"""Random codings and terms with random data, for the tests of the reader."""

import math
import struct

from naive_decoder import (
    BITS, CODEBOOK, FLOAT, INT, SLOTS, UINT, VECTOR, Code, Data, LowRank, Part, Sparse,
    all_positions, codes_shape, f32, f32_bits, grid, plane, up)


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


def random_low_rank(rng, stack, rank, magnitude=False, **fields):
    m, r, c = stack
    a, b = random_scalar(rng, 1), random_scalar(rng, 1)
    for code in (a, b):
        code.slots.setdefault("post", Part(constant=f32_bits(0.25)))
    norms = Code(map=FLOAT, bits=16, format=4) if magnitude else None
    return LowRank(a, b, random_data(rng, a, (m, rank, c)), random_data(rng, b, (m, r, rank)),
                   rank, f32(rng.uniform(-2, 2)), norms,
                   random_data(rng, norms, (m, r, 1)) if norms else None, fields)
