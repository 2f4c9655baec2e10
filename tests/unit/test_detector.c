/*
 * The failure detector's arithmetic: the window begins at the first sight, counts only what one's
 * own commits cover, and is as long as the observed node's lease asks for. Times in milliseconds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cluster/detector.h"
#include "env/clock.h"
#include "support/test_mem.h"

#define WINDOW 2120 /* lease 2000 ms, drift 1 %, margin 100 ms */
#define LEASE 2000

struct sky {
    struct test_mem held;
    struct detector d;
    uint64_t version;
};

static uint64_t ms(uint64_t n)
{
    return n * NS_PER_MS;
}

static void setup(struct sky *s)
{
    struct timing timing = timing_default();
    memset(s, 0, sizeof(*s));
    detector_init(&s->d, test_mem(&s->held), &timing);
}

static void teardown(struct sky *s)
{
    detector_deinit(&s->d);
    assert_int_equal(s->held.held, 0);
}

static struct life life_of(const char *id, uint64_t incarnation, uint8_t boot)
{
    struct life l = {.incarnation = incarnation, .boot = {{boot}}};
    (void)snprintf(l.node_id, sizeof(l.node_id), "%s", id);
    return l;
}

static bool see_life(struct sky *s, struct life l, uint64_t counter, uint64_t at)
{
    struct heartbeat_record h = {.incarnation = l.incarnation, .boot = l.boot, .counter = counter};
    bool news = detector_see(&s->d, l.node_id, &h, ++s->version, ms(at));
    detector_lease(&s->d, &l, LEASE);
    return news;
}

static bool see(struct sky *s, uint64_t counter, uint64_t at)
{
    return see_life(s, life_of("b", 1, 1), counter, at);
}

/* Own commits every 300 ms in [from, to], and one at `to`. */
static void cover(struct sky *s, uint64_t from, uint64_t to)
{
    for (uint64_t at = from; at < to; at += 300)
        detector_cover(&s->d, ms(at));
    detector_cover(&s->d, ms(to));
}

static bool silent(struct sky *s)
{
    struct life b = life_of("b", 1, 1);
    struct silence out;
    return detector_silent(&s->d, &b, &out);
}

/* One sight of b, then coverage in up to three stretches: is b silent at the end? */
static const struct {
    const char *name;
    uint64_t seen;
    uint64_t covered[3][2];
    bool silent;
} windows[] = {
    {"nothing covered", 1000, {{0, 0}}, false},
    {"the whole window", 1000, {{1000, 1000 + WINDOW}}, true},
    {"one millisecond less", 1000, {{1000, 1000 + WINDOW - 1}}, false},
    {"covered since long before", 5000, {{1000, 5000 + WINDOW}}, true},
    {"covered before, but not enough after", 5000, {{1000, 5000 + WINDOW - 1}}, false},
    {"coverage began after the sight", 1000, {{2000, 2000 + WINDOW - 1}}, false},
    {"coverage began after the sight, long", 1000, {{2000, 2000 + WINDOW}}, true},
    {"a gap of half a lease", 1000, {{1000, 2000}, {3000, 1000 + WINDOW}}, true},
    {"a longer gap", 1000, {{1000, 2000}, {3001, 1000 + WINDOW + 200}}, false},
    {"a longer gap, and the window anew", 1000, {{1000, 2000}, {3001, 3001 + WINDOW}}, true},
    {"two gaps", 1000, {{1000, 2000}, {3100, 5000}, {6100, 6100 + WINDOW - 1}}, false},
    {"the end is not covered", 1000, {{1000, 3000}}, false},
    {"a commit long after covers nothing before", 1000, {{1000, 1300}, {9000, 9000}}, false},
};

static void windows_of_one_sight(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(windows); i++) {
        struct sky s;
        bool seen = false;
        setup(&s);
        for (size_t k = 0; k < 3 && windows[i].covered[k][1]; k++) {
            if (!seen && windows[i].covered[k][0] >= windows[i].seen)
                seen = see(&s, 7, windows[i].seen);
            cover(&s, windows[i].covered[k][0], windows[i].covered[k][1]);
        }
        if (!seen)
            (void)see(&s, 7, windows[i].seen);
        if (silent(&s) != windows[i].silent)
            fail_msg("%s", windows[i].name);
        teardown(&s);
    }
}

