/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "cli/cli.h"

#include <config.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <link.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/options.h"

static size_t nr_opts(const struct opt *o)
{
	size_t n = 0;

	while (o[n].name)
		n++;
	return n;
}

/* A command may use the letter of a common option for an option of its own. */
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
		c->longopts[(*nr)++] = (struct option) { o->name, (int)o->arg, NULL, o->id };
		if (!o->letter || (!own && letter_taken(c->cmd, o->letter)))
			continue;
		*(*shorts)++ = o->letter;
		for (int i = 0; i < (int)o->arg; i++)
			*(*shorts)++ = ':';
	}
}

static int id_of_letter(const struct cli *c, int letter)
{
	const struct opt *table[OPT_TABLES];
	size_t nr = opt_tables(c->cmd, table);

	for (size_t t = 0; t < nr; t++)
		for (const struct opt *o = table[t]; o->name; o++)
			if (o->letter == letter)
				return o->id;
	return 0;
}

void cli_init(struct cli *c, const struct command *cmd, int argc, char **argv)
{
	const struct opt *table[OPT_TABLES];
	size_t nr_tables = opt_tables(cmd, table), n = 0, nr = 0;
	char *shorts;

	*c = (struct cli) { .cmd = cmd, .argc = argc, .argv = argv, .progress_fd = -1 };
	for (size_t t = 0; t < nr_tables; t++)
		n += nr_opts(table[t]);
	/*
	 * a closed pipe and a limit on file sizes are errors of write(), and do not kill the
	 * process
	 */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	if (n >= CLI_MAX_OPTIONS)
		__builtin_trap(); /* a table that is too long: the first test that runs the command fails */
	shorts = c->shortopts;
	*shorts++ = ':';
	for (size_t t = 0; t < nr_tables; t++)
		add_options(c, table[t], t == 0, &nr, &shorts);
	/* getopt would take an option behind an argument for an argument */
	unsetenv("POSIXLY_CORRECT");
	opterr = 0;
	optind = 1;
}

/* Option ids below 256 are letters. */
static bool is_letter(int v)
{
	return v >= ' ' && v < 256;
}

/* What getopt has just refused: a letter, or the word in which a byte stands that is none. */
static const char *refused_word(struct cli *c)
{
	const char *next = c->argv[optind]; /* getopt leaves a word behind when it has taken the last byte */

	if (optopt <= ' ' || optopt > '~')
		return next && *next == '-' && strchr(next, optopt) ? next : c->argv[optind - 1];
	c->refused[0] = '-';
	c->refused[1] = (char)optopt;
	return c->refused;
}

/* The long option whose whole name is @word (with its dashes, and perhaps "=VALUE"). */
static const struct option *whole_name(const struct cli *c, const char *word)
{
	const char *name = word + 2;
	size_t len = strcspn(name, "=");

	for (const struct option *o = c->longopts; o->name; o++)
		if (strlen(o->name) == len && !strncmp(o->name, name, len))
			return o;
	return NULL;
}

/* Refuses an unknown long option and offers those options of --help that begin with @word. */
__attribute__((noreturn)) static void refuse_long(struct cli *c, const char *word)
{
	int len = (int)strcspn(word, "=");
	char hint[200];
	size_t n = 0;

	hint[0] = 0;
	for (const struct option *o = c->longopts; o->name && len > 2; o++)
		if (!strncmp(o->name, word + 2, (size_t)len - 2) && opt_find(c->cmd, o->name)->help &&
		    n + strlen(o->name) + 12 < sizeof(hint))
			n += (size_t)snprintf(hint + n, sizeof(hint) - n, "%s'--%s'",
					      n ? " or " : "", o->name);
	if (n)
		cli_usage_error(c, "unexpected argument '%.*s' found: write the whole name, %s",
				len, word, hint);
	if (len > 2 && opt_nearest(c->cmd, word + 2, (size_t)len - 2))
		cli_usage_error(c, "unexpected argument '%.*s' found: did you mean '--%s'?", len, word,
				opt_nearest(c->cmd, word + 2, (size_t)len - 2));
	cli_usage_error(c, "unexpected argument '%.*s' found", len, word);
}

