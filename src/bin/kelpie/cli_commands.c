/* The table of commands, with their options and help. */
#include "bin/kelpie/cli.h"

const struct option_spec cli_common_options[] = {CLI_COMMON};

static const struct option_spec forget_options[] = {
    {"force", 0, OPTION_FLAG, "", "where there is no primary: see below for what it costs"},
    CLI_COMMON,
};

static const struct option_spec list_options[] = {
    {"type", 0, OPTION_TEXT, "TYPE", "only actors of this type"},
    {"on", 0, OPTION_TEXT, "ID", "only actors placed on this node"},
    {"limit", 0, OPTION_NUMBER, "N", "at most so many (default: 1000)"},
    CLI_COMMON,
};

static const struct option_spec messages_options[] = {
    {"limit", 0, OPTION_NUMBER, "N", "at most so many (default: 1000)"},
    CLI_COMMON,
};

static const struct option_spec call_options[] = {
    {"request-id", 0, OPTION_TEXT, "ID", "a repeated id is applied once (default: a new one)"},
    {"deadline-ms", 0, OPTION_NUMBER, "N", "how long to wait (default: 5000)"},
    {"after", 0, OPTION_TEXT, "MS", "send it, to come after MS, and wait for no reply"},
    CLI_COMMON,
};

static const struct option_spec events_options[] = {
    {"no-follow", 0, OPTION_FLAG, "", "print what is kept and end"},
    CLI_COMMON,
};

#define STORE_OPTIONS                                                                              \
    {"store", 0, OPTION_TEXT, "URL", "KELPIE_STORE; default: where kelpied keeps it"},             \
        {"fdb-library", 0, OPTION_TEXT, "FILE", "KELPIE_FDB_LIBRARY; default: libfdb_c.so"},       \
        {"data-dir", 0, OPTION_TEXT, "DIR",                                                        \
         "as for kelpied (KELPIE_DATA_DIR): the store is DIR/store"},                              \
        {"prefix", 0, OPTION_TEXT, "NAME",                                                         \
         "keyspace in the store (KELPIE_PREFIX; default: kelpie)"},                                \
        CLI_COMMON

static const struct option_spec store_options[] = {STORE_OPTIONS};

static const struct option_spec backup_options[] = {
    {"store", 0, OPTION_TEXT, "URL", "KELPIE_STORE; default: where kelpied keeps it"},
    {"data-dir", 0, OPTION_TEXT, "DIR", "as for kelpied (KELPIE_DATA_DIR): the store is DIR/store"},
    CLI_COMMON,
};

static const struct option_spec format_options[] = {
    {"raise", 0, OPTION_FLAG, "", "to the newest that this program reads"},
    STORE_OPTIONS,
};

