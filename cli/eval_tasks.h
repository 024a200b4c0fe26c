/* ingot eval: tasks, and those that only one of two models has right. */
#ifndef CLI_EVAL_TASKS_H
#define CLI_EVAL_TASKS_H

#include "cli/eval_text.h"
#include "cli/task_lines.h"

struct task_pair {
    struct lm_answer answers[2]; /* of the model and of the baseline */
};

struct eval_tasks {
    struct task_lines lines;
    struct task_pair *pairs; /* one a line */
    uint32_t n_models;
};

/* Reads the tasks, checks that each model has room for all of them, and puts it to them. baseline
 * may be NULL. The exit status; what failed was said. tasks is released in any case. */
int eval_tasks_run(const struct eval_values *v, const struct language_model *model,
                   const struct language_model *baseline, struct progress_bar *bar,
                   struct eval_tasks *tasks);
void eval_tasks_release(struct eval_tasks *tasks);

/* Accuracy and flips by type: also what a receipt is told. */
json_t *eval_tasks_json(const struct eval_values *v, const struct eval_tasks *tasks, bool *failed);
/* A list of what was answered line by line. */
json_t *eval_tasks_lines_json(const struct eval_tasks *tasks, bool *failed);
/* False when memory was lacking; a message was then printed. */
bool eval_tasks_print(const struct eval_tasks *tasks, FILE *out);

#endif
