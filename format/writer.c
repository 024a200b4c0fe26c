/* The writer: tensors, codings and blobs to chunks and records. The index itself is written by
 * index_writer.c. */
#include "format/writer.h"

#include <string.h>

#include "format/alloc.h"
#include "format/fail.h"
#include "format/index_writer.h"
#include "format/rules.h"
#include "format/term.h"

/* Streams whose rows span more tensor rows than this do not share slabs. */
enum { MAX_TENSOR_ROWS = 256 };

struct ingot_writer {
    const ingot_allocator *allocator;
    struct chunk_writer chunks;
    struct index_tables tables;
    struct intern coding_numbers;
    struct intern tensor_names;
    uint64_t header_checksum;
    bool finished;
};

/* ---- small facts ---- */

struct ingot_coding raw_coding(ingot_dtype dtype)
{
    const bool is_float = dtype >= INGOT_F64 && dtype <= INGOT_F8_E5M2FNUZ;
    const bool is_int = dtype >= INGOT_I8 && dtype <= INGOT_I64;
    struct ingot_coding c = {
        .map = (uint8_t)(is_float ? MAP_FLOAT
                         : is_int ? MAP_INT
                                  : MAP_UINT),
        .bits = (uint8_t)ingot_dtype_bits(dtype),
        .format = (uint8_t)(is_float ? dtype : 0),
        .codebook_stream = INGOT_NONE,
    };
    const char *name = ingot_dtype_name(dtype);
    memcpy(c.name, name, strlen(name) + 1);
    return c;
}

static struct file_term as_file_term(const struct writer_term *t)
{
    return (struct file_term){
        .kind = t->kind,
        .combine = t->combine,
        .mask = t->mask,
        .optional = t->optional,
        .coding = t->coding,
        .coding_b = t->coding_b,
        .multiplier = t->multiplier,
        .rank = t->rank,
        .n_kept = t->n_kept,
    };
}

ingot_status writer_streams(const struct writer_tensor *tensor,
                            struct term_stream streams[TENSOR_MAX_STREAMS], uint32_t *n_streams,
                            ingot_error *error)
{
    struct stack_shape stack;
    uint32_t n = 0;
    if (tensor->rank > INGOT_MAX_RANK ||
        !stack_of(tensor->rank, tensor->dims, tensor->stack, tensor->split, &stack)) {
        return ingot_fail_rule(error, R_603, INGOT_NO_OFFSET, tensor->name, "too large a shape");
    }
    for (uint32_t k = 0; k < tensor->n_terms; k++) {
        struct stream_shape shapes[TERM_MAX_STREAMS];
        uint32_t n_term = 0;
        const struct file_term term = as_file_term(&tensor->terms[k]);
        if (!term_streams(&term, stack, shapes, &n_term) || n_term > TENSOR_MAX_STREAMS - n) {
            return ingot_fail_rule(error, R_504, INGOT_NO_OFFSET, tensor->name,
                                   "term %u does not fit the shape", k);
        }
        for (uint32_t i = 0; i < n_term; i++) {
            if (shapes[i].tensor_rows > MAX_TENSOR_ROWS) shapes[i].by_rows = false;
            streams[n++] = (struct term_stream){k, shapes[i]};
        }
    }
    *n_streams = n;
    return INGOT_OK;
}

/* ---- codings ---- */

