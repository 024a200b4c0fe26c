/* ingot convert: any model to an .ingot file. Owns the words of the verb and its summary; the work
 * is convert/'s. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/amounts.h"
#include "cli/assume.h"
#include "cli/dry_run.h"
#include "cli/json.h"
#include "cli/list_encodings.h"
#include "cli/notes.h"
#include "cli/progress.h"
#include "cli/report.h"
#include "cli/table.h"
#include "cli/text.h"
#include "cli/verbs.h"
#include "convert/presets.h"
#include "convert/select.h"
#include "convert/spill.h"

enum { N_WORST = 5, SHOWN_REFUSALS = 20 };

struct convert_values {
    const char *target;
    const char *encode;
    const char *recipe;
    const char *gguf_type;
    const char *dialect;
    const char *target_size;
    const char *target_bpw;
    const char *imatrix;
    bool fast;
    const struct choice *compress;
    uint32_t n_threads;
    struct texts include;
    struct texts exclude;
    struct texts assume;
    bool dry_run;
    bool keep;
    bool force;
    bool list_encodings;
    bool json;
    bool quiet;
    bool verbose;
};

/* Everything of one conversion. */
struct conversion {
    const struct convert_values *values;
    const char *const *sources;
    uint32_t n_sources;
    const ingot_allocator *memory; /* of what grows with the number of tensors */
    struct assumptions assumptions;
    uint64_t target_bytes; /* asked for; 0: none */
    double target_bpw;
    FILE *out; /* for the summary: stderr when the model itself goes to stdout */
    struct progress_bar bar;
    struct tensor_notes notes;
    struct left_out left_out;
    struct convert_result result;
    uint32_t n_refused; /* tensors that the target cannot hold */
    json_t *told;       /* what a reader of the target will miss; NULL unless as JSON */
    bool told_failed;
};

static const struct choice compressions[] = {
    {"fast", INGOT_COMPRESS_FAST},
    {"none", INGOT_COMPRESS_NONE},
    {"max", INGOT_COMPRESS_MAX},
    {0},
};

/* ------------------------------------------------------------------ encodings */

static bool is_encoding(const char *word, struct nearest *nearest)
{
    const struct preset *preset;
    if (preset_exists(word)) return true;
    for (uint32_t i = 0; (preset = preset_at(i)) != NULL; i++) {
        nearest_offer(nearest, preset_name(preset));
    }
    return false;
}

/* Every word of PRESET+PRESET is to be in the table. */
static int check_encode(const char *encode)
{
    char *words = strdup(encode);
    if (!words) return report_no_memory();
    int status = EXITS_DONE;
    char *rest = words;
    while (rest && status == EXITS_DONE) {
        const char *word = strsep(&rest, "+");
        struct nearest nearest = {.word = word};
        if (is_encoding(word, &nearest)) continue;
        status = nearest.best
                     ? report_usage("convert", "there is no encoding \"%s\"; did you mean %s?",
                                    word, nearest.best)
                     : report_usage("convert",
                                    "there is no encoding \"%s\"; \"ingot convert "
                                    "--list-encodings\" lists them",
                                    word);
    }
    free(words);
    return status;
}

/* ------------------------------------------------------------------ the summary */

static void tensor_done(void *context, const struct model_tensor *tensor, const char *encoding,
                        uint64_t coded_bytes, const struct tensor_error *error)
{
    struct conversion *c = context;
    notes_add(&c->notes, tensor, encoding, coded_bytes, error);
}

static void refused(void *context, const struct model_tensor *tensor, const char *why)
{
    struct conversion *c = context;
    if (c->n_refused++ >= SHOWN_REFUSALS) return;
    char *name = text_safe(tensor->name, tensor->name_bytes);
    report_refusal(c->n_sources == 1 ? c->sources[0] : NULL, "%s: %s",
                   name ? name : "out of memory", why);
    free(name);
}

static void note(void *context, const char *text)
{
    struct conversion *c = context;
    if (!c->values->quiet) report_note(c->values->target, "%s", text);
    if (c->told) json_add(c->told, json_string(text), &c->told_failed);
}

