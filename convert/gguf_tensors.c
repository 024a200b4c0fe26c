/* The tensors of a GGUF head: their types, and where their bytes lie. A file does not say whose
 * type numbers it uses, nor how long a tensor is: where there is reason for doubt, the user is
 * asked. */
#include <stdio.h>
#include <stdlib.h>

#include "convert/gguf_cursor.h"
#include "convert/names.h"
#include "format/alloc.h"

struct placing {
    struct gguf *g;
    enum dialect_assumed dialect;
    ingot_error *error;
};

/* Where the fields of a tensor's record lie in the file. */
static uint64_t dims_at(const struct gguf *g, const struct gguf_tensor *t)
{
    return t->record + g->encoding.length_bytes + t->name_bytes + 4;
}

static uint64_t type_at(const struct gguf *g, const struct gguf_tensor *t)
{
    return dims_at(g, t) + (uint64_t)t->rank * g->encoding.length_bytes;
}

static uint64_t offset_at(const struct gguf *g, const struct gguf_tensor *t)
{
    return type_at(g, t) + 4;
}

static struct shown_name shown(const struct gguf *g, const struct gguf_tensor *t)
{
    return gguf_shown(g->names.data + t->name_offset, t->name_bytes);
}

/* ------------------------------------------------------------------ types */

static ingot_status refuse_type(const struct placing *p, const struct gguf_tensor *t)
{
    const char *removed = gguf_type_removed(t->type_id);
    const char *who = gguf_type_reused(t->type_id);
    char known[96] = "it is not known";
    const size_t n = (size_t)(removed ? snprintf(known, sizeof known,
                                                 "ggml had it as %s and removed it", removed)
                                      : (int)strlen(known));
    if (who) snprintf(known + n, sizeof known - n, "; %s uses the number", who);
    return ingot_fail(p->error, INGOT_UNSUPPORTED, type_at(p->g, t), shown(p->g, t).text,
                      "its type is %u: %s. --assume dialect=opaque carries its bytes as they are",
                      t->type_id, known);
}

/* Sets the type, and the length where the type says it. */
static ingot_status find_type(const struct placing *p, struct gguf_tensor *t)
{
    const bool forked = gguf_type_reused(t->type_id) != NULL;
    t->type = gguf_type_of(t->type_id);
    p->g->n_reused += forked;
    if (p->dialect == DIALECT_OPAQUE && (forked || t->type == NULL)) {
        t->type = NULL;
        p->g->n_opaque++;
        return INGOT_OK;
    }
    if (t->type == NULL) return refuse_type(p, t);
    const uint64_t row = t->rank ? t->dims[t->rank - 1] : 1;
    if (row % t->type->block_weights != 0) {
        return ingot_fail(p->error, INGOT_INVALID, dims_at(p->g, t), shown(p->g, t).text,
                          "its rows of %llu are not whole blocks of %s, of %u",
                          (unsigned long long)row, t->type->name, t->type->block_weights);
    }
    uint64_t n = row / t->type->block_weights;
    for (uint32_t i = 0; i + 1 < t->rank; i++) n *= t->dims[i];
    if (!mul_u64(n, t->type->block_bytes, &t->n_bytes)) t->n_bytes = UINT64_MAX;
    return INGOT_OK;
}

static bool has_weights(const struct gguf_tensor *t)
{
    for (uint32_t i = 0; i < t->rank; i++) {
        if (t->dims[i] == 0) return false;
    }
    return true;
}

/* ------------------------------------------------------------------ places */

/* A tensor's place among the bytes. */
struct place {
    uint64_t offset;
    uint32_t index;
};

static int compare_offsets(const void *left, const void *right)
{
    const struct place *a = left;
    const struct place *b = right;
    if (a->offset != b->offset) return a->offset < b->offset ? -1 : 1;
    return (a->index > b->index) - (a->index < b->index);
}

/* Lists the tensors that have weights, in the order of their bytes. */
static ingot_status order_by_data(struct gguf *g, ingot_error *error)
{
    struct place *places = ingot_allocate_zeroed(g->allocator, g->n_tensors, sizeof *places);
    g->by_data = ingot_allocate_zeroed(g->allocator, g->n_tensors, sizeof *g->by_data);
    if (places == NULL || g->by_data == NULL) {
        ingot_release(g->allocator, places);
        return ingot_fail_memory(error, g->n_tensors * sizeof *places, "tensor order");
    }
    for (uint32_t i = 0; i < g->n_tensors; i++) {
        if (has_weights(&g->tensors[i])) {
            places[g->n_ordered++] = (struct place){g->tensors[i].offset, i};
        }
    }
    if (g->n_ordered > 1) qsort(places, g->n_ordered, sizeof *places, compare_offsets);
    for (uint32_t i = 0; i < g->n_ordered; i++) {
        g->by_data[i] = places[i].index;
        if (i > 0 && places[i].index < places[i - 1].index) g->reordered = true;
    }
    ingot_release(g->allocator, places);
    return INGOT_OK;
}

