#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/printable.h"
#include "bin/kelpie/cli.h"

#define CELL_MAX 512
#define GAP 2

void table_init(struct table *t, const char *const *headings)
{
    memset(t, 0, sizeof(*t));
    while (headings[t->columns])
        t->columns++;
    CHECK(t->columns <= TABLE_COLUMNS_MAX);
    for (size_t i = 0; i < t->columns; i++)
        table_cell(t, "%s", headings[i]);
}

void table_cell(struct table *t, const char *fmt, ...)
{
    char text[CELL_MAX], shown[PRINTABLE_FACTOR * CELL_MAX];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (t->count == t->cap) {
        t->cap = t->cap ? 2 * t->cap : 64;
        t->cells = realloc(t->cells, t->cap * sizeof(*t->cells));
        CHECK(t->cells != NULL);
    }
    t->cells[t->count] = strdup(printable(text, shown, sizeof(shown)));
    CHECK(t->cells[t->count] != NULL);
    t->count++;
}

/* Characters, not bytes: what follows another byte of a character does not count. */
static size_t width(const char *s)
{
    size_t n = 0;
    for (; *s; s++)
        n += ((unsigned char)*s & 0xc0) != 0x80;
    return n;
}

void table_print(struct table *t)
{
    size_t widths[TABLE_COLUMNS_MAX] = {0};
    for (size_t i = 0; i < t->count; i++)
        if (width(t->cells[i]) > widths[i % t->columns])
            widths[i % t->columns] = width(t->cells[i]);
    for (size_t i = 0; i < t->count; i++) {
        bool is_last = i % t->columns == t->columns - 1;
        size_t pad = is_last ? 0 : widths[i % t->columns] - width(t->cells[i]) + GAP;
        (void)printf("%s%*s%s", t->cells[i], (int)pad, "", is_last ? "\n" : "");
        free(t->cells[i]);
    }
    free(t->cells);
    memset(t, 0, sizeof(*t));
}
