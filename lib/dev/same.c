/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Two names mean the same bytes when they are the same file or device, and also when one is stacked
 * on the other: a partition on its disk, a loop device on its file, a device of device-mapper on those of its
 * table.  A partition, or a loop device with an offset, is a part of the device below: parts that do not overlap
 * are not the same.  A device of a table, the kernel's or a file's, is as many parts as it has pieces.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/overflow.h"
#include "base/text/parse.h"
#include "base/vec.h"
#include "dev/devt.h"
#include "dev/mapped.h"
#include "dev/named.h"

struct place {
	bool device;
	dev_t dev; /* the block device, or where the file is */
	ino_t ino; /* of the file, never 0; 0 for a device */
	uint64_t start, end; /* the range of bytes; end UINT64_MAX: up to the end */
	const char *path; /* opens it; or NULL */
};

static bool place_of(const char *path, struct place *p)
{
	unsigned major, minor;
	struct stat st;

	if (dev_is_standard(path) ? !fstat(STDIN_FILENO, &st) : !stat(path, &st)) {
		if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
			return false; /* input and output may be one terminal or socket */
		p->device = S_ISBLK(st.st_mode);
		p->dev = p->device ? st.st_rdev : st.st_dev;
		p->ino = p->device ? 0 : st.st_ino;
		p->path = NULL;
		return true;
	}
	if (!dev_numbers(path, &major, &minor))
		return false;
	p->device = true;
	p->dev = devt_make(major, minor);
	p->ino = 0;
	p->path = NULL;
	return true;
}

/* The first line of the file @name that sysfs has for the device. */
static bool sys_line(const struct place *p, const char *name, char *line, int len)
{
	char path[100];
	FILE *f;
	bool found;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%s", devt_major(p->dev), devt_minor(p->dev), name);
	f = fopen(path, "re");
	if (!f)
		return false;
	found = fgets(line, len, f);
	fclose(f);
	if (found)
		line[strcspn(line, "\n")] = 0;
	return found;
}

static uint64_t sys_number(const struct place *p, const char *name)
{
	char line[40];
	uint64_t v;

	return sys_line(p, name, line, sizeof(line)) && !parse_u64(line, &v, NULL) ? v : 0;
}

/* Narrows @p to its part of @len bytes at @at of the device below; @len 0: up to the end. */
static void narrow(struct place *p, uint64_t at, uint64_t len)
{
	uint64_t end = len ? len : UINT64_MAX;

	p->end = MIN(p->end, end);
	if (add_overflow(p->start, at, &p->start))
		p->start = UINT64_MAX;
	if (add_overflow(p->end, at, &p->end))
		p->end = UINT64_MAX;
}

/* The file or device under a loop device, where sysfs is not mounted. */
static bool loop_backing(struct place *p)
{
	CLEANUP(close_fd) int fd = p->path ? open(p->path, O_RDONLY | O_NONBLOCK | O_CLOEXEC) : -1;
	struct loop_info64 info;

	if (fd < 0 || ioctl(fd, LOOP_GET_STATUS64, &info))
		return false;
	narrow(p, info.lo_offset, info.lo_sizelimit);
	p->device = info.lo_rdevice;
	p->dev = p->device ? (dev_t)info.lo_rdevice : (dev_t)info.lo_device;
	p->ino = p->device ? 0 : (ino_t)info.lo_inode;
	p->path = NULL;
	return true;
}

/* Replaces @p by the device or file below it.  False: none is known. */
static bool step_down(struct place *p)
{
	char line[PATH_MAX + 2];

	if (!p->device)
		return false;
	if (sys_line(p, "partition", line, sizeof(line)) &&
	    sys_line(p, "../dev", line, sizeof(line))) {
		narrow(p, sys_number(p, "start") << 9, sys_number(p, "size") << 9);
		return place_of(line, p);
	}
	if (sys_line(p, "loop/backing_file", line, sizeof(line))) {
		struct place below = *p;

		if (place_of(line, &below)) {
			narrow(p, sys_number(p, "loop/offset"), sys_number(p, "loop/sizelimit"));
			return place_of(line, p);
		}
	}
	return loop_backing(p);
}

static bool is_one(const struct place *a, const struct place *b)
{
	return a->dev == b->dev && a->ino == b->ino;
}

static bool overlap(const struct place *a, const struct place *b)
{
	return is_one(a, b) && a->start < b->end && b->start < a->end;
}

/* All places that a name means: its parts, and the devices below them. */
struct places {
	struct place *v;
	size_t nr, cap;
};

static int add_place(struct places *all, const struct place *from);

static int add_mapped(void *ctx, dev_t dev, uint64_t at, uint64_t len)
{
	struct place p = { .device = true, .dev = dev, .end = UINT64_MAX };

	narrow(&p, at, len);
	return add_place(ctx, &p);
}

/* Adds a place and what lies below it. */
static int add_place(struct places *all, const struct place *from)
{
	struct place p = *from, *slot;
	int r = 0;

	do {
		slot = vec_add(all->v, all->nr, all->cap);
		if (!slot)
			return -ENOMEM;
		*slot = p;
		if (p.device)
			r = mapped_parts(p.dev, p.start, p.end, add_mapped, all);
	} while (!r && step_down(&p));
	return r;
}

static int add_part(void *ctx, const char *path, uint64_t at, uint64_t len)
{
	struct dev_named *named = dev_named_find(path);
	struct places *all = ctx;
	struct place p = { .end = UINT64_MAX };

	if (named)
		return named->parts(named, at, len, add_part, all);
	if (!place_of(path, &p))
		return 0;
	p.path = path;
	narrow(&p, at, len == UINT64_MAX ? 0 : len);
	return add_place(all, &p);
}

int dev_same(const char *a, const char *b, struct err *err)
{
	struct places x = { 0 }, y = { 0 };
	int r = add_part(&x, a, 0, UINT64_MAX), same;

	if (r != -ENOMEM)
		r = add_part(&y, b, 0, UINT64_MAX);
	same = r == -ENOMEM ? err_nomem(err, "devices below a device") : 0;
	for (size_t i = 0; i < x.nr && !same; i++)
		for (size_t k = 0; k < y.nr && !same; k++)
			same = overlap(&x.v[i], &y.v[k]);
	free(x.v);
	free(y.v);
	return same;
}

bool dev_is_equal(const char *a, const char *b)
{
	struct place x, y;

	if (!strcmp(a, b))
		return true;
	if (dev_named_find(a) || dev_named_find(b))
		return false;
	return place_of(a, &x) && place_of(b, &y) && is_one(&x, &y);
}

int dev_roles_apart(const struct dev_role *role, size_t nr, struct err *err)
{
	for (size_t i = 0; i < nr; i++) {
		for (size_t k = i + 1; k < nr; k++) {
			const struct dev_role *a = &role[i], *b = &role[k];
			int r;

			r = a->path && b->path ? dev_same(a->path, b->path, err) : 0;
			if (r < 0)
				return r;
			if (!r)
				continue;
			if (!strcmp(a->what, "input") && !strcmp(b->what, "output"))
				return err_set(err, -EDOM, "'%s' is both input and output: name "
							     "another output", b->path);
			if (!strcmp(a->path, b->path))
				return err_set(err, -EDOM, "'%s' is given both as %s and as %s", b->path,
					       a->what, b->what);
			return err_set(err, -EDOM,
				       "'%s' (%s) and '%s' (%s) are the same file or device, or parts of it",
				       a->path, a->what, b->path, b->what);
		}
	}
	return 0;
}
