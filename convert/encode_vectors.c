/* Vectors of a grid in groups that share a scale, the scales of 256 weights sharing a factor: the
 * i-quants of ggml. First every group finds the scale that suits it best; then the factor is the
 * one of which the rungs come nearest to these scales; then groups choose between the rungs near to
 * theirs by the error of the weights themselves, and factor and codes improve each other in turn.
 */
#include <math.h>
#include <string.h>

#include "convert/encode.h"
#include "convert/planes.h"
#include "convert/vector_fit.h"
#include "format/alloc.h"
#include "format/fail.h"
#include "format/floats.h"

enum {
    SUPER = 256,
    MAX_OCTETS = SUPER / OCTET,
    MAX_GROUPS = 16,
    MAX_RUNGS = 16,
    N_OFFSETS = 2,
    F16_MAX = 65504
};

/* Scales tried for a group, how often the best is improved, rungs tried on either side, and how
 * often factor and codes take turns. */
static const struct {
    uint32_t n_scales, n_better, n_near, n_turns;
} efforts[N_EFFORTS] = {
    [EFFORT_ABSMAX] = {1, 0, 0, 0},
    [EFFORT_FAST] = {2, 1, 0, 0},
    [EFFORT_BRIEF] = {4, 1, 1, 1},
    [EFFORT_SEARCH] = {4, 1, 1, 1},
};
/* The scales tried put the highest level between the largest weight and the lesser of this share of
 * it and this many times the mean size. */
static const float TIGHTEST = 1.0f, LEAST_SHARE = 0.7f, LEAST_LOAD = 1.6f;
static const double MOST_STRETCH = 1.25;

struct vector_work {
    const struct encode_input *input;
    struct vector_book book;
    enum effort effort;
    float highest; /* level */
    float rungs[MAX_RUNGS];
    uint32_t n_rungs;
    uint64_t n_rows, n_cols;
    uint32_t group_cols;  /* weights of a group, */
    uint32_t offset_cols; /* of those that share an offset; 0: there are none */
    uint8_t *lower;       /* of each vector the lower 8 bits of its code, and the others */
    uint8_t *upper;
    uint8_t *signs;   /* of each octet */
    uint8_t *offsets; /* codes, and those of scales */
    uint8_t *scales;
    uint8_t *factors; /* the stream */
};

/* What holds some weights: their octets and offsets, and how good that is for the scale they were
 * found for. */
struct held {
    struct octet octets[MAX_OCTETS];
    uint8_t offsets[MAX_OCTETS]; /* of each octet */
    double error;
};

/* Sums of importance * level * weight and importance * level^2. */
struct product {
    double cross, square;
};

/* The weights of a factor, filled up with weights of no importance. */
struct super {
    uint32_t n_weights;
    uint32_t n_octets;
    uint32_t n_groups;
    float weights[SUPER];
    float importance[SUPER];
    double energy;
    float wanted[MAX_GROUPS];     /* scales, and */
    double curvature[MAX_GROUPS]; /* what they weigh */
    uint32_t rungs[MAX_GROUPS];
    struct held held;
};

static const float offset_values[N_OFFSETS] = {-0.125f, 0.125f};

static float offset_of(const struct vector_work *w, uint32_t code)
{
    return w->offset_cols ? offset_values[code] : 0.0f;
}

/* ------------------------------------------------------------------ groups */

/* The octets [first, first + n) for a scale. What is held is where the search begins. */
static void hold(const struct vector_work *w, const struct super *s, uint32_t first, uint32_t n,
                 float scale, struct held *held)
{
    const uint32_t n_alike = w->offset_cols ? w->offset_cols / OCTET : n;
    held->error = 0;
    for (uint32_t begin = first; begin < first + n; begin += n_alike) {
        double best = INFINITY;
        for (uint8_t code = 0; code < (w->offset_cols ? N_OFFSETS : 1); code++) {
            struct octet octets[MAX_OCTETS];
            double error = 0;
            for (uint32_t i = begin; i < begin + n_alike; i++) {
                octets[i] = held->octets[i];
                vector_octet(&w->book, s->weights + i * OCTET, s->importance + i * OCTET, scale,
                             offset_of(w, code), &octets[i]);
                error += (double)octets[i].error;
            }
            if (!(error < best)) continue;
            best = error;
            memcpy(held->octets + begin, octets + begin, n_alike * sizeof *octets);
            memset(held->offsets + begin, code, n_alike);
        }
        held->error += best;
    }
}

