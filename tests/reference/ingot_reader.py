#!/usr/bin/python3
"""A reader of the Ingot file format, written from its specification (ingot-v1.md) alone.

It is meant to be read beside that text. Each of these files stands on those before it:
ingot_records.py, ingot_index.py, which opens files, ingot_content.py, ingot_chunks.py,
ingot_values.py, ingot_source.py and this one, which proves the rest and is the command. It
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
import sys
from pathlib import Path
from urllib.parse import quote

import numpy as np

from ingot_records import DTYPES, NONE, REF, SOURCE, SPARSE, RuleError, need, xxh128
from ingot_source import Source
from ingot_values import Undecodable


class IngotFile(Source):
    """An open file. validate() proves the rules marked "data" in chapter 11."""

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
