/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Block devices by MAJOR:MINOR: paths that open them, and their names on this machine. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "dev/dev.h"

bool dev_numbers(const char *name, unsigned *major, unsigned *minor)
{
	int n = 0;

	return name[0] >= '0' && name[0] <= '9' && sscanf(name, "%u:%u%n", major, minor, &n) == 2 &&
	       !name[n];
}

/* The value of the line of @file in sysfs that begins with @key; the first line when @key is "". */
static bool sys_value(unsigned major, unsigned minor, const char *file, const char *key, char *buf,
		      int len)
{
	char path[100];
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%s", major, minor, file);
	f = fopen(path, "re");
	if (!f)
		return false;
	while (!found && fgets(buf, len, f))
		found = !strncmp(buf, key, strlen(key));
	fclose(f);
	if (!found)
		return false;
	buf[strcspn(buf, "\n")] = 0;
	memmove(buf, buf + strlen(key), strlen(buf) - strlen(key) + 1);
	return true;
}

char *dev_path_of_numbers(unsigned major, unsigned minor)
{
	char *path = NULL, name[256];

	if (asprintf(&path, "/dev/block/%u:%u", major, minor) < 0)
		return NULL;
	/* without udev there is no /dev/block; the kernel knows the name */
	if (access(path, F_OK) && sys_value(major, minor, "uevent", "DEVNAME=", name, sizeof(name))) {
		free(path);
		if (asprintf(&path, "/dev/%s", name) < 0)
			return NULL;
	}
	return path;
}

bool dev_describe_numbers(unsigned major, unsigned minor, char *buf, size_t len)
{
	char name[256], more[256];

	if (!sys_value(major, minor, "uevent", "DEVNAME=", name, sizeof(name)))
		return false;
	if (sys_value(major, minor, "dm/name", "", more, sizeof(more)))
		snprintf(buf, len, "/dev/mapper/%s (/dev/%s)", more, name);
	else if (sys_value(major, minor, "loop/backing_file", "", more, sizeof(more)))
		snprintf(buf, len, "/dev/%s (of %s)", name, more);
	else
		snprintf(buf, len, "/dev/%s", name);
	return true;
}
