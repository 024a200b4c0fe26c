/* Writes fixtures/bad anew, and of fixtures/golden what is not there. Usage: make_fixtures FIXTURES
 * golden/NAME.ingot with golden/NAME.hashes: files that every reader must read to these values.
 * They are those of version 1.0, and never written over. bad/R-NNN.ingot, bad/R-NNN-CASE.ingot:
 * files that break that rule and no other, all checksums being right. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "format/reader.h"
#include "format/rules.h"
#include "tests/support/form_files.h"
#include "tests/support/golden.h"
#include "tests/support/rule_edits.h"
#include "tests/support/rule_files.h"
#include "tests/support/value_hashes.h"

static void write_file(const char *folder, const char *name, const struct byte_buffer *bytes)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(bytes->data, 1, bytes->n_bytes, file) != bytes->n_bytes ||
        fclose(file) != 0) {
        perror(path);
        exit(3);
    }
}

static bool is_there(const char *folder, const struct golden *golden)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/golden/%s.ingot", folder, golden->name);
    return access(path, F_OK) == 0;
}

static void write_golden(const char *folder, const struct golden *golden)
{
    struct byte_buffer bytes = {0}, hashes = {0};
    ingot_error error;
    ingot_file *file;
    char name[128];
    golden->make(&bytes);
    if (ingot_file_open_memory(bytes.data, bytes.n_bytes, NULL, &file, &error) != INGOT_OK) {
        fprintf(stderr, "%s: %s: %s\n", golden->name, error.field, error.what);
        exit(1);
    }
    value_hashes(file, &hashes);
    ingot_file_close(file);
    snprintf(name, sizeof name, "golden/%s.ingot", golden->name);
    write_file(folder, name, &bytes);
    snprintf(name, sizeof name, "golden/%s.hashes", golden->name);
    write_file(folder, name, &hashes);
    buffer_release(&bytes);
    buffer_release(&hashes);
}

/* The first file that breaks a rule; false when there is none. */
static bool make_bad(uint32_t rule, struct draft *d)
{
    for (uint32_t i = 0; i < n_rule_files; i++) {
        if (rule_files[i].rule != rule) continue;
        rule_files[i].make(d);
        return true;
    }
    for (uint32_t i = 0; i < n_rule_edits; i++) {
        if (rule_edits[i].rule != rule) continue;
        rule_edit_make(d, &rule_edits[i]);
        return true;
    }
    return false;
}

int main(int n_arguments, char **arguments)
{
    if (n_arguments != 2) {
        fprintf(stderr, "usage: make_fixtures FIXTURES\n");
        return 2;
    }
    for (const struct golden *g = golden_files; g->name; g++) {
        if (!is_there(arguments[1], g)) write_golden(arguments[1], g);
    }
    for (uint32_t rule = 1; rule < 1000; rule++) {
        struct draft d;
        char name[64];
        if (ingot_rule_text(rule) == NULL || !make_bad(rule, &d)) continue;
        snprintf(name, sizeof name, "bad/R-%u.ingot", rule);
        write_file(arguments[1], name, &d.file);
        draft_release(&d);
    }
    for (uint32_t i = 0; i < n_form_files; i++) {
        struct byte_buffer bytes = {0};
        char name[64];
        if (form_files[i].name == NULL) continue;
        form_file_make(&form_files[i], &bytes);
        snprintf(name, sizeof name, "bad/%s.ingot", form_files[i].name);
        write_file(arguments[1], name, &bytes);
        buffer_release(&bytes);
    }
    return 0;
}
