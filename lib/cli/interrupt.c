/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Ctrl-C and other signals that end a command: a message says what state the output is in, then the
 * signal ends the process.
 */
#include "cli/cli.h"

#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/leftover.h"

#define TEXT_MAX 600

static const int fatal[] = { SIGINT, SIGTERM, SIGHUP };
/* The handler reads one while the next is made in the other. */
static char texts[2][TEXT_MAX];
static _Atomic(const char *) text;

static void interrupted(int sig)
{
	const char *say = atomic_load(&text);

	leftover_remove();
	if (!say)
		say = CLI_NO_LINE;
	if (!cli_hold_line(true))
		say += strlen(CLI_NO_LINE);
	if (write(STDERR_FILENO, say, strlen(say)) < 0)
		say = NULL; /* stderr does not take it: nothing more can be done */
	raise(sig); /* SA_RESETHAND: this time it ends the process */
}

/* A signal that was ignored when the command began stays ignored (nohup). */
static void catch_signals(void)
{
	struct sigaction act = { .sa_handler = interrupted, .sa_flags = SA_RESETHAND | SA_NODEFER }, old;

	sigemptyset(&act.sa_mask);
	for (size_t i = 0; i < ARRAY_SIZE(fatal); i++)
		if (!sigaction(fatal[i], NULL, &old) && old.sa_handler == SIG_DFL)
			sigaction(fatal[i], &act, NULL);
}

void cli_left(struct cli *c, const char *fmt, ...)
{
	char *to = atomic_load(&text) == texts[0] ? texts[1] : texts[0];
	va_list ap;
	size_t n;

	catch_signals();
	if (c->quiet) {
		atomic_store(&text, NULL);
		return;
	}
	n = (size_t)snprintf(to, TEXT_MAX, CLI_NO_LINE "%s: interrupted: ", c->cmd->name);
	va_start(ap, fmt);
	vsnprintf(to + n, TEXT_MAX - n - 1, fmt, ap);
	va_end(ap);
	strcat(to, "\n");
	atomic_store(&text, to);
}

void cli_take_left(void *cli, const char *left)
{
	cli_left(cli, "%s", left);
}
