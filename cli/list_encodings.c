/* ingot convert --list-encodings: the presets and their options. */
#include "cli/list_encodings.h"

#include <math.h>
#include <stdio.h>

#include "cli/json.h"
#include "cli/report.h"
#include "cli/table.h"
#include "convert/presets.h"

enum { LISTED_ROWS = 4096, LISTED_COLS = 4096 };

static double listed_bits(const struct preset *preset)
{
    return preset_bits_per_weight(preset, LISTED_ROWS, LISTED_COLS);
}

/* How far the error on normal weights is above 2^(-2 bits), the least that so many bits allow: in
 * decibels. -INFINITY: there is no error. NAN: it is not known. */
static double above_bound(const struct preset *preset)
{
    return 10 * log10(preset_normal_error(preset) / exp2(-2 * listed_bits(preset)));
}

static int list_encodings_json(void)
{
    bool failed = false;
    json_t *root = json_object();
    json_t *list = json_array();
    const struct preset *preset;
    for (uint32_t i = 0; (preset = preset_at(i)) != NULL; i++) {
        json_t *one = json_object();
        json_put(one, "name", json_string(preset_name(preset)), &failed);
        json_put(one, "bits_per_weight", json_number(listed_bits(preset)), &failed);
        const double error = preset_normal_error(preset), above = above_bound(preset);
        json_put(one, "normal_error", isnan(error) ? json_null() : json_number(error), &failed);
        json_put(one, "db_above_bound", isfinite(above) ? json_number(above) : json_null(),
                 &failed);
        json_put(one, "help", json_string(preset_help(preset)), &failed);
        json_add(list, one, &failed);
    }
    json_put(root, "encodings", list, &failed);
    json_t *options = json_array();
    const char *name, *help;
    for (uint32_t i = 0; preset_option_at(i, &name, &help); i++) {
        json_t *one = json_object();
        json_put(one, "name", json_string(name), &failed);
        json_put(one, "help", json_string(help), &failed);
        json_add(options, one, &failed);
    }
    json_put(root, "options", options, &failed);
    return json_print(root, failed, EXITS_DONE);
}

static int list_options(void)
{
    static const struct column columns[] = {{"", false}, {"", false}};
    struct table table = {.columns = columns, .n_columns = sizeof columns / sizeof *columns};
    const char *name, *help;
    for (uint32_t i = 0; preset_option_at(i, &name, &help); i++) {
        table_cell(&table, "-%s", name);
        table_cell(&table, "%s", help);
    }
    puts(
        "\nOptions follow the name of an encoding of groups, as in int4-g64-affine; the number of\n"
        "sparse, outliers, columns (percent) and lowrank (rank) may be another:");
    const bool printed = table_print(&table, stdout, 0);
    table_release(&table);
    return printed ? EXITS_DONE : EXITS_SYSTEM;
}

static void put_error(struct table *table, const struct preset *preset)
{
    const double error = preset_normal_error(preset);
    if (error > 0) {
        table_cell(table, "%.3g", error);
        table_cell(table, "%.2f", above_bound(preset));
    } else {
        table_cell(table, "%s", isnan(error) ? "" : "0");
        table_cell(table, "%s", "");
    }
}

int list_encodings(bool as_json)
{
    static const struct column columns[] = {{"encoding", false},
                                            {"bits/weight", true},
                                            {"error", true},
                                            {"dB above", true},
                                            {"", false}};
    if (as_json) return list_encodings_json();
    struct table table = {.columns = columns, .n_columns = sizeof columns / sizeof *columns};
    const struct preset *preset;
    for (uint32_t i = 0; (preset = preset_at(i)) != NULL; i++) {
        table_cell(&table, "%s", preset_name(preset));
        table_cell(&table, "%.2f", listed_bits(preset));
        put_error(&table, preset);
        table_cell(&table, "%s", preset_help(preset));
    }
    const bool printed = table_print(&table, stdout, 0);
    table_release(&table);
    if (!printed) return EXITS_SYSTEM;
    printf(
        "\nBits per weight are those of a %u x %u matrix, tables included. Errors are squared ones "
        "of\n"
        "normal weights as a share of their squares, and how far they are above the least that so\n"
        "many bits allow, 2^(-2 bits); presets without leave weights out, for others to hold.\n",
        LISTED_ROWS, LISTED_COLS);
    return list_options();
}