/* Sets *index to the record of a coding, adding it and its tables when they are new. */
static ingot_status add_coding(ingot_writer *w, const struct ingot_coding *coding, uint32_t *index,
                               ingot_error *error)
{
    struct coding_record r = {
        .map = coding->map,
        .bits = coding->bits,
        .format = coding->format,
        .vector_length = coding->vector_length,
        .signs = coding->signs,
        .index_bits = coding->index_bits,
        .n_entries = coding->n_entries,
        .codebook_stream = coding->codebook_stream,
        .block_weights = coding->block_weights,
        .block_bytes = coding->block_bytes,
    };
    for (uint32_t i = 0; i < N_SLOTS; i++) {
        const struct coding_slot *s = &coding->slots[i];
        uint32_t table = INGOT_NONE;
        if (s->has_table) {
            const ingot_status status = add_coding(w, s->table, &table, error);
            if (status != INGOT_OK) return status;
        }
        r.slots[i] = (struct slot_record){
            .form =
                (uint8_t)((s->has_constant ? FORM_CONSTANT : 0) | (s->has_table ? FORM_TABLE : 0)),
            .inverse = (uint8_t)((s->inverse_constant ? FORM_CONSTANT : 0) |
                                 (s->inverse_table ? FORM_TABLE : 0)),
            .group = s->group,
            .constant_bits = s->has_constant ? f32_bits(s->constant) : 0,
            .table = table,
            .group_rows = s->group_rows,
            .group_cols = s->group_cols,
        };
    }
    /* Equal parameters and name are one record: the name's place is not part of the comparison. */
    struct {
        uint8_t record[CODING_BYTES];
        char name[sizeof coding->name];
    } key;
    memset(&key, 0, sizeof key);
    coding_write(&r, key.record);
    memcpy(key.name, coding->name, sizeof key.name);
    bool found;
    *index = (uint32_t)(w->tables.codings.n_bytes / CODING_BYTES);
    const ingot_status status = intern(&w->coding_numbers, &key, sizeof key, index, &found, error);
    if (status != INGOT_OK || found) return status;
    r.name = tables_string(&w->tables, coding->name, (uint32_t)strlen(coding->name));
    coding_write(&r, key.record);
    buffer_append(&w->tables.codings, key.record, sizeof key.record);
    return INGOT_OK;
}

/* ---- tensors ---- */

static ingot_status add_term(ingot_writer *w, const struct writer_term *t, uint32_t first_stream,
                             uint32_t n_streams, ingot_error *error)
{
    struct term_record r = {
        .kind = t->kind,
        .combine = t->combine,
        .flags = t->optional ? TERM_OPTIONAL : 0,
        .coding = INGOT_NONE,
        .coding_b = INGOT_NONE,
        .first_stream = n_streams ? first_stream : 0,
        .n_streams = n_streams,
        .multiplier_bits = t->kind == TERM_LOWRANK ? f32_bits(t->multiplier) : 0,
        .rank = t->rank,
        .mask = t->mask,
        .n_kept = t->n_kept,
        .magnitude = INGOT_NONE,
        .file = INGOT_NONE,
    };
    ingot_status status = add_coding(w, t->coding, &r.coding, error);
    if (status == INGOT_OK && t->coding_b) {
        status = add_coding(w, t->coding_b, &r.coding_b, error);
    }
    if (status != INGOT_OK) return status;
    if (t->name) r.name = tables_string(&w->tables, t->name, (uint32_t)strlen(t->name));
    uint8_t record[TERM_BYTES];
    term_write(&r, record);
    buffer_append(&w->tables.terms, record, sizeof record);
    return INGOT_OK;
}

/* Adds the records of a tensor whose streams are first_stream and on. */
static ingot_status add_tensor(ingot_writer *w, const struct writer_tensor *t,
                               const struct term_stream *streams, uint32_t n_streams,
                               uint32_t first_stream, ingot_error *error)
{
    struct tensor_record r = {
        .dtype = (uint8_t)t->dtype,
        .rank = (uint8_t)t->rank,
        .stack = t->stack,
        .split = t->split,
        .first_term = (uint32_t)(w->tables.terms.n_bytes / TERM_BYTES),
        .n_terms = t->n_terms,
        .alias_of = INGOT_NONE,
        .rescale_coding = INGOT_NONE,
        .rescale_stream = INGOT_NONE,
    };
    memcpy(r.dims, t->dims, t->rank * sizeof *t->dims);
    uint32_t stream = 0;
    for (uint32_t k = 0; k < t->n_terms; k++) {
        const uint32_t begin = stream;
        while (stream < n_streams && streams[stream].term == k) stream++;
        const ingot_status status =
            add_term(w, &t->terms[k], first_stream + begin, stream - begin, error);
        if (status != INGOT_OK) return status;
    }
    r.name = tables_string(&w->tables, t->name, t->name_bytes);
    uint8_t record[TENSOR_BYTES];
    tensor_write(&r, record);
    buffer_append(&w->tables.tensors, record, sizeof record);
    return tables_failed(&w->tables) ? ingot_fail_memory(error, sizeof record, "index") : INGOT_OK;
}

