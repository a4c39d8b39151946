/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * The reader of LVM's metadata is a third of the checker's size, and the checker of an initial ram
 * disk is given metadata devices alone.  So where POOL is a disk, thin_lvm reads it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/outbuf.h"
#include "volume/open/pool_lvm.h"

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
		strcpy(slash + 1, "thin_lvm");
		if (!access(path, X_OK))
			return;
	}
	strcpy(path, "thin_lvm");
}

static int start(const char *path, const struct lvm_words *words, int out, bool quiet, pid_t *pid, struct err *err)
{
	/* posix_spawnp() changes no argument, but its type does not say so */
	union {
		const char *list[8 + 2 * LVM_MAX_PVS];
		char *const plain[8 + 2 * LVM_MAX_PVS];
	} arg;
	const char **argv = arg.list;
	posix_spawn_file_actions_t actions;
	char command[PATH_MAX], seqno[24];
	size_t n = 0;
	int r;

	find_command(command);
	argv[n++] = "thin_lvm";
	if (quiet)
		argv[n++] = "-q";
	if (words && words->has_seqno) {
		snprintf(seqno, sizeof(seqno), "%llu", (unsigned long long)words->seqno);
		argv[n++] = "--seqno";
		argv[n++] = seqno;
	}
	for (size_t i = 0; words && i < words->nr_pvs; i++) {
		argv[n++] = "--pv";
		argv[n++] = words->pv[i];
	}
	argv[n++] = "--";
	argv[n++] = path;
	argv[n] = NULL;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
	r = posix_spawnp(pid, command, &actions, NULL, arg.plain, environ);
	posix_spawn_file_actions_destroy(&actions);
	if (r)
		return err_sys(err, r == ENOENT ? -EINVAL : -r,
			       "%s is a disk with LVM, which thin_lvm reads, and thin_lvm cannot be started; "
			       "'thin_lvm %s' prints a table file that can be given here",
			       path, path);
	return 0;
}

static int read_all(int fd, struct outbuf *text, struct err *err)
{
	ssize_t n;

	do {
		char *room = outbuf_reserve(text, 65536);

		if (!room || text->len > MAX_TABLE)
			return err_nomem(err, "the table of LVM's volumes");
		n = read(fd, room, 65536);
		text->len += n > 0 ? (size_t)n : 0;
	} while (n > 0 || (n < 0 && errno == EINTR));
	outbuf_add(text, "", 1);
	return text->error ? err_nomem(err, "the table of LVM's volumes") : 0;
}

int pool_lvm_run(const char *path, const struct pool_want *want, struct table **out, struct err *err)
{
	CLEANUP(outbuf_fini) struct outbuf text = { 0 };
	CLEANUP(close_fd) int from = -1, to = -1;
	int fd[2], r, status = 0;
	pid_t pid;

	if (pipe2(fd, O_CLOEXEC))
		return err_sys(err, -errno, "a pipe for thin_lvm");
	from = fd[0];
	to = fd[1];
	r = start(path, want->lvm, to, !want->tell, &pid, err);
	if (r)
		return r;
	close(steal_fd(&to));
	r = read_all(from, &text, err);
	close(steal_fd(&from));
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (r)
		return r;
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		return err_set(err, WIFEXITED(status) && WEXITSTATUS(status) == 74 ? -EIO : -EUCLEAN,
			       "%s: thin_lvm found no volume group on it", path);
	r = table_parse(path, "/", text.data, want, out, err);
	if (!r)
		(*out)->in_memory = true;
	return r;
}
