/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef UNIT_TASKS_H
#define UNIT_TASKS_H
#include <dirent.h>

#include "tap.h"

/* How many threads this process has. */
static unsigned nr_tasks(void)
{
	DIR *d = opendir("/proc/self/task");
	unsigned n = 0;

	check(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

#endif
