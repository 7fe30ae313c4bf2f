/* replay - gives every file of a corpus folder to a fuzz target, without libFuzzer. */
#include "common/base/file.h"

#include <dirent.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int main(int argc, char **argv)
{
    struct dirent *item;
    int played = 0;
    DIR *dir;

    if (argc != 2 || !(dir = opendir(argv[1]))) {
        fprintf(stderr, "Usage: %s CORPUS_FOLDER\n", argv[0]);
        return 2;
    }
    while ((item = readdir(dir))) {
        char path[PATH_MAX];
        struct error err = { 0 };
        uint8_t *exact;
        size_t size;
        char *data;

        if (item->d_name[0] == '.' || !file_join(path, sizeof path, argv[1], item->d_name))
            continue;
        data = file_read(path, 1 << 20, &size, &err);
        if (!data) {
            fprintf(stderr, "%s\n", err.text);
            return 1;
        }
        exact = malloc(size > 0 ? size : 1); /* without the terminator: a sanitizer sees a read beyond the end */
        memcpy(exact, data, size);
        LLVMFuzzerTestOneInput(exact, size);
        free(exact);
        free(data);
        played++;
    }
    closedir(dir);
    printf("%d inputs\n", played);
    return played > 0 ? 0 : 1;
}
