/* Tasks: one model, or two in step, line by line, and what is said of the result. */
#include "cli/eval_tasks.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/json.h"
#include "cli/report.h"
#include "cli/table.h"
#include "cli/text.h"

/* ------------------------------------------------------------------ running */

/* A failure on one line, of a field of it or of the model. */
static int report_line(const char *path, const struct task_line *line, const char *model,
                       const ingot_error *error)
{
    char *text = error_text(error);
    report_refusal(path, "line %llu: %s (%s)", (unsigned long long)line->line, text ? text : "",
                   model);
    free(text);
    return exit_status_of(error->status);
}

static int make_pairs(struct eval_tasks *tasks)
{
    tasks->pairs = calloc(tasks->lines.n, sizeof *tasks->pairs);
    if (tasks->pairs == NULL) return report_no_memory();
    for (uint32_t i = 0; i < tasks->lines.n; i++) {
        const uint32_t n_texts = tasks->lines.at[i].task.n_texts;
        for (uint32_t m = 0; m < tasks->n_models; m++) {
            double *found = calloc(n_texts, sizeof *found);
            if (found == NULL) return report_no_memory();
            tasks->pairs[i].answers[m].log_likelihoods = found;
        }
    }
    return EXITS_DONE;
}

struct put {
    const char *path;
    const struct language_model *model;
    struct lm_tasks *lm;
};

static int check_all(const struct put *put, const struct eval_tasks *tasks)
{
    for (uint32_t i = 0; i < tasks->lines.n; i++) {
        const struct task_line *line = &tasks->lines.at[i];
        ingot_error error = {0};
        if (lm_tasks_check(put->lm, &line->task, &error) != INGOT_OK) {
            return report_line(put->path, line, put->model->path, &error);
        }
    }
    return EXITS_DONE;
}

static int answer_all(const struct put puts[2], struct eval_tasks *tasks, struct progress_bar *bar)
{
    for (uint32_t i = 0; i < tasks->lines.n; i++) {
        const struct task_line *line = &tasks->lines.at[i];
        for (uint32_t m = 0; m < tasks->n_models; m++) {
            ingot_error error = {0};
            if (lm_tasks_answer(puts[m].lm, &line->task, &tasks->pairs[i].answers[m], &error) !=
                INGOT_OK) {
                return report_line(puts[m].path, line, puts[m].model->path, &error);
            }
        }
        progress_bar_report(bar, "answering", i + 1, tasks->lines.n);
    }
    return EXITS_DONE;
}

int eval_tasks_run(const struct eval_values *v, const struct language_model *model,
                   const struct language_model *baseline, struct progress_bar *bar,
                   struct eval_tasks *tasks)
{
    struct put puts[2] = {{v->tasks, model, NULL}, {v->tasks, baseline, NULL}};
    *tasks = (struct eval_tasks){.n_models = baseline ? 2 : 1};
    int status = task_lines_read(v->tasks, &tasks->lines);
    if (status == EXITS_DONE) status = make_pairs(tasks);
    for (uint32_t m = 0; m < tasks->n_models && status == EXITS_DONE; m++) {
        const struct language_model *with = puts[m].model;
        ingot_error error = {0};
        if (lm_tasks_open(with->lm, with->tokenizer, !v->no_bos, NULL, &puts[m].lm, &error) !=
            INGOT_OK) {
            status = report_error(with->path, &error);
        } else {
            status = check_all(&puts[m], tasks);
        }
    }
    if (status == EXITS_DONE) status = answer_all(puts, tasks, bar);
    progress_bar_erase(bar);
    lm_tasks_close(puts[1].lm);
    lm_tasks_close(puts[0].lm);
    return status;
}

void eval_tasks_release(struct eval_tasks *tasks)
{
    for (uint32_t i = 0; tasks->pairs && i < tasks->lines.n; i++) {
        for (uint32_t m = 0; m < 2; m++) {
            buffer_release(&tasks->pairs[i].answers[m].text);
            free(tasks->pairs[i].answers[m].log_likelihoods);
        }
    }
    free(tasks->pairs);
    task_lines_release(&tasks->lines);
}

/* ------------------------------------------------------------------ means */

static double right_of(const struct task_line *line, const struct lm_answer *answer)
{
    (void)line;
    return answer->right;
}
static double right_per_byte_of(const struct task_line *line, const struct lm_answer *answer)
{
    (void)line;
    return answer->right_per_byte;
}
static double log_likelihood_of(const struct task_line *line, const struct lm_answer *answer)
{
    return answer->log_likelihoods[line->task.right];
}

typedef double (*measure)(const struct task_line *line, const struct lm_answer *answer);

