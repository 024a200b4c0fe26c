/* ingot report: a page about a model, made of what its file and its receipt say. Owns the words of
 * the verb and of the page; charts are page.c's. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "cli/inspect.h"
#include "cli/page.h"
#include "cli/page_quality.h"
#include "cli/report.h"
#include "cli/text.h"
#include "cli/verbs.h"
#include "cli/write_quality.h"
#include "convert/roles.h"
#include "format/alloc.h"
#include "format/fail.h"
#include "format/output.h"

enum { N_BARS = 24, N_WORST = 6, N_BINS = 60, N_ROWS = 1000 };

struct report_values {
    const char *target;
    bool force;
    bool quiet;
};

/* A tensor and what its receipt says of it. */
struct fact {
    struct model_tensor tensor;
    uint32_t index;
    uint32_t kind;
    uint32_t layer;
    double bits;
    bool measured;
    double sqnr_db; /* infinite: exact */
    double relative_error, max_error;
};

struct html_report {
    const struct report_values *values;
    const char *path;
    struct model *model;
    json_t *receipt; /* NULL: the file has none */
    struct inspect_totals totals;
    uint32_t n_facts, n_measured;
    struct fact *facts; /* worst first, then what was not measured */
    struct byte_buffer page;
    ingot_error error;
};

static const struct {
    uint32_t roles;
    const char *name;
} kinds[CHART_KINDS] = {
    {ROLE_ATTN_Q | ROLE_ATTN_K | ROLE_ATTN_QKV, "attention q, k"},
    {ROLE_ATTN_V, "attention v"},
    {ROLE_ATTN_OUTPUT, "attention output"},
    {ROLE_FFN_GATE, "ffn gate"},
    {ROLE_FFN_UP, "ffn up"},
    {ROLE_FFN_DOWN, "ffn down"},
    {ROLE_EMBEDDING | ROLE_OUTPUT, "embedding, output"},
    {UINT32_MAX, "other"},
};

/* ------------------------------------------------------------------ facts */

static ingot_status read_receipt(struct html_report *r)
{
    const ingot_file *file = model_container(r->model);
    const uint32_t index =
        file ? ingot_file_find_blob(file, INGOT_BLOB_RECEIPT, "", 0) : INGOT_NONE;
    ingot_blob blob;
    if (index == INGOT_NONE) return INGOT_OK;
    ingot_file_blob(file, index, &blob);
    uint8_t *text = ingot_allocate(NULL, blob.n_bytes + 1);
    if (text == NULL) return ingot_fail_memory(&r->error, blob.n_bytes, "receipt");
    const ingot_status status = ingot_file_read_blob(file, index, 0, blob.n_bytes, text, &r->error);
    if (status == INGOT_OK) {
        r->receipt = json_loadb((const char *)text, (size_t)blob.n_bytes, 0, NULL);
    }
    ingot_release(NULL, text);
    return status;
}

static double number_of(const json_t *entry, const char *key, double otherwise)
{
    const json_t *value = json_object_get(entry, key);
    return json_is_number(value) ? json_number_value(value) : otherwise;
}

static void take_entry(struct fact *fact, const json_t *entry)
{
    fact->measured = json_is_string(json_object_get(entry, "encoding"));
    if (!fact->measured) return;
    fact->sqnr_db = number_of(entry, "sqnr_db", (double)INFINITY);
    fact->relative_error = number_of(entry, "relative_error", 0);
    fact->max_error = number_of(entry, "max_error", 0);
}

static int compare_facts(const void *left, const void *right)
{
    const struct fact *a = left, *b = right;
    if (a->measured != b->measured) return a->measured ? -1 : 1;
    if (a->measured && (a->sqnr_db < b->sqnr_db || a->sqnr_db > b->sqnr_db)) {
        return a->sqnr_db < b->sqnr_db ? -1 : 1;
    }
    return a->index < b->index ? -1 : a->index > b->index;
}