static struct product multiply(const struct vector_work *w, const struct super *s, uint32_t first,
                               uint32_t n, const struct held *held)
{
    struct product sums = {0, 0};
    for (uint32_t i = first; i < first + n; i++) {
        float levels[OCTET];
        vector_levels(&w->book, &held->octets[i], offset_of(w, held->offsets[i]), levels);
        for (uint32_t k = 0; k < OCTET; k++) {
            const double weighted = (double)s->importance[i * OCTET + k] * (double)levels[k];
            sums.cross += weighted * (double)s->weights[i * OCTET + k];
            sums.square += weighted * (double)levels[k];
        }
    }
    return sums;
}

/* Takes the scale that is best for what is held, if that explains more than *gain. */
static bool take_scale(struct super *s, uint32_t group, struct product sums, double *gain)
{
    const double scale = sums.cross / sums.square;
    const double explained = sums.cross * scale;
    if (!(scale > 0) || !(explained > *gain)) return false;
    *gain = explained;
    s->wanted[group] = (float)scale;
    s->curvature[group] = sums.square;
    return true;
}

static void want(const struct vector_work *w, struct super *s, uint32_t group)
{
    const uint32_t n = w->group_cols / OCTET, first = group * n;
    const uint32_t n_scales = efforts[w->effort].n_scales;
    float peak = 0, least;
    double sum = 0, total = 0, gain = 0;
    struct held tried = s->held;
    for (uint32_t i = first * OCTET; i < (first + n) * OCTET; i++) {
        peak = fmaxf(peak, fabsf(s->weights[i]));
        sum += (double)s->importance[i] * (double)s->weights[i] * (double)s->weights[i];
        total += (double)s->importance[i];
    }
    s->wanted[group] = 0;
    s->curvature[group] = 0;
    if (!(sum > 0)) return;
    least = fminf(LEAST_SHARE * peak, LEAST_LOAD * (float)sqrt(sum / total)) / w->highest;
    const float most = TIGHTEST * peak / w->highest;
    for (uint32_t k = 0; k < n_scales; k++) {
        const float share = n_scales > 1 ? (float)k / (float)(n_scales - 1) : 0;
        hold(w, s, first, n, most + (least - most) * share, &tried);
        const struct product sums = multiply(w, s, first, n, &tried);
        if (take_scale(s, group, sums, &gain)) {
            memcpy(s->held.octets + first, tried.octets + first, n * sizeof *tried.octets);
        }
    }
    for (uint32_t k = 0; k < efforts[w->effort].n_better; k++) {
        hold(w, s, first, n, s->wanted[group], &s->held);
        if (!take_scale(s, group, multiply(w, s, first, n, &s->held), &gain)) break;
    }
}

/* ------------------------------------------------------------------ factors */

static uint32_t nearest_rung(const struct vector_work *w, float scale)
{
    uint32_t k = 0;
    while (k + 1 < w->n_rungs && scale - w->rungs[k] > w->rungs[k + 1] - scale) k++;
    return k;
}

static float round_f16(double v)
{
    return f32_from_f16(f16_from_f32((float)fmin(v, F16_MAX)));
}

/* The factor for which rungs fit the wanted scales best. */
static float fit_factor(const struct vector_work *w, const struct super *s)
{
    float largest = 0, best = 0;
    double least = INFINITY;
    for (uint32_t g = 0; g < s->n_groups; g++) largest = fmaxf(largest, s->wanted[g]);
    if (!(largest > 0)) return 0;
    best = largest / w->rungs[w->n_rungs - 1];
    for (uint32_t k = w->n_rungs / 2; k < w->n_rungs && w->effort != EFFORT_ABSMAX; k++) {
        float factor = largest / w->rungs[k];
        double cross = 0, square = 0, energy = 0;
        for (uint32_t g = 0; g < s->n_groups; g++) {
            const double rung = (double)w->rungs[nearest_rung(w, s->wanted[g] / factor)];
            const double wanted = (double)s->wanted[g];
            cross += s->curvature[g] * rung * wanted;
            square += s->curvature[g] * rung * rung;
            energy += s->curvature[g] * wanted * wanted;
        }
        const double error = energy - cross * cross / square;
        if (!(error < least)) continue;
        least = error;
        best = (float)(cross / square);
    }
    return round_f16((double)best);
}

