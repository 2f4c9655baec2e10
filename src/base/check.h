/* Assertions that stay on in release builds: a broken invariant ends the process, never the data. */
#ifndef KELPIE_BASE_CHECK_H
#define KELPIE_BASE_CHECK_H

#include <stddef.h>

/* Writes one line to stderr and aborts. */
_Noreturn void check_failed(const char *expr, const char *file, int line);

/* One line on stderr before an end. loop/logsink.c has a stronger definition, for programs with a log:
 * a line of it, and only if stderr takes that at once. */
void last_words(const char *event, const char *what);

#define CHECK(expr) ((expr) ? (void)0 : check_failed(#expr, __FILE__, __LINE__))

/* A place that no run reaches; `why` is a string literal. */
#define UNREACHABLE(why) check_failed("unreachable: " why, __FILE__, __LINE__)

#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* The struct that contains `member` at `ptr`. */
#define CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#endif