static ingot_status check_tensor(ingot_writer *w, const struct writer_tensor *t, ingot_error *error)
{
    uint32_t index = (uint32_t)(w->tables.tensors.n_bytes / TENSOR_BYTES);
    bool found;
    if (t->n_terms < 1 || t->n_terms > MAX_TERMS) {
        return ingot_fail_rule(error, R_604, INGOT_NO_OFFSET, "terms", "%u", t->n_terms);
    }
    if (t->name_bytes > MAX_STRING_BYTES) {
        return ingot_fail_rule(error, R_211, INGOT_NO_OFFSET, "tensor name", "%u bytes",
                               t->name_bytes);
    }
    if (ingot_dtype_name(t->dtype) == NULL) {
        return ingot_fail_rule(error, R_601, INGOT_NO_OFFSET, "dtype", "%d", (int)t->dtype);
    }
    const ingot_status status =
        intern(&w->tensor_names, t->name, t->name_bytes, &index, &found, error);
    if (status == INGOT_OK && found) {
        return ingot_fail_rule(error, R_606, INGOT_NO_OFFSET, "tensor name",
                               "two tensors are named %.*s", (int)min_u64(t->name_bytes, 100),
                               t->name);
    }
    return status;
}

/* How the rows of a tensor are cut. */
struct slabs {
    uint64_t n_rows; /* a slab */
    uint64_t all_rows;
};

static uint64_t gcd(uint64_t a, uint64_t b)
{
    while (b) {
        const uint64_t r = a % b;
        a = b;
        b = r;
    }
    return a;
}

/* The least number of rows after which every row stream is at a whole byte and a whole row. */
static uint64_t granule(const struct term_stream *streams, uint32_t n_streams)
{
    uint64_t rows = 1;
    for (uint32_t i = 0; i < n_streams; i++) {
        const struct stream_shape *s = &streams[i].shape;
        if (!s->by_rows) continue;
        const uint64_t bits = s->row_bits ? s->row_bits : 8;
        const uint64_t own = s->tensor_rows * (8 / gcd(bits, 8));
        rows = rows / gcd(rows, own) * own;
    }
    return rows;
}

static struct slabs plan_slabs(struct stack_shape stack, const struct term_stream *streams,
                               uint32_t n_streams)
{
    const uint64_t all_rows = stack.n_matrices * stack.n_rows;
    const uint64_t step = granule(streams, n_streams);
    uint64_t bits = 0, widest = 1;
    for (uint32_t i = 0; i < n_streams; i++) {
        const struct stream_shape *s = &streams[i].shape;
        if (!s->by_rows) continue;
        bits += s->row_bits / s->tensor_rows;
        widest = max_u64(widest, s->row_bits / s->tensor_rows);
    }
    uint64_t rows = max_u64(step, SLAB_BYTES / max_u64(1, bits / 8) / step * step);
    /* Whole multiples of the alignment make the chunks of a lone stored stream one run. */
    const uint64_t unit = step * (DEFAULT_ALIGNMENT / gcd(step * widest / 8, DEFAULT_ALIGNMENT));
    if (rows > unit) rows = rows / unit * unit;
    return (struct slabs){min_u64(rows, max_u64(all_rows, 1)), all_rows};
}

