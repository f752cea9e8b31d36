/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a fuzzer's function over files, without a fuzzer:
 *
 *     fuzz_NAME DIRECTORY|FILE...
 *     fuzz_NAME -m COUNT -s SEED DIRECTORY|FILE...
 *
 * It exits with 0 when all were run, which is all that there is to see: what goes wrong aborts. No
 * file at all is a failure, as then nothing was tested. With -m it runs so many inputs that are
 * made of the files by changing some bytes, the same ones for the same seed: many more a second
 * than a fuzzer does, which watches what each one reaches.
 */
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define INPUT_BYTES_MAX ((size_t)1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned files;

/* For -m: the files, and room for an input. */
static struct kept {
    uint8_t *data;
    size_t size;
} * kept;
static unsigned long long mutations;
static uint64_t random_state;

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
    files++;
    if (mutations == 0) {
        (void)LLVMFuzzerTestOneInput(exact, size);
        free(exact);
        return;
    }
    kept = reallocarray(kept, files, sizeof(*kept));
    if (kept == NULL)
        errx(1, "no memory");
    kept[files - 1] = (struct kept){exact, size};
}

static size_t below(size_t limit)
{
    uint64_t z = (random_state += 0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return limit == 0 ? 0 : (size_t)((z ^ (z >> 31)) % limit);
}

/* Changes some bytes of an input, takes some out, or puts some of another one in. */
static size_t mutate(uint8_t *data, size_t size)
{
    static const uint8_t edges[] = {0, 1, 2, 0x7f, 0x80, 0xfe, 0xff};
    const struct kept *other = &kept[below(files)];
    size_t at = below(size);
    size_t length = 1 + below(8);
    if (size == 0)
        return 0;
    if (length > size - at)
        length = size - at;
    switch (below(6)) {
    case 0:
        data[at] ^= (uint8_t)(1 << below(8));
        return size;
    case 1:
    case 2:
        data[at] = edges[below(sizeof(edges))];
        return size;
    case 3:
        memset(data + at, edges[below(sizeof(edges))], length);
        return size;
    case 4:
        memmove(data + at, data + at + length, size - at - length);
        return size - length;
    default:
        if (other->size < length || size + length > INPUT_BYTES_MAX)
            return size;
        memmove(data + at + length, data + at, size - at);
        memcpy(data + at, other->data + below(other->size - length + 1), length);
        return size + length;
    }
}

static void run_mutations(void)
{
    uint8_t *data = malloc(INPUT_BYTES_MAX);
    if (data == NULL)
        errx(1, "no memory");
    for (unsigned long long i = 0; i < mutations; i++) {
        const struct kept *from = &kept[below(files)];
        size_t size = from->size;
        memcpy(data, from->data, size);
        for (size_t n = 1 + below(4); n > 0; n--)
            size = mutate(data, size);
        (void)LLVMFuzzerTestOneInput(data, size);
    }
    free(data);
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
    int option;
    while ((option = getopt(argc, argv, "m:s:")) != -1) {
        if (option == 'm')
            mutations = strtoull(optarg, NULL, 10);
        else if (option == 's')
            random_state = strtoull(optarg, NULL, 10);
        else
            return 2;
    }
    for (int i = optind; i < argc; i++)
        run(argv[i]);
    if (files == 0)
        errx(1, "there is nothing to run");
    if (mutations > 0)
        run_mutations();
    for (unsigned i = 0; kept != NULL && i < files; i++)
        free(kept[i].data);
    free(kept);
    printf("%llu inputs\n", mutations > 0 ? mutations : files);
    return 0;
}
