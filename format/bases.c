/* The files that ref terms name: found by content id, among open files or beside the file. */
#include <stdio.h>

#include "format/alloc.h"
#include "format/fail.h"
#include "format/file.h"
#include "format/log.h"
#include "format/rules.h"

static bool is_base(const struct ingot_file *candidate, const struct file_record *record)
{
    return candidate->trailer.content_algorithm == record->content_algorithm &&
           memcmp(candidate->trailer.content_id, record->content_id, CONTENT_ID_BYTES) == 0;
}

/* The path of a name beside another path; NULL when there is no memory. */
static char *sibling(const char *path, const char *name, uint32_t name_bytes,
                     const ingot_allocator *allocator)
{
    const char *slash = strrchr(path, '/');
    const size_t folder_bytes = slash ? (size_t)(slash - path) + 1 : 0;
    char *text = ingot_allocate(allocator, folder_bytes + name_bytes + 1);
    if (text == NULL) return NULL;
    memcpy(text, path, folder_bytes);
    memcpy(text + folder_bytes, name, name_bytes);
    text[folder_bytes + name_bytes] = '\0';
    return text;
}

/* A file that is missing, damaged or another one is simply not the base. */
static ingot_status open_sibling(struct ingot_file *file, const struct file_record *record,
                                 const char *path, uint32_t depth, struct base *base,
                                 ingot_error *error)
{
    if (depth + 1 >= MAX_CHAIN) return INGOT_OK;
    char *text =
        sibling(path, string_at(file, record->name), record->name.n_bytes, file->allocator);
    if (text == NULL) return ingot_fail_memory(error, record->name.n_bytes, "base name");
    ingot_file *candidate = NULL;
    const ingot_status status = file_open_at(text, depth + 1, file->allocator, &candidate, NULL);
    ingot_release(file->allocator, text);
    if (status == INGOT_NO_MEMORY) return ingot_fail_memory(error, 0, "base");
    const int name_bytes = (int)min_u64(record->name.n_bytes, 80);
    const char *name = string_at(file, record->name);
    if (status != INGOT_OK) {
        ingot_log(file->allocator, INGOT_LOG_WARNING,
                  "base %.*s is not there or cannot be opened (%s)", name_bytes, name,
                  ingot_status_name(status));
    } else if (is_base(candidate, record)) {
        *base = (struct base){candidate, candidate};
    } else {
        ingot_log(file->allocator, INGOT_LOG_WARNING,
                  "base %.*s is another file than the one that is named", name_bytes, name);
        ingot_file_close(candidate);
    }
    return INGOT_OK;
}

ingot_status bases_open(struct ingot_file *file, const ingot_file *const *given, uint32_t n_given,
                        const char *path, uint32_t depth, ingot_error *error)
{
    const uint32_t n = file->sections[SECTION_FILES].n_records;
    file->bases = ingot_allocate_zeroed(file->allocator, n, sizeof *file->bases);
    if (file->bases == NULL) return ingot_fail_memory(error, n * sizeof *file->bases, "bases");
    for (uint32_t i = 0; i < n; i++) {
        struct file_record record;
        file_read(record_at(file, SECTION_FILES, i), &record);
        for (uint32_t k = 0; k < n_given; k++) {
            if (is_base(given[k], &record)) file->bases[i].file = given[k];
        }
        if (file->bases[i].file || path == NULL) continue;
        const ingot_status status =
            open_sibling(file, &record, path, depth, &file->bases[i], error);
        if (status != INGOT_OK) return status;
    }
    return INGOT_OK;
}

void bases_close(struct ingot_file *file)
{
    const uint32_t n = file->bases ? file->sections[SECTION_FILES].n_records : 0;
    for (uint32_t i = 0; i < n; i++) ingot_file_close(file->bases[i].owned);
    ingot_release(file->allocator, file->bases);
    file->bases = NULL;
}

ingot_status bases_find(const struct ingot_file *file, uint32_t tensor, uint32_t term,
                        const ingot_file **base, uint32_t *target, ingot_error *error)
{
    struct term_record r;
    struct file_record f;
    term_read(record_at(file, SECTION_TERMS, term), &r);
    file_read(record_at(file, SECTION_FILES, r.file), &f);
    const ingot_file *found = file->bases[r.file].file;
    const int name_bytes = (int)min_u64(f.name.n_bytes, 80);
    if (found == NULL) {
        return ingot_fail(error, INGOT_NOT_FOUND, INGOT_NO_OFFSET, "base",
                          "it refers to a file (%.*s) that is not at hand", name_bytes,
                          string_at(file, f.name));
    }
    uint32_t index;
    if (ingot_file_find(found, string_at(file, r.target), r.target.n_bytes, &index) != INGOT_OK) {
        return ingot_fail_rule(error, R_530, record_offset(file, SECTION_TERMS, term, 64),
                               "term.target", "%.*s has no tensor %.*s", name_bytes,
                               string_at(file, f.name), (int)min_u64(r.target.n_bytes, 80),
                               string_at(file, r.target));
    }
    const struct tensor_record mine = tensor_at(file, tensor), other = tensor_at(found, index);
    const struct stack_shape a = ingot_file_layout(file, tensor).shape;
    const struct stack_shape b = ingot_file_layout(found, index).shape;
    if (mine.dtype != other.dtype || a.n_matrices != b.n_matrices || a.n_rows != b.n_rows ||
        a.n_cols != b.n_cols) {
        return ingot_fail_rule(error, R_530, record_offset(file, SECTION_TERMS, term, 64),
                               "term.target", "its type or shape is another");
    }
    *base = found;
    *target = index;
    return INGOT_OK;
}

ingot_status ingot_file_follow(const ingot_file *file, uint32_t tensor,
                               const struct file_term *term, const ingot_file **base,
                               uint32_t *target, ingot_error *error)
{
    return bases_find(file, tensor, term->number, base, target, error);
}
