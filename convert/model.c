/* Models of any format: the table of formats, and the calls that pass to the format's own
 * functions. Knows of a format only its row. */
#include "convert/model.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "convert/dialect.h"
#include "convert/file_set.h"
#include "convert/input.h"
#include "convert/llama2c.h"
#include "convert/model_kind.h"
#include "convert/foreign_blocks.h"
#include "convert/names.h"
#include "convert/raw_values.h"
#include "convert/source_gguf.h"
#include "convert/source_ingot.h"
#include "convert/source_llama2c.h"
#include "convert/source_safetensors.h"
#include "format/bytes.h"
#include "format/fail.h"

/* ------------------------------------------------------------------ the table of formats */

/* What is known of a path before it is opened as anything. */
struct path_facts {
    bool folder;
    const char *path;
    uint32_t head_bytes;
    uint8_t head[LLAMA2C_HEAD_BYTES];
    uint32_t n_gguf; /* of a folder: files in it whose names end so */
    uint32_t n_safetensors;
    uint32_t n_bin;
    uint64_t n_bytes; /* of a file */
};

static bool head_is_ingot(const struct path_facts *facts)
{
    static const uint8_t magic[8] = {0x89, 'I', 'G', 'T', '\r', '\n', 0x1a, '\n'};
    return facts->head_bytes >= sizeof magic && memcmp(facts->head, magic, sizeof magic) == 0;
}

static bool head_is_safetensors(const struct path_facts *facts)
{
    return facts->head_bytes > 8 && facts->head[8] == '{' && facts->head[7] == 0 &&
           facts->head[6] == 0;
}

static bool is_any(const struct path_facts *facts)
{
    (void)facts;
    return true;
}

static bool head_is_unknown(const struct path_facts *facts)
{
    (void)facts;
    return false;
}

/* A folder that has GGUF files and no other model. */
static bool folder_is_gguf(const struct path_facts *facts)
{
    return facts->n_gguf > 0 && facts->n_safetensors == 0;
}

static bool head_is_gguf(const struct path_facts *facts)
{
    return facts->head_bytes >= 4 && memcmp(facts->head, "GGUF", 4) == 0;
}

/* A folder of .bin files, whosoever they are, that has no other model. */
static bool folder_is_llama2c(const struct path_facts *facts)
{
    return facts->n_bin > 0 && facts->n_gguf == 0 && facts->n_safetensors == 0;
}

static bool head_is_llama2c(const struct path_facts *facts)
{
    struct llama2c checkpoint;
    const struct span head = {facts->head, facts->head_bytes};
    return llama2c_read(head, facts->n_bytes, &checkpoint, NULL) == INGOT_OK;
}

typedef ingot_status open_function(const char *const *paths, uint32_t n_paths,
                                   const ingot_allocator *allocator, struct model **model,
                                   ingot_error *error);
typedef ingot_status open_assuming_function(const char *const *paths, uint32_t n_paths,
                                            const struct assumptions *assumptions,
                                            const ingot_allocator *allocator, struct model **model,
                                            ingot_error *error);

typedef ingot_status find_set_function(const char *path, const ingot_allocator *allocator,
                                       struct file_set *set, ingot_error *error);
typedef ingot_status open_set_function(struct file_set *set, const struct assumptions *assumptions,
                                       struct model **model, ingot_error *error);

static const struct format {
    const char *name;
    const char *suffix; /* NULL: a folder */
    uint32_t most_paths;
    bool has_dialects; /* quantized tensors may be several plain ones, which are read at will: what
                        * streams gives each once, in its order */
    bool (*head)(const struct path_facts *facts); /* for folders, and files of another suffix */
    open_function *open;
    open_assuming_function *open_assuming; /* instead, of formats that leave doubts */
    find_set_function *find_set;           /* instead, of many files at one path: finds them */
    open_set_function *open_set;
} formats[] = {
    {"a folder", NULL, 1, false, folder_is_gguf, NULL, NULL, file_set_folder, gguf_open_set},
    {"a folder", NULL, 1, false, folder_is_llama2c, NULL, NULL, file_set_folder, llama2c_open_set},
    {"a folder", NULL, 1, true, is_any, NULL, NULL, file_set_folder, safetensors_open_set},
    {".ingot", ".ingot", 1, false, head_is_ingot, ingot_open_container, NULL, NULL, NULL},
    {".safetensors", ".safetensors", UINT32_MAX, true, head_is_safetensors, safetensors_open_files,
     NULL, NULL, NULL},
    {".gguf", ".gguf", UINT32_MAX, false, head_is_gguf, NULL, gguf_open_files, NULL, NULL},
    {".bin of llama2.c", ".bin", UINT32_MAX, false, head_is_llama2c, llama2c_open_files, NULL, NULL,
     NULL},
    {".zip", ".zip", 1, false, head_is_unknown, NULL, NULL, file_set_archive, safetensors_open_set},
    {".tar", ".tar", 1, false, head_is_unknown, NULL, NULL, file_set_archive, safetensors_open_set},
    {".tar.gz", ".tar.gz", 1, false, head_is_unknown, NULL, NULL, file_set_archive,
     safetensors_open_set},
    {".tgz", ".tgz", 1, false, head_is_unknown, NULL, NULL, file_set_archive, safetensors_open_set},
    {".tar.zst", ".tar.zst", 1, false, head_is_unknown, NULL, NULL, file_set_archive,
     safetensors_open_set},
};
enum { N_FORMATS = sizeof formats / sizeof *formats };

