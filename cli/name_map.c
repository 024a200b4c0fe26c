/* Pairs of names, read from a file and applied to two models. */
#include "cli/name_map.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/report.h"
#include "cli/text.h"
#include "format/buffer.h"
#include "format/bytes.h"

enum { MAX_STARS = 8 };

/* The bytes between the stars, one more than there are stars. */
struct pattern {
    uint32_t n_parts;
    struct {
        uint64_t offset; /* in the map's bytes */
        uint64_t n_bytes;
    } parts[MAX_STARS + 1];
};

struct rule {
    uint32_t line;
    uint32_t n_matches;
    struct pattern sides[2];
};

struct name_map {
    const char *path;
    struct byte_buffer bytes; /* of the patterns, without quotes and backslashes */
    struct byte_buffer rules; /* struct rule, in the file's order */
};

static uint32_t n_rules(const struct name_map *map)
{
    return (uint32_t)(map->rules.n_bytes / sizeof(struct rule));
}

static struct rule *rule_at(const struct name_map *map, uint32_t index)
{
    return (struct rule *)(void *)map->rules.data + index;
}

/* ------------------------------------------------------------------ reading a line */

/* What is left of a line. */
struct line {
    const char *text;
    size_t n_bytes;
};

static void skip_blanks(struct line *line)
{
    while (line->n_bytes > 0 && strchr(" \t\r\n", line->text[0]) && line->text[0]) {
        line->text++;
        line->n_bytes--;
    }
}

static bool is_over(struct line *line)
{
    skip_blanks(line);
    return line->n_bytes == 0 || line->text[0] == '#';
}

/* Reads a name, leaving the line after it. Returns what is wrong, or NULL. */
static const char *read_pattern(struct name_map *map, struct line *line, struct pattern *pattern)
{
    struct pattern p = {.n_parts = 1};
    const bool quoted = line->text[0] == '"';
    const char *at = line->text + quoted;
    const char *const end = line->text + line->n_bytes;
    p.parts[0].offset = map->bytes.n_bytes;
    for (; at < end; at++) {
        const bool escaped = *at == '\\' && at + 1 < end;
        if (escaped) at++;
        if (!escaped && (quoted ? *at == '"' : *at && strchr(" \t\r\n", *at))) break;
        if (!escaped && *at == '*') {
            if (p.n_parts > MAX_STARS) return "more than 8 stars in a name";
            p.parts[p.n_parts++].offset = map->bytes.n_bytes;
            continue;
        }
        buffer_u8(&map->bytes, (uint8_t)*at);
        p.parts[p.n_parts - 1].n_bytes++;
    }
    if (quoted && at == end) return "a quote that is not closed";
    if (p.n_parts == 1 && p.parts[0].n_bytes == 0) return "an empty name";
    at += quoted;
    line->n_bytes = (size_t)(end - at);
    line->text = at;
    *pattern = p;
    return NULL;
}

static const char *read_rule(struct name_map *map, struct line *line, struct rule *rule)
{
    for (size_t side = 0; side < 2; side++) {
        if (is_over(line)) return "a name without its partner";
        const char *wrong = read_pattern(map, line, &rule->sides[side]);
        if (wrong) return wrong;
    }
    if (!is_over(line)) return "more than two names; those with blanks stand in double quotes";
    if (rule->sides[0].n_parts != rule->sides[1].n_parts) {
        return "the two names have not as many stars";
    }
    return NULL;
}

static int read_lines(struct name_map *map, FILE *file)
{
    char *text = NULL;
    size_t capacity = 0;
    int exits = EXITS_DONE;
    struct rule rule = {0};
    for (ssize_t n; exits == EXITS_DONE && (n = getline(&text, &capacity, file)) >= 0;) {
        struct line line = {text, (size_t)n};
        rule.line++;
        if (is_over(&line)) continue;
        const char *wrong = read_rule(map, &line, &rule);
        if (wrong) exits = report_refusal(map->path, "line %u: %s", rule.line, wrong);
        buffer_append(&map->rules, &rule, sizeof rule);
    }
    if (exits == EXITS_DONE && ferror(file)) {
        report_refusal(map->path, "cannot read: %s", strerror(errno));
        exits = EXITS_SYSTEM;
    }
    if (map->rules.failed || map->bytes.failed) exits = report_no_memory();
    free(text);
    return exits;
}