static int print_json(const struct conversion *c)
{
    const struct convert_result *r = &c->result;
    bool failed = c->told_failed;
    json_t *root = json_object();
    json_t *sources = json_array();
    for (uint32_t i = 0; i < c->n_sources; i++) {
        json_t *one = json_object();
        json_put_bytes(one, "path", c->sources[i], strlen(c->sources[i]), &failed);
        json_add(sources, one, &failed);
    }
    json_put(root, "sources", sources, &failed);
    json_put_bytes(root, "target", c->values->target, strlen(c->values->target), &failed);
    json_put(root, "n_tensors", json_count(r->n_tensors), &failed);
    json_put(root, "n_encoded", json_count(r->n_encoded), &failed);
    if (c->values->imatrix) {
        json_put(root, "n_unweighted", json_count(r->n_unweighted), &failed);
    }
    json_put(root, "source_bytes", json_count(r->source_bytes), &failed);
    json_put(root, "target_bytes", json_count(r->target_bytes), &failed);
    json_put(root, "coded_bits_per_weight", json_number(notes_bits_per_weight(&c->notes)), &failed);
    json_put(root, "n_attachments_lost", json_count(r->n_attachments_lost), &failed);
    json_put(root, "n_metadata_lost", json_count(r->n_metadata_lost), &failed);
    json_put(root, "n_tensors_left_out", json_count(c->left_out.n_tensors), &failed);
    json_put(root, "n_attachments_left_out", json_count(c->left_out.n_attachments), &failed);
    json_put(root, "restorable", json_boolean(r->restorable), &failed);
    json_put(root, "notes", json_incref(c->told), &failed);
    json_put(root, "tensors", notes_json(&c->notes, &failed), &failed);
    return json_print(root, failed, EXITS_DONE);
}

static const char *plural(uint32_t n)
{
    return n == 1 ? "" : "s";
}

static void print_restorable(const struct conversion *c)
{
    const struct {
        const char *what;
        uint32_t n;
        const char *became;
    } reasons[] = {
        {"tensor", c->result.n_encoded, "re-encoded"},
        {"tensor", c->left_out.n_tensors, "left out"},
        {"attached file", c->left_out.n_attachments, "left out"},
    };
    if (c->result.restorable) {
        fputs("the source files can be restored from it, byte for byte\n", c->out);
        return;
    }
    fputs("the source files cannot be restored from it", c->out);
    const char *separator = ": ";
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
        const uint32_t n = reasons[i].n;
        if (n == 0) continue;
        fprintf(c->out, "%s%u %s%s %s %s", separator, (unsigned)n, reasons[i].what, plural(n),
                n == 1 ? "was" : "were", reasons[i].became);
        separator = ", ";
    }
    fputc('\n', c->out);
}

static int print_summary(const struct conversion *c)
{
    const struct convert_result *r = &c->result;
    char *target = text_safe(c->values->target, strlen(c->values->target));
    if (!target) return report_no_memory();
    if (c->values->verbose) {
        if (!notes_print(&c->notes, c->out)) goto failed;
        fputc('\n', c->out);
    }
    const double share =
        r->source_bytes > 0 ? 100 * (double)r->target_bytes / (double)r->source_bytes : 100;
    fprintf(c->out, "%s: %s tensor%s, %s re-encoded", target, text_count(r->n_tensors).at,
            plural(r->n_tensors), r->n_encoded > 0 ? text_count(r->n_encoded).at : "none");
    const uint32_t n_repacked = notes_n_repacked(&c->notes);
    if (n_repacked > 0) fprintf(c->out, ", %s repacked exactly", text_count(n_repacked).at);
    fputc('\n', c->out);
    fprintf(c->out, "%s -> %s (%.1f %%); %.2f bits per weight before lossless compression\n",
            text_bytes(r->source_bytes).at, text_bytes(r->target_bytes).at, share,
            notes_bits_per_weight(&c->notes));
    if (r->n_unweighted > 0) {
        fprintf(c->out, "without an entry in the imatrix, as the receipt says: %s tensor%s\n",
                text_count(r->n_unweighted).at, plural(r->n_unweighted));
    }
    if (r->n_encoded > 0 && !notes_print_worst(&c->notes, N_WORST, c->out)) goto failed;
    if (r->n_attachments_lost > 0) {
        fprintf(c->out, "left out, as the target has no place for them: %u attached file%s\n",
                (unsigned)r->n_attachments_lost, plural(r->n_attachments_lost));
    }
    print_restorable(c);
    free(target);
    return EXITS_DONE;
failed:
    free(target);
    return EXITS_SYSTEM;
}

/* ------------------------------------------------------------------ the verb */

/* Says why, but of tensors that are refused, which were told one by one. */
static int failed(const struct conversion *c, const ingot_error *error)
{
    const char *source = c->n_sources == 1 ? c->sources[0] : NULL;
    if (error->status == INGOT_EXISTS) {
        return report_refusal(c->values->target, "exists already; --force replaces it");
    }
    if (c->n_refused == 0) return report_error(source, error);
    if (c->n_refused > SHOWN_REFUSALS) {
        report_refusal(source, "and %s more", text_count(c->n_refused - SHOWN_REFUSALS).at);
    }
    return report_refusal(source, "%s of its tensors cannot be in %s; nothing was written",
                          text_count(c->n_refused).at, c->values->target);
}

