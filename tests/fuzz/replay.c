/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a fuzzer's function over files, without a fuzzer:
 *
 *     fuzz_NAME DIRECTORY|FILE...
 *
 * It exits with 0 when all were run, which is all that there is to see: what goes wrong aborts. No
 * file at all is a failure, as then nothing was tested.
 */
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define INPUT_BYTES_MAX ((size_t)1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned files;

static void run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        err(1, "cannot open %s", path);
    uint8_t *data = malloc(INPUT_BYTES_MAX);
    if (data == NULL)
        errx(1, "no memory");
    size_t size = fread(data, 1, INPUT_BYTES_MAX, file);
    if (ferror(file))
        err(1, "cannot read %s", path);
    (void)fclose(file);

    /* In memory of exactly that size, for a sanitizer. */
    uint8_t *exact = realloc(data, size == 0 ? 1 : size);
    if (exact == NULL)
        errx(1, "no memory");
    (void)LLVMFuzzerTestOneInput(exact, size);
    free(exact);
    files++;
}

static void run(const char *path)
{
    DIR *directory = opendir(path);
    if (directory == NULL && errno == ENOTDIR) {
        run_file(path);
        return;
    }
    if (directory == NULL)
        err(1, "cannot open %s", path);
    const struct dirent *entry;
    while ((entry = readdir(directory)) != NULL) {
        char name[4096];
        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
        run_file(name);
    }
    (void)closedir(directory);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        run(argv[i]);
    if (files == 0)
        errx(1, "there is nothing to run");
    printf("%u inputs\n", files);
    return 0;
}
