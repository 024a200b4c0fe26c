#!/bin/sh
# ingot run: the same text for the same seed, on any number of threads.
. "$(dirname "$0")/common.sh"

expect 0 "$INGOT" convert "$fixture" -o "$scratch/model.ingot" -q
expect 0 "$INGOT" run "$scratch/model.ingot" -p 'ROMEO:' -n 60 --temperature 0
says 'model.ingot takes '
says '7 tokens of prompt'
says '60 more'
[ "$(wc -c <"$out")" -eq 60 ] || fail "$ran: not 60 bytes"
cp "$out" "$scratch/likely"
expect 0 "$INGOT" run "$scratch/model.ingot" -p 'ROMEO:' -n 60 --top-k 1 --threads 1 -q
is_silent "$err"
cmp -s "$out" "$scratch/likely" || fail "$ran: the most likely tokens are others"
printf 'ROMEO:' >"$scratch/prompt"
expect 0 "$INGOT" run "$scratch/model.ingot" -f "$scratch/prompt" -n 60 --top-p 0.000001
cmp -s "$out" "$scratch/likely" || fail "$ran: the most likely tokens are others"

expect 0 "$INGOT" run "$scratch/model.ingot" -p 'ROMEO:' -n 60 --seed 5
cp "$out" "$scratch/chance"
expect 0 "$INGOT" run "$scratch/model.ingot" -p 'ROMEO:' -n 60 --seed 5 --threads 1
cmp -s "$out" "$scratch/chance" || fail "$ran: another text for the same seed"
expect 0 "$INGOT" run "$scratch/model.ingot" -p 'ROMEO:' -n 60 --seed 6
cmp -s "$out" "$scratch/chance" && fail "$ran: the same text for another seed"

# The text ends with the context: 256 positions, and a token after the last.
expect 0 "$INGOT" run "$scratch/model.ingot" -n 1000 -q
[ "$(wc -c <"$out")" -le 256 ] || fail "$ran: more than the context holds"
head -c 300 LICENSE >"$scratch/prompt"
expect 1 "$INGOT" run "$scratch/model.ingot" -f "$scratch/prompt"
says 'the prompt has 301 tokens'
expect 2 "$INGOT" run "$scratch/model.ingot" --temperature hot
expect 2 "$INGOT" run "$scratch/model.ingot" --top-p 1.5
expect 2 "$INGOT" run "$scratch/model.ingot" -p a -f "$scratch/prompt"

exit $((n_failed > 0))
