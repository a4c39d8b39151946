/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Messages, exit codes, standard output, and values that are refused. */
#include "cli/cli.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/text/outbuf.h"
#include "base/text/parse.h"
#include "base/text/shown.h"
#include "cli/options.h"

/* Another thread and a signal handler use them, too. */
static atomic_bool line_is_shown, line_is_held;

void cli_show_line(const char *line, size_t len)
{
	if (line_is_held)
		return;
	line_is_shown = true;
	if (write(STDERR_FILENO, line, len) < 0)
		line_is_shown = false; /* the terminal does not take it */
}

bool cli_hold_line(bool hold)
{
	line_is_held = hold;
	return atomic_exchange(&line_is_shown, false);
}

void cli_remove_line(void)
{
	if (cli_hold_line(true) && write(STDERR_FILENO, CLI_NO_LINE, strlen(CLI_NO_LINE)) < 0)
		return; /* the terminal does not take it */
}

/* The first failure counts: errno of a later attempt may have another cause. */
static int flush_stdout(struct cli *c)
{
	errno = 0;
	if ((fflush(stdout) || ferror(stdout)) && !c->output_error)
		c->output_error = errno ? -errno : -EIO;
	return c->output_error;
}

/* The command's name is bold on a terminal that can do that, unless NO_COLOR is set. */
static bool has_colour(void)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return !(no && *no) && term && strcmp(term, "dumb") && isatty(STDERR_FILENO);
}

__attribute__((format(printf, 2, 0))) static void say(struct cli *c, const char *fmt, va_list ap)
{
	bool bold = has_colour();
	char *text;

	flush_stdout(c);
	cli_remove_line();
	fprintf(stderr, bold ? "\033[1m%s:\033[0m " : "%s: ", c->cmd->name);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	else
		mask_control(text);
	cli_put_advice(c, text ? text : "out of memory", stderr);
	free(text);
	fputc('\n', stderr);
	cli_hold_line(false);
}

void cli_no_memory(struct cli *c, const char *what)
{
	cli_error(c, "%s: out of memory", what);
	exit(EXIT_IO);
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

/* Other names of the output, too: /dev/stdout, a copy of the descriptor.  A terminal may show both. */
static bool is_progress_fd(const struct cli *c, const char *to)
{
	struct stat fd, out;

	if (fstat(c->progress_fd, &fd) || S_ISCHR(fd.st_mode))
		return false;
	if (to ? stat(to, &out) : fstat(STDOUT_FILENO, &out))
		return false;
	return fd.st_dev == out.st_dev && fd.st_ino == out.st_ino;
}

void cli_output_is(struct cli *c, const char *to)
{
	const bool is_stdout = !to || !strcmp(to, "-");

	if (c->progress_fd >= 0 &&
	    ((is_stdout && c->progress_fd == STDOUT_FILENO) || is_progress_fd(c, is_stdout ? NULL : to)))
		cli_usage_error(c, "--progress-fd %d is %s, to which the output is written: use another descriptor",
				c->progress_fd, is_stdout ? "standard output" : to);
}

void cli_one_stdin(struct cli *c, const char *a, const char *b, const char *what)
{
	if (a && b && !strcmp(a, "-") && !strcmp(b, "-"))
		cli_usage_error(c, "POOL and %s cannot both be standard input: name a file", what);
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

void cli_error_lines(struct cli *c, const char *text, size_t len)
{
	for (const char *end = text + len; text < end;) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		size_t n = (size_t)((newline ? newline : end) - text);

		if (n)
			cli_error(c, "%.*s", (int)n, text);
		text += n + 1;
	}
}

const char *cli_shown_size(const struct cli *c, uint64_t bytes, char *text)
{
	if (c->bytes)
		snprintf(text, CLI_SIZE_LEN, "%" PRIu64 " bytes", bytes);
	else
		snprintf(text, CLI_SIZE_LEN, "%.1f MiB", (double)bytes / (1 << 20));
	return text;
}

void cli_tell(void *cli, const char *text)
{
	cli_error(cli, "%s", text);
}

int cli_exit_code(int code)
{
	switch (-code) {
	case 0:
		return EXIT_DONE;
	case EBADMSG: /* the contents are wrong: damage */
	case EUCLEAN:
	case EINVAL:
	case ERANGE:
	case ENODATA:
	case EXFULL: /* the pool has no free block, which is no fault of the device */
	case EEXIST: /* refused, not failed */
	case ENOTSUP:
	case ENOTBLK:
		return EXIT_DAMAGE;
	default:
		return EXIT_IO;
	}
}

int cli_fail(struct cli *c, int code, const struct err *err)
{
	if (code == -EDOM)
		c->quiet = false; /* a bad command line is always told */
	if (code != -EPIPE && !c->output_error)
		cli_error(c, "%s", err->text);
	if (code == -ETXTBSY && opt_find(c->cmd, "force-share"))
		cli_error(c, "-U (--force-share) reads it anyway");
	return code == -EDOM ? EXIT_BAD_USE : cli_exit_code(code);
}

void cli_refuse(struct cli *c, int code, const struct err *err)
{
	if (cli_exit_code(code) == EXIT_IO)
		exit(cli_fail(c, code, err));
	cli_usage_error(c, "%s", err->text);
}

int cli_write(struct cli *c, const void *data, size_t len)
{
	if (!flush_stdout(c))
		c->output_error = fd_write(STDOUT_FILENO, "standard output", data, len, NULL);
	return c->output_error;
}

int cli_take(void *cli, const void *text, size_t len)
{
	return cli_write(cli, text, len);
}

int cli_write_text(struct cli *c, const struct outbuf *text)
{
	if (!text->error)
		return cli_write(c, text->data, text->len);
	if (!c->output_error)
		c->output_error = text->error;
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

uint64_t cli_u64_at_most(struct cli *c, const char *option, uint64_t max)
{
	uint64_t v = cli_u64(c, option);

	if (v > max)
		cli_usage_error(c, "%s: %" PRIu64 " is above the greatest value, %" PRIu64, option, v, max);
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

/* "text|json|html" -> "text, json or html" */
static void put_words(struct outbuf *out, const char *words)
{
	for (const char *p = words; *p; p++) {
		if (*p != '|')
			outbuf_add(out, p, 1);
		else
			outbuf_str(out, strchr(p + 1, '|') ? ", " : " or ");
	}
}

unsigned cli_choice(struct cli *c, const char *option)
{
	const char *words = opt_find(c->cmd, option + 2)->value, *p = words;
	struct outbuf out;

	for (unsigned i = 0; *p; i++) {
		size_t len = strcspn(p, "|");

		if (strlen(c->arg) == len && !memcmp(p, c->arg, len))
			return i;
		p += len + (p[len] == '|');
	}
	outbuf_init(&out);
	put_words(&out, words);
	cli_usage_error(c, "%s: invalid value '%s': it must be %.*s", option, c->arg, (int)out.len,
			out.data);
}
