/* Names of presets: a row of the table, and options behind it, each a word after a dash. */
#include <stdlib.h>
#include <string.h>

#include "convert/encode.h"

/* A word is `word`, whose N stands for a number from least to most. */
struct name_option {
    const char *word;
    const char *help;
    uint32_t least, most; /* 0: no number */
    /* False when the preset has no such thing. */
    bool (*set)(struct preset *preset, uint32_t number);
};

static bool is_grid(const struct preset *preset)
{
    return preset->grid.bits != 0;
}

/* Options are taken in order, and none may undo what another before it, or the row, relies on. */
static bool set_group(struct preset *preset, uint32_t number)
{
    struct grid *grid = &preset->grid;
    if (!is_grid(preset) || grid->tensor || grid->block || grid->super == SUPER_COLS) return false;
    grid->group_cols = number;
    return number > 0 || !grid->run;
}

static bool set_affine(struct preset *preset, uint32_t number)
{
    (void)number;
    struct grid *grid = &preset->grid;
    if (grid->map != MAP_UINT && grid->map != MAP_INT) return false;
    if (grid->scale_entry.map || grid->tensor || grid->block) return false;
    grid->map = MAP_UINT;
    grid->zero = 0;
    grid->narrow = false;
    grid->affine = true;
    return true;
}

static bool set_signed(struct preset *preset, uint32_t number)
{
    (void)number;
    return preset->grid.map == MAP_UINT && !preset->grid.affine;
}

static bool set_scale(struct preset *preset, ingot_dtype type)
{
    const struct grid *grid = &preset->grid;
    preset->grid.scale = type;
    return is_grid(preset) && (grid->scale_entry.map == 0 || grid->super == SUPER_COLS);
}

static bool set_f32(struct preset *preset, uint32_t number)
{
    (void)number;
    return set_scale(preset, INGOT_F32);
}

static bool set_f16(struct preset *preset, uint32_t number)
{
    (void)number;
    return set_scale(preset, INGOT_F16);
}

static bool set_bf16(struct preset *preset, uint32_t number)
{
    (void)number;
    return set_scale(preset, INGOT_BF16);
}

static bool set_absmax(struct preset *preset, uint32_t number)
{
    (void)number;
    preset->grid.effort = EFFORT_ABSMAX;
    return is_grid(preset) || preset->block_type;
}

static bool set_fast(struct preset *preset, uint32_t number)
{
    (void)number;
    preset->grid.effort = EFFORT_FAST;
    return is_grid(preset) || preset->block_type;
}

/* Super-groups of 256 weights, or of the largest number of whole groups below that. */
static bool set_nested(struct preset *preset, uint32_t bits)
{
    struct grid *grid = &preset->grid;
    const int16_t half = (int16_t)(1 << (bits - 1));
    if (!is_grid(preset) || grid->scale_entry.map || grid->tensor || grid->block) return false;
    if (grid->group_cols < 256 / MAX_SUPER_GROUPS || grid->group_cols > 256) return false;
    grid->super = SUPER_COLS;
    grid->super_cols = 256 / grid->group_cols * grid->group_cols;
    grid->scale_entry = (struct entry_form){
        .bits = (uint8_t)bits, .map = MAP_INT, .low = (int16_t)-half, .high = (int16_t)(half - 1)};
    if (!grid->affine) return true;
    grid->bias_entry = grid->scale_entry;
    grid->scale_entry = (struct entry_form){
        .bits = (uint8_t)bits, .map = MAP_UINT, .low = 0, .high = (int16_t)(2 * half - 1)};
    return true;
}

static bool set_whole(struct preset *preset, uint32_t block)
{
    struct grid *grid = &preset->grid;
    if (!is_grid(preset) || grid->affine || grid->scale_entry.map || preset->prepare) return false;
    grid->group_cols = 0;
    grid->block = block;
    grid->tensor = block == 0;
    preset->by_rows = false;
    preset->encode = encode_blocks;
    return true;
}

