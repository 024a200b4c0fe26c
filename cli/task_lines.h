/* Tasks for a language model from JSONL: one object a line. */
#ifndef CLI_TASK_LINES_H
#define CLI_TASK_LINES_H

#include <jansson.h>

#include "runtime/lm_task.h"

/* The words of the types, by enum lm_task_kind. */
extern const char *const task_type_names[LM_N_TASK_KINDS];

struct task_line {
    uint64_t line; /* from 1 on */
    json_t *root;  /* whose texts the task points to */
    struct lm_text *texts;
    struct lm_task task;
};

struct task_lines {
    struct task_line *at;
    uint32_t n;
};

/* Reads all lines that are not empty; - is standard input. The exit status; what failed was said,
 * with the file, the line and the field. lines is released in any case. */
int task_lines_read(const char *path, struct task_lines *lines);
void task_lines_release(struct task_lines *lines);

#endif
