/* Tasks from JSONL. Owns the keys of each type; knows nothing of models. */
#include "cli/task_lines.h"

#include <stdlib.h>
#include <string.h>

#include "cli/read_text.h"
#include "cli/report.h"

enum { DEFAULT_MAX_TOKENS = 16 };

const char *const task_type_names[LM_N_TASK_KINDS] = {
    [LM_TASK_CHOICE] = "choice", [LM_TASK_CLOZE] = "cloze", [LM_TASK_EXACT] = "exact"};

/* ------------------------------------------------------------------ values */

/* All of these return what is wrong with the value, or NULL. */

static const char *take_text(const json_t *value, struct lm_text *text)
{
    if (!json_is_string(value)) return "it is to be a string";
    *text = (struct lm_text){json_string_value(value), json_string_length(value)};
    return NULL;
}

static const char *take_context(const json_t *value, struct task_line *line)
{
    return take_text(value, &line->task.context);
}

static const char *make_texts(struct task_line *line, size_t n)
{
    line->texts = calloc(n, sizeof *line->texts);
    if (line->texts == NULL) return "there is no memory for it";
    line->task.texts = line->texts;
    line->task.n_texts = (uint32_t)n;
    return NULL;
}

static const char *take_choices(const json_t *value, struct task_line *line)
{
    static const char wanted[] = "it is to be a list of at least 2 strings, none of them empty";
    const size_t n = json_array_size(value);
    if (n < 2 || n > UINT32_MAX) return wanted;
    const char *wrong = make_texts(line, n);
    for (size_t i = 0; i < n && wrong == NULL; i++) {
        wrong = take_text(json_array_get(value, i), &line->texts[i]);
        if (wrong || line->texts[i].n_bytes == 0) wrong = wanted;
    }
    return wrong;
}

static const char *take_index(const json_t *value, struct task_line *line)
{
    const json_int_t index = json_integer_value(value);
    if (!json_is_integer(value)) return "it is to be the index of the right choice, from 0 on";
    if (index < 0 || index >= (json_int_t)line->task.n_texts) return "there is no such choice";
    line->task.right = (uint32_t)index;
    return NULL;
}

static const char *take_answer(const json_t *value, struct task_line *line)
{
    const char *wrong = make_texts(line, 1);
    return wrong ? wrong : take_text(value, &line->texts[0]);
}

static const char *take_cloze(const json_t *value, struct task_line *line)
{
    const char *wrong = take_answer(value, line);
    return wrong == NULL && line->texts[0].n_bytes == 0 ? "it is empty" : wrong;
}

static const char *take_max_tokens(const json_t *value, struct task_line *line)
{
    const json_int_t n = json_integer_value(value);
    if (!json_is_integer(value) || n < 1 || n > INT32_MAX) {
        return "it is to be a whole number from 1 on";
    }
    line->task.max_tokens = (uint32_t)n;
    return NULL;
}

static const char *take_stop(const json_t *value, struct task_line *line)
{
    const char *wrong = take_text(value, &line->task.stop);
    return wrong == NULL && line->task.stop.n_bytes == 0 ? "it is empty" : wrong;
}

/* ------------------------------------------------------------------ types */

enum { MAX_FIELDS = 4 };

struct field {
    const char *key;
    bool optional;
    const char *(*take)(const json_t *value, struct task_line *line);
};

/* In the order in which they are taken. */
static const struct field fields[LM_N_TASK_KINDS][MAX_FIELDS] = {
    [LM_TASK_CHOICE] = {{"context", false, take_context},
                        {"choices", false, take_choices},
                        {"answer", false, take_index}},
    [LM_TASK_CLOZE] = {{"context", false, take_context}, {"answer", false, take_cloze}},
    [LM_TASK_EXACT] = {{"prompt", false, take_context},
                       {"answer", false, take_answer},
                       {"max_tokens", true, take_max_tokens},
                       {"stop", true, take_stop}},
};

static int refuse(const char *path, const struct task_line *line, const char *key, const char *why)
{
    return report_refusal(path, "line %llu: %s: %s", (unsigned long long)line->line, key, why);
}

static int take_fields(const char *path, struct task_line *line)
{
    const char *type = json_string_value(json_object_get(line->root, "type"));
    uint32_t kind = 0;
    while (type && kind < LM_N_TASK_KINDS && strcmp(type, task_type_names[kind]) != 0) kind++;
    if (type == NULL || kind == LM_N_TASK_KINDS) {
        return refuse(path, line, "type", "it is to be \"choice\", \"cloze\" or \"exact\"");
    }
    line->task.kind = (enum lm_task_kind)kind;
    line->task.max_tokens = DEFAULT_MAX_TOKENS;
    for (uint32_t i = 0; i < MAX_FIELDS && fields[kind][i].key; i++) {
        const struct field *field = &fields[kind][i];
        const json_t *value = json_object_get(line->root, field->key);
        if (value == NULL && field->optional) continue;
        const char *wrong = value ? field->take(value, line) : "it is missing";
        if (wrong) return refuse(path, line, field->key, wrong);
    }
    return EXITS_DONE;
}

/* ------------------------------------------------------------------ lines */

static bool is_empty(const char *bytes, size_t n)
{
    while (n > 0 && memchr(" \t\r", bytes[n - 1], 3)) n--;
    return n == 0;
}

static int take_line(const char *path, const char *bytes, size_t n_bytes, struct task_line *line)
{
    json_error_t why;
    line->root = json_loadb(bytes, n_bytes, JSON_REJECT_DUPLICATES, &why);
    if (line->root == NULL) {
        return report_refusal(path, "line %llu: is no JSON: %s", (unsigned long long)line->line,
                              why.text);
    }
    if (!json_is_object(line->root)) {
        return report_refusal(path, "line %llu: is no JSON object", (unsigned long long)line->line);
    }
    return take_fields(path, line);
}

static struct task_line *add_line(struct task_lines *lines, uint32_t *capacity)
{
    if (lines->n == *capacity) {
        const uint32_t more = *capacity ? *capacity * 2 : 64;
        struct task_line *at = more > *capacity ? realloc(lines->at, more * sizeof *at) : NULL;
        if (at == NULL) return NULL;
        lines->at = at;
        *capacity = more;
    }
    lines->at[lines->n] = (struct task_line){0};
    return &lines->at[lines->n++];
}

int task_lines_read(const char *path, struct task_lines *lines)
{
    char *bytes = NULL;
    uint64_t n_bytes = 0, number = 1;
    uint32_t capacity = 0;
    *lines = (struct task_lines){0};
    int status = read_text(path, &bytes, &n_bytes);
    const char *end = bytes + n_bytes;
    for (const char *at = bytes; status == EXITS_DONE && at < end; number++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        const size_t n = (size_t)((stop ? stop : end) - at);
        if (!is_empty(at, n)) {
            struct task_line *line = add_line(lines, &capacity);
            if (line) line->line = number;
            status = line ? take_line(path, at, n, line) : report_no_memory();
        }
        at = stop ? stop + 1 : end;
    }
    free(bytes);
    if (status == EXITS_DONE && lines->n == 0) return report_refusal(path, "it has no task");
    return status;
}

void task_lines_release(struct task_lines *lines)
{
    for (uint32_t i = 0; i < lines->n; i++) {
        free(lines->at[i].texts);
        json_decref(lines->at[i].root);
    }
    free(lines->at);
    *lines = (struct task_lines){0};
}