static int convert(struct conversion *c, const struct model *model)
{
    const struct convert_values *v = c->values;
    const struct progress progress = progress_bar_reports(&c->bar);
    const struct convert_options options = {
        .encode = v->encode,
        .recipe = v->recipe,
        .gguf_type = v->gguf_type,
        .dialect = v->dialect,
        .target_bytes = c->target_bytes,
        .target_bpw = c->target_bpw,
        .imatrix = v->imatrix,
        .fast = v->fast,
        .compression = (ingot_compression)(v->compress ? v->compress : compressions)->value,
        .replace = v->force,
        .allocator = c->memory,
        .n_threads = v->n_threads,
        .progress = &progress,
        .context = c,
        .tensor_done = tensor_done,
        .refused = refused,
        .note = note,
    };
    ingot_error error = {0};
    if (!v->quiet) report_model_notes(c->sources[0], model);
    if (v->dry_run) {
        const struct dry_run plan = {model, v->target, &options, c->told, v->quiet};
        int exits = EXITS_DONE;
        return dry_run(&plan, &exits, &error) == INGOT_OK ? exits : failed(c, &error);
    }
    c->left_out = model_left_out(model);
    const ingot_status status = convert_model(model, v->target, &options, &c->result, &error);
    progress_bar_erase(&c->bar);
    if (status != INGOT_OK) return failed(c, &error);
    if (c->notes.failed) return report_no_memory();
    if (v->json) return print_json(c);
    return v->quiet ? EXITS_DONE : print_summary(c);
}

/* Opens the sources, and of them what was asked for. *model is to be closed also after a failure.
 */
static ingot_status open_source(const struct conversion *c, struct model **model,
                                ingot_error *error)
{
    const struct convert_values *v = c->values;
    const struct selection selection = {v->include.at, v->include.n, v->exclude.at, v->exclude.n};
    const ingot_status status =
        model_open_assuming(c->sources, c->n_sources, &c->assumptions, c->memory, model, error);
    if (status != INGOT_OK || v->include.n + v->exclude.n == 0) return status;
    return model_select(*model, &selection, c->memory, model, error);
}

/* Whether something lies in a folder, at any depth. Nothing that is not there does. */
static bool lies_in(const char *path, const char *folder)
{
    struct stat found;
    if (stat(folder, &found) != 0 || !S_ISDIR(found.st_mode)) return false;
    char *whole = realpath(path, NULL);
    char *outer = realpath(folder, NULL);
    const size_t n_bytes = outer ? strlen(outer) : 0;
    const bool lies =
        whole && outer && strncmp(whole, outer, n_bytes) == 0 && whole[n_bytes] == '/';
    free(outer);
    free(whole);
    return lies;
}

/* What an earlier run left in the source's folder would be taken for one of its files. */
static int check_target(const char *target, struct operands sources)
{
    for (uint32_t i = 0; i < sources.n; i++) {
        if (!lies_in(target, sources.at[i])) continue;
        return report_refusal(target,
                              "it is there already, in the folder that is converted, and would "
                              "become a part of itself: remove it first");
    }
    return EXITS_DONE;
}

/* Where large tables may spill to: the target's folder, which is to have room. The caller frees it;
 * NULL when memory is lacking. */
static char *spill_folder(const char *target)
{
    const char *slash = strrchr(target, '/');
    const char *temporary = getenv("TMPDIR");
    if (strcmp(target, "-") == 0) return strdup(temporary ? temporary : "/tmp");
    if (slash == target) return strdup("/");
    return slash ? strndup(target, (size_t)(slash - target)) : strdup(".");
}

/* What becomes of the tensors is said in one way. */
static int check_ways(const struct convert_values *v)
{
    const char *const ways[] = {
        v->keep ? "--keep" : NULL, v->encode ? "--encode" : NULL, v->recipe ? "--recipe" : NULL,
        v->gguf_type ? "--to-gguf-type" : NULL, v->dialect ? "--to-dialect" : NULL};
    const char *way = NULL;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        if (ways[i] && way) {
            return report_usage("convert", "%s and %s exclude each other", way, ways[i]);
        }
        if (ways[i]) way = ways[i];
    }
    const char *size = v->target_size ? "--target-size" : v->target_bpw ? "--target-bpw" : NULL;
    if (v->target_size && v->target_bpw) {
        return report_usage("convert", "--target-size and --target-bpw exclude each other");
    }
    if (size && way && way != ways[2]) {
        return report_usage("convert", "%s and %s exclude each other", way, size);
    }
    const bool encodes = way && !v->keep && !v->dialect;
    if (!encodes && size == NULL && (v->imatrix || v->fast)) {
        return report_usage("convert", "%s is for --encode, --recipe and --to-gguf-type",
                            v->fast ? "--fast" : "--imatrix");
    }
    return EXITS_DONE;
}

