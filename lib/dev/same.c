/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two names mean the same bytes when they are the same file or device, and also when one stands
 * on the other: a partition on its disk, a loop device on its file.  Two partitions of a disk
 * stand on the same disk and do not touch each other.  Loop devices of one file may.
 */
#include <fcntl.h>
#include <limits.h>
#include <linux/loop.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "dev/dev.h"

struct place {
	bool device;
	dev_t dev; /* the block device, or where the file is */
	ino_t ino; /* of the file; 0 for a device */
	const char *path; /* that opens it, or NULL */
};

static bool place_of(const char *path, struct place *p)
{
	unsigned major, minor;
	struct stat st;

	if (!stat(path, &st)) {
		p->device = S_ISBLK(st.st_mode);
		p->dev = p->device ? st.st_rdev : st.st_dev;
		p->ino = p->device ? 0 : st.st_ino;
		p->path = NULL;
		return true;
	}
	if (!dev_numbers(path, &major, &minor))
		return false;
	*p = (struct place){ .device = true, .dev = makedev(major, minor) };
	return true;
}

/* The first line of the file @name that sysfs has for the device. */
static bool sys_line(const struct place *p, const char *name, char *line, int len)
{
	char path[100];
	FILE *f;
	bool found;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%s", major(p->dev), minor(p->dev), name);
	f = fopen(path, "re");
	if (!f)
		return false;
	found = fgets(line, len, f);
	fclose(f);
	if (found)
		line[strcspn(line, "\n")] = 0;
	return found;
}

/* The file or device under a loop device, where sysfs is not mounted. */
static bool loop_backing(struct place *p)
{
	CLEANUP(close_fd) int fd = p->path ? open(p->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC) : -1;
	struct loop_info64 info;

	if (fd < 0 || ioctl(fd, LOOP_GET_STATUS64, &info))
		return false;
	if (info.lo_rdevice)
		*p = (struct place){ .device = true, .dev = (dev_t)info.lo_rdevice };
	else
		*p = (struct place){ .dev = (dev_t)info.lo_device, .ino = (ino_t)info.lo_inode };
	return true;
}

/* Replaces @p by what it stands on; false: by nothing that we know. */
static bool step_down(struct place *p)
{
	char line[PATH_MAX + 2];

	if (!p->device)
		return false;
	if (sys_line(p, "partition", line, sizeof(line)))
		return sys_line(p, "../dev", line, sizeof(line)) && place_of(line, p);
	if (sys_line(p, "loop/backing_file", line, sizeof(line)))
		return place_of(line, p);
	return loop_backing(p);
}

static bool equal(const struct place *a, const struct place *b)
{
	return a->device == b->device && a->dev == b->dev && a->ino == b->ino;
}

bool dev_same(const char *a, const char *b)
{
	struct place top_a, top_b, x, y;

	if (!place_of(a, &top_a) || !place_of(b, &top_b))
		return false;
	top_a.path = a;
	top_b.path = b;
	x = top_a;
	do {
		y = top_b;
		do {
			if (equal(&x, &y))
				return !x.device || equal(&x, &top_a) || equal(&x, &top_b);
		} while (step_down(&y));
	} while (step_down(&x));
	return false;
}