/* Seeing it again unchanged does not begin anew; a change does, and so does a new life. */
static void first_sight_counts(void **state)
{
    struct sky s;
    (void)state;
    setup(&s);
    assert_true(see(&s, 7, 1000));
    assert_false(see(&s, 7, 1600));
    assert_false(see(&s, 7, 3000));
    cover(&s, 1000, 1000 + WINDOW);
    assert_true(silent(&s));
    assert_true(see(&s, 8, 1000 + WINDOW));
    assert_false(silent(&s));
    cover(&s, 1000 + WINDOW, 1000 + 2 * WINDOW - 1);
    assert_false(silent(&s));
    cover(&s, 1000 + 2 * WINDOW - 1, 1000 + 2 * WINDOW);
    assert_true(silent(&s));
    assert_true(see_life(&s, life_of("b", 2, 1), 8, 9000));
    assert_false(silent(&s));
    teardown(&s);
}

static void a_silence_is_of_one_life(void **state)
{
    struct sky s;
    struct silence out;
    const struct life mine = life_of("b", 1, 1), later = life_of("b", 2, 1),
                      restored = life_of("b", 1, 2), other = life_of("c", 1, 1);
    (void)state;
    setup(&s);
    (void)see(&s, 7, 1000);
    cover(&s, 1000, 1000 + WINDOW);
    assert_true(detector_silent(&s.d, &mine, &out));
    assert_int_equal(out.counter, 7);
    assert_string_equal(out.life.node_id, "b");
    assert_false(detector_silent(&s.d, &later, &out));
    assert_false(detector_silent(&s.d, &restored, &out));
    assert_false(detector_silent(&s.d, &other, &out));
    teardown(&s);
}

/* Reads overtake each other: an older one says nothing. */
static void older_reads_are_ignored(void **state)
{
    struct sky s;
    struct heartbeat_record old = {.incarnation = 1, .boot = {{1}}, .counter = 6};
    (void)state;
    setup(&s);
    s.version = 100;
    (void)see(&s, 7, 1000);
    assert_false(detector_see(&s.d, "b", &old, 50, ms(1500)));
    assert_int_equal(detector_find(&s.d, "b")->record.counter, 7);
    cover(&s, 1000, 1000 + WINDOW);
    assert_true(silent(&s));
    teardown(&s);
}

static void moves_are_counted_within_a_life(void **state)
{
    struct sky s;
    (void)state;
    setup(&s);
    (void)see(&s, 7, 1000);
    assert_int_equal(detector_find(&s.d, "b")->moves, 0);
    (void)see(&s, 7, 1300);
    (void)see(&s, 8, 1600);
    (void)see(&s, 9, 1900);
    assert_int_equal(detector_find(&s.d, "b")->moves, 2);
    (void)see_life(&s, life_of("b", 1, 2), 10, 2200);
    assert_int_equal(detector_find(&s.d, "b")->moves, 0);
    teardown(&s);
}

/* The observed node's lease decides, when it is longer than one's own. */
static void a_longer_lease_has_a_longer_window(void **state)
{
    static const struct {
        uint32_t lease_ms;
        uint64_t window_ms;
    } rows[] = {{2000, WINDOW}, {500, WINDOW}, {2001, WINDOW + 1}, {10000, 10200}};
    const struct life b = life_of("b", 1, 1);
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct sky s;
        setup(&s);
        (void)see(&s, 7, 1000);
        detector_lease(&s.d, &b, rows[i].lease_ms);
        cover(&s, 1000, 1000 + rows[i].window_ms - 1);
        assert_false(silent(&s));
        uint64_t end = detector_window_end_ns(&s.d, "b");
        assert_true(end > ms(1000 + rows[i].window_ms - 1));
        assert_true(end <= ms(1000 + rows[i].window_ms) + 20000);
        cover(&s, 1000 + rows[i].window_ms - 1, 1000 + rows[i].window_ms + 1);
        assert_true(silent(&s));
        teardown(&s);
    }
}

/* Until its node row was read nobody knows how long its lease is. */
static void an_unknown_lease_is_waited_for(void **state)
{
    struct sky s;
    struct heartbeat_record h = {.incarnation = 2, .boot = {{1}}, .counter = 7};
    const struct life before = life_of("b", 1, 1), now = life_of("b", 2, 1);
    struct silence out;
    (void)state;
    setup(&s);
    (void)see(&s, 7, 1000);
    (void)detector_see(&s.d, "b", &h, ++s.version, ms(1100));
    detector_lease(&s.d, &before, LEASE);
    cover(&s, 1000, 9000);
    assert_false(detector_silent(&s.d, &now, &out));
    detector_lease(&s.d, &now, LEASE);
    assert_true(detector_silent(&s.d, &now, &out));
    teardown(&s);
}