static int read_targets(struct conversion *c)
{
    const struct convert_values *v = c->values;
    if (v->target_size && !amount_bytes(v->target_size, &c->target_bytes)) {
        return report_usage("convert", "--target-size takes bytes, as 800M or 4GiB, and not \"%s\"",
                            v->target_size);
    }
    if (v->target_bpw && !amount_number(v->target_bpw, &c->target_bpw)) {
        return report_usage("convert", "--target-bpw takes bits per weight, as 4.5, and not \"%s\"",
                            v->target_bpw);
    }
    return EXITS_DONE;
}

static int run(const void *values, struct operands operands)
{
    const struct convert_values *v = values;
    if (v->list_encodings) return list_encodings(v->json);
    const int ways = check_ways(v);
    if (ways != EXITS_DONE) return ways;
    const bool to_stdout = strcmp(v->target, "-") == 0;
    if (to_stdout && v->json) {
        return report_usage("convert", "-o - and --json both want standard output");
    }
    int status = v->encode ? check_encode(v->encode) : EXITS_DONE;
    if (status == EXITS_DONE) status = check_target(v->target, operands);
    if (status != EXITS_DONE) return status;

    char *folder = spill_folder(v->target);
    if (folder == NULL) return report_no_memory();
    const ingot_allocator memory = spill_allocator(folder);
    struct conversion c = {
        .values = v,
        .sources = operands.at,
        .n_sources = operands.n,
        .memory = &memory,
        .notes = {.allocator = &memory},
        .out = to_stdout ? stderr : stdout,
        .bar = progress_bar_begin(v->quiet),
        .told = v->json ? json_array() : NULL,
    };
    status = read_targets(&c);
    if (status == EXITS_DONE) status = assume_read("convert", &v->assume, &c.assumptions);
    if (status != EXITS_DONE) return status;
    struct model *model = NULL;
    ingot_error error = {0};
    if (open_source(&c, &model, &error) == INGOT_OK) {
        status = convert(&c, model);
    } else {
        status = report_error(operands.n == 1 ? operands.at[0] : NULL, &error);
    }
    json_decref(c.told);
    notes_release(&c.notes);
    model_close(model);
    free(folder);
    return status;
}