static const struct name_option options[] = {
    {"gN", "groups of N weights of a row", 1, 65536, set_group},
    {"row", "a group is a row", 0, 0, set_group},
    {"bN", "groups of N x N weights", 2, 65536, set_whole},
    {"tensor", "the tensor is one group", 0, 0, set_whole},
    {"affine", "a bias beside the scale", 0, 0, set_affine},
    {"sym", "no bias: what integers have without \"affine\"", 0, 0, set_signed},
    {"f32", "scales and biases are f32", 0, 0, set_f32},
    {"f16", "scales and biases are f16", 0, 0, set_f16},
    {"bf16", "scales and biases are bf16", 0, 0, set_bf16},
    {"nestedN", "scales are N-bit integers times an f16 of 256 weights", 4, 8, set_nested},
    {"absmax", "scales from the extremes of a group, without a search", 0, 0, set_absmax},
    {"fast", "a short search", 0, 0, set_fast},
};
enum { N_OPTIONS = sizeof options / sizeof *options };

bool preset_option_at(uint32_t index, const char **name, const char **help)
{
    if (index >= N_OPTIONS) return false;
    *name = options[index].word;
    *help = options[index].help;
    return true;
}

/* A number without leading zeros, all of the text. 0 for anything else. */
static uint32_t number_of(const char *text, size_t n_bytes)
{
    uint32_t number = 0;
    if (n_bytes == 0 || n_bytes > 6 || text[0] == '0') return 0;
    for (size_t i = 0; i < n_bytes; i++) {
        if (text[i] < '0' || text[i] > '9') return 0;
        number = number * 10 + (uint32_t)(text[i] - '0');
    }
    return number;
}

static bool apply_word(struct preset *preset, const char *word, size_t n_bytes)
{
    for (uint32_t i = 0; i < N_OPTIONS; i++) {
        const struct name_option *option = &options[i];
        const size_t n = strlen(option->word) - (option->most != 0); /* but for the N */
        if (n_bytes < n || memcmp(word, option->word, n) != 0) continue;
        const uint32_t number = number_of(word + n, n_bytes - n);
        const bool fits =
            option->most ? number >= option->least && number <= option->most : n_bytes == n;
        if (fits) return option->set(preset, number);
    }
    return false;
}

/* The row with the longest name that the text begins with, as a word. */
static const struct preset *find_row(const char *name, size_t n_bytes)
{
    const struct preset *best = NULL;
    const struct preset *row;
    for (uint32_t i = 0; (row = preset_at(i)) != NULL; i++) {
        const size_t n = strlen(row->name);
        if (n > n_bytes || memcmp(row->name, name, n) != 0) continue;
        if (n < n_bytes && name[n] != '-') continue;
        if (best == NULL || n > strlen(best->name)) best = row;
    }
    return best;
}

/* A row whose name ends in its number, a share or a rank, with another number. */
static bool parse_number(const char *name, size_t n_bytes, struct preset *preset)
{
    const struct preset *row;
    for (uint32_t i = 0; (row = preset_at(i)) != NULL; i++) {
        const size_t n = strcspn(row->name, "0123456789");
        if (row->kept_percent + row->rank == 0 || n_bytes <= n) continue;
        if (memcmp(row->name, name, n) != 0) continue;
        const uint32_t number = number_of(name + n, n_bytes - n);
        if (number == 0 || number > (row->rank ? 65536 : 99)) return false;
        *preset = *row;
        if (row->rank) preset->rank = number;
        if (row->kept_percent) preset->kept_percent = number;
        memcpy(preset->name, name, n_bytes);
        preset->name[n_bytes] = '\0';
        return true;
    }
    return false;
}

bool preset_parse(const char *name, size_t n_bytes, struct preset *preset)
{
    const struct preset *row = find_row(name, n_bytes);
    if (n_bytes >= sizeof preset->name) return false;
    if (row == NULL) return parse_number(name, n_bytes, preset);
    size_t n = strlen(row->name);
    struct preset p = *row;
    if (n < n_bytes) p.label[0] = '\0';
    while (n < n_bytes) {
        const char *word = name + n + 1;
        size_t n_word = 0;
        while (n + 1 + n_word < n_bytes && word[n_word] != '-') n_word++;
        if (!apply_word(&p, word, n_word)) return false;
        n += 1 + n_word;
    }
    memcpy(p.name, name, n_bytes);
    p.name[n_bytes] = '\0';
    *preset = p;
    return true;
}

bool preset_exists(const char *name)
{
    struct preset preset;
    return preset_parse(name, strlen(name), &preset);
}