/* The bytes of one row stream for n_rows tensor rows from first_row on. */
static uint64_t slab_bytes(const struct stream_shape *s, uint64_t first_row, uint64_t n_rows)
{
    const uint64_t begin = first_row / s->tensor_rows * s->row_bits / 8;
    const uint64_t end = ceil_div(ceil_div(first_row + n_rows, s->tensor_rows) * s->row_bits, 8);
    return min_u64(end, s->n_bytes) - begin;
}

/* One tensor being written. */
struct job {
    ingot_writer *w;
    const struct writer_tensor *tensor;
    const struct writer_source *source;
    struct term_stream streams[TENSOR_MAX_STREAMS];
    struct stream_writer writers[TENSOR_MAX_STREAMS];
    uint8_t *parts[TENSOR_MAX_STREAMS]; /* of row streams: room for a slab */
    uint32_t n_streams;
    uint32_t n_row_streams;
    struct slabs slabs;
    ingot_error *error;
};

static ingot_status begin_streams(struct job *j)
{
    for (uint32_t i = 0; i < j->n_streams; i++) {
        const struct stream_shape *s = &j->streams[i].shape;
        j->n_row_streams += s->by_rows && s->n_bytes > 0;
    }
    for (uint32_t i = 0; i < j->n_streams; i++) {
        const struct stream_shape *s = &j->streams[i].shape;
        uint64_t chunk_bytes = SLAB_BYTES;
        uint32_t step = 1;
        if (s->by_rows && s->n_bytes > 0) {
            chunk_bytes = slab_bytes(s, 0, j->slabs.n_rows);
            step = j->n_row_streams;
            if (chunk_bytes > MAX_CHUNK_RAW_BYTES) {
                return ingot_fail(j->error, INGOT_REFUSED, INGOT_NO_OFFSET, j->tensor->name,
                                  "rows of %llu bytes are too long for this encoding",
                                  (unsigned long long)chunk_bytes);
            }
            j->parts[i] = ingot_allocate(j->w->allocator, chunk_bytes);
            if (j->parts[i] == NULL) return ingot_fail_memory(j->error, chunk_bytes, "slab");
        }
        const ingot_status status = stream_begin(&j->w->chunks, &j->writers[i], s->n_bytes,
                                                 (uint32_t)chunk_bytes, step, j->error);
        if (status != INGOT_OK) return status;
    }
    return INGOT_OK;
}

/* A stream that does not follow the rows, chunk by chunk. */
static ingot_status put_whole(struct job *j, uint32_t i)
{
    const uint64_t n_bytes = j->streams[i].shape.n_bytes;
    uint8_t *part = ingot_allocate(j->w->allocator, min_u64(SLAB_BYTES, n_bytes));
    if (part == NULL) return ingot_fail_memory(j->error, SLAB_BYTES, "chunk");
    ingot_status status = INGOT_OK;
    for (uint64_t done = 0; done < n_bytes && status == INGOT_OK; done += SLAB_BYTES) {
        const uint64_t n = min_u64(SLAB_BYTES, n_bytes - done);
        status = j->source->fill(j->source->context, i, done, n, part, j->error);
        if (status == INGOT_OK) {
            status = stream_put_chunk(&j->w->chunks, &j->writers[i], part, n, j->error);
        }
    }
    ingot_release(j->w->allocator, part);
    return status;
}

static ingot_status put_slab(struct job *j, uint64_t first_row, uint64_t n_rows)
{
    for (uint32_t i = 0; i < j->n_streams; i++) {
        if (j->parts[i] == NULL) continue;
        memset(j->parts[i], 0, (size_t)slab_bytes(&j->streams[i].shape, first_row, n_rows));
    }
    ingot_status status =
        j->source->rows(j->source->context, first_row, n_rows, j->parts, j->error);
    for (uint32_t i = 0; i < j->n_streams && status == INGOT_OK; i++) {
        if (j->parts[i] == NULL) continue;
        status = stream_put_chunk(&j->w->chunks, &j->writers[i], j->parts[i],
                                  slab_bytes(&j->streams[i].shape, first_row, n_rows), j->error);
    }
    return status;
}