#define AT(member) .offset = offsetof(struct convert_values, member)
static const struct option options[] = {
    {"output", 'o', OPTION_TEXT, .required = true, AT(target), .value_name = "DST",
     .help = "the file to write: NAME.ingot, NAME.safetensors, NAME.gguf, or - for an .ingot file "
             "on standard output"},
    {"encode", 0, OPTION_TEXT, AT(encode), .value_name = "PRESET[+PRESET]",
     .help = "re-encode the weight matrices and measure what that loses; --list-encodings lists "
             "the presets"},
    {"recipe", 0, OPTION_TEXT, AT(recipe), .value_name = "FILE.json",
     .help = "re-encode by rules that go by name, role, layer and shape, as docs/recipes.md has "
             "them"},
    {"to-gguf-type", 0, OPTION_TEXT, AT(gguf_type), .value_name = "TYPE",
     .help = "a GGUF of that type for llama.cpp, searched by us: Q8_0, Q6_K, Q5_K_M, Q4_K_M, "
             "IQ4_XS, Q4_0, MXFP4, Q3_K_M, Q2_K ...; vectors are f32, routers are kept, and rows "
             "that are not whole blocks get a type of shorter ones"},
    {"to-dialect", 0, OPTION_TEXT, AT(dialect), .value_name = "DIALECT",
     .help =
         "write the quantized tensors of an .ingot file to a .safetensors as other programs do: "
         "bitsandbytes (nf4, fp4) or mxfp4 (blocks and scales, as gpt-oss). Exactly, or not at "
         "all"},
    {"target-size", 0, OPTION_TEXT, AT(target_size), .value_name = "BYTES",
     .help = "choose encodings so that the file has at most so many bytes (800M, 4GiB) and the "
             "least error: of those that a recipe's rules list, or of q2_k to q8_0. Every one is "
             "tried on every tensor"},
    {"target-bpw", 0, OPTION_TEXT, AT(target_bpw), .value_name = "BITS",
     .help = "the same for bits per weight of all tensors, before lossless compression"},
    {"imatrix", 0, OPTION_TEXT, AT(imatrix), .value_name = "FILE",
     .help = "importance of input channels, from llama-imatrix: searches weigh errors by it"},
    {"fast", 0, OPTION_FLAG, AT(fast), .help = "presets that search do so briefly"},
    {"keep", 0, OPTION_FLAG, AT(keep),
     .help = "keep each tensor in its source's own encoding (the default)"},
    {"compress", 0, OPTION_CHOICE, AT(compress), .value_name = "none|fast|max",
     .choices = compressions,
     .help = "lossless compression of what is written; the default is fast"},
    {"include", 0, OPTION_TEXTS, AT(include), .value_name = "PATTERN",
     .help = "take only tensors whose name matches, as '*.mlp.*' does; may be given again for "
             "more. Attached files are all taken"},
    {"exclude", 0, OPTION_TEXTS, AT(exclude), .value_name = "PATTERN",
     .help = "leave out tensors and attached files whose name matches, also those that --include "
             "takes; may be given again"},
    ASSUME_OPTION(offsetof(struct convert_values, assume)),
    {"dry-run", 0, OPTION_FLAG, AT(dry_run),
     .help = "print what would be written, tensor by tensor, and write nothing. Sizes of tensors "
             "are those before lossless compression; that of the file is exact, or within a "
             "percent by a sample of each large tensor's rows"},
    {"threads", 0, OPTION_COUNT, AT(n_threads), .value_name = "N",
     .help = "threads; the default is one per core. What is written does not depend on it"},
    {"force", 'f', OPTION_FLAG, AT(force), .help = "replace DST when it exists"},
    {"list-encodings", 0, OPTION_FLAG, .alone = true, AT(list_encodings),
     .help = "list the presets of --encode and do nothing else"},
    {"json", 0, OPTION_FLAG, AT(json), .help = "print the result as JSON"},
    {"quiet", 'q', OPTION_FLAG, AT(quiet), .help = "print nothing but errors"},
    {"verbose", 'v', OPTION_FLAG, AT(verbose), .help = "print a line for every tensor"},
    {0},
};

const struct verb verb_convert = {
    .name = "convert",
    .summary = "convert a model between formats, losslessly or re-encoded",
    .operands = "SRC...",
    .min_operands = 1,
    .max_operands = UINT32_MAX,
    .about = "Converts a model into one file. SRC is a checkpoint folder, one or more .safetensors "
             "files, an archive of either (.zip, .tar, .tar.gz, .tar.zst), a GGUF file (any one of "
             "the parts of a split model stands for all), a checkpoint of llama2.c (.bin, with its "
             "tokenizer.bin beside it or after it), or an .ingot file. Into an .ingot file "
             "nothing is lost unless --encode, --recipe, --include or --exclude is given: \"ingot "
             "restore\" "
             "gives the same source files again, byte for byte. A .safetensors or .gguf target "
             "takes what it can express; tensors that it cannot are refused, all at once and "
             "before anything is written, and what else it has no place for is told. Into a .gguf, "
             "a cast by --encode leaves vectors in f32, as llama.cpp wants them. The target gets "
             "its name only when "
             "it is whole. In a pattern * stands for any characters, also dots and slashes, ? for "
             "one, [a-c] for one of those.",
    .examples = "  ingot convert model/ -o model.ingot\n"
                "  ingot convert checkpoint.tar.gz -o model.ingot\n"
                "  ingot convert a.safetensors b.safetensors -o model.ingot --compress none\n"
                "  ingot convert model/ -o small.ingot --encode int4 -v\n"
                "  ingot convert model/ -o better.ingot --encode int4+lowrank16\n"
                "  ingot convert model.gguf -o model.ingot\n"
                "  ingot convert model.ingot -o model.gguf\n"
                "  ingot convert model.gguf -o small.gguf --to-gguf-type Q4_K_M\n"
                "  ingot convert model/ -o mixed.ingot --recipe mixed.json\n"
                "  ingot convert model/ -o small.ingot --target-bpw 4.5\n"
                "  ingot convert small.ingot -o plain.safetensors --encode bf16\n"
                "  ingot convert nf4.ingot -o nf4.safetensors --to-dialect bitsandbytes\n"
                "  ingot convert model/ -o small.ingot --encode int4 --dry-run\n"
                "  ingot convert model/ -o mlp.ingot --include '*.mlp.*' --exclude '*.bias'\n"
                "  ingot convert --list-encodings\n",
    .options = options,
    .values_bytes = sizeof(struct convert_values),
    .run = run,
};
