#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Not through stdio: its buffers and locks may be what is broken. */
__attribute__((weak)) void last_words(const char *event, const char *what)
{
    char text[512];
    int n = snprintf(text, sizeof(text), "%s\n", what);
    (void)event;
    size_t len = n < 0 ? 0 : (size_t)n;
    if (len >= sizeof(text)) {
        len = sizeof(text) - 1;
        text[len - 1] = '\n';
    }
    /* The process ends anyway, so a failed write has nobody to be told to. */
    if (write(STDERR_FILENO, text, len) < 0)
        return;
}

_Noreturn void check_failed(const char *expr, const char *file, int line)
{
    char text[400];
    (void)snprintf(text, sizeof(text), "%s:%d: check failed: %s", file, line, expr);
    last_words("check_failed", text);
    abort();
}
