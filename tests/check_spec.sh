#!/bin/sh
# The specification holds together: in each listing of a record a field begins where the one before
# it ends, records are as long as chapter 1.1 says, every field of a listing has a heading of its own,
# every rule of chapter 11 is cited by the text before it, and every rule cited and chapter named
# exists.
set -eu

awk '
    function fail(what) { print FILENAME ":" FNR ": " what; failed = 1 }

    # Bytes of a type as the listings write it; 0 when unknown.
    function type_bytes(type,  part) {
        if (split(type, part, " ") == 3 && part[2] == "x") return part[1] * type_bytes(part[3])
        if (part[2] == "bytes") return part[1] + 0
        return bytes_of[type]
    }

    # The section that ends here: has it said something of each field?
    function end_section(  field) {
        for (field in listed) {
            if (!(field in headed)) fail("field " field " of \"" section "\" has no heading")
        }
        split("", listed)
        split("", headed)
    }

    function end_listing(  record) {
        if (!in_listing) return
        in_listing = 0
        record = tolower(section)
        if (!(record in length_of)) return
        if (length_of[record] != end) fail(section ": " end " bytes, not " length_of[record])
        n_lengths++
    }

    BEGIN {
        split("u8 1 u16 2 u32 4 u64 8 f32 4 string 8 slot 32", pair, " ")
        for (i = 1; i in pair; i += 2) bytes_of[pair[i]] = pair[i + 1]
    }

    /^## / { chapter = $2 + 0; known[chapter] = 1 }
    /^##+ [0-9]/ { known[$2] = 1 }
    /^###? / { end_listing(); end_section(); section = $0; sub(/^#+ [0-9.]+ /, "", section) }

    # The lengths of chapter 1.1.
    /^(offset 0  |file_bytes)/ { length_of[/trailer/ ? "trailer" : "header record"] = $(NF - 1) }
    /^ +section [1-8] .* a record$/ {
        name = $3
        sub(/s$/, "", name)
        length_of[name " record"] = $4
    }

    /^\| offset \| type \| field \|$/ { end_listing(); in_listing = 1; end = 0; n_listings++; next }
    /^\| bytes \| type \| field \|$/ { in_parts = 1; n_listings++; next }
    (in_listing || in_parts) && /^\|--/ { next }
    in_parts && /^\| / {
        split($0, cell, / *\| */)
        if (cell[4] ~ /^[a-z_]+$/) listed[cell[4]] = 1
        next
    }
    { in_parts = 0 }
    in_listing && /^\| [0-9]+ \|/ {
        split($0, cell, / *\| */)
        if (cell[2] != end) fail("field " cell[4] " at " cell[2] ", where " end " is due")
        if (!type_bytes(cell[3])) fail("type " cell[3])
        end += type_bytes(cell[3])
        listed[cell[4]] = 1
        n_fields++
        next
    }
    in_listing { end_listing() }

    /^#### / {
        rest = $0
        while (match(rest, /`[a-z_]+`/)) {
            headed[substr(rest, RSTART + 1, RLENGTH - 2)] = 1
            rest = substr(rest, RSTART + RLENGTH)
        }
    }

    chapter == 11 && /^\| R-[0-9]+ \|/ { rule[$2] = FNR; next }
    {
        rest = chapter < 11 ? $0 : ""
        while (match(rest, /R-[0-9]+/)) {
            cited[substr(rest, RSTART, RLENGTH)] = FNR
            rest = substr(rest, RSTART + RLENGTH)
        }
        rest = chapter < 11 ? $0 : ""
        while (match(rest, /\((chapter )?[0-9]+(\.[0-9]+)?(, [0-9]+\.[0-9]+)*\)/)) {
            n = split(substr(rest, RSTART + 1, RLENGTH - 2), named, /, |chapter /)
            for (i = 1; i <= n; i++) {
                if (named[i] ~ /\./ || /\(chapter/) if (named[i] != "") wanted[named[i]] = FNR
            }
            rest = substr(rest, RSTART + RLENGTH)
        }
    }

    END {
        end_listing()
        end_section()
        for (r in rule) if (!(r in cited)) fail(r " is cited nowhere")
        for (r in cited) if (!(r in rule)) fail(r ", cited in line " cited[r] ", is no rule")
        for (c in wanted) if (!(c in known)) fail("chapter " c ", named in line " wanted[c] ", is not there")
        if (n_listings < 16 || n_fields < 100) fail(n_listings " listings of " n_fields " fields: too few")
        if (n_lengths != 9) fail(n_lengths " of 9 lengths were compared")
        exit failed
    }' spec/ingot-v1.md
