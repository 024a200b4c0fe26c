/* Opening a file and telling what is in it. The proofs are in prove_*.c, values in values.c. */
#include "format/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "format/alloc.h"
#include "format/fail.h"
#include "format/file.h"
#include "format/term.h"
#include "format/writer.h"

static ingot_status prove(struct ingot_file *file, ingot_error *error)
{
    ingot_status status = prove_container(file, error);
    if (status == INGOT_OK) status = prove_chunks(file, error);
    if (status == INGOT_OK) status = prove_streams(file, error);
    if (status == INGOT_OK) status = prove_codings(file, error);
    if (status == INGOT_OK) status = prove_tensors(file, error);
    if (status == INGOT_OK) status = prove_blobs(file, error);
    if (status == INGOT_OK) status = prove_use(file, error);
    return status;
}

/* A number that this build does not know may be one that a later version added. */
static void say_newer(const struct ingot_file *file, ingot_error *error)
{
    const size_t n = error ? strlen(error->what) : 0;
    if (error == NULL || error->rule == 0 || file->header.major != VERSION_MAJOR ||
        file->header.minor <= VERSION_MINOR) {
        return;
    }
    snprintf(error->what + n, sizeof error->what - n,
             " (the file is of version %u.%u, and this build knows %d.%d)", file->header.major,
             file->header.minor, VERSION_MAJOR, VERSION_MINOR);
}

static ingot_status open_proved(const void *data, size_t n_bytes, const ingot_allocator *allocator,
                                struct ingot_file **file, ingot_error *error)
{
    struct ingot_file *f = ingot_allocate_zeroed(allocator, 1, sizeof *f);
    if (f == NULL) return ingot_fail_memory(error, sizeof *f, "file");
    f->allocator = allocator;
    f->descriptor = -1;
    f->bytes = (struct span){data, n_bytes};
    ingot_status status = prove(f, error);
    if (status == INGOT_OK) status = adapters_open(f, error);
    if (status != INGOT_OK) {
        say_newer(f, error);
        ingot_file_close(f);
        return status;
    }
    *file = f;
    return INGOT_OK;
}

ingot_status ingot_file_open_over(const void *data, size_t n_bytes, const ingot_file *const *bases,
                                  uint32_t n_bases, const ingot_allocator *allocator,
                                  ingot_file **file, ingot_error *error)
{
    struct ingot_file *f;
    ingot_status status = open_proved(data, n_bytes, allocator, &f, error);
    if (status != INGOT_OK) return status;
    status = bases_open(f, bases, n_bases, NULL, 0, error);
    if (status != INGOT_OK) {
        ingot_file_close(f);
        return status;
    }
    *file = f;
    return INGOT_OK;
}

ingot_status ingot_file_open_memory(const void *data, size_t n_bytes,
                                    const ingot_allocator *allocator, ingot_file **file,
                                    ingot_error *error)
{
    return ingot_file_open_over(data, n_bytes, NULL, 0, allocator, file, error);
}

/* Maps a regular file; *mapping is NULL for an empty one. On success the descriptor is to be
 * closed. */
static ingot_status map_file(const char *path, void **mapping, size_t *n_bytes, int *opened,
                             ingot_error *error)
{
    ingot_status status = INGOT_OK;
    struct stat found;
    /* A pipe that nobody writes to would keep a blocking open waiting. */
    const int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    *mapping = NULL;
    if (descriptor < 0 || fstat(descriptor, &found) != 0) {
        status = ingot_fail(error, INGOT_IO, INGOT_NO_OFFSET, "file", "cannot open: %s",
                            strerror(errno));
        goto done;
    }
    if (!S_ISREG(found.st_mode)) {
        status = ingot_fail(error, INGOT_IO, INGOT_NO_OFFSET, "file", "not a regular file");
        goto done;
    }
    *n_bytes = (size_t)found.st_size;
    if (*n_bytes == 0) goto done;
    *mapping = mmap(NULL, *n_bytes, PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (*mapping == MAP_FAILED) {
        *mapping = NULL;
        status =
            ingot_fail(error, INGOT_IO, INGOT_NO_OFFSET, "file", "cannot map: %s", strerror(errno));
        goto done;
    }
    /* Chunks are asked for one by one; reading ahead of them would read what nobody wants. */
    (void)madvise(*mapping, *n_bytes, MADV_RANDOM);
    (void)posix_fadvise(descriptor, 0, 0, POSIX_FADV_RANDOM);
done:
    if (status == INGOT_OK) {
        *opened = descriptor;
    } else if (descriptor >= 0) {
        (void)close(descriptor);
    }
    return status;
}

static ingot_status copy(const struct ingot_file *file, uint64_t offset, uint64_t n_bytes,
                         uint8_t *dst, ingot_error *error)
{
    while (n_bytes > 0) {
        const ssize_t n = pread(file->descriptor, dst, (size_t)n_bytes, (off_t)offset);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) {
            return ingot_fail(error, INGOT_IO, offset, "chunk", "cannot read %.150s: %s",
                              file->path, n < 0 ? strerror(errno) : "it has become shorter");
        }
        dst += n;
        offset += (uint64_t)n;
        n_bytes -= (uint64_t)n;
    }
    return INGOT_OK;
}

