#include "bin/kelpie_sim/sim_page_file.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kelpie/error.h"

#define SUFFIX ".part"

/* The file's name while it is being written; freed by the caller. */
static char *part_of(const char *path)
{
    size_t size = strlen(path) + sizeof SUFFIX;
    char *part = malloc(size);

    CHECK(part);
    (void)snprintf(part, size, "%s%s", path, SUFFIX);
    return part;
}

/* What is there already must be a file: a device or a folder is not replaced. */
static FILE *begin(const char *path)
{
    struct stat st;

    if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) {
        errno = S_ISDIR(st.st_mode) ? EISDIR : ENOTSUP;
        return NULL;
    }
    char *part = part_of(path);
    FILE *f = fopen(part, "wb");
    free(part);
    return f;
}

/* Puts the written file in its place, or takes it away when it is not whole. */
static int finish(const char *path, FILE *f, bool whole)
{
    char *part = part_of(path);
    int error = whole ? 0 : errno;

    if (fclose(f) && !error)
        error = errno ? errno : EIO;
    if (!error && rename(part, path))
        error = errno;
    if (error)
        (void)unlink(part);
    free(part);
    errno = error;
    return error ? KELPIE_E_IO : 0;
}

int file_can_be_written(const char *path)
{
    FILE *f = begin(path);

    if (!f)
        return KELPIE_E_IO;
    char *part = part_of(path);
    (void)fclose(f);
    (void)unlink(part);
    free(part);
    return 0;
}

int page_save(const char *path, const struct record *r, const struct sim_config *config,
              const struct sim_result *result, const char *reproduce, struct mem mem)
{
    FILE *f = begin(path);

    if (!f)
        return KELPIE_E_IO;
    return finish(path, f, page_write(f, r, config, result, reproduce, mem) == 0);
}

int text_save(const char *path, struct bytes text)
{
    FILE *f = begin(path);

    if (!f)
        return KELPIE_E_IO;
    return finish(path, f, text.len == 0 || fwrite(text.data, 1, text.len, f) == text.len);
}
