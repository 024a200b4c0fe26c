/* What eval measured, as HTML. Knows the receipt's names of it, and no model. */
#include "cli/page_quality.h"

#include <string.h>

#include "cli/page.h"
#include "cli/task_lines.h"
#include "cli/text.h"

static double number_of(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

static void put(struct byte_buffer *page, const char *text)
{
    page_text(page, text, strlen(text));
}

/* The text of a key, or nothing. */
static void put_string(struct byte_buffer *page, const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    put(page, text ? text : "");
}

/* ------------------------------------------------------------------ perplexity */

static void put_mean(struct byte_buffer *page, const json_t *quality, const char *key, double unit,
                     const char *what)
{
    const json_t *mean = json_object_get(quality, key);
    if (!json_is_object(mean)) return;
    page_put(page, "<div><b>%.4g &plusmn; %.2g</b>%s</div>\n", number_of(mean, "mean") * unit,
             number_of(mean, "error") * unit, what);
}

static void put_text_quality(struct byte_buffer *page, const json_t *quality)
{
    if (!json_is_string(json_object_get(quality, "text"))) return;
    page_put(page, "<h2>Quality</h2>\n<p class=\"dim\">On ");
    put_string(page, quality, "text");
    page_put(page, ", %s tokens predicted",
             text_count((uint64_t)number_of(quality, "n_predicted")).at);
    if (json_is_string(json_object_get(quality, "baseline"))) {
        page_put(page, "; the baseline is ");
        put_string(page, quality, "baseline");
    }
    page_put(page, "; &plusmn; one standard error</p>\n<div class=\"facts\">\n");
    page_put(page, "<div><b>%.4f &plusmn; %.4f</b>perplexity</div>\n",
             number_of(quality, "perplexity"), number_of(quality, "perplexity_error"));
    put_mean(page, quality, "nats_over_baseline", 1, "nats a token over the baseline");
    put_mean(page, quality, "kld", 1, "divergence from the baseline, nats");
    put_mean(page, quality, "same_top", 100, "percent of tokens with the same most likely");
    page_put(page, "</div>\n");
}

/* ------------------------------------------------------------------ tasks */

/* "85.0 % +- 8.2" in a cell; empty when there is no such mean. */
static void put_share(struct byte_buffer *page, const json_t *of, const char *key)
{
    const json_t *mean = json_object_get(of, key);
    if (json_is_object(mean)) {
        page_put(page, "<td>%.1f %% &plusmn; %.1f</td>", number_of(mean, "mean") * 100,
                 number_of(mean, "error") * 100);
    } else {
        page_put(page, "<td></td>");
    }
}

/* How many flipped, and the lines of the first few. */
static void put_flips(struct byte_buffer *page, const json_t *of, const char *key)
{
    enum { N_LINES = 6 };
    const json_t *lines = json_object_get(of, key);
    const size_t n = json_array_size(lines);
    page_put(page, "<td>%s", text_count(n).at);
    for (size_t i = 0; i < n && i < N_LINES; i++) {
        const double line = json_number_value(json_array_get(lines, i));
        page_put(page, "%s%.0f", i ? ", " : " <span class=\"dim\">(line ", line);
    }
    if (n > 0) page_put(page, n > N_LINES ? ", ...)</span>" : ")</span>");
    page_put(page, "</td>");
}

static void put_task_row(struct byte_buffer *page, const json_t *tasks, const char *type)
{
    const json_t *of = json_object_get(tasks, type);
    const json_t *baseline = json_object_get(of, "baseline");
    if (!json_is_object(of)) return;
    page_put(page, "<tr><td>%s</td><td>%s</td>", type, text_count((uint64_t)number_of(of, "n")).at);
    put_share(page, of, "accuracy");
    put_share(page, of, "accuracy_per_byte");
    const json_t *likelihood = json_object_get(of, "log_likelihood");
    if (json_is_object(likelihood)) {
        page_put(page, "<td>%.3f &plusmn; %.3f</td>", number_of(likelihood, "mean"),
                 number_of(likelihood, "error"));
    } else {
        page_put(page, "<td></td>");
    }
    if (json_is_object(baseline)) {
        put_share(page, baseline, "accuracy");
        put_flips(page, of, "right_to_wrong");
        put_flips(page, of, "wrong_to_right");
    }
    page_put(page, "</tr>\n");
}

static void put_tasks(struct byte_buffer *page, const json_t *tasks)
{
    const bool has_baseline = json_is_string(json_object_get(tasks, "baseline"));
    if (!json_is_object(tasks)) return;
    page_put(page, "<h2>Tasks</h2>\n<p class=\"dim\">Of ");
    put_string(page, tasks, "file");
    if (has_baseline) {
        page_put(page, "; the baseline is ");
        put_string(page, tasks, "baseline");
    }
    page_put(page, "</p>\n<div class=\"scroll\"><table class=\"numbers\"><tr><th>type</th>"
                   "<th>tasks</th><th>right</th><th>right per byte</th><th>log-likelihood</th>");
    if (has_baseline) {
        page_put(page, "<th>baseline right</th><th>right &rarr; wrong</th>"
                       "<th>wrong &rarr; right</th>");
    }
    page_put(page, "</tr>\n");
    for (uint32_t kind = 0; kind < LM_N_TASK_KINDS; kind++) {
        put_task_row(page, tasks, task_type_names[kind]);
    }
    page_put(page, "</table></div>\n");
}

/* ------------------------------------------------------------------ a sample */

static void put_sample(struct byte_buffer *page, const json_t *sample)
{
    if (!json_is_object(sample)) return;
    page_put(page, "<h2>Sample</h2>\n<pre><b>");
    page_lines(page, json_string_value(json_object_get(sample, "prompt")));
    page_put(page, "</b>");
    page_lines(page, json_string_value(json_object_get(sample, "text")));
    page_put(page, "</pre>\n");
}

void page_quality(struct byte_buffer *page, const json_t *quality)
{
    put_text_quality(page, quality);
    put_tasks(page, json_object_get(quality, "tasks"));
    put_sample(page, json_object_get(quality, "sample"));
}
