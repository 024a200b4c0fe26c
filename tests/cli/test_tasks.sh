#!/bin/sh
# ingot eval --tasks: answers that are known otherwise, flips between two models, and what is
# refused.
. "$(dirname "$0")/common.sh"
need_fixture

held_out=fixtures/shakespeare-held-out.txt
model=$scratch/model.ingot
small=$scratch/small.ingot
tasks=$scratch/tasks.jsonl
expect 0 "$INGOT" convert "$fixture" -o "$model" -q
expect 0 "$INGOT" convert "$fixture" -o "$small" --encode int2 -q

json_text() { # of standard input, without its last newline
    awk '{ gsub(/\\/, "\\\\"); gsub(/"/, "\\\""); printf "%s%s", (NR > 1 ? "\\n" : ""), $0 }'
}

answer() { # MORE...: puts the model to the tasks
    expect 0 "$INGOT" eval "$model" --tasks "$tasks" --no-speed --json "$@"
    is_json
}

refuses() { # TASK MESSAGE: of line 3, after one that is right and an empty one
    printf '{"type":"cloze","context":"To be","answer":" or"}\n\n%s\n' "$1" >"$tasks"
    expect 1 "$INGOT" eval "$model" --tasks "$tasks" --no-speed
    says "tasks.jsonl: line 3: $2"
    is_silent "$out"
}

# What a model writes by itself is what it finds most likely, and nothing else is.
prompt='ROMEO:
'
expect 0 "$INGOT" run "$model" -p "$prompt" -n 100 --temperature 0 --cache f32 -q
cp "$out" "$scratch/greedy"
greedy=$(json_text <"$out")
first=$(sed -n 1p "$out" | json_text)
cat >"$tasks" <<TASKS
{"type": "cloze", "context": "ROMEO:\\n", "answer": "$greedy", "id": "itself"}

{"type": "cloze", "context": "ROMEO:\\n", "answer": "${greedy%?}#", "id": 7, "source": ["any"]}
	 
{"type": "exact", "prompt": "ROMEO:\\n", "answer": "  $first\\n", "max_tokens": 100, "stop": "\\n"}
{"type": "exact", "prompt": "ROMEO:\\n", "answer": "$greedy", "max_tokens": 100}
{"type": "exact", "prompt": "ROMEO:\\n", "answer": "$greedy", "max_tokens": 99}
{"type": "exact", "prompt": "ROMEO:\\n", "answer": "$(printf %.16s "$first")"}
{"type": "exact", "prompt": "ROMEO:\\n", "answer": "$first.", "max_tokens": 100, "stop": "\\n"}
TASKS
answer
json_holds "[l['line'] for l in j['task_lines']] == [1, 3, 5, 6, 7, 8, 9]"
json_holds "[l['right'] for l in j['task_lines']] == [True, False, True, True, False, True, False]"
json_holds "[l.get('id') for l in j['task_lines']][:3] == ['itself', 7, None]"
json_holds "j['quality']['tasks']['cloze']['n'] == 2 and j['quality']['tasks']['exact']['n'] == 5"
json_holds "j['quality']['tasks']['cloze']['accuracy'] == {'mean': 0.5, 'error': 0.5}"
json_holds "abs(j['quality']['tasks']['exact']['accuracy']['mean'] - 0.6) < 1e-12"
json_holds "abs(j['quality']['tasks']['exact']['accuracy']['error'] - (0.6 * 0.4 / 4) ** 0.5) < 1e-12"
json_holds "'choice' not in j['quality']['tasks'] and 'speed' not in j"
json_holds "j['task_lines'][2]['text'] == open('$scratch/greedy').read().split('\\n')[0]"

