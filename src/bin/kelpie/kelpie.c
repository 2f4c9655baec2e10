/* kelpie: the operator's command. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bin/kelpie/cli.h"
#include "bin/shared/process_begin.h"
#include "bin/shared/world_bind.h"
#include "store/store_process.h"

static void print_commands(void)
{
    (void)printf("usage: kelpie [--node HOST:PORT] [-w table|json] COMMAND ...\n\n"
                 "Watches and steers a Kelpie cluster, through any of its nodes.\n\n");
    for (const struct cli_command *c = cli_commands; c->words; c++) {
        char left[64];
        (void)snprintf(left, sizeof(left), "%s %s", c->words, c->operands);
        (void)printf("  %-32s %s\n", left, c->summary);
    }
    (void)printf("\n");
    options_print(cli_common_options);
    (void)printf(
        "  --version                print the version and end\n"
        "\nEach command has --help with examples. Exit status: 0 done, 1 it did not work,\n"
        "2 wrong usage, 3 (status) something is missing.\n");
}

static void print_command(const struct cli_command *c)
{
    (void)printf("usage: kelpie %s%s%s [OPTION]...\n\n%s\n\n", c->words, c->operands[0] ? " " : "",
                 c->operands, c->summary);
    options_print(c->specs);
    (void)printf("\n%s", c->more);
}

/* How many of the words the command's name takes; 0: it is another one. */
static size_t matches(const struct cli_command *c, const char *const *words, size_t count)
{
    size_t first = strcspn(c->words, " ");
    if (count == 0 || strlen(words[0]) != first || strncmp(words[0], c->words, first) != 0)
        return 0;
    if (c->words[first] == '\0')
        return 1;
    return count > 1 && strcmp(words[1], c->words + first + 1) == 0 ? 2 : 0;
}

static int unknown_command(const char *const *words, size_t count)
{
    const char *names[32];
    char given[128];
    size_t n = 0;
    bool is_group = false;
    for (const struct cli_command *c = cli_commands; c->words; c++) {
        CHECK(n + 1 < ARRAY_LEN(names));
        names[n++] = c->words;
        size_t first = strcspn(c->words, " ");
        is_group = is_group || (c->words[first] && strlen(words[0]) == first &&
                                strncmp(words[0], c->words, first) == 0);
    }
    names[n] = NULL;
    (void)snprintf(given, sizeof(given), "%s%s%s", words[0], is_group && count > 1 ? " " : "",
                   is_group && count > 1 ? words[1] : "");
    const char *nearest = nearest_word(names, given);
    say(CLI_PROGRAM, "there is no command '%s'%s%s%s", given, nearest ? "; did you mean '" : "",
        nearest ? nearest : "; kelpie --help lists them", nearest ? "'?" : "");
    return CLI_USAGE;
}

/* Options that all commands have, wherever they stand. */
static int take_common(struct cli *cli, const struct options *before)
{
    const char *node = options_text(&cli->options, "node");
    const char *format = options_text(&cli->options, "format");
    cli->node = node ? node : options_text(before, "node");
    if (!cli->node)
        cli->node = getenv("KELPIE_NODE");
    if (!cli->node || !cli->node[0])
        cli->node = CLI_NODE_DEFAULT;
    if (!format)
        format = options_text(before, "format");
    cli->json = format && strcmp(format, "json") == 0;
    if (!format || cli->json || strcmp(format, "table") == 0)
        return CLI_OK;
    say(CLI_PROGRAM, "-w is '%.40s', but it must be table or json", format);
    return CLI_USAGE;
}

static int run_command(const struct cli_command *c, struct cli *cli)
{
    int status = CLI_OK;
    bool is_offline = strncmp(c->words, "store", 5) == 0;
    if (!is_offline)
        status = cli_open(cli);
    if (status == CLI_OK)
        status = c->run(cli);
    if (!is_offline)
        cli_close(cli);
    return status;
}

static int take_command(const struct options *before, char *why, size_t why_size)
{
    const struct cli_command *c = cli_commands;
    size_t taken = 0;
    while (c->words && !(taken = matches(c, before->operands, before->operand_count)))
        c++;
    if (!c->words)
        return unknown_command(before->operands, before->operand_count);
    struct cli *cli = calloc(1, sizeof(*cli));
    CHECK(cli != NULL);
    options_init(&cli->options, c->specs);
    int status = CLI_OK;
    if (options_flags(&cli->options, (int)(before->operand_count - taken),
                      (char *const *)(uintptr_t)(before->operands + taken), false, why, why_size)) {
        say(CLI_PROGRAM, "%s", why);
        status = CLI_USAGE;
    } else if (options_text(&cli->options, "help")) {
        print_command(c);
        free(cli);
        return CLI_OK;
    } else if (cli->options.operand_count < c->operands_min ||
               cli->options.operand_count > c->operands_max) {
        say(CLI_PROGRAM, "usage: kelpie %s %s", c->words, c->operands);
        status = CLI_USAGE;
    }
    if (status == CLI_OK)
        status = take_common(cli, before);
    if (status == CLI_OK)
        status = run_command(c, cli);
    free(cli);
    return status;
}

static int command_main(int argc, char **argv)
{
    char why[1024];
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        (void)printf("kelpie %s\n", KELPIE_VERSION);
        return CLI_OK;
    }
    struct options *before = calloc(1, sizeof(*before));
    CHECK(before != NULL);
    options_init(before, cli_common_options);
    int status;
    if (options_flags(before, argc - 1, argv + 1, true, why, sizeof(why))) {
        say(CLI_PROGRAM, "%s", why);
        status = CLI_USAGE;
    } else if (options_text(before, "help")) {
        print_commands();
        status = CLI_OK;
    } else if (before->operand_count == 0) {
        say(CLI_PROGRAM, "which command? kelpie --help lists them");
        status = CLI_USAGE;
    } else {
        status = take_command(before, why, sizeof(why));
    }
    free(before);
    return status;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], STORE_PROCESS_ARGUMENT) == 0)
        return process_store_main(argc, argv);
    process_begin(ROLE_COMMAND);
    return process_end(CLI_PROGRAM, command_main(argc, argv));
}