struct name_map *name_map_open(const char *path, int *exits)
{
    struct name_map *map = calloc(1, sizeof *map);
    FILE *file = fopen(path, "rb");
    if (!map || !file) {
        *exits = EXITS_SYSTEM;
        if (map) report_refusal(path, "cannot open: %s", strerror(errno));
        if (!map) report_no_memory();
        goto failed;
    }
    map->path = path;
    *exits = read_lines(map, file);
    if (*exits != EXITS_DONE) goto failed;
    fclose(file);
    return map;
failed:
    if (file) fclose(file);
    name_map_close(map);
    return NULL;
}

void name_map_close(struct name_map *map)
{
    if (!map) return;
    buffer_release(&map->rules);
    buffer_release(&map->bytes);
    free(map);
}

/* ------------------------------------------------------------------ names */

struct name {
    const char *text;
    uint64_t n_bytes;
};

static bool begins_with(struct name name, const void *bytes, uint64_t n_bytes)
{
    return n_bytes <= name.n_bytes && (n_bytes == 0 || memcmp(name.text, bytes, n_bytes) == 0);
}

static struct name rest_of(struct name name, uint64_t n_bytes)
{
    return (struct name){name.text + n_bytes, name.n_bytes - n_bytes};
}

/* Whether the name matches, and what each star took. Each part is taken where it is met first, and
 * the last one at the end: if that fails, every other choice does. */
static bool matches(const struct name_map *map, const struct pattern *p, struct name name,
                    struct name captures[MAX_STARS])
{
    const uint8_t *bytes = map->bytes.data;
    const uint32_t last = p->n_parts - 1;
    if (!begins_with(name, bytes + p->parts[0].offset, p->parts[0].n_bytes)) return false;
    name = rest_of(name, p->parts[0].n_bytes);
    if (last == 0) return name.n_bytes == 0;
    for (uint32_t k = 1; k < last; k++) {
        const uint64_t n_bytes = p->parts[k].n_bytes;
        uint64_t at = 0;
        while (!begins_with(rest_of(name, at), bytes + p->parts[k].offset, n_bytes)) {
            if (at++ == name.n_bytes) return false;
        }
        captures[k - 1] = (struct name){name.text, at};
        name = rest_of(name, at + n_bytes);
    }
    const uint64_t n_bytes = p->parts[last].n_bytes;
    if (n_bytes > name.n_bytes) return false;
    captures[last - 1] = (struct name){name.text, name.n_bytes - n_bytes};
    name = rest_of(name, name.n_bytes - n_bytes);
    return begins_with(name, bytes + p->parts[last].offset, n_bytes);
}

static void put_name(const struct name_map *map, const struct pattern *p,
                     const struct name captures[MAX_STARS], struct byte_buffer *out)
{
    out->n_bytes = 0;
    for (uint32_t k = 0; k < p->n_parts; k++) {
        if (k > 0) buffer_append(out, captures[k - 1].text, captures[k - 1].n_bytes);
        buffer_append(out, map->bytes.data + p->parts[k].offset, p->parts[k].n_bytes);
    }
}

/* ------------------------------------------------------------------ pairs */

struct pairing {
    struct name_map *map;
    const struct model *a;
    const struct model *b;
    uint32_t *partners;
    uint32_t *owners; /* of each tensor of b, that of a, or INGOT_NONE */
    uint32_t *lines;  /* that made it so */
    struct byte_buffer name;
};

