/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * measure [-n TIMES] [-c FILE]... COMMAND ARG...
 * measure -f COMMAND ARG...
 * measure --optimised
 *
 * Runs the command with input and outputs at /dev/null and prints one line: wall seconds and CPU seconds
 * (of one run, the mean of TIMES), peak KiB, exit status.  -c drops FILE from the page cache
 * first.  -f prints the number of page faults without a read instead.  --optimised: exit status 0 where
 * the compiler optimised this build.  This program is small and forks with vfork, so that its own
 * memory does not count as the command's peak.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

#ifdef __OPTIMIZE__
#define IS_OPTIMISED true
#else
#define IS_OPTIMISED false
#endif

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double seconds(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static void drop_cache(const char *path)
{
	int fd = open(path, O_RDONLY);

	if (fd < 0)
		return;
	fdatasync(fd);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	close(fd);
}

static int run(char **argv, struct rusage *use)
{
	posix_spawn_file_actions_t to_null;
	pid_t pid;
	int r, fd, status;

	posix_spawn_file_actions_init(&to_null);
	for (fd = 0; fd < 3; fd++)
		posix_spawn_file_actions_addopen(&to_null, fd, "/dev/null",
						 fd ? O_WRONLY : O_RDONLY, 0);
	r = posix_spawnp(&pid, argv[0], &to_null, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&to_null);
	if (r) {
		fprintf(stderr, "measure: %s: %s\n", argv[0], strerror(r));
		exit(127);
	}
	while (wait4(pid, &status, 0, use) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
	double wall = 0, cpu = 0, begin;
	int times = 1, i, opt, status = 0;
	bool faults = false;
	struct rusage use;
	long peak = 0;

	if (argc == 2 && !strcmp(argv[1], "--optimised"))
		return IS_OPTIMISED ? 0 : 1;
	while ((opt = getopt(argc, argv, "+n:c:f")) != -1) {
		if (opt == 'n')
			times = atoi(optarg);
		else if (opt == 'c')
			drop_cache(optarg);
		else if (opt == 'f')
			faults = true;
		else
			return 64;
	}
	if (optind >= argc || times < 1)
		return 64;
	for (i = 0; i < times; i++) {
		begin = now();
		status = run(argv + optind, &use);
		wall += now() - begin;
		cpu += seconds(use.ru_utime) + seconds(use.ru_stime);
		if (use.ru_maxrss > peak)
			peak = use.ru_maxrss;
	}
	if (faults)
		printf("%ld\n", use.ru_minflt);
	else
		printf("%.6f %.6f %ld %d\n", wall / times, cpu / times, peak, status);
	return 0;
}
