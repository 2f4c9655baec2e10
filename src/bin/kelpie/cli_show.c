/* What is shown to a person: everything that came from a node passes here, so that no id steers a
 * terminal. */
#include <stdarg.h>

#include "base/printable.h"
#include "bin/kelpie/cli.h"
#include "bin/shared/world_bind.h"

#define LINE_SIZE 4096

static void show_list(FILE *out, const char *fmt, va_list ap)
{
    char line[LINE_SIZE], shown[PRINTABLE_FACTOR * LINE_SIZE];
    (void)vsnprintf(line, sizeof(line), fmt, ap);
    (void)fputs(printable(line, shown, sizeof(shown)), out);
}

void show(FILE *out, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    show_list(out, fmt, ap);
    va_end(ap);
}

void show_line(FILE *out, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    show_list(out, fmt, ap);
    va_end(ap);
    (void)fputc('\n', out);
}

void complain(const char *fmt, ...)
{
    char line[SAY_SIZE];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    say(CLI_PROGRAM, "%s", line);
}
