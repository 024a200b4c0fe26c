#!/bin/sh
# Writes the manual pages of the command, made from its own help texts: man.sh INGOT FOLDER
#
# FOLDER gets ingot.1 and an ingot-VERB.1 for each verb.
set -eu
ingot=$1
folder=$2
version=$("$ingot" --version | cut -d ' ' -f 2)

# Text to roff: what comes first is a usage line and a paragraph, then come sections whose titles
# end with a colon. In "Options:" and "Verbs:" a name stands before column 26 or 13 and its text
# from there on.
page() { # NAME SUMMARY: the help is standard input
    awk -v name="$1" -v summary="$2" -v version="$version" '
        function roff(text) {
            gsub(/\\/, "\\e", text)
            gsub(/-/, "\\-", text)
            sub(/^[.\047]/, "\\\\\\&&", text)
            return text
        }
        function section(title, verbatim) {
            if (nf) print ".fi"
            nf = verbatim
            print ".SH " title
            if (nf) print ".nf"
        }
        BEGIN {
            printf ".TH \"%s\" 1 \"\" \"ingot %s\" \"Ingot\"\n", toupper(name), version
            section("NAME", 0)
            print roff(name) " \\- " roff(summary)
        }
        /^usage: / {
            section("SYNOPSIS", 0)
            print roff(substr($0, 8))
            section("DESCRIPTION", 0)
            next
        }
        /^(Options|Verbs):$/ {
            column = /^Options/ ? 26 : 13
            section(toupper(substr($0, 1, length($0) - 1)), 0)
            listing = 1
            next
        }
        /^Examples:$/ { listing = 0; section("EXAMPLES", 1); next }
        /^Exit status: / {
            section("EXIT STATUS", 0)
            print roff(substr($0, 14))
            next
        }
        !NF { listing = 0; if (!nf) print ".PP"; next }
        listing && substr($0, 1, column) ~ /[^ ]/ {
            print ".TP"
            n = match($0, /[^ ]  +[^ ]/) && RSTART > 6 ? RSTART : length($0)
            head = substr($0, 1, n)
            sub(/^ +/, "", head)
            print ".B " roff(head)
            rest = substr($0, n + 1)
            sub(/^ +/, "", rest)
            if (rest != "") print roff(rest)
            next
        }
        { line = $0; sub(/^ +/, "", line); print roff(line) }
        END { if (nf) print ".fi"; print ".SH SEE ALSO"; print see }
    ' see="$3" -
}

verbs=$(sh "$(dirname "$0")/verbs.sh" "$ingot")
summary() { # VERB
    "$ingot" -h | awk -v verb="$1" '/^Verbs:/ { on = 1 } on && $1 == verb { sub(/^ *[^ ]+ +/, ""); print; exit }'
}

mkdir -p "$folder"
"$ingot" -h | page ingot 'compressed models: convert, check, give back, compute' \
    "$(for verb in $verbs; do printf '.BR ingot\\-%s (1)\n' "$verb"; done)" >"$folder/ingot.1"
for verb in $verbs; do
    "$ingot" "$verb" -h | page "ingot-$verb" "$(summary "$verb")" '.BR ingot (1)' >"$folder/ingot-$verb.1"
done