/* The rungs near to what each group has, or wants, and their codes. */
static void choose_rungs(const struct vector_work *w, struct super *s, float factor,
                         uint32_t n_near)
{
    const uint32_t n = w->group_cols / OCTET;
    double error = 0;
    for (uint32_t g = 0; g < s->n_groups; g++) {
        const uint32_t own = s->rungs[g];
        const uint32_t begin = own > n_near ? own - n_near : 0;
        double best = INFINITY;
        struct held kept = s->held;
        for (uint32_t rung = begin; rung <= own + n_near && rung < w->n_rungs; rung++) {
            struct held tried = s->held;
            hold(w, s, g * n, n, w->rungs[rung] * factor, &tried);
            if (!(tried.error < best)) continue;
            best = tried.error;
            kept = tried;
            s->rungs[g] = rung;
        }
        s->held = kept;
        error += best;
    }
    s->held.error = error;
}

static double best_factor(const struct vector_work *w, const struct super *s)
{
    const uint32_t n = w->group_cols / OCTET;
    double cross = 0, square = 0;
    for (uint32_t g = 0; g < s->n_groups; g++) {
        const struct product sums = multiply(w, s, g * n, n, &s->held);
        const double rung = (double)w->rungs[s->rungs[g]];
        cross += rung * sums.cross;
        square += rung * rung * sums.square;
    }
    return cross > 0 ? cross / square : 0;
}

/* Factor, rungs and codes of all. */
static float find(const struct vector_work *w, struct super *s)
{
    memset(&s->held, 0, sizeof s->held);
    for (uint32_t g = 0; g < s->n_groups; g++) want(w, s, g);
    float factor = fit_factor(w, s);
    if (factor > 0) {
        for (uint32_t g = 0; g < s->n_groups; g++) {
            s->rungs[g] = nearest_rung(w, s->wanted[g] / factor);
        }
        choose_rungs(w, s, factor, efforts[w->effort].n_near);
    }
    for (uint32_t k = 0; k < efforts[w->effort].n_turns && factor > 0; k++) {
        struct super other = *s;
        const float next = round_f16(best_factor(w, s));
        if (next == factor || !(next > 0)) break;
        choose_rungs(w, &other, next, k == 0 ? efforts[w->effort].n_near : 0);
        if (!(other.held.error < s->held.error)) break;
        *s = other;
        factor = next;
    }
    /* Steps too small for f16, or weights that do not matter: zeros. */
    if (factor > 0 && s->held.error < s->energy) return factor;
    memset(&s->held, 0, sizeof s->held);
    memset(s->rungs, 0, sizeof s->rungs);
    return 0;
}

/* Entries of three levels leave out so much that what is nearest to the weights is far shorter than
 * they are. A model bears a larger error better than outputs that are all too small: the factor is
 * the one that keeps the energy of the weights. */
static float keep_energy(const struct vector_work *w, const struct super *s, float factor)
{
    const uint32_t n = w->group_cols / OCTET;
    double square = 0;
    for (uint32_t g = 0; g < s->n_groups; g++) {
        const double scale = (double)(w->rungs[s->rungs[g]] * factor);
        square += scale * scale * multiply(w, s, g * n, n, &s->held).square;
    }
    const double stretch = square > 0 ? sqrt(s->energy / square) : 1;
    return round_f16((double)factor * fmin(stretch, MOST_STRETCH));
}

/* ------------------------------------------------------------------ rows */

static void load(const struct vector_work *w, uint64_t row, uint64_t col, struct super *s)
{
    const struct encode_input *input = w->input;
    const uint64_t matrix = (input->first_row + row) / max_u64(1, input->plan->stack.n_rows);
    const float *importance =
        input->importance ? input->importance + matrix * w->n_cols + col : NULL;
    const float *weights = input->values + row * w->n_cols + col;
    s->n_weights = (uint32_t)min_u64(SUPER, w->n_cols - col);
    s->n_groups = (uint32_t)ceil_div(s->n_weights, w->group_cols);
    s->n_octets = (uint32_t)ceil_div(s->n_weights, OCTET);
    s->energy = 0;
    for (uint32_t i = 0; i < SUPER; i++) {
        const bool is_there = i < s->n_weights;
        s->weights[i] = is_there ? weights[i] : 0.0f;
        s->importance[i] = !is_there ? 0.0f : importance ? importance[i] : 1.0f;
        s->energy += (double)s->importance[i] * (double)s->weights[i] * (double)s->weights[i];
    }
}

