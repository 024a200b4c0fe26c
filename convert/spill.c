/* Large blocks of memory as mapped files. */
#include "convert/spill.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "format/bytes.h"

/* Before every block: how it was made. */
struct prefix {
    size_t mapped_bytes; /* the whole mapping; 0: malloc gave the block */
    size_t unused;       /* keeps what follows aligned for any type */
};

/* A mapping of n_bytes, or NULL. The disk has room for all of it from the start: a page that found
 * none when it is written to would kill the process. */
static void *map_file(const char *folder, size_t n_bytes)
{
    const int file = open(folder, O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0) return NULL;
    void *memory = MAP_FAILED;
    if (fallocate(file, 0, 0, (off_t)n_bytes) == 0) {
        memory = mmap(NULL, n_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    }
    (void)close(file);
    return memory == MAP_FAILED ? NULL : memory;
}

static void *allocate(void *context, size_t n_bytes)
{
    struct prefix *block = NULL;
    uint64_t whole;
    if (!add_u64(n_bytes, sizeof *block, &whole) || whole > INT64_MAX) return NULL;
    size_t mapped_bytes = n_bytes >= SPILL_BYTES ? (size_t)whole : 0;
    if (mapped_bytes) block = map_file(context, mapped_bytes);
    if (block == NULL) {
        mapped_bytes = 0;
        block = malloc((size_t)whole);
    }
    if (block == NULL) return NULL;
    block->mapped_bytes = mapped_bytes;
    return block + 1;
}

static void release(void *context, void *memory)
{
    (void)context;
    if (memory == NULL) return;
    struct prefix *block = (struct prefix *)memory - 1;
    if (block->mapped_bytes == 0) {
        free(block);
    } else {
        (void)munmap(block, block->mapped_bytes);
    }
}

ingot_allocator spill_allocator(const char *folder)
{
    return (ingot_allocator){
        .allocate = allocate, .release = release, .context = (void *)(uintptr_t)folder};
}
