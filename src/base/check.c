#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

_Noreturn void check_failed(const char *expr, const char *file, int line)
{
    char text[512];
    int n = snprintf(text, sizeof(text), "%s:%d: check failed: %s\n", file, line, expr);
    size_t len = n < 0 ? 0 : (size_t)n;
    if (len >= sizeof(text)) {
        len = sizeof(text) - 1;
        text[len - 1] = '\n';
    }
    /* Not through stdio: its buffers and locks may be what is broken. The process ends anyway, so
     * a failed write has nobody to be told to. */
    ssize_t written = write(STDERR_FILENO, text, len);
    (void)written;
    abort();
}
