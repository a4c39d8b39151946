/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "volume/open/run_lvm.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/units.h"

#define MAX_TABLE ((size_t)256 << 20)

extern char **environ;

/* "thin_lvm" in the folder of this program; where that is not known or has none, in the PATH. */
static void find_command(char path[PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - 16);
	char *slash;

	path[MAX(n, 0)] = 0;
	slash = strrchr(path, '/');
	if (slash) {
		memcpy(slash + 1, "thin_lvm", sizeof("thin_lvm"));
		if (!access(path, X_OK))
			return;
	}
	memcpy(path, "thin_lvm", sizeof("thin_lvm"));
}

int run_lvm_start(struct run_lvm *run, struct err *err)
{
	posix_spawn_file_actions_t actions;
	char command[PATH_MAX];
	CLEANUP(close_fd) int to = -1;
	int fd[2], r;

	r = fd_pipe(fd);
	if (r)
		return err_sys(err, r, "a pipe for thin_lvm");
	run->out = fd[0];
	to = fd[1];
	find_command(command);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, to, STDOUT_FILENO);
	if (run->in >= 0)
		posix_spawn_file_actions_adddup2(&actions, run->in, STDIN_FILENO);
	if (run->errors >= 0)
		posix_spawn_file_actions_adddup2(&actions, run->errors, STDERR_FILENO);
	/* posix_spawnp() changes no argument, but its type does not say so */
	const union {
		const char *const *list;
		char *const *plain;
	} arg = { run->argv };
	r = posix_spawnp(&run->pid, command, &actions, NULL, arg.plain, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (!r)
		return 0;
	run->pid = 0;
	close(steal_fd(&run->out));
	return err_sys(err, -r, "thin_lvm cannot be started");
}

int run_lvm_read(struct run_lvm *run, struct outbuf *text, struct err *err)
{
	ssize_t n;

	do {
		char *room = outbuf_reserve(text, 65536);

		if (!room || text->len > MAX_TABLE)
			return err_nomem(err, "the table of LVM's volumes");
		n = read(run->out, room, 65536);
		text->len += n > 0 ? (size_t)n : 0;
	} while (n > 0 || (n < 0 && errno == EINTR));
	if (n < 0)
		return err_sys(err, -errno, "thin_lvm");
	outbuf_add(text, "", 1);
	close(steal_fd(&run->out));
	return text->error ? err_nomem(err, "the table of LVM's volumes") : 0;
}

int run_lvm_wait(struct run_lvm *run)
{
	int status = 0;

	if (run->out >= 0)
		close(steal_fd(&run->out));
	while (waitpid(run->pid, &status, 0) < 0)
		if (errno != EINTR)
			return -1; /* it belongs to the process before a fork */
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