static ingot_status put_streams(struct job *j)
{
    ingot_status status = INGOT_OK;
    for (uint32_t i = 0; i < j->n_streams && status == INGOT_OK; i++) {
        if (j->parts[i] == NULL) status = put_whole(j, i);
    }
    if (j->n_row_streams == 0) return status;
    for (uint64_t row = 0; row < j->slabs.all_rows && status == INGOT_OK; row += j->slabs.n_rows) {
        status = put_slab(j, row, min_u64(j->slabs.n_rows, j->slabs.all_rows - row));
    }
    return status;
}

/* Writes the streams of a job and adds its records; frees what the job took. */
static ingot_status run_job(struct job *j)
{
    uint32_t first_stream = 0, index = 0;
    ingot_status status = begin_streams(j);
    if (status == INGOT_OK) status = put_streams(j);
    for (uint32_t i = 0; i < j->n_streams && status == INGOT_OK; i++) {
        status = stream_end(&j->w->chunks, &j->writers[i], &index, j->error);
        if (i == 0) first_stream = index;
    }
    if (status == INGOT_OK) {
        status = add_tensor(j->w, j->tensor, j->streams, j->n_streams, first_stream, j->error);
    }
    for (uint32_t i = 0; i < j->n_streams; i++) {
        stream_release(&j->w->chunks, &j->writers[i]);
        ingot_release(j->w->allocator, j->parts[i]);
    }
    return status;
}

static ingot_status begin_job(ingot_writer *w, const struct writer_tensor *tensor,
                              const struct writer_source *source, struct job **job,
                              ingot_error *error)
{
    ingot_status status = check_tensor(w, tensor, error);
    if (status != INGOT_OK) return status;
    struct job *j = ingot_allocate_zeroed(w->allocator, 1, sizeof *j);
    if (j == NULL) return ingot_fail_memory(error, sizeof *j, "tensor");
    j->w = w;
    j->tensor = tensor;
    j->source = source;
    j->error = error;
    status = writer_streams(tensor, j->streams, &j->n_streams, error);
    if (status != INGOT_OK) {
        ingot_release(w->allocator, j);
        return status;
    }
    *job = j;
    return INGOT_OK;
}

ingot_status ingot_writer_tensor(ingot_writer *writer, const struct writer_tensor *tensor,
                                 const struct writer_source *source, ingot_error *error)
{
    struct job *job;
    struct stack_shape stack;
    ingot_status status = begin_job(writer, tensor, source, &job, error);
    if (status != INGOT_OK) return status;
    stack_of(tensor->rank, tensor->dims, tensor->stack, tensor->split, &stack);
    job->slabs = plan_slabs(stack, job->streams, job->n_streams);
    status = run_job(job);
    ingot_release(writer->allocator, job);
    return status;
}

/* ---- raw tensors ---- */

/* A lone plane is its logical bytes, so its rows are byte ranges. */
struct raw_rows {
    const struct byte_source *source;
    uint64_t row_bytes;
};

static ingot_status raw_fill(void *context, uint32_t stream, uint64_t offset, uint64_t n_bytes,
                             uint8_t *dst, ingot_error *error)
{
    const struct raw_rows *raw = context;
    (void)stream;
    return raw->source->read(raw->source->context, offset, n_bytes, dst, error);
}

static ingot_status raw_slab(void *context, uint64_t first_row, uint64_t n_rows,
                             uint8_t *const *dst, ingot_error *error)
{
    const struct raw_rows *raw = context;
    return raw->source->read(raw->source->context, first_row * raw->row_bytes,
                             n_rows * raw->row_bytes, dst[0], error);
}

