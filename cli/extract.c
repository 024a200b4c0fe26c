/* ingot extract: one tensor or attached file of a model. Owns the words of the verb and which of
 * the two a name means; the work is convert/'s. */
#include <stdlib.h>
#include <string.h>

#include "cli/assume.h"
#include "cli/json.h"
#include "cli/lookup.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "cli/text.h"
#include "cli/verbs.h"
#include "convert/extract.h"

struct extract_values {
    const char *target;
    struct texts assume;
    bool tensor;
    bool attachment;
    bool raw;
    bool force;
    bool json;
    bool quiet;
};

/* What a name turned out to be. */
struct part {
    uint32_t index;
    const char *kind; /* "tensor", "attachment" */
    const char *form; /* "npy", "raw", "file" */
    ingot_status (*extract)(const struct model *model, uint32_t index,
                            const struct extract_options *options, uint64_t *n_bytes,
                            ingot_error *error);
};

/* EXITS_DONE with the part, or what was reported. */
static int find_part(const struct model *model, const char *path, const char *name,
                     const struct extract_values *v, struct part *part)
{
    const bool any = !v->tensor && !v->attachment;
    const struct lookup_kinds kinds = {any         ? "tensor or attached file"
                                       : v->tensor ? "tensor"
                                                   : "attached file",
                                       any || v->tensor, any || v->attachment};
    const uint32_t tensor = kinds.tensors ? lookup_tensor(model, name) : INGOT_NONE;
    const uint32_t attachment = kinds.attachments ? lookup_attachment(model, name) : INGOT_NONE;
    if (tensor != INGOT_NONE && attachment != INGOT_NONE) {
        return report_refusal(path,
                              "both a tensor and an attached file are named \"%s\": --tensor or "
                              "--attachment says which",
                              name);
    }
    if (tensor == INGOT_NONE && attachment == INGOT_NONE) {
        return lookup_failed(model, path, name, kinds);
    }
    if (attachment != INGOT_NONE) {
        *part = (struct part){attachment, "attachment", "file", extract_attachment};
        return v->raw ? report_usage("extract", "--raw is for tensors, and \"%s\" is a file", name)
                      : EXITS_DONE;
    }
    *part = v->raw ? (struct part){tensor, "tensor", "raw", extract_raw}
                   : (struct part){tensor, "tensor", "npy", extract_npy};
    return EXITS_DONE;
}

/* The type of what is written: of a .npy file it may not be the tensor's. */
static ingot_dtype written_dtype(const struct model_tensor *t, const struct part *part)
{
    return strcmp(part->form, "npy") == 0 ? extract_npy_dtype(t) : t->dtype;
}

static void note_dtype(const struct model *model, const char *path, const struct part *part)
{
    struct model_tensor t;
    if (strcmp(part->form, "npy") != 0) return;
    model_tensor(model, part->index, &t);
    if (written_dtype(&t, part) == t.dtype) return;
    if (t.raw) {
        report_note(path, "NumPy has no %s: written as f32; --raw gives the bytes as they are",
                    ingot_dtype_name(t.dtype));
    } else {
        report_note(path, "it is held as %s: written as the f32 values that this stands for",
                    t.encoding);
    }
}

static int print_json(const struct model *model, const char *name, const struct extract_values *v,
                      const struct part *part, uint64_t n_bytes)
{
    bool failed = false;
    json_t *root = json_object();
    json_put_bytes(root, "name", name, strlen(name), &failed);
    json_put(root, "kind", json_string(part->kind), &failed);
    json_put(root, "form", json_string(part->form), &failed);
    if (strcmp(part->kind, "tensor") == 0) {
        struct model_tensor t;
        model_tensor(model, part->index, &t);
        const bool blocks = strcmp(part->form, "raw") == 0 && !t.raw;
        const char *dtype = blocks ? t.foreign.name : ingot_dtype_name(written_dtype(&t, part));
        json_put(root, "dtype", json_string(dtype), &failed);
    }
    json_put_bytes(root, "target", v->target, strlen(v->target), &failed);
    json_put(root, "n_bytes", json_count(n_bytes), &failed);
    return json_print(root, failed, EXITS_DONE);
}

