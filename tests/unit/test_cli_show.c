/* What `kelpie` makes of what a node, or whatever answers in its place, has said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bin/kelpie/cli.h"

/* ---- status ---- */

#define WELL                                                                                       \
    "'node':'n1','state':'Active','incarnation':2,'acting':true,'is_primary':false,"               \
    "'store_ok':true,'http':'h','rpc':'r','store':'lmdb:d','version':'0.1.0','pid':7,"

static const struct {
    const char *what, *json;
    enum cli_status outcome;
    const char *says[6];
    const char *never;
} statuses[] = {
    {"all is well",
     "{" WELL "'view':{'number':3,'members':['n1','n2','n3']},'primary':{'node':'n2','term':4},"
     "'primary_lives':true,'troubles':[],'silent':[],'heard':3,'voters':3,'active':3,'majority':2,"
     "'has_majority':true,'tolerates_failures':1}",
     CLI_OK,
     {"view        3: n1 n2 n3\n", "primary     n2, term 4\n",
      "majority    yes: 3 of 3 voters active, 2 needed; 1 more may fail\n"},
     "TROUBLE"},
    {"two of three machines are gone",
     "{" WELL "'view':{'number':3,'members':['n1','n2','n3']},'primary':{'node':'n2','term':4},"
     "'primary_lives':false,'troubles':['no majority: 1 of 3 voters heard from, 2 needed',"
     "'no living primary: node n2, which was, is silent for 12 s'],"
     "'silent':[{'node':'n2','ms':12900},{'node':'n3','ms':11000}],'heard':1,'voters':3,'active':3,"
     "'majority':2,'has_majority':false,'tolerates_failures':0}",
     CLI_UNWELL,
     {"TROUBLE     no majority: 1 of 3 voters heard from, 2 needed\n",
      "TROUBLE     no living primary: node n2, which was, is silent for 12 s\n",
      "view        3: n1 n2 (silent 12 s) n3 (silent 11 s)\n",
      "primary     none living; last read: n2, term 4\n",
      "majority    NO: 1 of 3 voters heard from, 2 needed\n"},
     "may fail"},
    {"one node whose lease ran out",
     "{'node':'n1','state':'Active','acting':false,'reason':'the lease ran out','store_ok':true,"
     "'view':{'number':1,'members':['n1']},'primary':{'node':'n1','term':1},'primary_lives':null,"
     "'troubles':[],'silent':[],'heard':1,'voters':1,'active':1,'majority':1,'has_majority':null}",
     CLI_UNWELL,
     {"NOT ACTING  the lease ran out\n",
      "majority    unknown: this node may not act, and cannot say\n",
      "primary     unknown; last read: n1, term 1\n"},
     "NO:"},
    {"no store",
     "{'node':'n1','acting':true,'store_ok':false,'troubles':['the store does not answer'],"
     "'primary':null,'silent':null,'heard':null}",
     CLI_UNWELL,
     {"majority    unknown: the store does not answer\n", "primary     none\n"},
     NULL},
    {"ids that would steer a terminal",
     "{" WELL "'view':{'number':3,'members':['n\\u001b[31m','a\\nb',7]},"
     "'primary':{'node':'\\u009b2J'},'primary_lives':true,'troubles':['x\\ry']}",
     CLI_UNWELL,
     {"view        3: n\\x1b[31m a\\x0ab -\n", "primary     \\xc2\\x9b2J, term 0\n",
      "TROUBLE     x\\x0dy\n"},
     "\x1b"},
    {"another program's JSON",
     "{'view':'no','silent':{},'troubles':5,'primary':[]}",
     CLI_UNWELL,
     {"view        0:\n"},
     NULL},
};

static json_t *json_of(const char *text)
{
    char *copy = strdup(text);
    for (char *p = copy; *p; p++)
        *p = *p == '\'' ? '"' : *p;
    json_t *json = json_loads(copy, 0, NULL);
    free(copy);
    assert_non_null(json);
    return json;
}

static void status(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        json_t *json = json_of(statuses[i].json);
        char *text = NULL;
        size_t len;
        FILE *out = open_memstream(&text, &len);
        status_print(out, json);
        (void)fclose(out);
        print_message("%s\n%s\n", statuses[i].what, text);
        for (size_t k = 0; k < 6 && statuses[i].says[k]; k++)
            assert_non_null(strstr(text, statuses[i].says[k]));
        assert_true(!statuses[i].never || !strstr(text, statuses[i].never));
        assert_int_equal(status_outcome(json), statuses[i].outcome);
        free(text);
        json_decref(json);
    }
}

/* ---- pages of a list of actors ---- */

static const struct {
    const char *page, *after;
    bool taken;
    const char *next;
} pages[] = {
    {"{'actors':[],'next':null}", "", true, ""},
    {"{'actors':[{'id':'a'}],'next':null}", "t/a", true, ""},
    {"{'actors':[{'id':'a'}],'next':'t/a'}", "", true, "t/a"},
    {"{'actors':[{'id':'a'}],'next':'t/a'}", "t/a", false, NULL}, /* the same page again */
    {"{'actors':[],'next':'t/a'}", "", false, NULL},              /* for ever */
    {"{'actors':7,'next':null}", "", false, NULL},
    {"{'actors':['a'],'next':null}", "", false, NULL},
    {"{'actors':[],'next':7}", "", false, NULL},
    {"{'next':null}", "", false, NULL},
    {"[]", "", false, NULL},
    {"{'actors':[{}],'next':'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'}", "", false, NULL},
};

static void actor_pages(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
        json_t *page = json_of(pages[i].page), *all = json_array();
        char after[16];
        (void)snprintf(after, sizeof(after), "%s", pages[i].after);
        print_message("%s\n", pages[i].page);
        assert_int_equal(list_page_take(page, "actors", all, after, sizeof(after)), pages[i].taken);
        if (pages[i].taken)
            assert_string_equal(after, pages[i].next);
        json_decref(page);
        json_decref(all);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(status),
        cmocka_unit_test(actor_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
