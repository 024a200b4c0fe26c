#!/bin/sh
# Models of every architecture predict a text as transformers predicts it. Needs the peers; exit
# status 77 means skipped, with the reason as first line.
. tests/cli/common.sh
sh -c '../shared/peers/run.sh python3 -c "import transformers, torch"' >/dev/null 2>&1 ||
    { echo 'the peers are not set up, or lack transformers'; exit 77; }
peers=$(cd ../shared/peers && pwd)/run.sh

cp tests/interop/make_models.py "$scratch"
cp -r "$fixture" "$scratch/tokenizer"
head -c 4096 fixtures/shakespeare-held-out.txt >"$scratch/text"
(cd "$scratch" && "$peers" python3 make_models.py tokenizer text models) \
    >"$scratch/figures" 2>"$scratch/log" || fail "make_models.py: $(tail -n 3 "$scratch/log")"
n=0
while read -r name nats; do
    expect 0 "$INGOT" convert "$scratch/models/$name" -o "$scratch/$name.ingot" -q
    expect 0 "$INGOT" eval "$scratch/$name.ingot" --text "$scratch/text" --no-speed --json
    json_holds "abs(j['quality']['nats_per_token']['mean'] - $nats) < 2e-6"
    n=$((n + 1))
done <"$scratch/figures"
[ "$n" -eq 12 ] || fail "$n models instead of 12"
echo "note: $n models predict as transformers does"
exit $((n_failed > 0))