static ingot_status collect(struct html_report *r)
{
    const json_t *entries = json_object_get(r->receipt, "tensors");
    r->n_facts = model_n_tensors(r->model);
    r->facts = calloc((size_t)r->n_facts + 1, sizeof *r->facts);
    if (r->facts == NULL || !inspect_totals(r->model, &r->totals)) {
        return ingot_fail_memory(&r->error, r->n_facts * sizeof *r->facts, "tensors");
    }
    for (uint32_t i = 0; i < r->n_facts; i++) {
        struct fact *fact = &r->facts[i];
        struct model_tensor *t = &fact->tensor;
        model_tensor(r->model, i, t);
        const struct place place = place_of(t->name, t->name_bytes);
        fact->index = i;
        fact->layer = place.layer;
        while ((kinds[fact->kind].roles & place.role) == 0) fact->kind++;
        fact->bits = inspect_bits_per_weight(t->stored_bytes, t->n_rows * t->n_cols);
        if (entries) take_entry(fact, json_array_get(entries, t->number));
        r->n_measured += fact->measured;
    }
    if (r->n_facts > 1) qsort(r->facts, r->n_facts, sizeof *r->facts, compare_facts);
    return INGOT_OK;
}

/* ------------------------------------------------------------------ the page */

static const char style[] =
    "<style>:root{--bg:#fff;--fg:#1b1f24;--dim:#667;--line:#e3e6ea;--bar:#3b6fb5}"
    "@media(prefers-color-scheme:dark){:root{--bg:#14171b;--fg:#e6e8eb;--dim:#9aa3ad;"
    "--line:#2b3138;--bar:#6b9fe0}}"
    "body{background:var(--bg);color:var(--fg);font:15px/1.5 system-ui,sans-serif;"
    "max-width:68rem;margin:2rem auto;padding:0 1rem}"
    "h1{font-size:1.5rem;margin-bottom:.2rem}h2{font-size:1.15rem;margin-top:2.2rem}"
    ".dim{color:var(--dim)}.facts{display:flex;flex-wrap:wrap;gap:1rem 2.5rem;margin:1rem 0}"
    ".facts b{display:block;font-size:1.3rem}"
    "svg{width:100%;height:auto;font:12px system-ui,sans-serif;fill:var(--fg)}"
    ".end{text-anchor:end}.mid{text-anchor:middle}.bar{fill:var(--bar)}"
    ".grid{stroke:var(--line)}circle{fill-opacity:.75}"
    ".k0{color:#4477aa}.k1{color:#ee6677}.k2{color:#66ccee}.k3{color:#ccbb44}.k4{color:#228833}"
    ".k5{color:#aa3377}.k6{color:#ee8833}.k7{color:#999}circle{fill:currentColor}"
    "polyline{stroke:currentColor}"
    ".legend span{margin-right:1.2em;white-space:nowrap}.legend svg{width:.8em;height:.8em}"
    ".worst{display:grid;grid-template-columns:repeat(auto-fill,minmax(17rem,1fr));gap:1.5rem}"
    ".worst p{margin:0 0 .3rem;overflow-wrap:anywhere}.scroll{overflow-x:auto}"
    "table{border-collapse:collapse;width:100%;font-size:.88rem;"
    "font-variant-numeric:tabular-nums}"
    "td,th{white-space:nowrap;text-align:right;padding:.25rem .6rem;border-bottom:1px solid "
    "var(--line)}"
    "td:first-child,th:first-child,td:nth-child(2),th:nth-child(2){text-align:left}"
    ".numbers td:nth-child(2),.numbers th:nth-child(2){text-align:right}"
    "polyline{fill:none;stroke-width:1.5;stroke-opacity:.5}"
    ".bound{stroke:var(--dim);stroke-dasharray:5 4}"
    "pre{white-space:pre-wrap;overflow-wrap:anywhere}</style>\n";

static void put_raw(struct html_report *r, const char *text)
{
    buffer_append(&r->page, text, strlen(text));
}

static void put_text(struct html_report *r, const char *text)
{
    page_text(&r->page, text, strlen(text));
}