/* The same, unless it has to wait for the disk. */
static bool copy_cached(const struct ingot_file *file, uint64_t offset, uint64_t n_bytes,
                        uint8_t *dst)
{
#ifdef RWF_NOWAIT
    const struct iovec part = {dst, (size_t)n_bytes};
    return preadv2(file->descriptor, &part, 1, (off_t)offset, RWF_NOWAIT) == (ssize_t)n_bytes;
#else
    (void)file, (void)offset, (void)n_bytes, (void)dst;
    return false;
#endif
}

static void advise(const struct ingot_file *file, uint64_t offset, uint64_t n_bytes, int advice)
{
    if (file->mapping == NULL) return;
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    const uint64_t begin = offset / page * page;
    (void)madvise((uint8_t *)file->mapping + begin, (size_t)(offset + n_bytes - begin), advice);
}

void file_read_ahead(const struct ingot_file *file, uint64_t offset, uint64_t n_bytes)
{
    advise(file, offset, n_bytes, MADV_WILLNEED);
}

void file_map(const struct ingot_file *file, uint64_t offset, uint64_t n_bytes)
{
#ifdef MADV_POPULATE_READ
    /* Saves the faults. What was not asked for before, it would read from the disk page by page. */
    advise(file, offset, n_bytes, MADV_POPULATE_READ);
#else
    (void)file, (void)offset, (void)n_bytes;
#endif
}

void stream_read_ahead(const struct ingot_file *file, const struct stream_record *stream,
                       uint64_t k, uint64_t end, bool asked)
{
    enum { AHEAD_BYTES = 8 << 20 };
    const uint64_t n_ahead = max_u64(1, AHEAD_BYTES / stream->chunk_bytes);
    const uint64_t last = min_u64(end, k + n_ahead + 1);
    for (uint64_t i = k; i < last; i += asked ? n_ahead : 1) {
        const struct chunk_record c =
            chunk_at(file, (uint32_t)(stream->first_chunk + i * stream->chunk_step));
        file_read_ahead(file, c.offset, c.stored_bytes);
    }
}

bool file_is_mapped(const struct ingot_file *file)
{
    return file->descriptor >= 0;
}

ingot_status stream_copy_chunk(const struct ingot_file *file, const struct stream_record *stream,
                               uint64_t k, uint64_t end, uint8_t *dst, ingot_error *error)
{
    const struct chunk_record c =
        chunk_at(file, (uint32_t)(stream->first_chunk + k * stream->chunk_step));
    if (copy_cached(file, c.offset, c.stored_bytes, dst)) return INGOT_OK;
    /* Asking costs a tenth of what reading from the cache does. */
    stream_read_ahead(file, stream, k, end, false);
    return copy(file, c.offset, c.stored_bytes, dst, error);
}

ingot_status file_open_at(const char *path, uint32_t depth, const ingot_allocator *allocator,
                          ingot_file **file, ingot_error *error)
{
    void *mapping;
    size_t n_bytes = 0;
    int descriptor;
    struct ingot_file *f = NULL;
    ingot_status status = map_file(path, &mapping, &n_bytes, &descriptor, error);
    if (status != INGOT_OK) return status;
    status = open_proved(mapping ? mapping : "", n_bytes, allocator, &f, error);
    if (status != INGOT_OK) {
        if (mapping) (void)munmap(mapping, n_bytes);
        (void)close(descriptor);
        return status;
    }
    f->mapping = mapping;
    f->descriptor = descriptor;
    f->path = ingot_allocate(allocator, strlen(path) + 1);
    if (f->path != NULL) {
        memcpy(f->path, path, strlen(path) + 1);
        status = bases_open(f, NULL, 0, path, depth, error);
    } else {
        status = ingot_fail_memory(error, strlen(path) + 1, "path");
    }
    if (status != INGOT_OK) {
        ingot_file_close(f);
        return status;
    }
    *file = f;
    return INGOT_OK;
}

ingot_status ingot_file_open(const char *path, const ingot_allocator *allocator, ingot_file **file,
                             ingot_error *error)
{
    return file_open_at(path, 0, allocator, file, error);
}

