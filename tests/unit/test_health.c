/* What a node makes of what it has observed: who is missing, in which words, and when that is news. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cluster/health.h"
#include "env/clock.h"

#define S NS_PER_S
#define HERE PRESENCE_HERE
#define MISSING PRESENCE_MISSING
#define UNKNOWN PRESENCE_UNKNOWN

static const struct {
    const char *what;
    struct health_seen seen;
    enum presence primary, majority;
    const char *primary_why, *majority_why; /* when missing */
} looks[] = {
    {"its lease ran out", {.primary = PRIMARY_LIVES}, UNKNOWN, UNKNOWN, "", ""},
    {"it has just joined", {.acting = true, .primary = PRIMARY_UNREAD}, UNKNOWN, UNKNOWN, "", ""},
    {"another is named, not yet seen to live",
     {.acting = true, .primary = PRIMARY_UNSEEN},
     UNKNOWN,
     UNKNOWN,
     "",
     ""},
    {"it is primary", {.acting = true, .primary = PRIMARY_SELF}, HERE, HERE, "", ""},
    {"another is", {.acting = true, .primary = PRIMARY_LIVES}, HERE, HERE, "", ""},
    {"a primary lives, old counts do not matter",
     {.acting = true, .primary = PRIMARY_LIVES, .voters = 3, .heard = 1},
     HERE,
     HERE,
     "",
     ""},
    {"vacant, nothing counted",
     {.acting = true, .primary = PRIMARY_VACANT, .no_answer = ""},
     MISSING,
     UNKNOWN,
     "no primary: nobody is elected",
     ""},
    {"vacant, and why",
     {.acting = true,
      .primary = PRIMARY_VACANT,
      .no_answer = "no majority: 1 of 3 voters are with this node"},
     MISSING,
     UNKNOWN,
     "no primary: nobody is elected: no majority: 1 of 3 voters are with this node",
     ""},
    {"two of three machines are gone",
     {.acting = true,
      .primary = PRIMARY_SILENT,
      .primary_id = "n1",
      .silent_ns = 12 * S,
      .voters = 3,
      .heard = 1},
     MISSING,
     MISSING,
     "no living primary: node n1, which was, is silent for 12 s",
     "no majority: 1 of 3 voters heard from, 2 needed"},
    {"half of four is no majority",
     {.acting = true, .primary = PRIMARY_VACANT, .voters = 4, .heard = 2},
     MISSING,
     MISSING,
     "no primary: nobody is elected",
     "no majority: 2 of 4 voters heard from, 3 needed"},
    {"enough heartbeats do not make a majority",
     {.acting = true, .primary = PRIMARY_VACANT, .voters = 3, .heard = 2},
     MISSING,
     UNKNOWN,
     "no primary: nobody is elected",
     ""},
    {"it stepped down, though all heartbeat",
     {.acting = true, .primary = PRIMARY_VACANT, .stepped_down = true, .voters = 3, .heard = 3},
     MISSING,
     MISSING,
     "no primary: nobody is elected",
     "no majority: too few voters answer this node"},
    {"an id that would steer a terminal",
     {.acting = true, .primary = PRIMARY_GONE, .primary_id = "n\x1b[31m\n2"},
     MISSING,
     UNKNOWN,
     "no primary: node n\\x1b[31m\\x0a2, which was, is no member",
     ""},
};

static void judges(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(looks) / sizeof(looks[0]); i++) {
        char why[HEALTH_WHY_SIZE];
        print_message("%s\n", looks[i].what);
        assert_int_equal(health_primary(&looks[i].seen), looks[i].primary);
        assert_int_equal(health_majority(&looks[i].seen), looks[i].majority);
        if (looks[i].primary == MISSING) {
            health_primary_why(&looks[i].seen, why, sizeof(why));
            assert_string_equal(why, looks[i].primary_why);
        }
        if (looks[i].majority == MISSING) {
            health_majority_why(&looks[i].seen, why, sizeof(why));
            assert_string_equal(why, looks[i].majority_why);
        }
    }
}

/* Looks at seconds; '-' unknown, 'h' here, 'm' missing: the news of each. */
static const struct {
    const char *looks;
    uint64_t grace_s;
    const char *news; /* '.' none, 'L' lost, 'F' found */
} stories[] = {
    {"hhhh", 1, "...."},     {"hmmmh", 1, "..L.F"},
    {"hmhmh", 1, "....."},   /* an election of less than the grace is no news */
    {"mmmm", 0, "L..."},     /* told once */
    {"hm--mh", 1, "....LF"}, /* what is unknown says nothing */
    {"hmm-h", 1, "..L.F"},   {"mmhmm", 1, ".LF.L"},
};

static void tells_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(stories) / sizeof(stories[0]); i++) {
        struct presence_track t = {0};
        char news[16] = "";
        for (size_t k = 0; stories[i].looks[k]; k++) {
            char c = stories[i].looks[k];
            enum presence now = c == '-' ? UNKNOWN : c == 'h' ? HERE : MISSING;
            news[k] = ".LF"[presence_step(&t, now, (k + 10) * S, 2 * S, stories[i].grace_s * S)];
        }
        assert_string_equal(news, stories[i].news);
    }
}

static void since_before_the_look(void **state)
{
    (void)state;
    struct presence_track t = {0};
    (void)presence_step(&t, MISSING, 10 * S, 3 * S, S);
    (void)presence_step(&t, MISSING, 11 * S, 9 * S, S);
    assert_true(t.told);
    assert_int_equal(t.since_ns, 7 * S);
    t = (struct presence_track){0};
    (void)presence_step(&t, MISSING, S, 3 * S, S);
    assert_int_equal(t.since_ns, 0);
}

#define WINDOW (2 * S)
static const struct {
    const char *what;
    struct health_report h;
    bool ready, ready_with_majority;
    const char *why;
} reports[] = {
    {"all is well", {.acting = true, .active = true}, true, true, ""},
    {"no lease", {.active = true}, false, false, ""},
    {"leaving", {.acting = true}, false, false, ""},
    {"no primary for less than a window",
     {.acting = true,
      .active = true,
      .primary_missing = true,
      .primary_missing_ns = WINDOW - 1,
      .primary_why = "no primary"},
     true,
     true,
     "no primary"},
    {"for a window",
     {.acting = true,
      .active = true,
      .primary_missing = true,
      .primary_missing_ns = WINDOW,
      .primary_why = "no primary"},
     true,
     false,
     "no primary"},
    {"majority, primary and store",
     {.acting = true,
      .active = true,
      .primary_missing = true,
      .majority_missing = true,
      .majority_missing_ns = WINDOW,
      .primary_why = "no primary",
      .majority_why = "no majority",
      .store_why = "no room"},
     true,
     false,
     "no majority\nno primary\nno room"},
};

static void ready(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(reports) / sizeof(reports[0]); i++) {
        char why[256];
        print_message("%s\n", reports[i].what);
        assert_int_equal(health_ready(&reports[i].h, false, WINDOW, why, sizeof(why)),
                         reports[i].ready);
        assert_string_equal(why, reports[i].why);
        assert_int_equal(health_ready(&reports[i].h, true, WINDOW, why, sizeof(why)),
                         reports[i].ready_with_majority);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(judges),
        cmocka_unit_test(tells_once),
        cmocka_unit_test(since_before_the_look),
        cmocka_unit_test(ready),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
