/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef CLI_CLI_H
#define CLI_CLI_H
/*
 * What every command shares: options, exit codes, messages.  One table of options feeds getopt_long,
 * --help, the completion scripts and the tests.
 *
 * Threads: the one that runs main(); any other may call cli_show_line().
 */
#include <getopt.h>
#include <stdio.h>

#include "base/err.h"
#include "base/lvm_words.h"
#include "base/units.h"

/* Exit codes.  Never 2: LVM takes 2 from thin_check for "not installed". */
enum exit_code {
	EXIT_DONE = 0,	  /* clean, or done */
	EXIT_DAMAGE = 1,  /* damage found, or the work could not be completed */
	EXIT_BAD_USE = 64, /* bad command line */
	EXIT_IO = 74,	  /* a device or file could not be read or written, or is busy */
};

enum opt_arg { ARG_NONE, ARG_REQUIRED, ARG_OPTIONAL };

struct opt {
	char letter; /* 0: long only */
	const char *name; /* without dashes; NULL ends the table */
	enum opt_arg arg;
	const char *value; /* "FILE", "N": how help names the value */
	const char *help;  /* NULL: accepted but not shown (aliases, hidden options) */
	int id;		   /* what cli_next() returns; letters and ids must differ: use >= 256 or the letter */
};

/*
 * What a command is.  -h, -V and the hidden options that callers of other tools pass to every
 * command (--io-engine, -v) are handled here.
 */
struct command {
	const char *name;	/* thin_check */
	const char *usage;	/* "[options] POOL": one line after the name */
	const char *summary;	/* one sentence, for help and the man page */
	const char *notes;	/* the end of --help, or NULL: paragraphs and indented tables */
	const struct opt *opts;
	int min_args, max_args; /* positionals; surplus is an error (64) */
	const char *missing;	/* message when there are fewer: "No input file provided." */
	const struct opt *reads_pool; /* cli_reads_pool: has --metadata-snap, --force-share, --quiet and --jobs */
	bool takes_pool;	/* has --pool NAME, --pv FILE and --seqno N, whose values are in cli.pool and cli.lvm */
	bool takes_active;	/* has --take-metadata-snap, which sets cli.snap and cli.lvm.take_snap */
	bool shows_progress;	/* has --no-progress and --progress-fd N (progress.h) */
	const struct opt *shows_sizes; /* cli_shows_sizes: has --bytes */
};

extern const struct opt cli_reads_pool[], cli_shows_sizes[];

/* What a command says that is about one POOL, which may be active. */
#define CLI_ONE_POOL                                                                      \
	.min_args = 1, .max_args = 1, .missing = "No input file provided.", .takes_pool = true, \
	.takes_active = true

#define CLI_MAX_OPTIONS 64

struct cli {
	const struct command *cmd;
	const char *arg; /* value of the option just returned, or NULL */
	const char *pool; /* value of --pool, or NULL */
	bool snap, force_share; /* with reads_pool: read the held metadata snapshot; a pool in use */
	uint64_t snap_block;	/* where it must be, 0: anywhere */
	unsigned nr_jobs;	/* 0: one for each CPU */
	struct lvm_words lvm; /* --pv and --seqno, with takes_pool; --take-metadata-snap */
	int nr_args;	 /* positionals, once cli_next() returned 0 */
	char **args;
	const char *about; /* the POOL that was given, or NULL; cli_next() sets it */
	bool quiet; /* cli_error() prints nothing */
	bool no_progress;
	bool bytes; /* sizes are shown as numbers of bytes */
	int progress_fd; /* -1: none */
	const char *progress_path; /* names what progress_fd is, or NULL: none */
	unsigned verbose; /* counts -v */
	/* private */
	int argc;
	char **argv;
	struct option longopts[CLI_MAX_OPTIONS];
	char shortopts[CLI_MAX_OPTIONS * 3];
	char refused[3], fd_path[32];
	int output_error; /* -errno of the first write to stdout that failed */
	char *late_value; /* a number right behind an option that may have a value */
	int late_id;
};

/*
 * Starts parsing.  Exits by itself for --help, --version and mistakes (64, also for what
 * getopt refuses).  Both "-m7" / "-m=7" and "--long=7" / "--long 7" are accepted.  Long
 * options have no abbreviations.  Where a value is optional, "--long 7" is taken as well,
 * but only when 7 would be one positional argument too many.
 */
void cli_init(struct cli *c, const struct command *cmd, int argc, char **argv);
/* The next option's id, or 0 when all are read and the positionals counted. */
int cli_next(struct cli *c);

/* The first option about POOL that was given, "--pool", "--pv" or "--seqno", or NULL: where there is no POOL, it is refused. */
const char *cli_pool_option(const struct cli *c);

/* Says that there is no memory for @what and exits with EXIT_IO. */
void cli_no_memory(struct cli *c, const char *what) __attribute__((noreturn));

/* Exits 64 with "NAME: text" and "Try 'NAME --help' for more information." */
void cli_usage_error(struct cli *c, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), noreturn));
/*
 * The same with the text of @err, from a check of the arguments.  Exits 74 when the check itself
 * failed.
 */