static void put_codes(const struct vector_work *w, const struct super *s, uint64_t row,
                      uint64_t col)
{
    const uint32_t length = w->book.length, n_alike = w->offset_cols / OCTET;
    const uint64_t row_groups = ceil_div(w->n_cols, w->group_cols);
    const uint64_t vectors = row * ceil_div(w->n_cols, length) + col / length;
    const uint64_t octets = row * ceil_div(w->n_cols, OCTET) + col / OCTET;
    for (uint32_t i = 0; i < ceil_div(s->n_weights, length); i++) {
        const uint16_t code = s->held.octets[i * length / OCTET].codes[i % (OCTET / length)];
        w->lower[vectors + i] = (uint8_t)code;
        w->upper[vectors + i] = (uint8_t)(code >> 8);
    }
    for (uint32_t i = 0; i < s->n_octets; i++) w->signs[octets + i] = s->held.octets[i].signs;
    for (uint32_t i = 0; n_alike && i < s->n_octets; i += n_alike) {
        const uint64_t at = row * ceil_div(w->n_cols, w->offset_cols) + col / w->offset_cols;
        w->offsets[at + i / n_alike] = s->held.offsets[i];
    }
    for (uint32_t g = 0; g < s->n_groups; g++) {
        w->scales[row * row_groups + col / w->group_cols + g] = (uint8_t)s->rungs[g];
    }
}

/* What decoding gives: each step rounds. */
static void put_values(const struct vector_work *w, const struct super *s, float factor, float *dst)
{
    for (uint32_t i = 0; i < s->n_octets; i++) {
        const float scale = w->rungs[s->rungs[i * OCTET / w->group_cols]] * factor;
        float levels[OCTET];
        vector_levels(&w->book, &s->held.octets[i], offset_of(w, s->held.offsets[i]), levels);
        for (uint32_t k = 0; k < OCTET && i * OCTET + k < s->n_weights; k++) {
            dst[i * OCTET + k] = levels[k] * scale;
        }
    }
}

static ingot_status encode_super(const struct vector_work *w, uint64_t row, uint64_t col,
                                 ingot_error *error)
{
    struct super s;
    uint32_t peak = 0;
    const uint64_t at = row * w->n_cols + col;
    load(w, row, col, &s);
    for (uint32_t i = 0; i < s.n_weights; i++) {
        if (fabsf(s.weights[i]) > fabsf(s.weights[peak])) peak = i;
    }
    if (fabsf(s.weights[peak]) > w->highest * w->rungs[w->n_rungs - 1] * (float)F16_MAX) {
        return encode_refuse(w->input, at + peak, "has f16 scales, which cannot reach it", error);
    }
    float factor = find(w, &s);
    if (w->offset_cols && factor > 0) factor = keep_energy(w, &s, factor);
    const uint64_t super = row * ceil_div(w->n_cols, SUPER) + col / SUPER;
    store_u16(w->factors + 2 * super, f16_from_f32(factor));
    put_codes(w, &s, row, col);
    if (w->input->decoded) put_values(w, &s, factor, w->input->decoded + at);
    return INGOT_OK;
}

/* ------------------------------------------------------------------ the family */

static ingot_status number_book(void *context, enum block_book book, uint32_t *stream,
                                ingot_error *error)
{
    (void)context;
    (void)error;
    *stream = book;
    return INGOT_OK;
}

static void note_book(struct term_plan *plan, struct ingot_coding *coding)
{
    if (coding->map != MAP_VECTOR && coding->map != MAP_CODEBOOK) return;
    plan->books[plan->n_books++] =
        (struct plan_book){coding, (enum block_book)coding->codebook_stream};
    coding->codebook_stream = INGOT_NONE;
}

void plan_vectors(const struct preset *preset, ingot_dtype dtype, struct stack_shape stack,
                  struct term_plan *plan)
{
    const struct block_books books = {NULL, number_book};
    (void)dtype;
    *plan = (struct term_plan){.preset = preset, .stack = stack};
    block_coding_make(preset->block_type, &books, &plan->blocks, NULL);
    plan->coding = plan->blocks.coding;
    memcpy(plan->coding.name, preset->name, strlen(preset->name) + 1);
    note_book(plan, &plan->coding);
    note_book(plan, &plan->blocks.tables[SLOT_ZERO]);
    note_book(plan, &plan->blocks.tables[SLOT_SCALE]);
    plan->term = (struct writer_term){.kind = TERM_DENSE, .coding = &plan->coding};
}

