#!/bin/sh
# ingot eval: perplexity of models whose figures are known, divergence from a baseline, and what is
# refused.
. "$(dirname "$0")/common.sh"

expect 0 "$INGOT" convert "$fixture" -o "$scratch/model.ingot" -q
expect 0 "$INGOT" convert "$fixture" -o "$scratch/small.ingot" --encode int4 -q
head -c 1000 fixtures/shakespeare-held-out.txt >"$scratch/text"

expect 0 "$INGOT" eval "$scratch/model.ingot" --text "$scratch/text" --no-speed --json
is_json
json_holds "j['architecture'] == 'llama' and j['quality']['window'] == 256"
json_holds "j['quality']['n_predicted'] == j['quality']['n_tokens'] // 256 * 256 > 0"
json_holds "1 < j['quality']['nats_per_token']['mean'] < 1.5"
json_holds "j['memory']['taken']['total'] <= j['memory']['forecast']['total']"
json_holds "'kld' not in j['quality'] and 'speed' not in j"
cp "$out" "$scratch/alone"

# A model is nothing away from itself, on either number of threads.
expect 0 "$INGOT" eval "$scratch/model.ingot" --baseline "$scratch/model.ingot" \
    --text "$scratch/text" --no-speed --json --threads 1
json_holds "j['quality']['kld']['largest'] < 1e-6 and j['quality']['same_top']['mean'] == 1"
json_holds "j['quality']['nats_over_baseline']['mean'] == 0"
json_holds "j['quality']['nats_per_token'] == json.load(open('$scratch/alone'))['quality']['nats_per_token']"

expect 0 "$INGOT" eval "$scratch/small.ingot" --baseline "$scratch/model.ingot" \
    --text "$scratch/text" --no-speed --json
json_holds "0 < j['quality']['kld']['quantiles']['0.5'] < j['quality']['kld']['mean'] < 0.2"
json_holds "0.8 < j['quality']['same_top']['mean'] < 1"
json_holds "abs(j['quality']['nats_over_baseline']['mean'] - (j['quality']['nats_per_token']['mean'] - j['quality']['baseline_nats_per_token']['mean'])) < 1e-9"

# The receipt takes it in; all else stays, and it can be done again.
"$INGOT" inspect "$scratch/small.ingot" | sed -n 2p >"$scratch/id"
expect 0 "$INGOT" eval "$scratch/small.ingot" --baseline "$scratch/model.ingot" --sample ROMEO: \
    --text "$scratch/text" --no-speed --json --write-receipt
json_holds "len(j['quality']['sample']['text']) > 100"
expect 0 "$INGOT" validate "$scratch/small.ingot"
expect 0 "$INGOT" inspect "$scratch/small.ingot"
prints "$(cat "$scratch/id")"
expect 0 "$INGOT" report "$scratch/small.ingot" -o "$scratch/page.html"
for words in '<h2>Quality</h2>' 'divergence from the baseline' '<h2>Sample</h2>' 'int4-g32'; do
    grep -qF "$words" "$scratch/page.html" || fail "the page lacks $words"
done
cp "$scratch/small.ingot" "$scratch/again.ingot"
expect 0 "$INGOT" eval "$scratch/again.ingot" --baseline "$scratch/model.ingot" --sample ROMEO: \
    --text "$scratch/text" --no-speed --write-receipt --threads 1
cmp -s "$scratch/small.ingot" "$scratch/again.ingot" || fail "$ran: not the same file again"
expect 0 "$INGOT" convert "$scratch/small.ingot" -o "$scratch/other.ingot" --encode int3 -q
expect 0 "$INGOT" report "$scratch/other.ingot" -o "$scratch/other.html"
grep -qF '<h2>Quality</h2>' "$scratch/other.html" && fail 'a quality of other tensors is shown'

# Half precision in the cache and in what is multiplied changes little.
expect 0 "$INGOT" eval "$scratch/model.ingot" --baseline "$scratch/model.ingot" --cache f16 \
    --activations i8 --text "$scratch/text" --no-speed
prints 'perplexity:'
prints 'divergence:'
says 'model.ingot takes '

# Speed needs no text.
expect 0 "$INGOT" eval "$scratch/model.ingot" --prefill 9 --decode 3 --repeat 1 --json
json_holds "j['speed']['n_prefill'] == 9 and j['speed']['decode_tokens_per_second'] > 0"
json_holds "j['speed']['first_token_seconds'] > 0 and 'quality' not in j"

