/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Block devices by MAJOR:MINOR: paths that open them, and their names on this machine. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "dev/dev.h"
#include "dev/devt.h"

bool dev_numbers(const char *name, unsigned *major, unsigned *minor)
{
	int n = 0;

	return name[0] >= '0' && name[0] <= '9' && sscanf(name, "%u:%u%n", major, minor, &n) == 2 &&
	       !name[n];
}

#define VALUE_SIZE 256

/* The value of the line of @file in sysfs that begins with @key; the first line when @key is "". */
static bool sys_value(unsigned major, unsigned minor, const char *file, const char *key, char *buf)
{
	char path[100];
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%s", major, minor, file);
	f = fopen(path, "re");
	if (!f)
		return false;
	while (!found && fgets(buf, VALUE_SIZE, f))
		found = !strncmp(buf, key, strlen(key));
	fclose(f);
	if (!found)
		return false;
	buf[strcspn(buf, "\n")] = 0;
	memmove(buf, buf + strlen(key), strlen(buf) - strlen(key) + 1);
	return true;
}

/* The node of that device in @folder, not a link to it.  NULL: there is none, or no memory. */
static char *find_node(const char *folder, dev_t number)
{
	DIR *dir = opendir(folder);
	struct dirent *e;
	char path[300], *found = NULL;
	struct stat st;

	if (!dir)
		return NULL;
	while (!found && (e = readdir(dir))) {
		snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
		if (e->d_type != DT_LNK && !stat(path, &st) && S_ISBLK(st.st_mode) && st.st_rdev == number)
			found = strdup(path);
	}
	closedir(dir);
	return found;
}

/* udev's link.  Without udev the node is looked for, which needs no /sys either, as in a chroot. */
char *dev_path_of_numbers(unsigned major, unsigned minor)
{
	const dev_t number = devt_make(major, minor);
	char *path = NULL, *node;

	if (asprintf(&path, "/dev/block/%u:%u", major, minor) < 0)
		return NULL;
	if (!access(path, F_OK))
		return path;
	node = find_node("/dev", number);
	if (!node)
		node = find_node("/dev/mapper", number);
	if (!node)
		return path;
	free(path);
	return node;
}

bool dev_describe_numbers(unsigned major, unsigned minor, char *buf, size_t len)
{
	char name[VALUE_SIZE], more[VALUE_SIZE];

	if (!sys_value(major, minor, "uevent", "DEVNAME=", name))
		return false;
	if (sys_value(major, minor, "dm/name", "", more))
		snprintf(buf, len, "/dev/mapper/%s (/dev/%s)", more, name);
	else if (sys_value(major, minor, "loop/backing_file", "", more))
		snprintf(buf, len, "/dev/%s (of %s)", name, more);
	else
		snprintf(buf, len, "/dev/%s", name);
	return true;
}