static ingot_status read_head(const char *path, struct path_facts *facts, ingot_error *error)
{
    struct input *input;
    ingot_status status = input_open(path, path, NULL, &input, error);
    if (status != INGOT_OK) return status;
    facts->n_bytes = input_bytes(input);
    facts->head_bytes = (uint32_t)min_u64(facts->n_bytes, sizeof facts->head);
    status = input_read(input, 0, facts->head_bytes, facts->head, error);
    input_close(input);
    return status;
}

static bool ends_with(const char *path, const char *suffix)
{
    const size_t n_path = strlen(path);
    const size_t n_suffix = strlen(suffix);
    return n_path >= n_suffix && strcmp(path + n_path - n_suffix, suffix) == 0;
}

static ingot_status look_into(const char *path, struct path_facts *facts, ingot_error *error)
{
    DIR *folder = opendir(path);
    if (folder == NULL) {
        return ingot_fail(error, INGOT_IO, INGOT_NO_OFFSET, path, "cannot open: %s",
                          strerror(errno));
    }
    const struct dirent *entry;
    while ((entry = readdir(folder)) != NULL) {
        facts->n_gguf += ends_with(entry->d_name, ".gguf");
        facts->n_bin += ends_with(entry->d_name, ".bin");
        facts->n_safetensors += ends_with(entry->d_name, ".safetensors");
    }
    (void)closedir(folder);
    return INGOT_OK;
}

static ingot_status look_at(const char *path, struct path_facts *facts, ingot_error *error)
{
    struct stat found;
    *facts = (struct path_facts){.path = path};
    if (stat(path, &found) != 0) {
        const ingot_status status = errno == ENOENT ? INGOT_NOT_FOUND : INGOT_IO;
        return ingot_fail(error, status, INGOT_NO_OFFSET, path, "cannot open: %s", strerror(errno));
    }
    facts->folder = S_ISDIR(found.st_mode);
    if (facts->folder) return look_into(path, facts, error);
    return S_ISREG(found.st_mode) ? read_head(path, facts, error) : INGOT_OK;
}

/* The row of a path: by its suffix, else by its first bytes. */
static const struct format *format_of(const struct path_facts *facts)
{
    for (uint32_t i = 0; i < N_FORMATS; i++) {
        const bool folder = formats[i].suffix == NULL;
        if (folder != facts->folder) continue;
        if (folder ? formats[i].head(facts) : ends_with(facts->path, formats[i].suffix)) {
            return &formats[i];
        }
    }
    for (uint32_t i = 0; i < N_FORMATS; i++) {
        if (!facts->folder && formats[i].suffix && formats[i].head(facts)) return &formats[i];
    }
    return NULL;
}

static ingot_status fail_unknown(const char *path, ingot_error *error)
{
    char names[160] = "";
    for (uint32_t i = 0; i < N_FORMATS; i++) {
        const size_t n = strlen(names);
        if (i > 0 && formats[i].suffix == NULL) continue;
        snprintf(names + n, sizeof names - n, "%s%s", i ? ", " : "", formats[i].name);
    }
    return ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, path,
                      "neither its name nor its first bytes say what it is; known are: %s", names);
}