static ingot_status open_work(struct vector_work *w, const struct encode_input *input,
                              ingot_error *error)
{
    struct term_plan *plan = input->plan;
    const struct coding_slot *slots = plan->coding.slots;
    const struct stack_shape s = input->shape;
    uint8_t entries[BLOCK_BOOK_MAX_BYTES];
    *w = (struct vector_work){.input = input,
                              .effort = plan->preset->grid.effort,
                              .n_rows = s.n_matrices * s.n_rows,
                              .n_cols = s.n_cols,
                              .group_cols = (uint32_t)slots[SLOT_SCALE].group_cols,
                              .offset_cols = (uint32_t)slots[SLOT_ZERO].group_cols};
    vector_book_open(&w->book, plan->books[0].book, plan->coding.signs);
    w->highest = w->book.level[VECTOR_LEVELS - 1];
    const struct plan_book *ladder = &plan->books[plan->n_books - 1];
    w->n_rungs = ladder->coding->n_entries;
    block_book_write(ladder->book, entries);
    for (uint32_t i = 0; i < w->n_rungs; i++) w->rungs[i] = f32_from_f16(load_u16(entries + 2 * i));
    const uint64_t n_vectors = w->n_rows * ceil_div(s.n_cols, w->book.length);
    const uint64_t n_octets = w->n_rows * ceil_div(s.n_cols, OCTET);
    w->lower = ingot_allocate(NULL, n_vectors);
    w->upper = ingot_allocate(NULL, n_vectors);
    w->signs = ingot_allocate(NULL, n_octets);
    w->offsets = ingot_allocate(NULL, n_octets);
    w->scales = ingot_allocate(NULL, n_octets);
    if (w->lower && w->upper && w->signs && w->offsets && w->scales) return INGOT_OK;
    return ingot_fail_memory(error, 2 * n_vectors + 3 * n_octets, "vectors");
}

static void close_work(struct vector_work *w)
{
    ingot_release(NULL, w->scales);
    ingot_release(NULL, w->offsets);
    ingot_release(NULL, w->signs);
    ingot_release(NULL, w->upper);
    ingot_release(NULL, w->lower);
}

/* Writes codes of more than 8 bits: the planes of the lower 8 come first. */
static uint32_t put_vectors(const struct vector_work *w, uint8_t *const *streams)
{
    const uint8_t bits = w->input->plan->coding.bits;
    const struct stack_shape vectors = {1, w->n_rows, ceil_div(w->n_cols, w->book.length)};
    const uint32_t n = planes_put(8, vectors, w->lower, streams);
    return bits > 8 ? n + planes_put((uint8_t)(bits - 8), vectors, w->upper, streams + n) : n;
}

static void put_planes(const struct vector_work *w, uint8_t *const *streams)
{
    const struct ingot_coding *coding = &w->input->plan->coding;
    const struct coding_slot *slots = coding->slots;
    uint32_t n = put_vectors(w, streams);
    if (coding->signs) {
        const struct stack_shape octets = {1, w->n_rows, ceil_div(w->n_cols, OCTET)};
        n += planes_put(coding->signs, octets, w->signs, streams + n);
    }
    if (w->offset_cols) {
        const struct stack_shape offsets = {1, w->n_rows, ceil_div(w->n_cols, w->offset_cols)};
        n += planes_put(slots[SLOT_ZERO].table->bits, offsets, w->offsets, streams + n);
    }
    const struct stack_shape scales = {1, w->n_rows, ceil_div(w->n_cols, w->group_cols)};
    planes_put(slots[SLOT_SCALE].table->bits, scales, w->scales, streams + n);
}

ingot_status encode_vectors(const struct encode_input *input, uint8_t *const *streams,
                            ingot_error *error)
{
    struct vector_work w;
    struct stream_shape shapes[CODING_MAX_STREAMS];
    uint32_t n_streams;
    ingot_status status = encode_check_finite(input, error);
    if (status != INGOT_OK || input->shape.n_cols == 0) return status;
    if (!coding_streams(&input->plan->coding, input->shape, shapes, &n_streams)) {
        return ingot_fail(error, INGOT_INVALID, INGOT_NO_OFFSET, "vectors", "too large a shape");
    }
    status = open_work(&w, input, error);
    w.factors = streams[n_streams - 1];
    for (uint64_t row = 0; row < w.n_rows && status == INGOT_OK; row++) {
        for (uint64_t col = 0; col < w.n_cols && status == INGOT_OK; col += SUPER) {
            status = encode_super(&w, row, col, error);
        }
    }
    if (status == INGOT_OK) put_planes(&w, streams);
    close_work(&w);
    return status;
}