static const struct {
    const char *key;
    measure of;
    bool kinds[LM_N_TASK_KINDS];
} measures[] = {
    {"accuracy", right_of, {true, true, true}},
    {"accuracy_per_byte", right_per_byte_of, {[LM_TASK_CHOICE] = true}},
    {"log_likelihood", log_likelihood_of, {[LM_TASK_CHOICE] = true, [LM_TASK_CLOZE] = true}},
};
enum { ACCURACY, ACCURACY_PER_BYTE, LOG_LIKELIHOOD, N_MEASURES };
_Static_assert(sizeof measures / sizeof *measures == N_MEASURES, "a name each");

/* Over all tasks of a kind, in two passes. */
static struct lm_mean mean_of(const struct eval_tasks *tasks, uint32_t kind, uint32_t model,
                              measure of)
{
    struct lm_mean mean = {0};
    double sums[2] = {0};
    for (uint32_t pass = 0; pass < 2; pass++) {
        mean.n = 0;
        for (uint32_t i = 0; i < tasks->lines.n; i++) {
            const struct task_line *line = &tasks->lines.at[i];
            if (line->task.kind != kind) continue;
            const double d = of(line, &tasks->pairs[i].answers[model]) - mean.mean;
            sums[pass] += pass == 0 ? d : d * d;
            mean.n++;
        }
        if (pass == 0 && mean.n > 0) mean.mean = sums[0] / (double)mean.n;
    }
    if (mean.n > 1) mean.error = sqrt(sums[1] / (double)(mean.n - 1) / (double)mean.n);
    return mean;
}

/* By the sum, where a choice has two accuracies. */
enum flip { RIGHT_TO_WRONG, WRONG_TO_RIGHT, N_FLIPS };
static const struct {
    const char *key;
    const char *words;
} flips[N_FLIPS] = {{"right_to_wrong", "right -> wrong"}, {"wrong_to_right", "wrong -> right"}};

static bool flips_so(const struct eval_tasks *tasks, uint32_t i, enum flip flip)
{
    const bool was = tasks->pairs[i].answers[1].right;
    return tasks->n_models == 2 && was != tasks->pairs[i].answers[0].right &&
           was == (flip == RIGHT_TO_WRONG);
}

static uint32_t count_flips(const struct eval_tasks *tasks, uint32_t kind, enum flip flip)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < tasks->lines.n; i++) {
        n += tasks->lines.at[i].task.kind == kind && flips_so(tasks, i, flip);
    }
    return n;
}

/* ------------------------------------------------------------------ JSON */

static void put_means(json_t *object, const struct eval_tasks *tasks, uint32_t kind, uint32_t model,
                      bool *failed)
{
    for (uint32_t i = 0; i < N_MEASURES; i++) {
        if (!measures[i].kinds[kind]) continue;
        const struct lm_mean mean = mean_of(tasks, kind, model, measures[i].of);
        json_t *value = json_object();
        json_put(value, "mean", json_number(mean.mean), failed);
        json_put(value, "error", json_number(mean.error), failed);
        json_put(object, measures[i].key, value, failed);
    }
}

static json_t *flips_json(const struct eval_tasks *tasks, uint32_t kind, enum flip flip,
                          bool *failed)
{
    json_t *lines = json_array();
    for (uint32_t i = 0; i < tasks->lines.n; i++) {
        if (tasks->lines.at[i].task.kind == kind && flips_so(tasks, i, flip)) {
            json_add(lines, json_count(tasks->lines.at[i].line), failed);
        }
    }
    return lines;
}

static json_t *kind_json(const struct eval_tasks *tasks, uint32_t kind, uint64_t n, bool *failed)
{
    json_t *object = json_object();
    json_put(object, "n", json_count(n), failed);
    put_means(object, tasks, kind, 0, failed);
    if (tasks->n_models < 2) return object;
    json_t *baseline = json_object();
    put_means(baseline, tasks, kind, 1, failed);
    json_put(object, "baseline", baseline, failed);
    for (uint32_t f = 0; f < N_FLIPS; f++) {
        json_put(object, flips[f].key, flips_json(tasks, kind, (enum flip)f, failed), failed);
    }
    return object;
}

static void put_base_name(json_t *object, const char *key, const char *path, bool *failed)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    json_put_bytes(object, key, name, strlen(name), failed);
}

json_t *eval_tasks_json(const struct eval_values *v, const struct eval_tasks *tasks, bool *failed)
{
    json_t *object = json_object();
    put_base_name(object, "file", v->tasks, failed);
    if (v->baseline) put_base_name(object, "baseline", v->baseline, failed);
    for (uint32_t kind = 0; kind < LM_N_TASK_KINDS; kind++) {
        const uint64_t n = mean_of(tasks, kind, 0, right_of).n;
        if (n == 0) continue;
        json_put(object, task_type_names[kind], kind_json(tasks, kind, n, failed), failed);
    }
    return object;
}