const struct cli_command cli_commands[] = {
    {"status", "", 0, 0, cli_common_options, cli_status_run,
     "Shows a node, its view, the primary, and what may still fail.",
     "The exit status is 3 when the node may not act, or when a primary, a majority, the store or room in\n"
     "it is missing; a line TROUBLE says which.\n\n"
     "  kelpie status\n"
     "  kelpie status --node 127.0.0.1:7410 -w json\n"},
    {"node list", "", 0, 0, cli_common_options, cli_node_list,
     "Lists every node that the store knows.", "  kelpie node list\n"},
    {"node drain", "ID", 1, 1, cli_common_options, cli_node_drain,
     "Lets a node hand over its actors, leave, and end.",
     "The last active node is not drained, nor any without a living primary: SIGTERM stops it.\n\n"
     "  kelpie node drain n2\n"},
    {"node forget", "ID", 1, 1, forget_options, cli_node_forget,
     "Strikes a failed node off: it no longer counts for the majority.",
     "A node that is alive is refused. --force is for a cluster that has no primary, because too\n"
     "many of its nodes are gone for good. What it costs: the node's vote. A majority is then counted\n"
     "of fewer nodes, so fewer of them may fail after it; the answer says how many. If the node was\n"
     "only away, this life of it is over: it joins anew, and what its actors had not committed is gone.\n\n"
     "  kelpie node forget n3\n"
     "  kelpie node forget n3 --force\n"},
    {"actor list", "", 0, 0, list_options, cli_actor_list, "Lists actors and where they are.",
     "HOSTED says whether the node is active in that incarnation; if not, the actor's next call\n"
     "places it anew.\n\n"
     "  kelpie actor list --type counter --on n1\n"},
    {"actor locate", "TYPE/ID", 1, 1, cli_common_options, cli_actor_locate,
     "Shows where one actor is.", "  kelpie actor locate counter/visits\n"},
    {"actor show", "TYPE/ID", 1, 1, cli_common_options, cli_actor_show,
     "Shows what an actor has in the store: head row, state, messages.",
     "Nothing is activated for it. At most 1000 rows of each kind are shown, and 1 KiB of each.\n\n"
     "  kelpie actor show counter/visits\n"},
    {"message list", "[TYPE/ID]", 0, 1, messages_options, cli_message_list,
     "Lists dead letters, or all messages that wait for one actor.",
     "Of an actor: what waits for its turn, what has a time, and what failed for good (place dead).\n\n"
     "  kelpie message list\n"
     "  kelpie message list session/42\n"},
    {"message show", "TYPE/ID MESSAGE", 2, 2, cli_common_options, cli_message_show,
     "Shows one message with its body.",
     "MESSAGE is as message list shows it.\n\n"
     "  kelpie message show session/42 dead.3.17.0b5c6e0e-95a4-4c1e-8f0a-7a0c3f1d2e4b\n"},
    {"message retry", "TYPE/ID MESSAGE", 2, 2, cli_common_options, cli_message_retry,
     "Sends a dead letter again.",
     "It comes within about a second, behind what was sent meanwhile, and once, also if it had a period.\n\n"
     "  kelpie message retry session/42 dead.3.17.0b5c6e0e-95a4-4c1e-8f0a-7a0c3f1d2e4b\n"},
    {"message drop", "TYPE/ID MESSAGE", 2, 2, cli_common_options, cli_message_drop,
     "Throws a message away that was not applied.",
     "Of one that is being applied this very moment the answer says which came first.\n\n"
     "  kelpie message drop session/42 dead.3.17.0b5c6e0e-95a4-4c1e-8f0a-7a0c3f1d2e4b\n"},
    {"message poisoned", "", 0, 0, messages_options, cli_message_poisoned,
     "Lists what has ended processes of nodes, and is not run for a while.",
     "What did so once is listed too, and runs. Without a METHOD it is the whole actor: its class's activate,\n"
     "upgrade or deactivate did it.\n\n"
     "  kelpie message poisoned\n"},
    {"message lift", "TYPE/ID [METHOD]", 1, 2, cli_common_options, cli_message_lift,
     "Lets what is poisoned run again: that method, or all of the actor.",
     "It is forgotten that it ended processes. An actor that is active knows within about two seconds.\n\n"
     "  kelpie message lift session/42\n"
     "  kelpie message lift session/42 close\n"},
    {"call", "TYPE/ID METHOD [BODY|-]", 2, 3, call_options, cli_call,
     "Calls an actor and prints its reply.",
     "BODY - is read from standard input. While the deadline lasts, the call is repeated with the\n"
     "same request id where that may help; it is applied once.\n\n"
     "  kelpie call counter/visits add 1\n"
     "  kelpie call counter/visits get\n"
     "  kelpie call echo/any echo - < file\n"
     "  kelpie call counter/visits add 1 --after 60000\n"},
    {"events", "", 0, 0, events_options, cli_events,
     "Prints what happens on a node, as it happens.",
     "  kelpie events\n"
     "  kelpie events --no-follow -w json\n"},
    {"store check", "", 0, 0, store_options, cli_store_check,
     "Verifies every record of a store, and the records against each other.",
     "Names the key of what is wrong. A cluster may be running on the store.\n\n"
     "  kelpie store check\n"
     "  kelpie store check --store lmdb:/var/lib/kelpie/store\n"},
    {"store dump", "", 0, 0, store_options, cli_store_dump, "Prints every record, one a line.",
     "  kelpie store dump | grep registry/actors\n"},
    {"store format", "", 0, 0, format_options, cli_store_format,
     "Shows, or raises, the version of records that nodes may write.",
     "After an upgrade, once every node runs the new program: records of its version cannot be read\n"
     "by older ones, which are refused from then on. Refused while a node is older.\n\n"
     "  kelpie store format\n"
     "  kelpie store format --raise\n"},
    {"store backup", "DIR", 1, 1, backup_options, cli_store_backup,
     "Copies an embedded store, as of one moment, while it runs.",
     "DIR is made if need be, and becomes a store of its own: to restore, stop all nodes, put it in\n"
     "the place of the old one, and run kelpie store restored. A FoundationDB store is backed up\n"
     "with FoundationDB's own tools.\n\n"
     "  kelpie store backup /backup/kelpie-monday\n"},
    {"store restored", "", 0, 0, store_options, cli_store_restored,
     "Makes a store that was restored from a backup a new epoch.",
     "Run it once after a restore, before any node is started: no life, no placement and no number\n"
     "from before is taken for one of after it. Refused while any node is alive.\n\n"
     "  kelpie store restored --store lmdb:/var/lib/kelpie/store\n"
     "  kelpie store restored --store fdb\n"},
    {NULL, NULL, 0, 0, NULL, NULL, NULL, NULL},
};
