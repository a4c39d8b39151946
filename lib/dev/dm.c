/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/units.h"
#include "dev/dev.h"

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
	*dev = makedev(major, minor);
	return true;
}

bool dev_is_handed_over(const char *path)
{
	static const char *const owners[] = { "LVM-", "stratis-" };
	char name[80], uuid[200] = "";
	dev_t dev;
	FILE *f;

	if (!device_number(path, &dev))
		return false;
	snprintf(name, sizeof(name), "/sys/dev/block/%u:%u/dm/uuid", major(dev), minor(dev));
	f = fopen(name, "re");
	if (!f)
		return false;
	if (!fgets(uuid, sizeof(uuid), f))
		*uuid = 0;
	fclose(f);
	for (size_t i = 0; i < ARRAY_SIZE(owners); i++)
		if (!strncmp(uuid, owners[i], strlen(owners[i])))
			return true;
	return false;
}