static int print_summary(const struct extract_values *v, uint64_t n_bytes)
{
    char *target = text_safe(v->target, strlen(v->target));
    if (!target) return report_no_memory();
    printf("%s: %s\n", target, text_bytes(n_bytes).at);
    free(target);
    return EXITS_DONE;
}

static int extract(const struct model *model, const char *path, const char *name,
                   const struct extract_values *v)
{
    struct part part = {0};
    const int found = find_part(model, path, name, v, &part);
    if (found != EXITS_DONE) return found;
    struct progress_bar bar = progress_bar_begin(v->quiet);
    const struct progress progress = progress_bar_reports(&bar);
    const struct extract_options options = {v->target, v->force, &progress};
    uint64_t n_bytes = 0;
    ingot_error error = {0};
    const ingot_status status = part.extract(model, part.index, &options, &n_bytes, &error);
    progress_bar_erase(&bar);
    if (status == INGOT_EXISTS) {
        return report_refusal(v->target, "exists already; --force replaces it");
    }
    if (status != INGOT_OK) return report_error(path, &error);
    if (!v->quiet) note_dtype(model, path, &part);
    if (v->json) return print_json(model, name, v, &part, n_bytes);
    const bool to_stdout = strcmp(v->target, "-") == 0;
    return v->quiet || to_stdout ? EXITS_DONE : print_summary(v, n_bytes);
}

static int run(const void *values, struct operands operands)
{
    const struct extract_values *v = values;
    struct model *model = NULL;
    ingot_error error = {0};
    if (v->tensor && v->attachment) {
        return report_usage("extract", "--tensor and --attachment exclude each other");
    }
    if (v->json && strcmp(v->target, "-") == 0) {
        return report_usage("extract", "-o - and --json both want standard output");
    }
    struct assumptions assumptions;
    int status = assume_read("extract", &v->assume, &assumptions);
    if (status != EXITS_DONE) return status;
    if (model_open_assuming(operands.at, 1, &assumptions, NULL, &model, &error) != INGOT_OK) {
        return report_error(operands.at[0], &error);
    }
    status = extract(model, operands.at[0], operands.at[1], v);
    model_close(model);
    return status;
}

#define AT(member) .offset = offsetof(struct extract_values, member)
static const struct option options[] = {
    {"output", 'o', OPTION_TEXT, .required = true, AT(target), .value_name = "DST",
     .help = "the file to write, or - for standard output"},
    {"raw", 0, OPTION_FLAG, AT(raw),
     .help = "the bytes of a tensor as they are, in its own type, or blocks of a foreign one, and "
             "without a header"},
    {"tensor", 0, OPTION_FLAG, AT(tensor), .help = "NAME is a tensor's"},
    {"attachment", 0, OPTION_FLAG, AT(attachment), .help = "NAME is an attached file's"},
    ASSUME_OPTION(offsetof(struct extract_values, assume)),
    {"force", 'f', OPTION_FLAG, AT(force), .help = "replace DST when it exists"},
    {"json", 0, OPTION_FLAG, AT(json), .help = "print the result as JSON"},
    {"quiet", 'q', OPTION_FLAG, AT(quiet), .help = "print nothing but errors"},
    {0},
};

const struct verb verb_extract = {
    .name = "extract",
    .summary = "write one tensor as a .npy file, or one attached file",
    .operands = "FILE NAME",
    .min_operands = 2,
    .max_operands = 2,
    .about = "Writes one tensor or attached file of a model of any supported format. A tensor "
             "becomes a .npy file: in its own type where NumPy has it and the tensor is held raw, "
             "else in f32, which a note says.",
    .examples = "  ingot extract model.ingot lm_head.weight -o head.npy\n"
                "  ingot extract model.ingot config.json -o - | jq .hidden_size\n"
                "  ingot extract model/ lm_head.weight -o head.bf16 --raw\n",
    .options = options,
    .values_bytes = sizeof(struct extract_values),
    .run = run,
};
