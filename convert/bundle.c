/* Lists archives, refuses what does not belong in one, and reads their files. */
#include "convert/bundle.h"

#include <string.h>
#include <sys/stat.h>

#include "convert/bundle_stream.h"
#include "convert/names.h"
#include "format/alloc.h"
#include "format/buffer.h"
#include "format/bytes.h"
#include "format/fail.h"
#include "format/source.h"

enum { MAX_ENTRIES = 100000, MAX_RATIO = 256, WINDOW_BYTES = 1 << 18, KEPT_BYTES = 1 << 6 };
#define FREE_BYTES (UINT64_C(64) << 20)
#define MAX_BYTES (UINT64_C(16) << 40)

struct member {
    struct bundle *bundle;
    uint64_t name_offset; /* in texts */
    uint64_t n_bytes;
    uint64_t data_offset; /* UINT64_MAX: only from the stream */
    uint32_t name_bytes;
    uint32_t number; /* of the entry, folders counted */
};

struct bundle {
    const ingot_allocator *allocator;
    struct input *file;
    uint32_t n_entries;
    uint32_t n_files;
    uint32_t n_folders;
    uint32_t n_empty;
    uint64_t n_bytes;           /* of all files */
    struct byte_buffer members; /* struct member */
    struct byte_buffer texts;   /* the names of files, each ends with a zero byte */
    struct byte_buffer folders; /* the names of folders, likewise */
    struct byte_buffer empty;   /* those that hold nothing */
    /* Reading. The window is the bytes before `at_byte` of entry at_number. */
    struct bundle_stream *stream; /* NULL: to be opened */
    struct bundle_entry entry;
    uint32_t n_passed; /* entries that the stream has given; the last one is at hand */
    uint64_t at_byte;
    uint32_t window_bytes;
    uint8_t window[WINDOW_BYTES];
};

static const struct member *member_at(const struct bundle *b, uint32_t index)
{
    return (const struct member *)(const void *)b->members.data + index;
}

static const char *member_name(const struct member *m)
{
    return (const char *)m->bundle->texts.data + m->name_offset;
}

/* ------------------------------------------------------------------ listing */

static ingot_status refuse(const struct bundle_entry *entry, const char *what, ingot_error *error)
{
    return ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET,
                      name_shown(entry->name, entry->name_bytes).text, "%s", what);
}

static ingot_status check_kind(const struct bundle_entry *entry, ingot_error *error)
{
    static const struct {
        mode_t type;
        const char *what;
    } refused[] = {
        {S_IFLNK, "a symbolic link: put what it points to into the archive, or leave it out"},
        {S_IFSOCK, "a socket"},
        {S_IFIFO, "a named pipe"},
        {S_IFBLK, "a device"},
        {S_IFCHR, "a device"},
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        if (entry->type == refused[i].type) return refuse(entry, refused[i].what, error);
    }
    if (entry->is_link) {
        return refuse(entry, "a hard link: put the file itself into the archive", error);
    }
    if (entry->type != S_IFREG && entry->type != S_IFDIR) {
        return refuse(entry, "neither a file nor a folder", error);
    }
    if (entry->type == S_IFREG && entry->obstacle) {
        return ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET,
                          name_shown(entry->name, entry->name_bytes).text, "it is %s",
                          entry->obstacle);
    }
    return INGOT_OK;
}

/* A small archive that stands for very many bytes is made to exhaust whoever reads it. */
static ingot_status check_size(struct bundle *b, const struct bundle_entry *entry,
                               ingot_error *error)
{
    uint64_t most;
    if (!mul_u64(input_bytes(b->file), MAX_RATIO, &most)) most = UINT64_MAX;
    most = min_u64(max_u64(most, FREE_BYTES), MAX_BYTES);
    if (entry->n_bytes > most - b->n_bytes || entry->stream_bytes > most) {
        return ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET,
                          name_shown(entry->name, entry->name_bytes).text,
                          "with its %llu bytes the archive holds more than %llu, the most that one "
                          "of %llu may hold",
                          (unsigned long long)entry->n_bytes, (unsigned long long)most,
                          (unsigned long long)input_bytes(b->file));
    }
    b->n_bytes += entry->n_bytes;
    return INGOT_OK;
}

static ingot_status add_entry(struct bundle *b, struct bundle_entry *entry, ingot_error *error)
{
    const bool folder = entry->type == S_IFDIR;
    const char *name = entry->name;
    ingot_status status = check_kind(entry, error);
    if (status != INGOT_OK) return status;
    while (strncmp(name, "./", 2) == 0) name += 2;
    size_t n_bytes = entry->name_bytes - (size_t)(name - entry->name);
    if (folder && n_bytes > 0 && name[n_bytes - 1] == '/') n_bytes--;
    /* The folder that is packed may itself be an entry. */
    const bool top = folder && (n_bytes == 0 || (n_bytes == 1 && name[0] == '.'));
    if (top) return INGOT_OK;
    if (!safe_path(name, n_bytes)) {
        return refuse(entry,
                      "the name is not a safe path (it leaves the folder, or has a "
                      "backslash, colon or control character)",
                      error);
    }
    struct byte_buffer *names = folder ? &b->folders : &b->texts;
    const struct member member = {
        b, names->n_bytes, entry->n_bytes, entry->data_offset, (uint32_t)n_bytes, b->n_entries - 1};
    buffer_append(names, name, n_bytes);
    buffer_u8(names, 0);
    if (names->failed) return ingot_fail_memory(error, n_bytes, "names in the archive");
    if (folder) {
        b->n_folders++;
        return INGOT_OK;
    }
    buffer_append(&b->members, &member, sizeof member);
    b->n_files++;
    if (b->members.failed) return ingot_fail_memory(error, sizeof member, "files of the archive");
    return check_size(b, entry, error);
}