# Likelihoods are those of perplexity: of a text alone, in passes of any length, and of one with a
# context, whose share is the difference.
head -c 200 "$held_out" >"$scratch/text"
head -c 120 "$held_out" >"$scratch/start"
text=$(json_text <"$scratch/text")
start=$(json_text <"$scratch/start")
rest=${text#"$start"}
for name in text start; do
    expect 0 "$INGOT" eval "$model" --text "$scratch/$name" --no-speed --json
    cp "$out" "$scratch/$name.json"
done
cat >"$tasks" <<TASKS
{"type": "cloze", "context": "", "answer": "$text"}
{"type": "cloze", "context": "$start", "answer": "$rest"}
{"type": "choice", "context": "$start", "choices": ["#", "$rest", "$rest#"], "answer": 1}
{"type": "choice", "context": "", "choices": ["$text", "$start"], "answer": 0}
TASKS
nats="(lambda n: -json.load(open('$scratch/' + n))['quality']['nats_per_token']['mean'] * json.load(open('$scratch/' + n))['quality']['n_predicted'])"
for batch in 512 7; do
    answer --batch "$batch"
    json_holds "abs(j['task_lines'][0]['log_likelihoods'][0] - $nats('text.json')) < 1e-3"
    json_holds "abs(j['task_lines'][1]['log_likelihoods'][0] - $nats('text.json') + $nats('start.json')) < 1e-3"
    json_holds "abs(j['task_lines'][2]['log_likelihoods'][1] - j['task_lines'][1]['log_likelihoods'][0]) < 1e-3"
    json_holds "j['task_lines'][2]['log_likelihoods'][2] < j['task_lines'][2]['log_likelihoods'][1]"
    # Fewer bytes are likelier; a byte of "#" is not.
    json_holds "j['task_lines'][2]['chosen'] == 0 and j['task_lines'][2]['chosen_per_byte'] == 1"
    json_holds "j['task_lines'][3]['chosen'] == 1"
    json_holds "j['quality']['tasks']['choice']['accuracy']['mean'] == 0"
    json_holds "j['quality']['tasks']['choice']['accuracy_per_byte']['mean'] >= 0.5"
done

# Lines of the held-out text: against their own letters turned round, and their next letters.
LC_ALL=C awk 'length($0) >= 30 && !/["\\]/ && ++n <= 60 {
    turned = ""
    for (i = length($0); i > 0; i--) turned = turned substr($0, i, 1)
    right = n % 2
    printf "{\"type\":\"choice\",\"context\":\"\\n\",\"choices\":[\"%s\",\"%s\"],\"answer\":%d}\n",
        right ? turned : $0, right ? $0 : turned, right
    printf "{\"type\":\"cloze\",\"context\":\"%s\",\"answer\":\"%s\",\"id\":\"n%d\"}\n",
        substr($0, 1, 25), substr($0, 26, 2), n
}' "$held_out" >"$tasks"
expect 0 "$INGOT" eval "$small" --tasks "$tasks" --no-speed --json
cp "$out" "$scratch/small.json"
answer
cp "$out" "$scratch/alone.json"
json_holds "j['quality']['tasks']['choice']['n'] == j['quality']['tasks']['cloze']['n'] == 60"
json_holds "j['quality']['tasks']['choice']['accuracy'] == {'mean': 1, 'error': 0}"
json_holds "j['quality']['tasks']['choice']['accuracy_per_byte'] == {'mean': 1, 'error': 0}"
json_holds "0.2 < j['quality']['tasks']['cloze']['accuracy']['mean'] < 0.9"

# In step on both models each gives what it gives alone, and the flips are the lines that differ.
expect 0 "$INGOT" eval "$small" --baseline "$model" --tasks "$tasks" --no-speed --json
load() { echo "json.load(open('$scratch/$1.json'))['task_lines']"; }
json_holds "[l['right'] for l in j['task_lines']] == [l['right'] for l in $(load small)]"
json_holds "[l['baseline']['right'] for l in j['task_lines']] == [l['right'] for l in $(load alone)]"
for flip in right_to_wrong:True wrong_to_right:False; do
    json_holds "j['quality']['tasks']['cloze']['${flip%:*}'] == [s['line'] for s, a in zip($(load small), $(load alone)) if s['type'] == 'cloze' and a['right'] == ${flip#*:} != s['right']]"
done
json_holds "len(j['quality']['tasks']['cloze']['right_to_wrong']) > 2"
json_holds "j['quality']['tasks']['cloze']['accuracy']['mean'] < j['quality']['tasks']['cloze']['baseline']['accuracy']['mean']"
expect 0 "$INGOT" eval "$small" --baseline "$model" --tasks "$tasks" --no-speed
prints 'log-likelihood'
prints 'choice  60  '
prints ': right -> wrong, id "n'
expect 0 "$INGOT" eval "$model" --baseline "$model" --tasks "$tasks" --no-speed
grep -q '^line' "$out" && fail "$ran: a model flips from itself"