static struct name name_of(const struct model *model, uint32_t index)
{
    struct model_tensor t;
    model_tensor(model, index, &t);
    return (struct name){t.name, t.name_bytes};
}

static int fail_owned(const struct pairing *p, uint32_t a, uint32_t b, uint32_t line)
{
    const struct name names[] = {name_of(p->a, a), name_of(p->a, p->owners[b]), name_of(p->b, b)};
    char *safe[3];
    for (size_t i = 0; i < 3; i++) safe[i] = text_safe(names[i].text, (size_t)names[i].n_bytes);
    const int exits =
        safe[0] && safe[1] && safe[2]
            ? report_refusal(p->map->path,
                             "line %u: \"%s\" becomes \"%s\", and by line %u \"%s\" does as well",
                             line, safe[0], safe[2], p->lines[b], safe[1])
            : report_no_memory();
    for (size_t i = 0; i < 3; i++) free(safe[i]);
    return exits;
}

/* Applies the first rule that matches, if one does. */
static int apply(struct pairing *p, uint32_t a, bool *matched)
{
    const struct name name = name_of(p->a, a);
    for (uint32_t i = 0; i < n_rules(p->map); i++) {
        struct rule *rule = rule_at(p->map, i);
        struct name captures[MAX_STARS];
        uint32_t b;
        if (!matches(p->map, &rule->sides[0], name, captures)) continue;
        *matched = true;
        rule->n_matches++;
        put_name(p->map, &rule->sides[1], captures, &p->name);
        if (p->name.failed) return report_no_memory();
        if (model_find(p->b, (const char *)p->name.data, p->name.n_bytes, &b) != INGOT_OK) break;
        if (p->owners[b] != INGOT_NONE) return fail_owned(p, a, b, rule->line);
        p->partners[a] = b;
        p->owners[b] = a;
        p->lines[b] = rule->line;
        break;
    }
    return EXITS_DONE;
}

/* Names that no rule matched stay, where no rule gave the name to another. */
static void keep_name(struct pairing *p, uint32_t a)
{
    const struct name name = name_of(p->a, a);
    uint32_t b;
    if (model_find(p->b, name.text, name.n_bytes, &b) != INGOT_OK) return;
    if (p->owners[b] != INGOT_NONE) return;
    p->partners[a] = b;
    p->owners[b] = a;
}

static void note_unused(const struct name_map *map)
{
    for (uint32_t i = 0; i < n_rules(map); i++) {
        const struct rule *rule = rule_at(map, i);
        if (rule->n_matches > 0) continue;
        report_note(map->path, "line %u matches no tensor of the first model", rule->line);
    }
}

int name_map_pair(struct name_map *map, const struct model *a, const struct model *b, bool quiet,
                  uint32_t *partners)
{
    const uint32_t n_a = model_n_tensors(a);
    const uint32_t n_b = model_n_tensors(b);
    struct pairing p = {.map = map, .a = a, .b = b, .partners = partners};
    bool *matched = calloc((size_t)n_a + 1, sizeof *matched);
    p.owners = malloc(((size_t)n_b + 1) * sizeof *p.owners);
    p.lines = calloc((size_t)n_b + 1, sizeof *p.lines);
    int exits = matched && p.owners && p.lines ? EXITS_DONE : report_no_memory();
    for (uint32_t i = 0; exits == EXITS_DONE && i < n_b; i++) p.owners[i] = INGOT_NONE;
    for (uint32_t i = 0; exits == EXITS_DONE && i < n_a; i++) {
        partners[i] = INGOT_NONE;
        exits = apply(&p, i, &matched[i]);
    }
    for (uint32_t i = 0; exits == EXITS_DONE && i < n_a; i++) {
        if (!matched[i]) keep_name(&p, i);
    }
    if (exits == EXITS_DONE && !quiet) note_unused(map);
    buffer_release(&p.name);
    free(p.lines);
    free(p.owners);
    free(matched);
    return exits;
}
