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
static size_t prefix_len; /* of what stands in each text before the sentence */

static void put(const char *say, size_t len)
{
	if (write(STDERR_FILENO, say, len) < 0)
		return; /* stderr does not take it: nothing more can be done */
}

/*
 * timeout(1) sends its signal twice, and people press Ctrl-C again: the second one waits until this is done.  With
 * SA_RESETHAND it would end the process if it came before the kernel has begun with this.
 */
static void interrupted(int sig)
{
	static struct sigaction by_default;
	static const char complete[] = "the output is complete\n";
	const char *say = atomic_exchange(&text, NULL);
	bool is_complete = say && leftover_is_named();
	size_t len = is_complete ? prefix_len : strlen(say ? say : CLI_NO_LINE);
	size_t skip = cli_hold_line(true) ? 0 : strlen(CLI_NO_LINE);

	leftover_remove();
	put((say ? say : CLI_NO_LINE) + skip, len - skip);
	if (is_complete)
		put(complete, sizeof(complete) - 1);
	sigaction(sig, &by_default, NULL);
	raise(sig); /* when this returns, it ends the process */
}

/* A signal that was ignored when the command began stays ignored (nohup). */
static void catch_signals(void)
{
	/* the mask is empty: another signal than this one ends a process that cannot write */
	struct sigaction act = { .sa_handler = interrupted }, old;

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
	prefix_len = n;
	va_start(ap, fmt);
	vsnprintf(to + n, TEXT_MAX - n - 1, fmt, ap);
	va_end(ap);
	memcpy(to + strlen(to), "\n", sizeof("\n"));
	atomic_store(&text, c->quiet ? NULL : to);
	catch_signals();
}

void cli_take_left(void *cli, const char *left)
{
	cli_left(cli, "%s", left);
}
