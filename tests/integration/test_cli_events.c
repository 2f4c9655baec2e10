/* What `kelpie events` says when it is refused: what the node said, and not that it is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "integration/http_scene.h"

/* Runs it; `said` is what it wrote on standard error. Returns its status. */
static int run_events(struct scene *s, char *said, size_t size)
{
    char program[512];
    int ends[2], status = -1;
    size_t len = 0;
    ssize_t n = -1;

    (void)snprintf(program, sizeof program, "%s/kelpie", getenv("KELPIE_BUILD"));
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        (void)dup2(ends[1], STDERR_FILENO);
        (void)execl(program, "kelpie", "--node", http_server_addr(s->server), "events", NULL);
        _exit(127);
    }
    (void)close(ends[1]);
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    for (int i = 0; i < RAW_PATIENCE_MS && n != 0; i++) {
        scene_run(s, NS_PER_MS);
        n = read(ends[0], said + len, size - 1 - len);
        len += n > 0 ? (size_t)n : 0;
    }
    said[len] = '\0';
    (void)close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void a_refusal_is_told(void **state)
{
    struct scene *s = *state;
    char said[1024];

    s->refuses_events =
        "{\"error\":\"limit\",\"message\":\"this node has no room\",\"retry\":true}\n";
    assert_int_equal(run_events(s, said, sizeof said), 1);
    assert_string_equal(said, "kelpie: this node has no room (limit)\n");
    /* What is no error of a node is still told so. */
    s->refuses_events = "<html>busy</html>";
    assert_int_equal(run_events(s, said, sizeof said), 1);
    assert_non_null(strstr(said, "is no Kelpie node: HTTP status 503"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_refusal_is_told, scene_setup, scene_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