static ingot_status open_as(const struct format *format, const char *const *paths, uint32_t n_paths,
                            const struct assumptions *assumptions, const ingot_allocator *allocator,
                            struct model **model, ingot_error *error)
{
    struct file_set set;
    if (format->open) return format->open(paths, n_paths, allocator, model, error);
    if (format->open_assuming) {
        return format->open_assuming(paths, n_paths, assumptions, allocator, model, error);
    }
    ingot_status status = format->find_set(paths[0], allocator, &set, error);
    if (status != INGOT_OK) return status;
    status = format->open_set(&set, assumptions, model, error);
    file_set_release(&set);
    return status;
}

ingot_status model_open(const char *const *paths, uint32_t n_paths,
                        const ingot_allocator *allocator, struct model **model, ingot_error *error)
{
    static const struct assumptions none = {0};
    return model_open_assuming(paths, n_paths, &none, allocator, model, error);
}

ingot_status model_open_assuming(const char *const *paths, uint32_t n_paths,
                                 const struct assumptions *assumptions,
                                 const ingot_allocator *allocator, struct model **model,
                                 ingot_error *error)
{
    const struct format *format = NULL;
    for (uint32_t i = 0; i < n_paths; i++) {
        struct path_facts facts;
        const ingot_status status = look_at(paths[i], &facts, error);
        if (status != INGOT_OK) return status;
        const struct format *found = format_of(&facts);
        if (found == NULL) return fail_unknown(paths[i], error);
        if (format != NULL && found != format) {
            return ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET, paths[i],
                              "%s and %s cannot be one model", format->name, found->name);
        }
        format = found;
    }
    if (format == NULL) {
        return ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET, "sources", "there are none");
    }
    if (n_paths > format->most_paths) {
        return ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET, paths[1],
                          "only one %s at a time can be opened", format->name);
    }
    struct model *opened;
    ingot_status status = open_as(format, paths, n_paths, assumptions, allocator, &opened, error);
    if (status == INGOT_OK && format->has_dialects && assumptions->dialect != DIALECT_PLAIN) {
        status = dialects_recognise(opened, allocator, &opened, error);
    }
    if (status == INGOT_OK) *model = opened;
    return status;
}

/* ------------------------------------------------------------------ what formats share */

void model_layout(const char *name, uint32_t name_bytes, uint32_t rank, uint8_t *stack,
                  uint8_t *split)
{
    /* As checkpoints and as GGUF call them. */
    const bool is_stack = rank == 3 && (memmem(name, name_bytes, "experts", 7) ||
                                        memmem(name, name_bytes, "_exps", 5));
    *stack = is_stack ? 1 : 0;
    *split = is_stack ? 2 : rank >= 2 ? 1 : 0;
}

void model_set_rows(struct model_tensor *tensor)
{
    tensor->n_rows = 1;
    tensor->n_cols = 1;
    for (uint32_t k = 0; k < tensor->rank; k++) {
        uint64_t *side = k < tensor->split ? &tensor->n_rows : &tensor->n_cols;
        *side *= tensor->dims[k];
    }
}

ingot_status model_decode_raw(const struct model *model, uint32_t index, uint64_t first_row,
                              uint64_t n_rows, float *dst, ingot_error *error)
{
    uint8_t bytes[1 << 16];
    struct model_tensor t;
    model_tensor(model, index, &t);
    const uint64_t n_step = sizeof bytes * 8 / ingot_dtype_bits(t.dtype) - 1;
    const uint64_t end = (first_row + n_rows) * t.n_cols;
    for (uint64_t at = first_row * t.n_cols; at < end;) {
        const uint64_t n = min_u64(n_step, end - at);
        const struct raw_extent extent = raw_extent(t.dtype, at, n);
        ingot_status status =
            model_read_raw(model, index, extent.offset, extent.n_bytes, bytes, error);
        if (status == INGOT_OK) {
            status = raw_values_at(t.dtype, bytes, extent.first_bit, n, dst, error);
        }
        if (status != INGOT_OK) return status;
        dst += n;
        at += n;
    }
    return INGOT_OK;
}

ingot_status model_refuse_foreign(const struct model_tensor *tensor, ingot_error *error)
{
    return ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET,
                      name_shown(tensor->name, tensor->name_bytes).text,
                      "its type %s is carried as it is; its values are not known here",
                      tensor->foreign.name);
}

void model_add_note(struct model *model, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    buffer_append(&model->notes, text, strlen(text) + 1);
    model->n_notes++;
}

void model_blame(ingot_error *error, const char *file_name)
{
    if (error == NULL) return;
    char what[sizeof error->what];
    memcpy(what, error->what, sizeof what);
    snprintf(error->what, sizeof error->what, "%.100s: %.150s", file_name, what);
}

/* ------------------------------------------------------------------ calls */

