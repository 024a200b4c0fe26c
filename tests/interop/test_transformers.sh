#!/bin/sh
# Models of every architecture give the logits that transformers gives. Needs the peers; exit
# status 77 means skipped, with the reason as first line.
. tests/cli/common.sh
sh -c '../shared/peers/run.sh python3 -c "import transformers, torch"' >/dev/null 2>&1 ||
    { echo 'the peers are not set up, or lack transformers'; exit 77; }
peers=$(cd ../shared/peers && pwd)/run.sh

cp tests/interop/make_models.py "$scratch"
cp -r "$fixture" "$scratch/model"
head -c 4096 fixtures/shakespeare-held-out.txt >"$scratch/text"
(cd "$scratch" && "$peers" python3 make_models.py model text models) \
    >"$scratch/figures" 2>"$scratch/log" || fail "make_models.py: $(tail -n 3 "$scratch/log")"
n=0
while read -r name nats; do
    made=$scratch/models/$name
    expect 0 "$INGOT" convert "$made" -o "$scratch/$name.ingot" -q
    expect 0 "$INGOT" eval "$scratch/$name.ingot" --text "$scratch/text" --no-speed --json
    json_holds "abs(j['quality']['nats_per_token']['mean'] - $nats) < 2e-6"
    "$BUILD/tests/interop/logits" "$scratch/$name.ingot" 256 <"$made.tokens" >"$scratch/logits" ||
        fail "$name: no logits"
    python3 - "$made.logits" "$scratch/logits" <<'EOF' >"$scratch/apart" || fail "$name: $(cat "$scratch/apart")"
import array, sys

theirs, ours = (array.array("f", open(path, "rb").read()) for path in sys.argv[1:])
apart = max((abs(a - b) for a, b in zip(theirs, ours)), default=9)
print("%d and %d logits, %.1e apart" % (len(theirs), len(ours), apart))
sys.exit(not (len(ours) == len(theirs) == 4096 * 258 and apart < 1e-4))
EOF
    echo "note: $name: $(cat "$scratch/apart")"
    n=$((n + 1))
done <"$scratch/figures"
[ "$n" -eq 13 ] || fail "$n models instead of 13"
exit $((n_failed > 0))