void ingot_file_close(ingot_file *file)
{
    if (file == NULL) return;
    bases_close(file);
    if (file->mapping) (void)munmap(file->mapping, (size_t)file->bytes.n_bytes);
    if (file->descriptor >= 0) (void)close(file->descriptor);
    ingot_release(file->allocator, file->path);
    ingot_release(file->allocator, file->adapters);
    ingot_release(file->allocator, file->codings);
    ingot_release(file->allocator, file);
}

/* ---- tensors ---- */

uint32_t ingot_file_n_tensors(const ingot_file *file)
{
    return file->sections[SECTION_TENSORS].n_records;
}

struct tensor_layout ingot_file_layout(const ingot_file *file, uint32_t tensor)
{
    const struct tensor_record t = tensor_at(file, tensor);
    struct tensor_layout layout = {t.stack, t.split, {0, 0, 0}};
    stack_of(t.rank, t.dims, t.stack, t.split, &layout.shape);
    return layout;
}

void ingot_file_term(const ingot_file *file, uint32_t tensor, uint32_t term, struct file_term *out)
{
    term_at(file, tensor_at(file, tensor).first_term + term, out);
}

const struct ingot_coding *ingot_file_rescale(const ingot_file *file, uint32_t tensor,
                                              uint32_t *first_stream)
{
    const struct tensor_record t = tensor_at(file, tensor);
    if (t.rescale_coding == INGOT_NONE) return NULL;
    *first_stream = t.rescale_stream;
    return &file->codings[t.rescale_coding];
}

void ingot_file_ref(const ingot_file *file, const struct file_term *term, struct file_ref *ref)
{
    struct term_record t;
    struct file_record f;
    term_read(record_at(file, SECTION_TERMS, term->number), &t);
    const uint8_t *record = record_at(file, SECTION_FILES, t.file);
    file_read(record, &f);
    *ref = (struct file_ref){record + 8, string_at(file, f.name), f.name.n_bytes,
                             string_at(file, t.target), t.target.n_bytes};
}

bool ingot_file_held_raw(const ingot_file *file, uint32_t tensor)
{
    const struct tensor_record t = tensor_at(file, tensor);
    if (t.n_terms != 1 || t.rescale_coding != INGOT_NONE) return false;
    struct file_term term;
    ingot_file_term(file, tensor, 0, &term);
    if (term.kind != TERM_DENSE || !coding_is_raw(term.coding)) return false;
    const struct ingot_coding raw = raw_coding((ingot_dtype)t.dtype);
    return term.coding->map == raw.map && term.coding->bits == raw.bits &&
           term.coding->format == raw.format;
}

/* Text that grows up to its space and is then cut. */
struct text {
    char *data;
    size_t n_bytes;
    size_t space;
};

static void say(struct text *text, const char *format, ...) INGOT_PRINTF(2, 3);

static void say(struct text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const int n =
        vsnprintf(text->data + text->n_bytes, text->space - text->n_bytes, format, arguments);
    va_end(arguments);
    if (n > 0) text->n_bytes = (size_t)min_u64(text->n_bytes + (size_t)n, text->space - 1);
}

static void say_term(struct text *text, const struct file_term *term)
{
    static const char *const masks[] = {"", "bitmap", "2:4", "columns", "rows", "blocks", "list"};
    const char *coding = term->coding ? term->coding->name : "";
    switch ((enum term_kind)term->kind) {
    case TERM_DENSE: say(text, "%s", coding); break;
    case TERM_SPARSE: say(text, "sparse(%s, %s)", masks[term->mask], coding); break;
    case TERM_LOWRANK: say(text, "lowrank(r%u, %s)", term->rank, coding); break;
    case TERM_REF: say(text, "ref"); break;
    }
}

uint32_t rescale_n_streams(const struct ingot_file *file, const struct tensor_record *tensor)
{
    /* The number does not depend on the shape. */
    const struct stack_shape any = {1, 1, 1};
    struct stream_shape shapes[CODING_MAX_STREAMS];
    uint32_t n = 0;
    if (tensor->rescale_coding == INGOT_NONE) return 0;
    coding_streams(&file->codings[tensor->rescale_coding], any, shapes, &n);
    return n;
}

uint64_t ingot_file_stream_stored_bytes(const ingot_file *file, uint32_t stream)
{
    const struct stream_record s = stream_at(file, stream);
    const uint64_t n = stream_n_chunks(&s);
    uint64_t n_bytes = 0;
    for (uint64_t k = 0; k < n; k++) {
        n_bytes += chunk_at(file, (uint32_t)(s.first_chunk + k * s.chunk_step)).stored_bytes;
    }
    return n_bytes;
}

