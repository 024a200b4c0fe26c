/* How much of a file reading a row range touches, counted in pages of the mapping that came into
 * memory. Usage: read_rows FILE TENSOR FIRST N */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <fcntl.h>
#include <unistd.h>

#include "format/ingot.h"

/* Bytes of the file that are in the page cache. */
static uint64_t cached_bytes(const char *path, uint64_t n_bytes)
{
    const long page = sysconf(_SC_PAGESIZE);
    const size_t n_pages = (size_t)((n_bytes + (uint64_t)page - 1) / (uint64_t)page);
    unsigned char *pages = malloc(n_pages);
    const int descriptor = open(path, O_RDONLY);
    void *mapping = mmap(NULL, n_bytes, PROT_READ, MAP_SHARED, descriptor, 0);
    uint64_t n = 0;
    if (pages == NULL || mapping == MAP_FAILED || mincore(mapping, n_bytes, pages) != 0) {
        perror("read_rows");
        exit(3);
    }
    for (size_t i = 0; i < n_pages; i++) n += pages[i] & 1;
    munmap(mapping, n_bytes);
    close(descriptor);
    free(pages);
    return n * (uint64_t)page;
}

/* Drops the file from the page cache, so that what is there later was read here. */
static void drop(const char *path)
{
    const int descriptor = open(path, O_RDONLY);
    fdatasync(descriptor);
    posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED);
    close(descriptor);
}

int main(int n_arguments, char **arguments)
{
    ingot_error error = {0};
    ingot_file *file;
    ingot_tensor tensor;
    uint32_t index;
    if (n_arguments != 5) {
        fprintf(stderr, "usage: read_rows FILE TENSOR FIRST N\n");
        return 2;
    }
    const uint64_t first = strtoull(arguments[3], NULL, 10), n = strtoull(arguments[4], NULL, 10);
    drop(arguments[1]);
    if (ingot_file_open(arguments[1], NULL, &file, &error) != INGOT_OK ||
        ingot_file_find(file, arguments[2], strlen(arguments[2]), &index) != INGOT_OK) {
        fprintf(stderr, "read_rows: %s %s\n", error.field, error.what);
        return 1;
    }
    ingot_file_tensor(file, index, &tensor);
    const int descriptor = open(arguments[1], O_RDONLY);
    const uint64_t n_bytes = (uint64_t)lseek(descriptor, 0, SEEK_END);
    close(descriptor);
    const uint64_t before = cached_bytes(arguments[1], n_bytes);
    float *rows = malloc(n * tensor.n_cols * sizeof *rows);
    if (rows == NULL || ingot_file_decode_f32(file, index, first, n, rows, &error) != INGOT_OK) {
        fprintf(stderr, "read_rows: %s %s\n", error.field, error.what);
        return 1;
    }
    const uint64_t after = cached_bytes(arguments[1], n_bytes);
    printf("rows: %" PRIu64 " bytes of values; opening read %" PRIu64
           " bytes of the file, the rows %" PRIu64 " more, of %" PRIu64 "\n",
           n * tensor.n_cols * 2, before, after - before, n_bytes);
    free(rows);
    ingot_file_close(file);
    return 0;
}