static ingot_status list_entries(struct bundle *b, ingot_error *error)
{
    ingot_status status = bundle_stream_open(b->file, b->allocator, &b->stream, error);
    while (status == INGOT_OK) {
        status = bundle_stream_next(b->stream, &b->entry, error);
        if (status != INGOT_OK) break;
        if (b->n_entries++ == MAX_ENTRIES) {
            status = ingot_fail(error, INGOT_UNSUPPORTED, INGOT_NO_OFFSET, input_name(b->file),
                                "more than %d entries", MAX_ENTRIES);
            break;
        }
        status = add_entry(b, &b->entry, error);
    }
    bundle_stream_close(b->stream);
    b->stream = NULL;
    return status == INGOT_END ? INGOT_OK : status;
}

/* ------------------------------------------------------------------ names */

/* Whether a file's name begins with a folder's and a slash. */
static bool holds_file(const struct name_ref *names, uint32_t n, const char *folder)
{
    const size_t n_bytes = strlen(folder);
    uint32_t low = 0;
    uint32_t high = n;
    while (low < high) { /* the first name after "folder/" in order of bytes */
        const uint32_t middle = low + (high - low) / 2;
        const int order = strncmp(names[middle].text, folder, n_bytes);
        const bool before = order < 0 || (order == 0 && names[middle].text[n_bytes] < '/');
        if (before) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < n && strncmp(names[low].text, folder, n_bytes) == 0 &&
           names[low].text[n_bytes] == '/';
}

/* Refuses names that are there twice, and a name that is a file's and a folder's. */
static ingot_status check_names(const struct name_ref *names, uint32_t n, ingot_error *error)
{
    const uint64_t at = names_duplicate(names, n);
    uint32_t index;
    if (at != 0) {
        return ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET,
                          name_shown(names[at].text, names[at].n_bytes).text,
                          "two files in the archive have this name");
    }
    for (uint32_t i = 0; i < n; i++) {
        const char *name = names[i].text;
        for (const char *slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/')) {
            if (!names_find(names, n, name, (size_t)(slash - name), &index)) continue;
            return ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET,
                              name_shown(name, names[i].n_bytes).text,
                              "it lies under '%s', which is a file",
                              name_shown(name, (uint64_t)(slash - name)).text);
        }
    }
    return INGOT_OK;
}

static ingot_status settle_names(struct bundle *b, ingot_error *error)
{
    struct name_ref *names = ingot_allocate_zeroed(b->allocator, b->n_files, sizeof *names);
    if (names == NULL) return ingot_fail_memory(error, b->n_files * sizeof *names, "file names");
    for (uint32_t i = 0; i < b->n_files; i++) {
        const struct member *m = member_at(b, i);
        names[i] = (struct name_ref){member_name(m), m->name_bytes, i};
    }
    names_sort(names, b->n_files);
    const ingot_status status = check_names(names, b->n_files, error);
    const char *folder = (const char *)b->folders.data;
    for (uint32_t i = 0; i < b->n_folders; i++, folder += strlen(folder) + 1) {
        if (holds_file(names, b->n_files, folder)) continue;
        buffer_append(&b->empty, folder, strlen(folder) + 1);
        b->n_empty++;
    }
    ingot_release(b->allocator, names);
    if (b->empty.failed) return ingot_fail_memory(error, b->empty.n_bytes, "folder names");
    return status;
}

/* ------------------------------------------------------------------ opening and closing */

ingot_status bundle_open(const char *path, const ingot_allocator *allocator, struct bundle **bundle,
                         ingot_error *error)
{
    struct bundle *b = ingot_allocate_zeroed(allocator, 1, sizeof *b);
    if (b == NULL) return ingot_fail_memory(error, sizeof *b, "archive");
    b->allocator = allocator;
    b->members = (struct byte_buffer){.allocator = allocator};
    b->texts = b->folders = b->empty = b->members;
    ingot_status status = input_open(path, path, allocator, &b->file, error);
    if (status == INGOT_OK) status = list_entries(b, error);
    if (status == INGOT_OK) status = settle_names(b, error);
    if (status != INGOT_OK) {
        bundle_close(b);
        return status;
    }
    *bundle = b;
    return INGOT_OK;
}

void bundle_close(struct bundle *bundle)
{
    if (bundle == NULL) return;
    bundle_stream_close(bundle->stream);
    buffer_release(&bundle->empty);
    buffer_release(&bundle->folders);
    buffer_release(&bundle->texts);
    buffer_release(&bundle->members);
    input_close(bundle->file);
    ingot_release(bundle->allocator, bundle);
}

