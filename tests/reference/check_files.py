#!/usr/bin/python3
"""Reads many files with the second reader and says which are not as they should be.

    check_files.py FILE...

A file must be valid. Its tensors must have the hashes that a NAME.hashes beside it lists, and its
matrices the values of a NAME.safetensors beside it. A file in a folder "bad" must break the rule
that its name begins with. What cannot be proved, such as foreign bytes, is remarked upon.
"""

import json
import re
import sys
from pathlib import Path

from ingot_index import RuleError, xxh128
from ingot_reader import hashes, open_file


def compare_hashes(path, found):
    return [] if path.read_bytes() == b"".join(found) else [f"{path.name} has other hashes"]


def compare_values(path, found):
    """Of tensors with two or more dimensions: others may be held otherwise than as f32."""
    hash_of = dict(line.rstrip(b"\n").split(b"\t") for line in found)
    data = path.read_bytes()
    begin = 8 + int.from_bytes(data[:8], "little")
    matrices = {name: entry for name, entry in json.loads(data[8:begin]).items()
                if name != "__metadata__" and len(entry["shape"]) >= 2}
    wrong = [f"{name}: the readers decode other values" for name, entry in matrices.items()
             if xxh128(data[begin + entry["data_offsets"][0]:begin + entry["data_offsets"][1]])
             .hex().encode() != hash_of[name.encode()]]
    return wrong if matrices else [f"{path.name}: nothing was compared"]


def check(path):
    if path.parent.name == "bad":
        rule = re.match(r"R-\d+", path.name)[0]
        try:
            open_file(path).validate()
        except RuleError as error:
            return [] if error.rule == rule else [str(error)]
        return [f"valid, though it breaks {rule}"]
    try:
        file = open_file(path)
        remarks = file.validate()
    except RuleError as error:
        return [str(error)]
    for remark in remarks:
        print(f"{path}: {remark}")
    wrong = []
    for suffix, compare in ((".hashes", compare_hashes), (".safetensors", compare_values)):
        if (beside := path.with_suffix(suffix)).exists():
            wrong += compare(beside, list(hashes(file)))
    return wrong


paths = [Path(name) for name in sys.argv[1:]]
failures = [f"failed: {path}: {words}" for path in paths for words in check(path)]
print(*failures, sep="\n", end="\n" if failures else "")
sys.exit(len(failures) > 0 or not paths)
