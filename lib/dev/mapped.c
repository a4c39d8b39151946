/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* The kernel writes each device of a table as MAJOR:MINOR, whatever the target: only where it begins differs. */
#include "dev/mapped.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/units.h"
#include "dev/dev.h"

enum {
	TABLE_BYTES = 1 << 14,
	MAX_TABLE_BYTES = 1 << 26,
};

enum kind {
	WHOLE,	 /* the target uses all of its devices */
	LINEAR,	 /* each device is followed by the sector where the target's bytes begin */
	STRIPED, /* the same, and each device has an equal share */
	OPAQUE,
};

static enum kind kind_of(const char *type)
{
	static const struct {
		const char *type;
		enum kind kind;
	} known[] = {
		{ "linear", LINEAR }, { "crypt", LINEAR }, { "delay", LINEAR },	 { "flakey", LINEAR },
		{ "dust", LINEAR },   { "striped", STRIPED }, { "thin", OPAQUE },
		{ "thin-pool", OPAQUE },
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (!strcmp(type, known[i].type))
			return known[i].kind;
	return WHOLE;
}

/* One device of a target; @next: the word behind it, or NULL. */
static int one_device(enum kind kind, dev_t dev, const char *next, uint64_t start, uint64_t end, mapped_fn *fn,
		      void *ctx)
{
	const bool is_known = kind != WHOLE && next;
	const uint64_t begin = is_known ? strtoull(next, NULL, 10) << SECTOR_SHIFT : 0;

	return is_known ? fn(ctx, dev, begin + start, end - start) : fn(ctx, dev, 0, 0);
}

int mapped_target(const char *type, char *params, uint64_t len, uint64_t start, uint64_t end,
		  mapped_fn *fn, void *ctx)
{
	const enum kind kind = kind_of(type);
	char *save, *word = kind == OPAQUE ? NULL : strtok_r(params, " ", &save);
	uint64_t nr_stripes;
	int r = 0;

	if (word && kind == STRIPED) {
		nr_stripes = strtoull(word, NULL, 10);
		start = 0;
		end = nr_stripes ? len / nr_stripes : len;
	}
	while (word && !r) {
		char *next = strtok_r(NULL, " ", &save);
		unsigned major, minor;

		if (dev_numbers(word, &major, &minor))
			r = one_device(kind, makedev(major, minor), next, start, end, fn, ctx);
		word = next;
	}
	return r;
}

/* False: sysfs says that it is none.  So a module is not loaded only to be asked. */
static bool may_be_mapped(dev_t dev)
{
	char path[80];

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/dm", major(dev), minor(dev));
	return !access(path, F_OK) || access("/sys/dev/block", F_OK);
}

/* The table of @dev, which the caller frees; NULL: there is none, or *@r is -ENOMEM. */
static struct dm_ioctl *read_table(dev_t dev, int *r)
{
	CLEANUP(close_fd) int fd = may_be_mapped(dev) ? open("/dev/mapper/control", O_RDWR | O_CLOEXEC) : -1;

	for (size_t size = TABLE_BYTES; fd >= 0 && size <= MAX_TABLE_BYTES; size *= 2) {
		CLEANUP(free_ptr) struct dm_ioctl *io = calloc(1, size);

		if (!io) {
			*r = -ENOMEM;
			return NULL;
		}
		io->version[0] = DM_VERSION_MAJOR;
		io->data_size = (uint32_t)size;
		io->data_start = sizeof(*io);
		io->flags = DM_STATUS_TABLE_FLAG;
		io->dev = dev;
		if (ioctl(fd, DM_TABLE_STATUS, io))
			return NULL;
		if (!(io->flags & DM_BUFFER_FULL_FLAG))
			return steal_ptr(&io);
	}
	return NULL;
}

int mapped_parts(dev_t dev, uint64_t start, uint64_t end, mapped_fn *fn, void *ctx)
{
	int r = 0;
	CLEANUP(free_ptr) struct dm_ioctl *io = read_table(dev, &r);
	size_t at = io ? io->data_start : 0;

	for (uint32_t i = 0; io && i < io->target_count && !r; i++) {
		struct dm_target_spec *spec = (void *)((char *)io + at);
		const uint64_t first = spec->sector_start << SECTOR_SHIFT, len = spec->length << SECTOR_SHIFT;
		const uint64_t from = MAX(first, start), to = MIN(first + len, end);

		if (from < to)
			r = mapped_target(spec->target_type, (char *)(spec + 1), len, from - first, to - first, fn,
					  ctx);
		at = io->data_start + spec->next;
	}
	return r;
}