uint32_t bundle_n_files(const struct bundle *bundle)
{
    return bundle->n_files;
}

const char *bundle_name(const struct bundle *bundle, uint32_t index)
{
    return member_name(member_at(bundle, index));
}

uint32_t bundle_n_empty(const struct bundle *bundle)
{
    return bundle->n_empty;
}

const char *bundle_empty(const struct bundle *bundle)
{
    return (const char *)bundle->empty.data;
}

ingot_status bundle_unchanged(const struct bundle *bundle, ingot_error *error)
{
    return input_unchanged(bundle->file, error);
}

/* ------------------------------------------------------------------ reading */

/* Brings the stream to a member's entry, at a byte not after `offset`. */
static ingot_status go_to(struct bundle *b, const struct member *m, uint64_t offset,
                          ingot_error *error)
{
    const uint32_t wanted = m->number + 1;
    const bool passed =
        b->n_passed > wanted || (b->n_passed == wanted && offset < b->at_byte - b->window_bytes);
    if (passed || b->stream == NULL) {
        bundle_stream_close(b->stream);
        b->stream = NULL;
        b->n_passed = 0;
        const ingot_status status = bundle_stream_open(b->file, b->allocator, &b->stream, error);
        if (status != INGOT_OK) return status;
    }
    while (b->n_passed < wanted) {
        ingot_status status = bundle_stream_next(b->stream, &b->entry, error);
        const bool same =
            status == INGOT_OK && (b->n_passed + 1 < wanted || b->entry.n_bytes == m->n_bytes);
        if (status == INGOT_END || (status == INGOT_OK && !same)) {
            status = ingot_fail(error, INGOT_REFUSED, INGOT_NO_OFFSET, member_name(m),
                                "the archive changed while it was read");
        }
        if (status != INGOT_OK) {
            bundle_stream_close(b->stream);
            b->stream = NULL;
            return status;
        }
        b->n_passed++;
        b->at_byte = 0;
        b->window_bytes = 0;
    }
    return INGOT_OK;
}

/* Moves the window on; its last few bytes stay in it, since a writer may ask for one again. After
 * the last byte the archive's own checksum is asked for. */
static ingot_status move_window(struct bundle *b, const struct member *m, ingot_error *error)
{
    const uint32_t n_kept = (uint32_t)min_u64(b->window_bytes, KEPT_BYTES);
    memmove(b->window, b->window + (b->window_bytes - n_kept), n_kept);
    b->window_bytes = n_kept;
    const uint64_t n_wanted = min_u64(sizeof b->window - n_kept, m->n_bytes - b->at_byte);
    uint64_t n = 0;
    ingot_status status =
        bundle_stream_read(b->stream, member_name(m), b->window + n_kept, n_wanted, &n, error);
    if (status == INGOT_OK && n == 0) {
        status = ingot_fail(error, INGOT_INVALID, b->at_byte, member_name(m),
                            "it is shorter than the archive says");
    }
    if (status != INGOT_OK) goto done;
    b->window_bytes += (uint32_t)n;
    b->at_byte += n;
    if (b->at_byte == m->n_bytes) {
        uint8_t more;
        status = bundle_stream_read(b->stream, member_name(m), &more, 1, &n, error);
        if (status == INGOT_OK && n > 0) {
            status = ingot_fail(error, INGOT_INVALID, b->at_byte, member_name(m),
                                "it is longer than the archive says");
        }
    }
done:
    if (status != INGOT_OK) {
        bundle_stream_close(b->stream);
        b->stream = NULL;
        b->n_passed = 0;
        b->window_bytes = 0;
        b->at_byte = 0;
    }
    return status;
}

/* A byte_source: the range lies within the member, which the input has proved. */
static ingot_status read_member(void *context, uint64_t offset, uint64_t n_bytes, void *dst,
                                ingot_error *error)
{
    const struct member *m = context;
    struct bundle *b = m->bundle;
    uint8_t *to = dst;
    if (m->data_offset != UINT64_MAX) {
        return input_read(b->file, m->data_offset + offset, n_bytes, dst, error);
    }
    if (n_bytes == 0) return INGOT_OK;
    ingot_status status = go_to(b, m, offset, error);
    while (status == INGOT_OK && n_bytes > 0) {
        if (offset < b->at_byte) {
            const uint64_t left = b->at_byte - offset;
            const uint64_t n = min_u64(left, n_bytes);
            memcpy(to, b->window + (b->window_bytes - left), (size_t)n);
            to += n;
            offset += n;
            n_bytes -= n;
        } else {
            status = move_window(b, m, error);
        }
    }
    return status;
}

ingot_status bundle_input(struct bundle *bundle, uint32_t index, struct input **input,
                          ingot_error *error)
{
    struct member *m = (struct member *)(void *)bundle->members.data + index;
    const struct byte_source bytes = {m, read_member};
    return input_over(&bytes, m->n_bytes, member_name(m), bundle->allocator, input, error);
}
