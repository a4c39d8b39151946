/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "cli/cli.h"

#include <config.h>
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd_write.h"
#include "base/parse.h"

/* Ids of the options that every command has and that are handled here. */
enum { OPT_HELP = 1, OPT_VERSION, OPT_IO_ENGINE, OPT_VERBOSE };

static const struct opt common[] = {
	{ 'h', "help", ARG_NONE, NULL, "print this help and exit", OPT_HELP },
	{ 'V', "version", ARG_NONE, NULL, "print the version and exit", OPT_VERSION },
	{ 'v', "verbose", ARG_NONE, NULL, NULL, OPT_VERBOSE },
	{ 0, "io-engine", ARG_REQUIRED, "ENGINE", NULL, OPT_IO_ENGINE },
	{ 0 },
};

#define HELP_COLUMN 30
#define HELP_WIDTH 79

/* Prints words, wrapped, at column @indent; the cursor stands at @column already. */
static void print_wrapped(const char *text, int column, int indent)
{
	printf("%*s", indent - column, "");
	column = indent;
	while (*text) {
		int n = (int)strcspn(text, " \n");

		if (column > indent && column + 1 + n > HELP_WIDTH) {
			printf("\n%*s", indent, "");
			column = indent;
		} else if (column > indent) {
			putchar(' ');
			column++;
		}
		printf("%.*s", n, text);
		column += n;
		text += n;
		text += *text != 0;
	}
	putchar('\n');
}

static void print_option(const struct opt *o)
{
	char head[120], letter[6] = "    ";
	const char *before = o->arg == ARG_OPTIONAL ? "[=" : " ";
	int n;

	if (!o->help)
		return;
	if (o->letter)
		snprintf(letter, sizeof(letter), "-%c, ", o->letter);
	n = snprintf(head, sizeof(head), "  %s--%s%s%s%s", letter, o->name,
		     o->arg == ARG_NONE ? "" : before, o->arg == ARG_NONE ? "" : o->value,
		     o->arg == ARG_OPTIONAL ? "]" : "");
	fputs(head, stdout);
	if (n > HELP_COLUMN - 2) {
		putchar('\n');
		n = 0;
	}
	print_wrapped(o->help, n, HELP_COLUMN);
}

/* Lines that fit stay as they are. */
static void print_notes(const char *text)
{
	char line[1000];

	while (*text) {
		int n = (int)strcspn(text, "\n");

		snprintf(line, sizeof(line), "%.*s", n, text);
		if (n <= HELP_WIDTH)
			puts(line);
		else
			print_wrapped(line, 0, 0);
		text += n;
		text += *text != 0;
	}
}

static void print_help(const struct command *cmd)
{
	int n;

	n = printf("Usage: %s", cmd->name);

	print_wrapped(cmd->usage, n, n + 1);
	putchar('\n');
	print_wrapped(cmd->summary, 0, 0);
	printf("\nOptions:\n");
	for (const struct opt *o = cmd->opts; o->name; o++)
		print_option(o);
	for (const struct opt *o = common; o->name; o++)
		print_option(o);
	if (cmd->notes) {
		putchar('\n');
		print_notes(cmd->notes);
	}
	printf("\nSee %s(8) for more.\n", cmd->name);
}

static size_t nr_opts(const struct opt *o)
{
	size_t n = 0;

	while (o[n].name)
		n++;
	return n;
}

/* A letter that the command uses for itself hides the common one. */
static bool letter_taken(const struct command *cmd, char letter)
{
	for (const struct opt *o = cmd->opts; o->name; o++)
		if (o->letter == letter)
			return true;
	return false;
}

static void add_options(struct cli *c, const struct opt *opts, bool own, size_t *nr, char **shorts)
{
	for (const struct opt *o = opts; o->name; o++) {
		c->longopts[(*nr)++] = (struct option){ o->name, (int)o->arg, NULL, o->id };
		if (!o->letter || (!own && letter_taken(c->cmd, o->letter)))
			continue;
		*(*shorts)++ = o->letter;
		for (int i = 0; i < (int)o->arg; i++)
			*(*shorts)++ = ':';
	}
}

static int id_of_letter(const struct cli *c, int letter)
{
	const struct opt *tables[] = { c->cmd->opts, common };

	for (size_t t = 0; t < ARRAY_SIZE(tables); t++)
		for (const struct opt *o = tables[t]; o->name; o++)
			if (o->letter == letter)
				return o->id;
	return 0;
}

void cli_init(struct cli *c, const struct command *cmd, int argc, char **argv)
{
	size_t n = nr_opts(cmd->opts) + nr_opts(common), nr = 0;
	char *shorts;

	*c = (struct cli){ .cmd = cmd, .argc = argc, .argv = argv };
	/* a closed pipe and a limit on file sizes are errors of write(), not deaths */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	if (n >= CLI_MAX_OPTIONS) { /* seen by the first test that starts the command */
		fprintf(stderr, "%s: its option table is too long\n", cmd->name);
		exit(EXIT_IO);
	}
	shorts = c->shortopts;
	*shorts++ = ':';
	add_options(c, cmd->opts, true, &nr, &shorts);
	add_options(c, common, false, &nr, &shorts);
	opterr = 0;
	optind = 1;
}

/* Option ids below 256 are letters. */
static bool is_letter(int v)
{
	return v >= ' ' && v < 256;
}