static void add_stream_bytes(const struct ingot_file *file, uint32_t stream, ingot_tensor *t)
{
    t->coded_bytes += ingot_file_stream_bytes(file, stream);
    t->stored_bytes += ingot_file_stream_stored_bytes(file, stream);
}

void ingot_file_tensor(const ingot_file *file, uint32_t index, ingot_tensor *tensor)
{
    const struct tensor_record r = tensor_at(file, index);
    const struct tensor_layout layout = ingot_file_layout(file, index);
    ingot_tensor t = {
        .name = string_at(file, r.name),
        .name_bytes = r.name.n_bytes,
        .dtype = (ingot_dtype)r.dtype,
        .rank = r.rank,
        .n_matrices = layout.shape.n_matrices,
        .n_rows = layout.shape.n_rows,
        .n_cols = layout.shape.n_cols,
        .n_terms = r.n_terms,
        .alias_of = r.alias_of,
    };
    memcpy(t.dims, r.dims, sizeof t.dims);
    struct text text = {t.encoding, 0, sizeof t.encoding};
    for (uint32_t k = 0; k < r.n_terms; k++) {
        static const char *const joints[] = {"", " + ", " set ", " xor "};
        struct file_term term;
        ingot_file_term(file, index, k, &term);
        say(&text, "%s", joints[term.combine]);
        say_term(&text, &term);
        for (uint32_t i = 0; i < term.n_streams; i++) {
            add_stream_bytes(file, term.first_stream + i, &t);
        }
    }
    const uint32_t n_rescale = rescale_n_streams(file, &r);
    for (uint32_t i = 0; i < n_rescale; i++) add_stream_bytes(file, r.rescale_stream + i, &t);
    *tensor = t;
}

ingot_status ingot_file_find(const ingot_file *file, const char *name, size_t name_bytes,
                             uint32_t *index)
{
    uint32_t low = 0, high = ingot_file_n_tensors(file);
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        const uint32_t candidate = tensor_at(file, middle).by_name;
        const struct string_ref other = tensor_at(file, candidate).name;
        const size_t n = other.n_bytes < name_bytes ? other.n_bytes : name_bytes;
        int order = n ? memcmp(string_at(file, other), name, n) : 0;
        if (order == 0) order = other.n_bytes < name_bytes ? -1 : other.n_bytes > name_bytes;
        if (order == 0) {
            *index = candidate;
            return INGOT_OK;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return INGOT_NOT_FOUND;
}

/* ---- blobs ---- */

static struct blob_record blob_at(const struct ingot_file *file, uint32_t index)
{
    struct blob_record r;
    blob_read(record_at(file, SECTION_BLOBS, index), &r);
    return r;
}

uint32_t ingot_file_n_blobs(const ingot_file *file)
{
    return file->sections[SECTION_BLOBS].n_records;
}

void ingot_file_blob(const ingot_file *file, uint32_t index, ingot_blob *blob)
{
    const struct blob_record r = blob_at(file, index);
    *blob = (ingot_blob){r.kind, string_at(file, r.name), r.name.n_bytes,
                         stream_at(file, r.stream).n_bytes};
}

ingot_status ingot_file_read_blob(const ingot_file *file, uint32_t index, uint64_t offset,
                                  uint64_t n_bytes, void *dst, ingot_error *error)
{
    return ingot_file_read_stream(file, blob_at(file, index).stream, offset, n_bytes, dst, error);
}

ingot_status ingot_file_find_attachment(const ingot_file *file, const char *name, size_t name_bytes,
                                        uint32_t *index)
{
    const uint32_t found = ingot_file_find_blob(file, INGOT_BLOB_ATTACHMENT, name, name_bytes);
    if (found == INGOT_NONE) return INGOT_NOT_FOUND;
    *index = found;
    return INGOT_OK;
}

uint32_t ingot_file_find_blob(const ingot_file *file, uint32_t kind, const char *name,
                              size_t name_bytes)
{
    for (uint32_t i = 0; i < ingot_file_n_blobs(file); i++) {
        const struct blob_record r = blob_at(file, i);
        if (r.kind != kind || r.name.n_bytes != name_bytes) continue;
        if (name_bytes == 0 || memcmp(string_at(file, r.name), name, name_bytes) == 0) return i;
    }
    return INGOT_NONE;
}

const uint8_t *ingot_file_content_id(const ingot_file *file)
{
    return file->trailer.content_id;
}

uint32_t ingot_file_minor(const ingot_file *file)
{
    return file->header.minor;
}

uint64_t ingot_file_bytes(const ingot_file *file)
{
    return file->bytes.n_bytes;
}
