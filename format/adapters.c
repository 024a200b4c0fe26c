/* Adapters: which optional terms are on, and the list of their names. */
#include <assert.h>
#include <stdlib.h>

#include "format/alloc.h"
#include "format/fail.h"
#include "format/file.h"
#include "format/term.h"

struct adapter {
    const char *name;
    uint32_t name_bytes;
};

bool term_is_on(const struct file_term *term, const char *const *adapters, uint32_t n_adapters)
{
    for (uint32_t i = 0; term->optional && i < n_adapters; i++) {
        if (strlen(adapters[i]) != term->name_bytes) continue;
        if (memcmp(adapters[i], term->name, term->name_bytes) == 0) return true;
    }
    return !term->optional;
}

static int compare_names(const void *a_pointer, const void *b_pointer)
{
    const struct adapter *a = a_pointer, *b = b_pointer;
    const uint32_t n = a->name_bytes < b->name_bytes ? a->name_bytes : b->name_bytes;
    const int order = memcmp(a->name, b->name, n); /* an optional term's name is not empty */
    if (order != 0) return order;
    return (a->name_bytes > b->name_bytes) - (a->name_bytes < b->name_bytes);
}

/* Fills the names of optional terms, as often as they stand, and returns how many. */
static uint32_t gather(const struct ingot_file *file, struct adapter *adapters)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < file->sections[SECTION_TERMS].n_records; i++) {
        struct term_record r;
        term_read(record_at(file, SECTION_TERMS, i), &r);
        if (!(r.flags & TERM_OPTIONAL)) continue;
        if (adapters) adapters[n] = (struct adapter){string_at(file, r.name), r.name.n_bytes};
        n++;
    }
    return n;
}

ingot_status adapters_open(struct ingot_file *file, ingot_error *error)
{
    const uint32_t n = gather(file, NULL);
    if (n == 0) return INGOT_OK;
    file->adapters = ingot_allocate_zeroed(file->allocator, n, sizeof *file->adapters);
    if (file->adapters == NULL) return ingot_fail_memory(error, n * sizeof *file->adapters, "file");
    gather(file, file->adapters);
    qsort(file->adapters, n, sizeof *file->adapters, compare_names);
    for (uint32_t i = 0; i < n; i++) {
        const struct adapter *a = &file->adapters[i];
        if (i > 0 && compare_names(a, &file->adapters[file->n_adapters - 1]) == 0) continue;
        file->adapters[file->n_adapters++] = *a;
    }
    return INGOT_OK;
}

uint32_t ingot_file_n_adapters(const ingot_file *file)
{
    return file->n_adapters;
}

void ingot_file_adapter(const ingot_file *file, uint32_t index, const char **name,
                        uint32_t *name_bytes)
{
    assert(index < file->n_adapters);
    *name = file->adapters[index].name;
    *name_bytes = file->adapters[index].name_bytes;
}