/* The least multiple of the alignment from an offset on; the largest number when there is none. */
static uint64_t aligned(const struct gguf *g, uint64_t offset)
{
    uint64_t out;
    return round_up_u64(offset, g->alignment, &out) ? out : UINT64_MAX;
}

/* A type that forks use too, whose bytes are not as many as ggml's type takes. */
static ingot_status refuse_doubt(const struct placing *p, const struct gguf_tensor *t,
                                 uint64_t room_bytes)
{
    return ingot_fail(p->error, INGOT_REFUSED, offset_at(p->g, t), shown(p->g, t).text,
                      "its type is %u, ggml's %s, which takes %llu bytes, but there are %llu: it "
                      "may be a type of "
                      "%s. --assume dialect=ggml or dialect=opaque says which",
                      t->type_id, t->type->name, (unsigned long long)t->n_bytes,
                      (unsigned long long)room_bytes, gguf_type_reused(t->type_id));
}

/* Checks one tensor, whose bytes may reach to `next`. */
static ingot_status check_place(const struct placing *p, struct gguf_tensor *t, uint64_t next,
                                const struct gguf_tensor *follower)
{
    const struct gguf *g = p->g;
    if (t->offset > g->data_bytes) {
        return ingot_fail(p->error, INGOT_INVALID, offset_at(g, t), shown(g, t).text,
                          "its bytes begin at %llu of the data, past the end of the file",
                          (unsigned long long)t->offset);
    }
    const uint64_t room = next - t->offset;
    if (t->type == NULL) {
        t->n_bytes = room;
        if (room > 0) return INGOT_OK;
        return ingot_fail(p->error, INGOT_INVALID, offset_at(g, t), shown(g, t).text,
                          "it has weights, but no bytes are left for it");
    }
    const bool exact = t->n_bytes <= room && aligned(g, t->offset + t->n_bytes) >= next;
    if (!exact && p->dialect == DIALECT_UNSAID && gguf_type_reused(t->type_id)) {
        return refuse_doubt(p, t, room);
    }
    if (t->n_bytes > g->data_bytes - t->offset) {
        return ingot_fail(p->error, INGOT_INVALID, offset_at(g, t), shown(g, t).text,
                          "its %llu bytes from %llu of the data on end past the end of the file",
                          (unsigned long long)t->n_bytes, (unsigned long long)t->offset);
    }
    if (t->n_bytes > room) {
        return ingot_fail(p->error, INGOT_INVALID, offset_at(g, follower), shown(g, follower).text,
                          "its bytes overlap those of '%s'", shown(g, t).text);
    }
    return INGOT_OK;
}

static ingot_status check_places(struct placing *p)
{
    struct gguf *g = p->g;
    uint64_t end = 0;
    for (uint32_t i = 0; i < g->n_ordered; i++) {
        struct gguf_tensor *t = &g->tensors[g->by_data[i]];
        const struct gguf_tensor *follower =
            i + 1 < g->n_ordered ? &g->tensors[g->by_data[i + 1]] : NULL;
        const uint64_t next = follower ? min_u64(follower->offset, g->data_bytes) : g->data_bytes;
        const uint64_t begin = aligned(g, end);
        const ingot_status status = check_place(p, t, max_u64(next, t->offset), follower);
        if (status != INGOT_OK) return status;
        if (t->offset > begin) g->gap_bytes += t->offset - begin;
        end = t->offset + t->n_bytes;
    }
    const uint64_t begin = aligned(g, end);
    if (g->data_bytes > begin) g->tail_bytes = g->data_bytes - begin;
    return INGOT_OK;
}

ingot_status gguf_place_tensors(struct gguf *g, uint64_t file_bytes,
                                const struct assumptions *assumptions, ingot_error *error)
{
    struct placing p = {g, assumptions ? assumptions->dialect : DIALECT_UNSAID, error};
    if (p.dialect == DIALECT_PLAIN) p.dialect = DIALECT_UNSAID; /* said of safetensors */
    ingot_status status = INGOT_OK;
    g->data_offset = aligned(g, g->head_bytes);
    g->data_bytes = file_bytes > g->data_offset ? file_bytes - g->data_offset : 0;
    for (uint32_t i = 0; i < g->n_tensors && status == INGOT_OK; i++) {
        status = find_type(&p, &g->tensors[i]);
    }
    if (status == INGOT_OK) status = order_by_data(g, error);
    if (status == INGOT_OK) status = check_places(&p);
    return status;
}
