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

/*
 * timeout(1) sends its signal twice, and people press Ctrl-C again: the second one waits until this is done.  With
 * SA_RESETHAND it would end the process if it came before the kernel has begun with this.
 */
static void interrupted(int sig)
{
	static struct sigaction by_default;
	const char *say = atomic_exchange(&text, NULL);

	leftover_remove();
	if (!say)
		say = CLI_NO_LINE;
	if (!cli_hold_line(true))
		say += strlen(CLI_NO_LINE);
	if (write(STDERR_FILENO, say, strlen(say)) < 0)
		say = NULL; /* stderr does not take it: nothing more can be done */
	sigaction(sig, &by_default, NULL);
	raise(sig); /* when this returns, it ends the process */
}

/* A signal that was ignored when the command began stays ignored (nohup). */
static void catch_signals(void)
{
	struct sigaction act = { .sa_handler = interrupted }, old;

	sigemptyset(&act.sa_mask); /* another signal than this one ends a process that cannot write */
	for (size_t i = 0; i < ARRAY_SIZE(fatal); i++)
		if (!sigaction(fatal[i], NULL, &old) && old.sa_handler == SIG_DFL)
			sigaction(fatal[i], &act, NULL);
}

void cli_left(struct cli *c, const char *fmt, ...)
{
	char *to = atomic_load(&text) == texts[0] ? texts[1] : texts[0];
	va_list ap;
	size_t n;

	n = (size_t)snprintf(to, TEXT_MAX, CLI_NO_LINE "%s: interrupted: ", c->cmd->name);
	va_start(ap, fmt);
	vsnprintf(to + n, TEXT_MAX - n - 1, fmt, ap);
	va_end(ap);
	strcat(to, "\n");
	atomic_store(&text, c->quiet ? NULL : to);
	catch_signals();
}

void cli_take_left(void *cli, const char *left)
{
	cli_left(cli, "%s", left);
}
