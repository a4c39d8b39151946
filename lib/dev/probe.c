/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include <blkid/blkid.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "dev/dev.h"
#include "dev/signature.h"

DEFINE_CLEANUP(free_probe, struct blkid_struct_probe, blkid_free_probe)

static blkid_probe probe_new(int fd)
{
	blkid_probe pr;

	errno = 0;
	pr = blkid_new_probe();
	if (pr && blkid_probe_set_device(pr, fd, 0, 0)) {
		blkid_free_probe(pr);
		pr = NULL;
	}
	if (!pr)
		return NULL;
	blkid_probe_enable_superblocks(pr, 1);
	blkid_probe_set_superblocks_flags(pr, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_USAGE);
	blkid_probe_enable_partitions(pr, 1);
	return pr;
}

static int probe(int fd, const char *path, char *what, size_t len, struct err *err)
{
	CLEANUP(free_probe) blkid_probe pr = probe_new(fd);
	const char *type = NULL, *usage = NULL;
	int r;

	if (!pr)
		return err_sys(err, errno ? -errno : -EIO, "%s: looking for signatures", path);
	errno = 0;
	r = blkid_do_safeprobe(pr);
	if (r == 1)
		return 0;
	if (r == -2) {
		snprintf(what, len, "several signatures");
		return 1;
	}
	if (r < 0)
		return err_sys(err, errno ? -errno : -EIO, "%s: looking for signatures", path);
	if (blkid_probe_lookup_value(pr, "TYPE", &type, NULL) == 0) {
		blkid_probe_lookup_value(pr, "USAGE", &usage, NULL);
		snprintf(what, len, "%s%s", type,
			 usage && !strcmp(usage, "filesystem") ? " filesystem" : "");
	} else if (blkid_probe_lookup_value(pr, "PTTYPE", &type, NULL) == 0) {
		snprintf(what, len, "%s partition table", type);
	} else {
		return 0;
	}
	return 1;
}

/* libblkid needs a file; a stack of pieces is looked up in our own table of signatures. */
static int probe_stack(struct io *io, char *what, size_t len, struct err *err)
{
	const size_t n = (size_t)MIN(io->size, SIGNATURE_LEN);
	CLEANUP(free_ptr) void *begin = io_alloc(n);
	const char *name;
	int r;

	if (!begin)
		return err_nomem(err, io->name);
	r = io_read(io, begin, n, 0, err);
	name = r ? NULL : signature_name(begin, n);
	if (name)
		snprintf(what, len, "%s", name);
	return r ? r : name != NULL;
}

int dev_probe(struct io *io, char *what, size_t len, struct err *err)
{
	int flags, r;

	if (!io->size)
		return 0;
	if (io->fd < 0)
		return probe_stack(io, what, len, err);
	/* libblkid reads into buffers that O_DIRECT does not take */
	flags = fcntl(io->fd, F_GETFL);
	if (flags >= 0 && flags & O_DIRECT)
		fcntl(io->fd, F_SETFL, flags & ~O_DIRECT);
	r = probe(io->fd, io->name, what, len, err);
	if (flags >= 0 && flags & O_DIRECT)
		fcntl(io->fd, F_SETFL, flags);
	return r;
}
