/* ingot restore: the source files again. Owns the words of the verb; the work is convert/'s. */
#include <stdlib.h>
#include <string.h>

#include "cli/json.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "cli/text.h"
#include "cli/verbs.h"

struct restore_values {
    const char *target;
    uint32_t n_threads;
    bool force;
    bool json;
    bool quiet;
};

static int print_json(const char *file, const char *target, const struct restore_result *result)
{
    bool failed = false;
    json_t *root = json_object();
    json_put_bytes(root, "file", file, strlen(file), &failed);
    json_put_bytes(root, "target", target, strlen(target), &failed);
    json_put(root, "n_files", json_count(result->n_files), &failed);
    json_put(root, "n_bytes", json_count(result->n_bytes), &failed);
    return json_print(root, failed, EXITS_DONE);
}

static int print_summary(const char *target, const struct restore_result *result)
{
    char *safe_target = text_safe(target, strlen(target));
    if (!safe_target) return report_no_memory();
    printf("%s: %u file%s, %s, each with the hash of its original\n", safe_target,
           (unsigned)result->n_files, result->n_files == 1 ? "" : "s",
           text_bytes(result->n_bytes).at);
    free(safe_target);
    return EXITS_DONE;
}

static int run(const void *values, struct operands operands)
{
    const struct restore_values *v = values;
    const char *path = operands.at[0];
    struct progress_bar bar = progress_bar_begin(v->quiet);
    const struct progress progress = progress_bar_reports(&bar);
    struct restore_result result = {0};
    ingot_file *file = NULL;
    ingot_error error = {0};
    ingot_status status = ingot_file_open(path, NULL, &file, &error);
    if (status == INGOT_OK) {
        status = restore_model(file, v->target, v->force, v->n_threads, &progress, &result, &error);
    }
    progress_bar_erase(&bar);
    ingot_file_close(file);
    if (status == INGOT_EXISTS) {
        /* The field names what is in the way: DST itself, or a file in it. */
        const char *in_the_way = error.field[0] ? error.field : v->target;
        return report_refusal(in_the_way, "%s; --force replaces files", error.what);
    }
    if (status != INGOT_OK) return report_error(path, &error);
    if (v->json) return print_json(path, v->target, &result);
    return v->quiet ? EXITS_DONE : print_summary(v->target, &result);
}

#define AT(member) .offset = offsetof(struct restore_values, member)
static const struct option options[] = {
    {"output", 'o', OPTION_TEXT, .required = true, AT(target), .value_name = "DST",
     .help = "the folder to write the files into (made, or empty); the file itself when the source "
             "was a single file; an archive when DST ends in .zip, .tar, .tar.gz or .tar.zst"},
    {"force", 'f', OPTION_FLAG, AT(force), .help = "replace files that exist"},
    {"threads", 0, OPTION_COUNT, AT(n_threads), .value_name = "N",
     .help = "threads; the default is one per core. What is written does not depend on it"},
    {"json", 0, OPTION_FLAG, AT(json), .help = "print the result as JSON"},
    {"quiet", 'q', OPTION_FLAG, AT(quiet), .help = "print nothing but errors"},
    {0},
};

const struct verb verb_restore = {
    .name = "restore",
    .summary = "write the source files of an .ingot file again, byte for byte",
    .operands = "FILE",
    .min_operands = 1,
    .max_operands = 1,
    .about = "Writes the files that an .ingot file was converted from. Each is checked against the "
             "hash of its original before it gets its name. A file whose tensors were re-encoded "
             "cannot be restored; \"ingot inspect\" tells whether one can.",
    .examples = "  ingot restore model.ingot -o model/\n"
                "  ingot restore model.ingot -o model.tar.zst\n"
                "  ingot restore weights.ingot -o weights.safetensors --force\n",
    .options = options,
    .values_bytes = sizeof(struct restore_values),
    .run = run,
};