static void put_head(struct html_report *r)
{
    const char *slash = strrchr(r->path, '/');
    const char *name = slash ? slash + 1 : r->path;
    const struct inspect_sum *all = &r->totals.all;
    put_raw(r, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n<meta "
               "name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>");
    put_text(r, name);
    put_raw(r, "</title>\n");
    put_raw(r, style);
    put_raw(r, "</head><body>\n<h1>");
    put_text(r, name);
    put_raw(r, "</h1>\n<div class=\"facts\">\n");
    page_put(&r->page, "<div><b>%s</b>in tensors</div>\n", text_bytes(all->stored_bytes).at);
    page_put(&r->page, "<div><b>%.2f</b>bits per weight</div>\n",
             inspect_bits_per_weight(all->stored_bytes, all->n_weights));
    page_put(&r->page, "<div><b>%s</b>weights</div>\n", text_count(all->n_weights).at);
    page_put(&r->page, "<div><b>%s</b>tensors</div>\n", text_count(r->n_facts).at);
    page_put(&r->page, "<div><b>%s</b>re-encoded with loss</div>\n</div>\n",
             text_count(r->n_measured).at);
}

static void put_bytes(struct html_report *r)
{
    struct chart_bar bars[N_BARS];
    char shown[N_BARS][256];
    const struct inspect_totals *t = &r->totals;
    const uint32_t n = t->n_encodings < N_BARS ? t->n_encodings : N_BARS;
    put_raw(r, "<h2>Bytes by encoding</h2>\n");
    for (uint32_t i = 0; i < n; i++) {
        const struct inspect_sum *sum = &t->encodings[i];
        const double all = (double)(t->all.stored_bytes ? t->all.stored_bytes : 1);
        snprintf(shown[i], sizeof shown[i], "%s, %.1f %%, %u tensor%s",
                 text_bytes(sum->stored_bytes).at, 100 * (double)sum->stored_bytes / all,
                 (unsigned)sum->n_tensors, sum->n_tensors == 1 ? "" : "s");
        bars[i] = (struct chart_bar){sum->encoding, (double)sum->stored_bytes, shown[i]};
    }
    page_bars(&r->page, bars, n);
    if (t->n_encodings > n) {
        page_put(&r->page, "<p class=\"dim\">and %u more encodings</p>\n", t->n_encodings - n);
    }
}

/* Points of the measured tensors; by layer, only of those in one. */
static uint32_t list_points(const struct html_report *r, struct chart_point *points, bool by_layer)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < r->n_measured; i++) {
        const struct fact *f = &r->facts[i];
        if (!isfinite(f->sqnr_db) || (by_layer && f->layer == INGOT_NONE)) continue;
        points[n++] = (struct chart_point){
            .x = by_layer ? f->layer : f->bits,
            .y = by_layer ? f->relative_error : f->sqnr_db,
            .kind = f->kind,
            .name = f->tensor.name,
            .name_bytes = f->tensor.name_bytes,
            .encoding = f->tensor.encoding,
        };
    }
    return n;
}

static ingot_status put_errors(struct html_report *r)
{
    const char *names[CHART_KINDS];
    for (uint32_t k = 0; k < CHART_KINDS; k++) names[k] = kinds[k].name;
    struct chart_point *points = calloc((size_t)r->n_measured + 1, sizeof *points);
    if (points == NULL) return ingot_fail_memory(&r->error, r->n_measured, "points");
    uint32_t n = list_points(r, points, true);
    if (n > 0) {
        const struct chart chart = {.x = {"layer", true},
                                    .y = {"relative error (lower is better)", false},
                                    .kinds = names,
                                    .joined = true};
        put_raw(r, "<h2>Error by layer</h2>\n");
        page_scatter(&r->page, points, n, &chart);
    }
    n = list_points(r, points, false);
    if (n > 0) {
        const struct chart chart = {
            .x = {"stored bits per weight", false},
            .y = {"SQNR in dB (higher is better)", false},
            .kinds = names,
            .slope = 20 * log10(2),
            .slope_name = "the most that normal weights allow, 6.02 dB a bit",
        };
        put_raw(r, "<h2>Error against bits</h2>\n");
        page_scatter(&r->page, points, n, &chart);
    }
    free(points);
    return INGOT_OK;
}