void cli_refuse(struct cli *c, int code, const struct err *err) __attribute__((noreturn));
#define CLI_SIZE_LEN 32
/* A size in a sentence: "3.6 MiB", with --bytes "3735552 bytes".  Returns @text, of CLI_SIZE_LEN bytes. */
const char *cli_shown_size(const struct cli *c, uint64_t bytes, char *text);
/*
 * Prints @text.  In the command lines that it quotes, such as 'thin_check POOL', the POOL that was given
 * stands for the word POOL, with --pool, --pv and --seqno; messages are written like that.  In 'thin_ls POOL' and
 * 'thin_check POOL' -m or --take-metadata-snap stands too, if it was given.
 */
void cli_put_advice(const struct cli *c, const char *text, FILE *to);
/* "NAME: text" on stderr unless quiet. */
void cli_error(struct cli *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same, for a text that is no failure. */
#define cli_note cli_error
/* cli_error() for each line of a text; empty ones say nothing. */
void cli_error_lines(struct cli *c, const char *text, size_t len);
/* The command's output goes to @to, "-" or NULL: standard output.  Refuses progress lines in the same file or pipe. */
void cli_output_is(struct cli *c, const char *to);

/* Refuses that @a and @b are both "-": standard input can be read once.  @what is what @b is. */
void cli_one_stdin(struct cli *c, const char *a, const char *b, const char *what);

/*
 * Sets the message that is printed when a signal ends the command from now on: "NAME: interrupted:
 * TEXT", unless quiet.  TEXT says what state the output is in.  The signal still ends the process.
 */
void cli_left(struct cli *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* cli_left() as a function pointer for libraries: @cli is a struct cli. */
void cli_take_left(void *cli, const char *text);
/*
 * Draws a line on stderr in place of the one drawn before.  One write() with its control
 * characters; nothing while lines are held.
 */
void cli_show_line(const char *line, size_t len);
/*
 * Another thread may draw lines while a message is written.  @hold true: none is drawn from now on.
 * true: one was drawn, and the message begins with CLI_NO_LINE, which removes it.
 */
bool cli_hold_line(bool hold);
#define CLI_NO_LINE "\r\033[K"
/* Holds the lines, and removes the one that was drawn. */
void cli_remove_line(void);
/* cli_note() as a function pointer for libraries: @cli is a struct cli. */
void cli_tell(void *cli, const char *text);
/*
 * What the command line said, as initialisers for the structs of lib/volume/open: of POOL (struct pool_want),
 * and of how a command with reads_pool reads it (struct pool_source_options).
 */
#define CLI_WANT(c)                                                                            \
	.lvm = &(c)->lvm, .table.pool = (c)->pool, .table.tell = (c)->quiet ? NULL : cli_tell, .table.ctx = (c), \
	.progress = (c)->progress_path
#define CLI_READER(c)                                                                          \
	.metadata = { .snap = (c)->snap, .snap_block = (c)->snap_block },                      \
	.force_share = (c)->force_share, .nr_jobs = (c)->nr_jobs
/*
 * Prints err->text as cli_error() does and returns the exit code that belongs to @code.  -EDOM
 * means that the command line must say more: EXIT_BAD_USE.
 */
int cli_fail(struct cli *c, int code, const struct err *err);
/* The exit code for a negative errno: EXIT_IO for errors of devices and files, else EXIT_DAMAGE. */
int cli_exit_code(int code);
/*
 * Writes to standard output, after what printf() has buffered.  0 or -errno. cli_finish() reports
 * the error; cli_fail() prints nothing once standard output has failed.
 */
int cli_write(struct cli *c, const void *data, size_t len);
/* cli_write() as a function pointer for libraries that write text: @cli is a struct cli. */
int cli_take(void *cli, const void *text, size_t len);
/* The same with the text of an outbuf; -ENOMEM when a part of the text is missing. */
struct outbuf;
int cli_write_text(struct cli *c, const struct outbuf *text);
/*
 * Flushes stdout and returns @code, or EXIT_IO when stdout could not be written.  It prints one
 * message that names the cause, and none where the reader has closed the pipe.
 */
int cli_finish(struct cli *c, int code);
/* Values of options; a mistake is a usage error that names the option. */
uint64_t cli_u64(struct cli *c, const char *option);
uint64_t cli_u64_at_most(struct cli *c, const char *option, uint64_t max);
uint64_t cli_size(struct cli *c, const char *option);
/* A block size in sectors: a multiple of @step, @max at most. */
uint32_t cli_block_size(struct cli *c, const char *option, uint32_t step, uint32_t max);
/* "auto": UINT64_MAX; else a size that is a multiple of @unit and not 0. */
uint64_t cli_size_or_auto(struct cli *c, const char *option, uint64_t unit);
/*
 * For an option whose table names the words that it takes ("text|json"): the position of the value
 * among them.  @option: "--format".
 */
unsigned cli_choice(struct cli *c, const char *option);
/* The value of --origin-format: raw, the only one. */
bool cli_origin_raw(struct cli *c);

/*
 * Asks "QUESTION [y/n]: " on stderr and reads a line from stdin.  Only y is yes; the end of the
 * input is no.
 */
bool cli_confirm(const char *question);

#endif