void model_close(struct model *model)
{
    if (model == NULL) return;
    buffer_release(&model->notes);
    model->kind->close(model);
}

const char *model_format(const struct model *model)
{
    return model->kind->format;
}

const ingot_file *model_container(const struct model *model)
{
    return model->kind->container(model);
}

uint32_t model_n_tensors(const struct model *model)
{
    return model->kind->n_tensors(model);
}

void model_tensor(const struct model *model, uint32_t index, struct model_tensor *tensor)
{
    model->kind->tensor(model, index, tensor);
}

ingot_status model_find(const struct model *model, const char *name, size_t name_bytes,
                        uint32_t *index)
{
    return model->kind->find(model, name, name_bytes, index);
}

const struct composite *model_composite(const struct model *model, uint32_t index)
{
    return model->kind->composite ? model->kind->composite(model, index) : NULL;
}

uint32_t model_alias_of(const struct model *model, uint32_t index)
{
    const ingot_file *file = model_container(model);
    struct model_tensor tensor;
    ingot_tensor t;
    uint32_t other;
    if (file == NULL) return INGOT_NONE;
    model_tensor(model, index, &tensor);
    ingot_file_tensor(file, tensor.number, &t);
    if (t.alias_of == INGOT_NONE) return INGOT_NONE;
    ingot_file_tensor(file, t.alias_of, &t);
    const ingot_status status = model_find(model, t.name, t.name_bytes, &other);
    return status == INGOT_OK ? other : INGOT_NONE;
}

ingot_status model_decode_f32(const struct model *model, uint32_t index, uint64_t first_row,
                              uint64_t n_rows, float *dst, ingot_error *error)
{
    struct model_tensor t;
    model_tensor(model, index, &t);
    if (foreign_blocks_type(&t)) {
        return foreign_blocks_decode(model, index, first_row, n_rows, dst, error);
    }
    return model->kind->decode_f32(model, index, first_row, n_rows, dst, error);
}

ingot_status model_read_raw(const struct model *model, uint32_t index, uint64_t offset,
                            uint64_t n_bytes, void *dst, ingot_error *error)
{
    return model->kind->read_raw(model, index, offset, n_bytes, dst, error);
}

ingot_status model_read_foreign(const struct model *model, uint32_t index, uint64_t offset,
                                uint64_t n_bytes, void *dst, ingot_error *error)
{
    struct model_tensor t;
    model_tensor(model, index, &t);
    if (t.foreign.name == NULL) {
        return ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET,
                          name_shown(t.name, t.name_bytes).text, "it is not of a foreign type");
    }
    if (!range_within(offset, n_bytes, t.foreign.n_bytes)) {
        return ingot_fail(error, INGOT_INVALID, offset, name_shown(t.name, t.name_bytes).text,
                          "bytes past its end are wanted");
    }
    return model->kind->read_foreign(model, index, offset, n_bytes, dst, error);
}

bool model_place(const struct model *model, uint32_t index, struct model_place *place)
{
    return model->kind->place && model->kind->place(model, index, place);
}

struct span model_metadata(const struct model *model)
{
    return model->kind->metadata(model);
}

uint32_t model_n_attachments(const struct model *model)
{
    return model->kind->n_attachments(model);
}

void model_attachment(const struct model *model, uint32_t index,
                      struct model_attachment *attachment)
{
    model->kind->attachment(model, index, attachment);
}

ingot_status model_read_attachment(const struct model *model, uint32_t index, uint64_t offset,
                                   uint64_t n_bytes, void *dst, ingot_error *error)
{
    return model->kind->read_attachment(model, index, offset, n_bytes, dst, error);
}

ingot_status model_source_blob(const struct model *model, const uint32_t *attachment_blobs,
                               const struct progress *progress, struct source_passing *passing,
                               struct byte_buffer *out, struct model_hashes *hashes,
                               ingot_error *error)
{
    return model->kind->source_blob(model, attachment_blobs, progress, passing, out, hashes, error);
}

ingot_status model_unchanged(const struct model *model, ingot_error *error)
{
    return model->kind->unchanged(model, error);
}

uint64_t model_source_bytes(const struct model *model)
{
    return model->kind->source_bytes(model);
}

uint32_t model_n_notes(const struct model *model)
{
    return model->n_notes;
}

const char *model_note(const struct model *model, uint32_t index)
{
    const char *text = (const char *)model->notes.data;
    for (uint32_t i = 0; i < index; i++) text += strlen(text) + 1;
    return text;
}