ingot_status ingot_writer_raw(ingot_writer *writer, const struct writer_tensor *tensor,
                              const struct byte_source *source, ingot_error *error)
{
    const struct ingot_coding coding = raw_coding(tensor->dtype);
    const struct writer_term term = {.kind = TERM_DENSE, .coding = &coding};
    struct writer_tensor raw = *tensor;
    raw.n_terms = 1;
    raw.terms = &term;
    if (coding.bits < 8) {
        return ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, "dtype",
                          "%s is not written by this build", coding.name);
    }
    struct job *job;
    struct raw_rows rows = {source, 0};
    const struct writer_source pull = {&rows, raw_fill, raw_slab};
    ingot_status status = begin_job(writer, &raw, &pull, &job, error);
    if (status != INGOT_OK) return status;
    struct stack_shape stack;
    stack_of(tensor->rank, tensor->dims, tensor->stack, tensor->split, &stack);
    rows.row_bytes = job->streams[0].shape.row_bits / 8;
    /* Long rows are cut without regard to their ends. */
    if (rows.row_bytes > SLAB_BYTES) job->streams[0].shape.by_rows = false;
    job->slabs = plan_slabs(stack, job->streams, job->n_streams);
    status = run_job(job);
    ingot_release(writer->allocator, job);
    return status;
}

static ingot_status span_read(void *context, uint64_t offset, uint64_t n_bytes, void *dst,
                              ingot_error *error)
{
    const struct span *span = context;
    (void)error;
    memcpy(dst, span->data + offset, (size_t)n_bytes);
    return INGOT_OK;
}

struct byte_source memory_bytes(const struct span *span)
{
    return (struct byte_source){(void *)(uintptr_t)span, span_read};
}

ingot_status ingot_writer_add(ingot_writer *writer, const char *name, ingot_dtype dtype,
                              uint32_t rank, const uint64_t *dims, const void *data,
                              ingot_error *error)
{
    if (rank > INGOT_MAX_RANK) {
        return ingot_fail_rule(error, R_602, INGOT_NO_OFFSET, name, "rank %u", rank);
    }
    struct writer_tensor tensor = {
        .name = name,
        .name_bytes = (uint32_t)strlen(name),
        .dtype = dtype,
        .rank = rank,
        .split = rank >= 2,
    };
    if (rank) memcpy(tensor.dims, dims, rank * sizeof *dims);
    const struct span span = {data, UINT64_MAX};
    const struct byte_source source = memory_bytes(&span);
    return ingot_writer_raw(writer, &tensor, &source, error);
}

/* ---- blobs ---- */

static ingot_status write_blob_stream(ingot_writer *w, uint64_t n_bytes,
                                      const struct byte_source *source, uint32_t *stream,
                                      ingot_error *error)
{
    struct stream_writer s;
    ingot_status status = stream_begin(&w->chunks, &s, n_bytes, SLAB_BYTES, 1, error);
    if (status != INGOT_OK) return status;
    uint8_t *part = ingot_allocate(w->allocator, min_u64(SLAB_BYTES, n_bytes));
    if (part == NULL) status = ingot_fail_memory(error, SLAB_BYTES, "chunk");
    for (uint64_t done = 0; done < n_bytes && status == INGOT_OK; done += SLAB_BYTES) {
        const uint64_t n = min_u64(SLAB_BYTES, n_bytes - done);
        status = source->read(source->context, done, n, part, error);
        if (status == INGOT_OK) status = stream_put_chunk(&w->chunks, &s, part, n, error);
    }
    if (status == INGOT_OK) status = stream_end(&w->chunks, &s, stream, error);
    ingot_release(w->allocator, part);
    stream_release(&w->chunks, &s);
    return status;
}