static void put_answer(json_t *object, const struct task_line *line, const struct lm_answer *answer,
                       bool *failed)
{
    const enum lm_task_kind kind = line->task.kind;
    json_put(object, "right", json_boolean(answer->right), failed);
    if (kind == LM_TASK_EXACT) {
        json_put_bytes(object, "text", (const char *)answer->text.data,
                       (size_t)answer->text.n_bytes, failed);
        return;
    }
    json_t *found = json_array();
    for (uint32_t i = 0; i < line->task.n_texts; i++) {
        json_add(found, json_number(answer->log_likelihoods[i]), failed);
    }
    json_put(object, "log_likelihoods", found, failed);
    if (kind == LM_TASK_CLOZE) return;
    json_put(object, "chosen", json_count(answer->chosen), failed);
    json_put(object, "chosen_per_byte", json_count(answer->chosen_per_byte), failed);
    json_put(object, "right_per_byte", json_boolean(answer->right_per_byte), failed);
}

json_t *eval_tasks_lines_json(const struct eval_tasks *tasks, bool *failed)
{
    json_t *lines = json_array();
    for (uint32_t i = 0; i < tasks->lines.n; i++) {
        const struct task_line *line = &tasks->lines.at[i];
        json_t *object = json_object();
        json_t *id = json_object_get(line->root, "id");
        json_put(object, "line", json_count(line->line), failed);
        if (id) json_put(object, "id", json_incref(id), failed);
        json_put(object, "type", json_string(task_type_names[line->task.kind]), failed);
        put_answer(object, line, &tasks->pairs[i].answers[0], failed);
        if (tasks->n_models == 2) {
            json_t *baseline = json_object();
            put_answer(baseline, line, &tasks->pairs[i].answers[1], failed);
            json_put(object, "baseline", baseline, failed);
        }
        json_add(lines, object, failed);
    }
    return lines;
}

/* ------------------------------------------------------------------ a table */

static void put_cell(struct table *table, const struct eval_tasks *tasks, uint32_t kind,
                     uint32_t model, uint32_t index)
{
    if (!measures[index].kinds[kind]) {
        table_cell(table, "%s", "");
        return;
    }
    const struct lm_mean mean = mean_of(tasks, kind, model, measures[index].of);
    if (index == LOG_LIKELIHOOD) {
        table_cell(table, "%.4f +- %.4f", mean.mean, mean.error);
    } else {
        table_cell(table, "%.2f %% +- %.2f", mean.mean * 100, mean.error * 100);
    }
}

static bool print_flips(const struct eval_tasks *tasks, FILE *out)
{
    for (uint32_t i = 0; i < tasks->lines.n; i++) {
        for (uint32_t f = 0; f < N_FLIPS; f++) {
            if (!flips_so(tasks, i, (enum flip)f)) continue;
            const struct task_line *line = &tasks->lines.at[i];
            const json_t *id = json_object_get(line->root, "id");
            char *text = id ? json_dumps(id, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
            char *safe = text ? text_safe(text, strlen(text)) : NULL;
            if (id && safe == NULL) {
                report_no_memory();
                free(text);
                return false;
            }
            fprintf(out, "line %llu: %s%s%s\n", (unsigned long long)line->line, flips[f].words,
                    safe ? ", id " : "", safe ? safe : "");
            free(safe);
            free(text);
        }
    }
    return true;
}

bool eval_tasks_print(const struct eval_tasks *tasks, FILE *out)
{
    static const struct column columns[] = {
        {"tasks", false},         {"n", true},
        {"right", true},          {"right per byte", true},
        {"log-likelihood", true}, {"baseline right", true},
        {"right -> wrong", true}, {"wrong -> right", true},
    };
    enum { N_ALONE = 5, N_WITH_BASELINE = 8 };
    struct table table = {.columns = columns,
                          .n_columns = tasks->n_models == 2 ? N_WITH_BASELINE : N_ALONE};
    for (uint32_t kind = 0; kind < LM_N_TASK_KINDS; kind++) {
        const uint64_t n = mean_of(tasks, kind, 0, right_of).n;
        if (n == 0) continue;
        table_cell(&table, "%s", task_type_names[kind]);
        table_cell(&table, "%s", text_count(n).at);
        for (uint32_t i = 0; i < N_MEASURES; i++) put_cell(&table, tasks, kind, 0, i);
        if (tasks->n_models < 2) continue;
        put_cell(&table, tasks, kind, 1, ACCURACY);
        for (uint32_t f = 0; f < N_FLIPS; f++) {
            table_cell(&table, "%s", text_count(count_flips(tasks, kind, (enum flip)f)).at);
        }
    }
    const bool printed = table_print(&table, out, 0) && print_flips(tasks, out);
    table_release(&table);
    return printed;
}