/* The word of the long option that getopt has just taken. */
static const char *option_word(const struct cli *c)
{
	const char *last = c->argv[optind - 1];

	return last == optarg ? c->argv[optind - 2] : last;
}

/* Of a long option that getopt refuses it leaves the id, or 0. */
static bool letter_is_refused(const struct cli *c)
{
	return (optopt < 0 || is_letter(optopt)) && !id_of_letter(c, optopt);
}

__attribute__((noreturn)) static void refuse(struct cli *c, int letter)
{
	const char *word = c->argv[optind - 1]; /* or the one before: where a letter of several is refused */
	bool is_long = !strncmp(word, "--", 2);
	const struct option *o = is_long ? whole_name(c, word) : NULL;

	if (is_long && !o && !(letter == '?' && letter_is_refused(c)))
		refuse_long(c, word);
	if (letter == ':')
		cli_usage_error(c, "option '%s' needs a value", is_long ? word : refused_word(c));
	if (o && strchr(word, '=') && o->has_arg == no_argument)
		cli_usage_error(c, "option '--%s' takes no value", o->name);
	cli_usage_error(c, "unexpected argument '%s' found", refused_word(c));
}

static void check_engine(struct cli *c)
{
	if (strcmp(c->arg, "sync") && strcmp(c->arg, "async") && strcmp(c->arg, "spindle"))
		cli_usage_error(c, "unknown io engine type '%s'", c->arg);
}

/* getopt takes the "=7" of "-m=7" for the value. */
static const char *without_equals(const struct cli *c, const char *arg)
{
	const char *word = c->argv[optind - 1];

	if (arg && arg[0] == '=' && word[0] == '-' && word[1] != '-')
		return arg + 1;
	return arg;
}

static bool all_digits(const char *word)
{
	return *word && !word[strspn(word, "0123456789")];
}

/* "--metadata-snap 7" may mean "--metadata-snap=7": take_late_value() decides. */
static void note_late_value(struct cli *c, int id)
{
	const struct opt *table[OPT_TABLES];
	size_t nr = opt_tables(c->cmd, table);
	bool optional = false;

	for (size_t t = 0; t < nr; t++)
		for (const struct opt *o = table[t]; o->name; o++)
			optional |= o->id == id && o->arg == ARG_OPTIONAL;
	if (optional && !c->arg && optind < c->argc && all_digits(c->argv[optind])) {
		c->late_value = c->argv[optind];
		c->late_id = id;
	}
}

/* The number behind such an option is its value if there is one positional argument too many. */
static bool take_late_value(struct cli *c)
{
	if (!c->late_value || c->nr_args != c->cmd->max_args + 1)
		return false;
	for (int i = 0; i < c->nr_args; i++) {
		if (c->args[i] != c->late_value)
			continue;
		memmove(c->args + i, c->args + i + 1, (size_t)(c->nr_args - i) * sizeof(*c->args));
		c->argc--;
		c->arg = c->late_value;
		c->late_value = NULL;
		return true;
	}
	return false;
}

/* The name of a shared library that the process has loaded. */
static int print_library(struct dl_phdr_info *info, size_t size, void *ctx)
{
	const char *base = strrchr(info->dlpi_name, '/');

	(void)size;
	if (base && !strstr(base, "/ld-")) {
		printf(" %s", base + 1);
		*(bool *)ctx = true;
	}
	return 0;
}

/* --version; with --verbose anywhere on the line it also says how the command was built. */
static void print_version(const struct cli *c)
{
	bool verbose = c->verbose, shared = false;

	printf(PACKAGE_VERSION "\n%s is part of " PACKAGE_NAME "\n", c->cmd->name);
	for (int i = 1; i < c->argc; i++)
		verbose |= !strcmp(c->argv[i], "-v") || !strcmp(c->argv[i], "--verbose");
	if (!verbose)
		return;
	printf("compiler: %s, %zu bits, %s endian\nprogress: %s\nlibraries:", __VERSION__,
	       sizeof(void *) * 8, __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? "little" : "big",
	       c->cmd->shows_progress ? "yes" : "no");
	dl_iterate_phdr(print_library, &shared);
	printf("%s\nreports: %s\n", shared ? "" : " linked statically", PACKAGE_BUGREPORT);
}

