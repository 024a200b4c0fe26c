# shellcheck shell=sh
# What the tests of the command share. A test sources this first; $scratch is a folder of its own.
: "${INGOT:=build/ingot}"
fixture=fixtures/shakespeare-3m
n_failed=0
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
out=$scratch/stdout
err=$scratch/stderr

fail() { # MESSAGE
    echo "failed: $1"
    sed 's/^/  stdout: /' "$out" 2>/dev/null | head -n 20
    sed 's/^/  stderr: /' "$err" 2>/dev/null | head -n 20
    n_failed=$((n_failed + 1))
}

expect() { # STATUS COMMAND...: runs the command, keeps its output, judges its exit status
    wanted=$1
    shift
    ran="$*"
    "$@" >"$out" 2>"$err" </dev/null
    status=$?
    [ "$status" -eq "$wanted" ] || fail "$ran: exit status $status, not $wanted"
}

prints() { # TEXT: the last command wrote it on stdout
    grep -qF -e "$1" "$out" || fail "$ran: stdout lacks \"$1\""
}

says() { # TEXT: the last command wrote it on stderr
    grep -qF -e "$1" "$err" || fail "$ran: stderr lacks \"$1\""
}

is_silent() { # FILE
    [ ! -s "$1" ] || fail "$ran: wrote something into $(basename "$1")"
}

is_absent() { # PATH: it is not there, nor a temporary name beside it
    for path in "$1" "$1".*; do
        [ ! -e "$path" ] || fail "$ran: left $path behind"
    done
}

is_json() { # the last command wrote one JSON value on stdout
    command -v python3 >/dev/null || return 0
    python3 -c 'import json, sys; json.load(open(sys.argv[1]))' "$out" 2>/dev/null ||
        fail "$ran: stdout is not JSON"
}

# Evaluates an expression over the JSON of the last command, called j; needs python3.
json_holds() { # EXPRESSION
    command -v python3 >/dev/null || return 0
    python3 -c 'import json, sys
j = json.load(open(sys.argv[1]))
sys.exit(not eval(sys.argv[2]))' "$out" "$1" 2>/dev/null || fail "$ran: $1 does not hold"
}

well_formed() { # PAGE.html: every tag is closed in its place, and nothing is loaded or run
    command -v python3 >/dev/null || return 0
    python3 - "$1" <<'END' || fail "$ran: the page is not well formed"
import html.parser, sys
class Page(html.parser.HTMLParser):
    open = []
    def handle_starttag(self, tag, attributes):
        assert tag not in ("script", "link", "img"), tag
        assert not any(k in ("src", "href", "onload") for k, _ in attributes), attributes
        if tag not in ("meta", "br"): self.open.append(tag)
    def handle_startendtag(self, tag, attributes): pass
    def handle_endtag(self, tag): assert self.open.pop() == tag, (tag, self.getpos())
page = Page()
page.feed(open(sys.argv[1]).read())
assert page.open == [], page.open
END
}

little_endian_8() { # NUMBER: as 8 bytes
    n=$1
    for _ in 1 2 3 4 5 6 7 8; do
        # shellcheck disable=SC2059 # the octal escape is the format
        printf "\\$(printf '%03o' $((n % 256)))"
        n=$((n / 256))
    done
}

make_safetensors() { # FILE HEADER N_DATA_BYTES: data bytes are zero
    {
        little_endian_8 "$(printf '%s' "$2" | wc -c)"
        printf '%s' "$2"
        head -c "$3" /dev/zero
    } >"$1"
}

flip_byte() { # FILE OFFSET
    old=$(od -An -tu1 -j "$2" -N 1 "$1" | tr -d ' ')
    # shellcheck disable=SC2059
    printf "\\$(printf '%03o' $(((old + 1) % 256)))" |
        dd of="$1" bs=1 seek="$2" count=1 conv=notrunc 2>/dev/null
}

need_fixture() {
    [ -d "$fixture" ] && return 0
    echo "there is no $fixture"
    exit 77
}

finish() {
    [ "$n_failed" -eq 0 ] || exit 1
    exit 0
}