/* Counts of a tensor's finite values between their extremes, read by rows twice. */
static ingot_status count_values(struct html_report *r, const struct fact *f, uint64_t *counts,
                                 float *low, float *high)
{
    const struct model_tensor *t = &f->tensor;
    float *row = ingot_allocate_zeroed(NULL, t->n_cols, sizeof *row);
    ingot_status status = INGOT_OK;
    *low = INFINITY;
    *high = -INFINITY;
    if (row == NULL) return ingot_fail_memory(&r->error, t->n_cols * sizeof *row, "row");
    for (int pass = 0; pass < 2; pass++) {
        const double width = (double)*high - (double)*low;
        for (uint64_t i = 0; i < t->n_rows && status == INGOT_OK; i++) {
            status = model_decode_f32(r->model, f->index, i, 1, row, &r->error);
            for (uint64_t k = 0; k < t->n_cols && status == INGOT_OK; k++) {
                if (!isfinite(row[k])) continue;
                *low = fminf(*low, pass ? *low : row[k]);
                *high = fmaxf(*high, pass ? *high : row[k]);
                if (pass == 0) continue;
                const double at = width > 0 ? ((double)row[k] - (double)*low) / width : 0;
                counts[(uint32_t)fmin(at * N_BINS, N_BINS - 1)]++;
            }
        }
    }
    ingot_release(NULL, row);
    return status;
}

static ingot_status put_worst(struct html_report *r)
{
    ingot_status status = INGOT_OK;
    if (r->n_measured == 0) return INGOT_OK;
    put_raw(r, "<h2>Values of the worst tensors</h2>\n<p class=\"dim\">As the file holds them. "
               "Heights are square roots of counts.</p>\n<div class=\"worst\">\n");
    for (uint32_t i = 0; i < r->n_measured && i < N_WORST && status == INGOT_OK; i++) {
        const struct fact *f = &r->facts[i];
        uint64_t counts[N_BINS] = {0};
        float low, high;
        status = count_values(r, f, counts, &low, &high);
        if (status != INGOT_OK || !(low <= high)) continue;
        put_raw(r, "<div><p>");
        page_text(&r->page, f->tensor.name, f->tensor.name_bytes);
        put_raw(r, "<br><span class=\"dim\">");
        put_text(r, f->tensor.encoding);
        page_put(&r->page, ", %s dB</span></p>\n", text_decibels(f->sqnr_db, 1).at);
        page_histogram(&r->page, counts, N_BINS, (double)low, (double)high);
        put_raw(r, "</div>\n");
    }
    put_raw(r, "</div>\n");
    return status;
}

static void put_row(struct html_report *r, const struct fact *f)
{
    put_raw(r, "<tr><td>");
    page_text(&r->page, f->tensor.name, f->tensor.name_bytes);
    put_raw(r, "</td><td>");
    put_text(r, f->tensor.encoding);
    page_put(&r->page, "</td><td>%s</td><td>%.2f</td>",
             text_shape(f->tensor.rank, f->tensor.dims).at, f->bits);
    if (f->measured) {
        page_put(&r->page, "<td>%s</td><td>%.3g</td><td>%.3g</td></tr>\n",
                 text_decibels(f->sqnr_db, isfinite(f->sqnr_db) ? 1 : 0).at, f->relative_error,
                 f->max_error);
    } else {
        put_raw(r, "<td class=\"dim\">kept</td><td></td><td></td></tr>\n");
    }
}

static void put_table(struct html_report *r)
{
    const uint32_t n = r->n_facts < N_ROWS ? r->n_facts : N_ROWS;
    put_raw(r, "<h2>Tensors, worst first</h2>\n<div class=\"scroll\"><table><tr><th>tensor</th>"
               "<th>encoding</th><th>shape</th><th>bits/weight</th><th>SQNR dB</th><th>relative "
               "error</th><th>largest error</th></tr>\n");
    for (uint32_t i = 0; i < n; i++) put_row(r, &r->facts[i]);
    put_raw(r, "</table></div>\n");
    if (r->n_facts > n) {
        page_put(&r->page, "<p class=\"dim\">and %s more</p>\n", text_count(r->n_facts - n).at);
    }
}