static void window_ends(void **state)
{
    struct sky s;
    (void)state;
    setup(&s);
    assert_int_equal(detector_window_end_ns(&s.d, "b"), 0);
    (void)see(&s, 7, 1000);
    assert_int_equal(detector_window_end_ns(&s.d, "b"), ms(1000 + WINDOW));
    cover(&s, 1500, 1500);
    assert_int_equal(detector_window_end_ns(&s.d, "b"), ms(1500 + WINDOW));
    cover(&s, 5000, 5000);
    assert_int_equal(detector_window_end_ns(&s.d, "b"), ms(5000 + WINDOW));
    detector_clear(&s.d);
    assert_int_equal(detector_window_end_ns(&s.d, "b"), 0);
    teardown(&s);
}

/* A row that fails its checksum is known by its bytes: the same for the window is silent. */
static void a_damaged_row_is_known_by_its_bytes(void **state)
{
    struct sky s;
    struct heartbeat_record h = {.counter = 0x1234, .damaged = true};
    const struct life b = life_of("b", 1, 1);
    struct silence out;
    (void)state;
    setup(&s);
    (void)see(&s, 7, 1000);
    assert_true(detector_see(&s.d, "b", &h, ++s.version, ms(2000)));
    detector_lease(&s.d, &b, LEASE);
    assert_false(detector_see(&s.d, "b", &h, ++s.version, ms(2300)));
    cover(&s, 1000, 2000 + WINDOW - 1);
    assert_false(detector_silent(&s.d, &b, &out));
    cover(&s, 2000 + WINDOW - 1, 2000 + WINDOW);
    assert_true(detector_silent(&s.d, &b, &out));
    assert_true(out.damaged);
    assert_int_equal(out.counter, 0x1234);
    /* Other bytes, or a record again: from the beginning. No life has moved by that. */
    h.counter++;
    assert_true(detector_see(&s.d, "b", &h, ++s.version, ms(5000)));
    detector_lease(&s.d, &b, LEASE);
    assert_false(detector_silent(&s.d, &b, &out));
    assert_int_equal(detector_find(&s.d, "b")->moves, 0);
    assert_true(see(&s, 8, 5300));
    assert_false(silent(&s));
    teardown(&s);
}

/* More rows than there can be nodes are not watched, and harm nobody. */
static void sightings_have_a_bound(void **state)
{
    struct sky s;
    (void)state;
    setup(&s);
    for (unsigned i = 0; i < SIGHTINGS_MAX + 3; i++) {
        char id[16];
        (void)snprintf(id, sizeof(id), "n%u", i);
        (void)see_life(&s, life_of(id, 1, 1), 1, 1000);
    }
    assert_int_equal(s.d.seen.count, SIGHTINGS_MAX);
    detector_clear(&s.d);
    teardown(&s);
}

/* The claim of docs/protocol.md: whatever the two clocks do within the bound, and whenever the
 * counter was committed and read, the lease is over when the window is. */
static void the_window_outlasts_the_lease(void **state)
{
    (void)state;
    for (uint32_t lease = 30; lease <= 600000; lease = lease * 7 / 3) {
        uint64_t window = window_of_lease_ns(lease);
        /* The holder's clock loses 1 % against the observer's. */
        uint64_t lease_by_observer = ms(lease) + ms(lease) / 100;
        assert_true(window >= lease_by_observer + ms(WINDOW_MARGIN_MS));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_of_one_sight),
        cmocka_unit_test(first_sight_counts),
        cmocka_unit_test(a_silence_is_of_one_life),
        cmocka_unit_test(older_reads_are_ignored),
        cmocka_unit_test(moves_are_counted_within_a_life),
        cmocka_unit_test(a_longer_lease_has_a_longer_window),
        cmocka_unit_test(an_unknown_lease_is_waited_for),
        cmocka_unit_test(window_ends),
        cmocka_unit_test(a_damaged_row_is_known_by_its_bytes),
        cmocka_unit_test(sightings_have_a_bound),
        cmocka_unit_test(the_window_outlasts_the_lease),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