ingot_status ingot_writer_blob(ingot_writer *writer, ingot_blob_kind kind, const char *name,
                               const char *media_type, uint64_t n_bytes,
                               const struct byte_source *source, uint32_t *index,
                               ingot_error *error)
{
    struct index_tables *tables = &writer->tables;
    struct blob_record r = {.kind = kind, .flags = BLOB_COPY};
    const ingot_status status = tables_check_blob(tables, kind, name, error);
    if (status != INGOT_OK) return status;
    const ingot_status written = write_blob_stream(writer, n_bytes, source, &r.stream, error);
    if (written != INGOT_OK) return written;
    if (name) r.name = tables_string(tables, name, (uint32_t)strlen(name));
    if (media_type) {
        r.media_type = tables_string(tables, media_type, (uint32_t)strlen(media_type));
    }
    uint8_t record[BLOB_BYTES];
    blob_write(&r, record);
    if (index) *index = (uint32_t)(tables->blobs.n_bytes / BLOB_BYTES);
    buffer_append(&tables->blobs, record, sizeof record);
    return tables_failed(tables) ? ingot_fail_memory(error, sizeof record, "index") : INGOT_OK;
}

ingot_status ingot_writer_attach(ingot_writer *writer, const char *name, const void *data,
                                 uint64_t n_bytes, ingot_error *error)
{
    const struct span span = {data, n_bytes};
    const struct byte_source source = memory_bytes(&span);
    return ingot_writer_blob(writer, INGOT_BLOB_ATTACHMENT, name, NULL, n_bytes, &source, NULL,
                             error);
}

/* ---- life ---- */

ingot_status ingot_writer_over(struct output *output, ingot_compression compression,
                               const ingot_allocator *allocator, ingot_writer **writer,
                               ingot_error *error)
{
    ingot_writer *w = ingot_allocate_zeroed(allocator, 1, sizeof *w);
    if (w == NULL) {
        output_close(output);
        return ingot_fail_memory(error, sizeof *w, "writer");
    }
    w->allocator = allocator;
    tables_begin(&w->tables, allocator);
    w->coding_numbers.allocator = allocator;
    w->tensor_names.allocator = allocator;
    uint8_t header[HEADER_BYTES];
    const struct header_record record = {VERSION_MAJOR,     VERSION_MINOR, 0,
                                         DEFAULT_ALIGNMENT, true,          0};
    header_write(&record, header);
    w->header_checksum = load_u64(header + 56);
    ingot_status status = chunks_begin(&w->chunks, output, compression, allocator, error);
    if (status == INGOT_OK) status = chunks_write(&w->chunks, header, sizeof header, error);
    if (status != INGOT_OK) {
        ingot_writer_close(w);
        return status;
    }
    *writer = w;
    return INGOT_OK;
}

ingot_status ingot_writer_create(const char *path, bool replace, ingot_compression compression,
                                 const ingot_allocator *allocator, ingot_writer **writer,
                                 ingot_error *error)
{
    struct output *output;
    const ingot_status status = output_create(path, replace, allocator, &output, error);
    if (status != INGOT_OK) return status;
    return ingot_writer_over(output, compression, allocator, writer, error);
}

ingot_status ingot_writer_finish(ingot_writer *writer, ingot_error *error)
{
    if (writer->finished) {
        return ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET, "writer", "already finished");
    }
    ingot_status status =
        write_index(&writer->tables, &writer->chunks, writer->header_checksum, error);
    if (status == INGOT_OK) status = output_finish(writer->chunks.output, error);
    writer->finished = true;
    return status;
}

void ingot_writer_close(ingot_writer *writer)
{
    if (writer == NULL) return;
    chunks_release(&writer->chunks);
    tables_release(&writer->tables);
    intern_release(&writer->coding_numbers);
    intern_release(&writer->tensor_names);
    ingot_release(writer->allocator, writer);
}

void ingot_writer_sizes(const ingot_writer *writer, uint64_t *stored_bytes, uint64_t *raw_bytes)
{
    *stored_bytes = writer->chunks.offset;
    *raw_bytes = writer->chunks.raw_bytes;
}
