#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/map.h"
#include "base/rng.h"

#define KEYS 500

struct item {
    struct map_node node;
    uint8_t key[2];
    bool in;
};

/* The items in the order of their keys: the sorted array that the map is compared with. */
struct world {
    struct map map;
    struct item items[KEYS];
    size_t count;
};

static struct bytes key_of(const struct item *it)
{
    return bytes_of(it->key, sizeof(it->key));
}

static void world_init(struct world *w)
{
    *w = (struct world){0};
    map_init(&w->map);
    for (size_t i = 0; i < KEYS; i++) {
        w->items[i].key[0] = (uint8_t)(i >> 8);
        w->items[i].key[1] = (uint8_t)i;
    }
}

static struct item *item_of(struct map_node *node)
{
    return MAP_ENTRY(node, struct item, node);
}

/* The height of a subtree, after checking its links, order and balance. */
static int check_tree(const struct map_node *node, const struct map_node *parent)
{
    if (!node)
        return 0;
    assert_ptr_equal(node->parent, parent);
    if (node->child[0])
        assert_true(bytes_compare(node->child[0]->key, node->key) < 0);
    if (node->child[1])
        assert_true(bytes_compare(node->child[1]->key, node->key) > 0);
    int h0 = check_tree(node->child[0], node);
    int h1 = check_tree(node->child[1], node);
    assert_int_equal(node->balance, h1 - h0);
    assert_in_range(node->balance + 1, 0, 2);
    return 1 + (h0 > h1 ? h0 : h1);
}

/* The first item from `i` on, or up to `i` when `step` is -1, that is in. */
static struct item *present(struct world *w, size_t i, int step)
{
    for (; i < KEYS; i += (size_t)step) {
        if (w->items[i].in)
            return &w->items[i];
    }
    return NULL;
}

static void check_world(struct world *w)
{
    check_tree(w->map.root, NULL);
    assert_int_equal(w->map.count, w->count);
    struct map_node *node = map_first(&w->map);
    struct map_node *last = NULL;
    for (size_t i = 0; i < KEYS; i++) {
        struct item *it = &w->items[i];
        assert_ptr_equal(item_of(map_find(&w->map, key_of(it))), it->in ? it : NULL);
        assert_ptr_equal(item_of(map_lower_bound(&w->map, key_of(it))), present(w, i, 1));
        assert_ptr_equal(item_of(map_after(&w->map, key_of(it))), present(w, i + 1, 1));
        if (!it->in)
            continue;
        assert_ptr_equal(item_of(node), it);
        assert_ptr_equal(map_prev(node), last);
        last = node;
        node = map_next(node);
    }
    assert_null(node);
    assert_ptr_equal(map_last(&w->map), last);
}

static void toggle(struct world *w, size_t i)
{
    struct item *it = &w->items[i];
    if (it->in) {
        map_remove(&w->map, &it->node);
        w->count--;
    } else {
        assert_null(map_insert(&w->map, &it->node, key_of(it)));
        w->count++;
    }
    it->in = !it->in;
}

static void test_random(void **state)
{
    (void)state;
    static struct world w;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct rng r;
        rng_seed(&r, seed, 0);
        world_init(&w);
        /* Few keys and many, so that small trees and large ones come and go. */
        uint64_t range = seed % 4 == 0 ? KEYS : 3 + 10 * seed;
        for (int step = 0; step < 4000; step++) {
            toggle(&w, (size_t)rng_below(&r, range));
            check_tree(w.map.root, NULL);
            if (step % 100 == 0)
                check_world(&w);
        }
        for (size_t i = 0; i < KEYS; i++) {
            if (w.items[i].in)
                toggle(&w, i);
        }
        check_world(&w);
        assert_null(w.map.root);
    }
}

/* All orders of inserting six keys, and then all single and double removals. */
static void test_small_orders(void **state)
{
    (void)state;
    static struct world w;
    for (size_t code = 0; code < 720; code++) {
        size_t order[6] = {0, 1, 2, 3, 4, 5};
        for (size_t i = 6, left = code; i > 1; left /= i, i--) {
            size_t j = left % i, tmp = order[i - 1];
            order[i - 1] = order[j];
            order[j] = tmp;
        }
        for (size_t first = 0; first < 6; first++) {
            for (size_t second = 0; second < 6; second++) {
                world_init(&w);
                for (size_t i = 0; i < 6; i++)
                    toggle(&w, order[i]);
                toggle(&w, first);
                toggle(&w, second);
                check_tree(w.map.root, NULL);
                struct map_node *node = map_first(&w.map);
                for (size_t i = 0; i < 6; i++) {
                    if (!w.items[i].in)
                        continue;
                    assert_ptr_equal(item_of(node), &w.items[i]);
                    node = map_next(node);
                }
                assert_null(node);
            }
        }
    }
}

static void test_ascending_is_balanced(void **state)
{
    (void)state;
    static struct world w;
    world_init(&w);
    for (size_t i = 0; i < KEYS; i++)
        toggle(&w, i);
    check_world(&w);
    assert_true(check_tree(w.map.root, NULL) <= 10);
    for (size_t i = KEYS; i-- > 250;)
        toggle(&w, i);
    check_world(&w);
}

static void test_duplicate(void **state)
{
    (void)state;
    struct map m;
    struct map_node a, b;
    map_init(&m);
    assert_null(map_insert(&m, &a, bytes_of_str("key")));
    assert_ptr_equal(map_insert(&m, &b, bytes_of_str("key")), &a);
    assert_int_equal(m.count, 1);
    assert_ptr_equal(map_find(&m, bytes_of_str("key")), &a);
}

static void test_empty(void **state)
{
    (void)state;
    struct map m;
    struct map_node empty_key;
    map_init(&m);
    assert_null(map_first(&m));
    assert_null(map_last(&m));
    assert_null(map_find(&m, bytes_of_str("")));
    assert_null(map_lower_bound(&m, bytes_of(NULL, 0)));
    assert_null(map_after(&m, bytes_of(NULL, 0)));
    assert_null(map_insert(&m, &empty_key, bytes_of(NULL, 0)));
    assert_ptr_equal(map_find(&m, bytes_of_str("")), &empty_key);
    assert_ptr_equal(map_lower_bound(&m, bytes_of(NULL, 0)), &empty_key);
    assert_null(map_after(&m, bytes_of(NULL, 0)));
}

static void test_remove_while_iterating(void **state)
{
    (void)state;
    static struct world w;
    world_init(&w);
    for (size_t i = 0; i < KEYS; i++)
        toggle(&w, i);
    struct map_node *next;
    for (struct map_node *node = map_first(&w.map); node; node = next) {
        next = map_next(node);
        size_t i = (size_t)(item_of(node) - w.items);
        if (i % 3)
            toggle(&w, i);
    }
    assert_int_equal(w.map.count, (KEYS + 2) / 3);
    check_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_small_orders),
        cmocka_unit_test(test_ascending_is_balanced),
        cmocka_unit_test(test_duplicate),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_remove_while_iterating),
    };
    return cmocka_run_group_tests_name("map", tests, NULL, NULL);
}