/* None where the descriptor is not open: a file that is opened later could get its number, and the lines. */
static void take_progress_fd(struct cli *c)
{
	int fd = (int)MIN(cli_u64(c, "--progress-fd"), 1u << 20);

	if (fcntl(fd, F_GETFD) < 0)
		return;
	c->progress_fd = fd;
	c->progress_path = c->fd_path;
	snprintf(c->fd_path, sizeof(c->fd_path), "/proc/self/fd/%d", fd);
}

/* The options that every command has; true when @id is one. */
static bool take_common(struct cli *c, int id)
{
	switch (id) {
	case OPT_HELP:
		help_print(c->cmd);
		exit(cli_finish(c, EXIT_DONE));
	case OPT_VERSION:
		print_version(c);
		exit(cli_finish(c, EXIT_DONE));
	case OPT_LIST:
		help_list(c->cmd);
		exit(cli_finish(c, EXIT_DONE));
	case OPT_VERBOSE:
		c->verbose++;
		return true;
	case OPT_IO_ENGINE:
		check_engine(c);
		return true;
	case OPT_POOL:
		c->pool = c->arg;
		return true;
	case OPT_SNAP:
		c->snap = true;
		if (c->arg)
			c->snap_block = cli_u64(c, "--metadata-snap");
		return true;
	case OPT_TAKE_SNAP:
		c->snap = c->lvm.take_snap = true;
		return true;
	case OPT_FORCE_SHARE:
		c->force_share = true;
		return true;
	case OPT_QUIET:
		c->quiet = true;
		return true;
	case OPT_JOBS:
		c->nr_jobs = (unsigned)MIN(cli_u64(c, "--jobs"), 256);
		return true;
	case OPT_PV:
		if (c->lvm.nr_pvs == LVM_MAX_PVS)
			cli_usage_error(c, "--pv is given more than %d times: a folder or a "
					   "pattern names many disks", LVM_MAX_PVS);
		c->lvm.pv[c->lvm.nr_pvs++] = c->arg;
		return true;
	case OPT_SEQNO:
		c->lvm.has_seqno = true;
		c->lvm.seqno = cli_u64(c, "--seqno");
		return true;
	case OPT_NO_PROGRESS:
		c->no_progress = true;
		return true;
	case OPT_BYTES:
		c->bytes = true;
		return true;
	case OPT_PROGRESS_FD:
		take_progress_fd(c);
		return true;
	}
	return false;
}

/* POOL is the value of an option that says so, else the first argument. */
static void note_pool(struct cli *c, int id)
{
	for (const struct opt *o = c->cmd->opts; o->name; o++)
		if (o->id == id && o->value && !strcmp(o->value, "POOL"))
			c->about = c->arg;
}

int cli_next(struct cli *c)
{
	for (;;) {
		int index = -1;
		int letter = getopt_long(c->argc, c->argv, c->shortopts, c->longopts, &index);
		int id = letter;

		if (letter == -1)
			break;
		if (index >= 0 && !whole_name(c, option_word(c)))
			refuse_long(c, option_word(c));
		if (letter == ':' || letter == '?')
			refuse(c, letter);
		if (is_letter(letter) && id_of_letter(c, letter))
			id = id_of_letter(c, letter);
		c->arg = without_equals(c, optarg);
		note_late_value(c, id);
		note_pool(c, id);
		if (!take_common(c, id))
			return id;
	}
	c->args = c->argv + optind;
	c->nr_args = c->argc - optind;
	if (take_late_value(c)) {
		if (!take_common(c, c->late_id))
			return c->late_id;
		c->nr_args--;
	}
	if (!c->about && c->nr_args)
		c->about = c->args[0];
	if (c->nr_args < c->cmd->min_args)
		cli_usage_error(c, "%s", c->cmd->missing);
	if (c->nr_args > c->cmd->max_args)
		cli_usage_error(c, "unexpected argument '%s' found", c->args[c->cmd->max_args]);
	return 0;
}
