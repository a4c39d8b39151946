/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef UNIT_TASKS_H
#define UNIT_TASKS_H
#include <dirent.h>
#include <unistd.h>

#include "tap.h"

static unsigned count_tasks(void)
{
	DIR *d = opendir("/proc/self/task");
	unsigned n = 0;

	check(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

/* How many threads this process has.  One that was joined is listed a moment longer: the number must stay the same for 5 ms. */
static unsigned nr_tasks(void)
{
	unsigned n = count_tasks();

	for (int same = 0; same < 5; same++) {
		unsigned now;

		usleep(1000);
		now = count_tasks();
		if (now != n)
			same = -1;
		n = now;
	}
	return n;
}

#endif