# What is refused, and by what name.
expect 2 "$INGOT" eval "$scratch/model.ingot" --no-speed
says 'nothing to measure'
expect 2 "$INGOT" eval "$scratch/model.ingot" --baseline "$scratch/small.ingot"
expect 2 "$INGOT" eval "$scratch/model.ingot" --device x
expect 1 "$INGOT" eval "$scratch/model.ingot" --text "$scratch/text" --window 257 --context 256
says 'window: 257 tokens'
expect 1 "$INGOT" eval "$scratch/model.ingot" --text "$scratch/text" --adapter none
says 'has no adapter "none"'
expect 1 "$INGOT" eval fixtures/shakespeare-3m/model-00001-of-00002.safetensors
says 'is no .ingot file; "ingot convert" makes one of it'
expect 3 "$INGOT" eval "$scratch/model.ingot" --text "$scratch/none"
says 'could not be opened'
: >"$scratch/empty"
expect 1 "$INGOT" eval "$scratch/model.ingot" --text "$scratch/empty"
says 'too short'
expect 0 "$INGOT" convert "$fixture" -o "$scratch/part.ingot" --exclude '*layers.2.mlp.up_proj*' -q
expect 1 "$INGOT" eval "$scratch/part.ingot" --text "$scratch/text"
says 'model.layers.2.mlp.up_proj.weight'
expect 1 "$INGOT" eval fixtures/golden/raw.ingot
says 'config.json'

# What does not fit is told before anything is loaded.
damaged() { # FILE EDIT TEXT...: the model with this edit of a file is refused by each of the texts
    rm -rf "$scratch/damaged"
    cp -r "$fixture" "$scratch/damaged"
    sed -i "$2" "$scratch/damaged/$1"
    shift 2
    expect 0 "$INGOT" convert "$scratch/damaged" -o "$scratch/damaged.ingot" -q --force
    expect 1 "$INGOT" eval "$scratch/damaged.ingot"
    for text; do says "$text"; done
    is_silent "$out"
}
damaged tokenizer.json 's/"id": 257/"id": 258/' \
    'the tokenizer does not fit: it has 259 tokens, and the model rows for 258'
damaged tokenizer.json 's/"type": "BPE"/"type": "WordPiece"/' 'tokenizer.json' 'WordPiece'
damaged tokenizer.json '20,$d' 'tokenizer.json at offset'
damaged config.json 's/"model_type": "llama"/"model_type": "mamba"/' 'architecture: mamba' 'qwen3_moe'
damaged config.json 's/"intermediate_size": 768/"intermediate_size": 800/' \
    'model.layers.0.mlp.gate_proj.weight: is 768 x 256, and by the configuration 800 x 256'
damaged config.json 's/"num_hidden_layers": 4/"num_hidden_layers": 5/' 'model.layers.4.'
damaged config.json 's/"num_hidden_layers": 4/"num_hidden_layers": 3/' 'model.layers.3.'
damaged config.json 's/"num_attention_heads": 8/"num_attention_heads": 7/' 'num_key_value_heads'
rm -rf "$scratch/damaged"
cp -r "$fixture" "$scratch/damaged"
rm "$scratch/damaged/tokenizer.json"
expect 0 "$INGOT" convert "$scratch/damaged" -o "$scratch/damaged.ingot" -q --force
expect 1 "$INGOT" eval "$scratch/damaged.ingot"
says 'tokenizer: the file holds none'

# The figures of the training, of an implementation of its own in double precision, and of
# llama-perplexity.
held_out=fixtures/shakespeare-held-out.txt
expect 0 "$INGOT" eval "$scratch/model.ingot" --text "$held_out" --no-speed --json
json_holds "round(j['quality']['nats_per_token']['mean'], 4) == 1.5209"
json_holds "round(j['quality']['bits_per_byte'], 4) == 2.1942"
expect 0 "$INGOT" eval "$scratch/model.ingot" --text "$held_out" --no-speed --protocol second-halves \
    --no-bos
prints 'perplexity:   4.4664 +- 0.0347 on 55,245 tokens'

data=../shared/data
if [ -d "$data" ]; then
    expect 0 "$INGOT" convert "$data/gguf/stories260Ktok512.gguf" -o "$scratch/stories.ingot" -q
    separator=$(printf '\036')
    awk -v mark="$separator" 'NR > 1 && /^(Once upon a time|One day)/ { printf "%s", mark; n++ }
        n == 40 { exit }
        { print }' "$data/text/tinystories_train_head.txt" |
        awk -v mark="$separator" 'BEGIN { RS = mark; ORS = mark } { sub(/\n\n$/, ""); print }' \
            >"$scratch/stories"
    expect 0 "$INGOT" eval "$scratch/stories.ingot" --text "$scratch/stories" --context 512 \
        --separator "$separator" --no-speed --json
    json_holds "j['quality']['n_predicted'] == 9346"
    json_holds "round(j['quality']['perplexity'], 4) == 3.7855"
    mkdir "$scratch/llama2c"
    cp "$data/lm/stories260K.bin" "$scratch/llama2c/"
    cp "$data/lm/tok512.bin" "$scratch/llama2c/tokenizer.bin"
    expect 0 "$INGOT" convert "$scratch/llama2c" -o "$scratch/llama2c.ingot" -q
    expect 0 "$INGOT" eval "$scratch/llama2c.ingot" --text "$scratch/stories" --context 512 \
        --separator "$separator" --no-speed --json
    json_holds "j['quality']['n_predicted'] == 9346"
    json_holds "round(j['quality']['perplexity'], 4) == 3.7855"
else
    echo "note: not compared with known figures: $data is not there"
fi

exit $((n_failed > 0))
