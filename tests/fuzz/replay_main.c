/* Feeds every file of a corpus to a fuzz target, for builds without libFuzzer: `fuzz_x CORPUS_DIR`. What a fuzzer once
 * found stays found. An empty or missing corpus is a failure, or a typing mistake would pass for a clean run. */
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define INPUT_MAX_BYTES ((size_t)16 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static bool replay(const char *path)
{
    struct stat st;
    FILE *f = fopen(path, "rb");
    if (f == NULL || fstat(fileno(f), &st) != 0 || (size_t)st.st_size > INPUT_MAX_BYTES) {
        fprintf(stderr, "fuzz: cannot read %s\n", path);
        if (f != NULL)
            fclose(f);
        return false;
    }
    size_t len = (size_t)st.st_size;
    /* Exactly as long as the input, for a sanitizer to see the first byte too far. */
    uint8_t *data = malloc(len > 0 ? len : 1);
    bool is_read = data != NULL && fread(data, 1, len, f) == len;
    fclose(f);
    if (is_read)
        (void)LLVMFuzzerTestOneInput(data, len);
    free(data);
    return is_read;
}

static int is_input(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

/* "conf" for build/tests/fuzz/fuzz_conf. */
static const char *target_name(const char *program)
{
    const char *slash = strrchr(program, '/');
    const char *name = slash != NULL ? slash + 1 : program;
    return strncmp(name, "fuzz_", 5) == 0 ? name + 5 : name;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s CORPUS_DIR\n", argv[0]);
        return 64;
    }
    struct dirent **entries = NULL;
    int count = scandir(argv[1], &entries, is_input, alphasort);
    bool is_fine = count > 0;
    if (!is_fine)
        fprintf(stderr, "fuzz: no inputs in %s\n", argv[1]);
    for (int i = 0; i < count; i++) {
        char path[4096];
        int len = snprintf(path, sizeof path, "%s/%s", argv[1], entries[i]->d_name);
        is_fine = len > 0 && (size_t)len < sizeof path && replay(path) && is_fine;
        free(entries[i]);
    }
    free(entries);
    if (is_fine)
        printf("fuzz %s: %d inputs replayed\n", target_name(argv[0]), count);
    return is_fine ? 0 : 1;
}
