/* kelpie events: the stream of a node, one line an event. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bin/kelpie/cli.h"
#include "bin/shared/config.h"
#include "bin/shared/process_begin.h"
#include "bin/shared/world_bind.h"
#include "env/timer.h"
#include "kelpie/error.h"

#define LINE_MAX_BYTES (64u * 1024)
#define QUIET_MS 300 /* --no-follow: what was kept has come when nothing comes for so long */

struct feed {
    struct cli *cli;
    struct buf line;
    struct buf start; /* of what came: an error, when it is no stream */
    struct timer quiet;
    bool follows, ended;
    struct cli_answer answer;
};

static void print_fields(const json_t *fields)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)fields, name, value)
    {
        const char *text = json_string_value(value);
        const char *quote = text && strchr(text, ' ') ? "\"" : "";
        show(stdout, " %s=%s%s%s", name, quote, text ? text : "", quote);
    }
}

static void print_event(const json_t *e)
{
    long long ms = json_number(e, "time_ms");
    time_t s = (time_t)(ms / 1000);
    struct tm tm = {0};
    char when[32];
    (void)localtime_r(&s, &tm);
    (void)strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
    show(stdout, "%s.%03lld  %s  %s  %s", when, ms % 1000, json_text(e, "level"),
         json_text(e, "node"), json_text(e, "event"));
    print_fields(json_object_get(e, "fields"));
    (void)printf("\n");
}

static void take_line(struct feed *f)
{
    static const char prefix[] = "data: ";
    size_t n = sizeof(prefix) - 1;
    const char *line = (const char *)f->line.data;
    if (f->line.len < n || memcmp(line, prefix, n) != 0)
        return;
    json_t *e = json_loadb(line + n, f->line.len - n, 0, NULL);
    if (f->cli->json)
        (void)printf("%.*s\n", (int)(f->line.len - n), line + n);
    else if (e)
        print_event(e);
    json_decref(e);
}

static void on_chunk(void *arg, struct bytes data)
{
    struct feed *f = arg;
    if (f->start.len + data.len <= LINE_MAX_BYTES)
        buf_append_bytes(&f->start, data);
    for (size_t i = 0; i < data.len; i++) {
        if (data.data[i] == '\n') {
            take_line(f);
            buf_clear(&f->line);
        } else if (f->line.len < LINE_MAX_BYTES) {
            buf_append_u8(&f->line, data.data[i]);
        }
    }
    if (!process_flush())
        loop_stop(f->cli->loop);
    else if (!f->follows)
        timer_start(&f->quiet, QUIET_MS * NS_PER_MS);
}

static void on_quiet(void *arg)
{
    struct feed *f = arg;
    loop_stop(f->cli->loop);
}

static void on_end(void *arg, const struct http_response *response)
{
    struct feed *f = arg;
    if (response->error == KELPIE_E_CANCELLED)
        return;
    f->ended = true;
    f->answer.error = response->error;
    f->answer.status = response->status;
    if (!response->error && response->status != 200)
        f->answer.json = json_loadb((const char *)f->start.data, f->start.len, 0, NULL);
    loop_stop(f->cli->loop);
}

int cli_events(struct cli *cli)
{
    char why[CONFIG_WHY_SIZE];
    bool no_follow = false;
    if (options_flag(&cli->options, "no-follow", &no_follow, why, sizeof(why))) {
        say(CLI_PROGRAM, "%s", why);
        return CLI_USAGE;
    }
    struct feed f = {.cli = cli, .follows = !no_follow};
    buf_init(&f.line, loop_mem());
    buf_init(&f.start, loop_mem());
    timer_init(&f.quiet, loop_timers(cli->loop), "quiet", on_quiet, &f);
    http_client_stream(cli->client, "/v1/events", on_chunk, on_end, &f);
    loop_run(cli->loop);
    timer_stop(&f.quiet);
    http_client_free(cli->client);
    cli->client = NULL;
    buf_deinit(&f.line);
    buf_deinit(&f.start);
    if (!f.ended)
        return CLI_OK;
    if (f.answer.error || f.answer.status != 200) {
        int status = cli_say_error(cli, &f.answer);
        cli_answer_free(&f.answer);
        return status;
    }
    say(CLI_PROGRAM, "the node at %s has ended the stream", cli->node);
    return CLI_FAILED;
}