static void put_receipt(struct html_report *r)
{
    static const char *const keys[] = {"recipe", "earlier_recipe"};
    const json_t *notes = json_object_get(r->receipt, "notes");
    if (r->receipt == NULL) {
        put_raw(r, "<p class=\"dim\">The file has no receipt: what it lost is not known.</p>\n");
    }
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const json_t *value = json_object_get(r->receipt, keys[i]);
        char *text = value ? json_dumps(value, JSON_INDENT(2)) : NULL;
        if (text == NULL) continue;
        page_put(&r->page, "<h2>%s</h2>\n<pre>", i ? "Earlier recipe" : "Recipe");
        page_lines(&r->page, text);
        put_raw(r, "</pre>\n");
        free(text);
    }
    if (json_array_size(notes) > 0) put_raw(r, "<h2>Notes</h2>\n<ul>\n");
    for (size_t i = 0; i < json_array_size(notes); i++) {
        const char *note = json_string_value(json_array_get(notes, i));
        put_raw(r, "<li>");
        put_text(r, note ? note : "");
        put_raw(r, "</li>\n");
    }
    if (json_array_size(notes) > 0) put_raw(r, "</ul>\n");
}

/* ------------------------------------------------------------------ the verb */

static ingot_status write_page(struct html_report *r)
{
    struct output *output;
    if (r->page.failed) return ingot_fail_memory(&r->error, r->page.n_bytes, "page");
    ingot_status status =
        output_create(r->values->target, r->values->force, NULL, &output, &r->error);
    if (status != INGOT_OK) return status;
    status = output_write(output, r->page.data, r->page.n_bytes, &r->error);
    if (status == INGOT_OK) status = output_finish(output, &r->error);
    output_close(output);
    return status;
}

static ingot_status make_page(struct html_report *r)
{
    ingot_status status = model_open(&r->path, 1, NULL, &r->model, &r->error);
    if (status == INGOT_OK) status = read_receipt(r);
    if (status == INGOT_OK) status = collect(r);
    if (status != INGOT_OK) return status;
    put_head(r);
    json_t *quality = model_container(r->model) ? read_quality(model_container(r->model)) : NULL;
    page_quality(&r->page, quality);
    json_decref(quality);
    put_bytes(r);
    status = put_errors(r);
    if (status == INGOT_OK) status = put_worst(r);
    if (status != INGOT_OK) return status;
    put_table(r);
    put_receipt(r);
    put_raw(r, "</body></html>\n");
    return write_page(r);
}

static int run(const void *values, struct operands operands)
{
    struct html_report r = {.values = values, .path = operands.at[0]};
    int exits = EXITS_DONE;
    if (make_page(&r) != INGOT_OK) {
        exits = r.error.status == INGOT_EXISTS
                    ? report_refusal(r.values->target, "exists already; --force replaces it")
                    : report_error(r.path, &r.error);
    }
    buffer_release(&r.page);
    free(r.facts);
    inspect_totals_release(&r.totals);
    json_decref(r.receipt);
    model_close(r.model);
    return exits;
}

#define AT(member) .offset = offsetof(struct report_values, member)
static const struct option options[] = {
    {"output", 'o', OPTION_TEXT, .required = true, AT(target), .value_name = "PAGE.html",
     .help = "the page to write, or - for standard output"},
    {"force", 'f', OPTION_FLAG, AT(force), .help = "replace PAGE.html when it exists"},
    {0},
};

const struct verb verb_report = {
    .name = "report",
    .summary = "write a page of HTML about a model: bytes, errors, worst tensors",
    .operands = "FILE",
    .min_operands = 1,
    .max_operands = 1,
    .about = "Writes one self-contained page, without scripts: bytes by encoding, the error of "
             "each tensor by layer and against its bits, the values of the worst tensors, all "
             "tensors worst first, recipe and notes. Errors come from the receipt of an .ingot "
             "file; of other formats the page has sizes alone.",
    .examples = "  ingot report model.ingot -o report.html\n",
    .options = options,
    .values_bytes = sizeof(struct report_values),
    .run = run,
};