# The receipt takes accuracies and flips.
expect 0 "$INGOT" eval "$small" --baseline "$model" --tasks "$tasks" --no-speed --write-receipt -q
expect 0 "$INGOT" validate "$small"
expect 0 "$INGOT" report "$small" -o "$scratch/page.html"
well_formed "$scratch/page.html"
for words in '<h2>Tasks</h2>' 'the baseline is model.ingot' '<td>choice</td><td>60</td><td>' \
    '<td>cloze</td><td>60</td><td>' 'right &rarr; wrong' '(line '; do
    grep -qF "$words" "$scratch/page.html" || fail "the page lacks $words"
done

# Standard input, and lines of other systems.
printf '{"type":"exact","prompt":"To be","answer":"x"}\r\n\r\n' >"$scratch/crlf"
"$INGOT" eval "$model" --tasks - --no-speed <"$scratch/crlf" >"$out" 2>"$err" ||
    fail 'tasks on standard input were not taken'

# What is refused, and by what name.
long=$(head -c 600 /dev/zero | tr '\0' a)
refuses '{"type":"cloze",' 'is no JSON: '
refuses '["cloze"]' 'is no JSON object'
refuses '{"context":"a"}' 'type: it is to be "choice", "cloze" or "exact"'
refuses '{"type":"essay"}' 'type: '
refuses '{"type":"cloze","answer":"a"}' 'context: it is missing'
refuses '{"type":"cloze","context":"a"}' 'answer: it is missing'
refuses '{"type":"cloze","context":1,"answer":"a"}' 'context: it is to be a string'
refuses '{"type":"cloze","context":"a","answer":""}' 'answer: it is empty'
refuses '{"type":"exact","answer":"a"}' 'prompt: it is missing'
refuses '{"type":"exact","prompt":"a","answer":"a","max_tokens":0}' 'max_tokens: '
refuses '{"type":"exact","prompt":"a","answer":"a","stop":""}' 'stop: it is empty'
refuses '{"type":"choice","context":"a","answer":0}' 'choices: it is missing'
refuses '{"type":"choice","context":"a","choices":["b"],"answer":0}' 'choices: it is to be a list'
refuses '{"type":"choice","context":"a","choices":["b",""],"answer":0}' 'choices: it is to be a list'
refuses '{"type":"choice","context":"a","choices":["b","c"],"answer":2}' 'answer: there is no such'
refuses '{"type":"choice","context":"a","choices":["b","c"],"answer":-1}' 'answer: there is no such'
refuses '{"type":"choice","context":"a","choices":["b","c"],"answer":"b"}' 'answer: it is to be the'
refuses '{"type":"choice","context":"a","choices":["b","c"],"choices":[],"answer":0}' 'is no JSON: '
refuses "{\"type\":\"exact\",\"prompt\":\"$long\",\"answer\":\"a\"}" \
    'prompt: 601 tokens, and the model has room for 256'
refuses "{\"type\":\"exact\",\"prompt\":\"a\",\"answer\":\"a\",\"max_tokens\":256}" \
    'max_tokens: 256 tokens after 2 of the prompt, and the model has room for 256'
refuses "{\"type\":\"cloze\",\"context\":\"$long\",\"answer\":\"a\"}" 'context: 601 tokens'
refuses "{\"type\":\"cloze\",\"context\":\"a\",\"answer\":\"$long\"}" 'answer: 602 tokens with'
refuses "{\"type\":\"choice\",\"context\":\"a\",\"choices\":[\"b\",\"$long\"],\"answer\":0}" \
    'choices[1]: 602 tokens with'
printf '{"type":"cloze","context":"","answer":"a"}' >"$tasks"
expect 1 "$INGOT" eval "$model" --tasks "$tasks" --no-speed --no-bos
says 'tasks.jsonl: line 1: context: it has no token'
printf '\n\n' >"$tasks"
expect 1 "$INGOT" eval "$model" --tasks "$tasks" --no-speed
says 'tasks.jsonl: it has no task'
expect 3 "$INGOT" eval "$model" --tasks "$scratch/none" --no-speed
says 'could not be opened'
expect 2 "$INGOT" eval "$model" --tasks - --text -
expect 2 "$INGOT" eval "$model" --tasks "$tasks" --window 9
expect 2 "$INGOT" eval "$model" --write-receipt

finish
