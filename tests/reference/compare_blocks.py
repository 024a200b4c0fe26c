#!/usr/bin/python3
"""Compares what the second reader made of fixtures/golden/blocks.ingot with fixtures/blocks.

    compare_blocks.py FIXTURES RESTORED VALUES

RESTORED is the source file, all blocks in the order of the types' numbers; VALUES a folder with the
values of each tensor. They must be those of the fixtures, which ggml's decoders gave.
"""

import sys
from pathlib import Path

from ingot_blocks import layouts

fixtures, restored, values = map(Path, sys.argv[1:])
names = [layout.name for layout in layouts().values()]
blocks = b"".join((fixtures / f"{name.lower()}.blocks").read_bytes() for name in names)
wrong = [name for name in names if (values / f"{name}.f32").read_bytes()
         != (fixtures / f"{name.lower()}.values").read_bytes()]
if restored.read_bytes() != blocks:
    wrong.append("the bytes of the blocks")
if {path.stem.upper() for path in fixtures.glob("*.blocks")} != set(names):
    wrong.append("the list of types")
sys.exit(f"differ: {', '.join(wrong)}" if wrong else 0)