/* The word that getopt has just refused. */
static const char *refused_word(struct cli *c)
{
	if (!is_letter(optopt))
		return c->argv[optind - 1];
	c->refused[0] = '-';
	c->refused[1] = (char)optopt;
	return c->refused;
}

static void check_engine(struct cli *c)
{
	if (strcmp(c->arg, "sync") && strcmp(c->arg, "async") && strcmp(c->arg, "spindle"))
		cli_usage_error(c, "unknown io engine type '%s'", c->arg);
}

/* In "-m=7" getopt takes "=7" for the value. */
static const char *without_equals(const struct cli *c, const char *arg)
{
	const char *word = c->argv[optind - 1];

	if (arg && arg[0] == '=' && word[0] == '-' && word[1] != '-' && arg == word + 2)
		return arg + 1;
	return arg;
}

int cli_next(struct cli *c)
{
	for (;;) {
		int letter = getopt_long(c->argc, c->argv, c->shortopts, c->longopts, NULL);
		int id = letter;

		if (letter == -1)
			break;
		if (letter == ':')
			cli_usage_error(c, "option '%s' wants a value", refused_word(c));
		if (letter == '?')
			cli_usage_error(c, "unexpected argument '%s' found", refused_word(c));
		if (is_letter(letter) && id_of_letter(c, letter))
			id = id_of_letter(c, letter);
		c->arg = without_equals(c, optarg);
		switch (id) {
		case OPT_HELP:
			print_help(c->cmd);
			exit(cli_finish(c, EXIT_DONE));
		case OPT_VERSION:
			puts(PACKAGE_VERSION);
			exit(cli_finish(c, EXIT_DONE));
		case OPT_VERBOSE:
			c->verbose++;
			continue;
		case OPT_IO_ENGINE:
			check_engine(c);
			continue;
		default:
			return id;
		}
	}
	c->args = c->argv + optind;
	c->nr_args = c->argc - optind;
	if (c->nr_args < c->cmd->min_args)
		cli_usage_error(c, "%s", c->cmd->missing ? c->cmd->missing : "an argument is missing");
	if (c->nr_args > c->cmd->max_args)
		cli_usage_error(c, "unexpected argument '%s' found", c->args[c->cmd->max_args]);
	return 0;
}

/* The first failure counts; errno of a later attempt may be of something else. */
static int flush_stdout(struct cli *c)
{
	errno = 0;
	if ((fflush(stdout) || ferror(stdout)) && !c->output_error)
		c->output_error = errno ? -errno : -EIO;
	return c->output_error;
}

__attribute__((format(printf, 2, 0))) static void say(struct cli *c, const char *fmt,
						       va_list ap)
{
	flush_stdout(c);
	fprintf(stderr, "%s: ", c->cmd->name);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
}

void cli_usage_error(struct cli *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(c, fmt, ap);
	va_end(ap);
	fprintf(stderr, "Usage: %s %s\nTry '%s --help' for more information.\n", c->cmd->name,
		c->cmd->usage, c->cmd->name);
	exit(EXIT_BAD_USE);
}

void cli_error(struct cli *c, const char *fmt, ...)
{
	va_list ap;

	if (c->quiet)
		return;
	va_start(ap, fmt);
	say(c, fmt, ap);
	va_end(ap);
}

void cli_note(struct cli *c, const char *fmt, ...)
{
	va_list ap;

	if (c->quiet)
		return;
	va_start(ap, fmt);
	say(c, fmt, ap);
	va_end(ap);
}

int cli_exit_code(int code)
{
	switch (-code) {
	case 0:
		return EXIT_DONE;
	case EBADMSG: /* what is in it is wrong: damage */
	case EUCLEAN:
	case EINVAL:
	case ERANGE:
	case ENODATA:
	case EEXIST: /* refused, not failed */
	case ENOMEM:
	case ENOTSUP:
	case ENOTBLK:
		return EXIT_DAMAGE;
	default:
		return EXIT_IO;
	}
}

int cli_fail(struct cli *c, int code, const struct err *err)
{
	if (code != -EPIPE && !c->output_error)
		cli_error(c, "%s", err->text);
	return cli_exit_code(code);
}

int cli_write(struct cli *c, const void *data, size_t len)
{
	if (!flush_stdout(c))
		c->output_error = fd_write(STDOUT_FILENO, "standard output", data, len, NULL);
	return c->output_error;
}

int cli_finish(struct cli *c, int code)
{
	if (!flush_stdout(c))
		return code;
	if (c->output_error != -EPIPE && !c->quiet)
		fprintf(stderr, "%s: cannot write to standard output: %s\n", c->cmd->name,
			strerror(-c->output_error));
	return EXIT_IO;
}

uint64_t cli_u64(struct cli *c, const char *option)
{
	struct err err = { 0 };
	uint64_t v = 0;

	if (parse_u64(c->arg, &v, &err))
		cli_usage_error(c, "%s: invalid value: %s", option, err.text);
	return v;
}

uint64_t cli_size(struct cli *c, const char *option)
{
	struct err err = { 0 };
	uint64_t v = 0;

	if (parse_size(c->arg, 1, true, &v, &err))
		cli_usage_error(c, "%s: invalid value: %s", option, err.text);
	return v;
}
