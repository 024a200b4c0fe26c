/* Runs a fuzz target over files and folders of inputs, without libFuzzer. Usage: replay PATH... */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/fuzz/fuzz.h"

static unsigned run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
        perror(path);
        exit(3);
    }
    const long n_bytes = ftell(file);
    rewind(file);
    /* Exactly that many bytes, so that a read past them is seen. */
    uint8_t *data = malloc(n_bytes > 0 ? (size_t)n_bytes : 1);
    if (data == NULL || fread(data, 1, (size_t)n_bytes, file) != (size_t)n_bytes) {
        perror(path);
        exit(3);
    }
    fclose(file);
    (void)LLVMFuzzerTestOneInput(data, (size_t)n_bytes);
    free(data);
    return 1;
}

static unsigned run_folder(const char *path)
{
    unsigned n = 0;
    DIR *folder = opendir(path);
    if (folder == NULL) {
        perror(path);
        exit(3);
    }
    for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
        char name[4096];
        if (entry->d_name[0] == '.') continue;
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        n += run_file(name);
    }
    closedir(folder);
    return n;
}

int main(int n_arguments, char **arguments)
{
    unsigned n = 0;
    for (int i = 1; i < n_arguments; i++) {
        struct stat found;
        if (stat(arguments[i], &found) != 0) {
            perror(arguments[i]);
            return 3;
        }
        n += S_ISDIR(found.st_mode) ? run_folder(arguments[i]) : run_file(arguments[i]);
    }
    printf("%u inputs\n", n);
    return n > 0 ? 0 : 1;
}
