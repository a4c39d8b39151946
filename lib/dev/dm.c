/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/units.h"
#include "dev/dev.h"
#include "dev/devt.h"

/* The number of the block device that @path means. */
static bool device_number(const char *path, dev_t *dev)
{
	unsigned major, minor;
	struct stat st;

	if (!stat(path, &st)) {
		*dev = st.st_rdev;
		return S_ISBLK(st.st_mode);
	}
	if (!dev_numbers(path, &major, &minor))
		return false;
	*dev = devt_make(major, minor);
	return true;
}

/* The DM uuid, "" where it has none.  False: @path is no device of device-mapper. */
static bool read_uuid(const char *path, char *uuid, int len)
{
	char name[80];
	dev_t dev;
	FILE *f;

	*uuid = 0;
	if (!device_number(path, &dev))
		return false;
	snprintf(name, sizeof(name), "/sys/dev/block/%u:%u/dm/uuid", devt_major(dev), devt_minor(dev));
	f = fopen(name, "re");
	if (!f)
		return false;
	if (!fgets(uuid, len, f))
		*uuid = 0;
	uuid[strcspn(uuid, "\n")] = 0;
	fclose(f);
	return true;
}

bool dev_is_handed_over(const char *path)
{
	static const char *const owners[] = { "LVM-", "stratis-" };
	char uuid[200];

	read_uuid(path, uuid, sizeof(uuid));
	for (size_t i = 0; i < ARRAY_SIZE(owners); i++)
		if (!strncmp(uuid, owners[i], strlen(owners[i])))
			return true;
	return false;
}

bool dev_is_mapped(const char *path)
{
	char uuid[200];

	return read_uuid(path, uuid, sizeof(uuid));
}

bool dev_is_lvm_pool(const char *path)
{
	static const char layer[] = "-tpool";
	char uuid[200];
	size_t len;

	read_uuid(path, uuid, sizeof(uuid));
	len = strlen(uuid);
	return !strncmp(uuid, "LVM-", 4) && !strcmp(uuid + len - MIN(len, strlen(layer)), layer);
}
