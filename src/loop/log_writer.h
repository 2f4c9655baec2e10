/*
 * Lines for a descriptor that may take them at any time, late, or never: a thread of its own writes them,
 * so that whoever has something to say never waits. What has no room is dropped and counted.
 */
#ifndef KELPIE_LOOP_LOG_WRITER_H
#define KELPIE_LOOP_LOG_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOG_QUEUE_BYTES (256 * 1024) /* that wait; as many may be with the system */
#define LOG_TICK_MS 1000

struct log_writer;

struct log_writer_ops {
    /* Writes a line that says how many were lost to `out`; returns its length. On the writer's thread;
     * NULL: nobody is told. */
    size_t (*lost)(void *ctx, uint64_t lines, char *out);
    /* Every LOG_TICK_MS, on the writer's thread. May put lines. NULL: nothing. */
    void (*tick)(void *ctx);
};

/* For a descriptor that stays open, and that may be blocking or not. Returns NULL with errno when the
 * system refuses a thread. */
struct log_writer *log_writer_new(int fd, const struct log_writer_ops *ops, void *ctx);
/* From any thread, without waiting: one line with its newline, of at most LOG_TEXT_MAX bytes. */
void log_writer_put(struct log_writer *w, const char *line, size_t len);
/* Waits until all is written, `ms` at most. Returns whether it is. */
bool log_writer_flush(struct log_writer *w, unsigned ms);
/* The same, and ends the thread. False: it hangs in a write, and is left as it is, with its `ctx`, for
 * the end of the process. */
bool log_writer_free(struct log_writer *w, unsigned ms);

#endif
