/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "volume/open/occupied.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "dev/dev.h"
#include "pdata/block/csum.h"

/* 1: block 0 is a superblock of the device-mapper family. */
static int holds_superblock(const char *path, struct err *err)
{
	CLEANUP(free_ptr) void *block = io_alloc(MBLOCK_SIZE);
	struct io *io;
	int e;

	if (!block)
		return err_nomem(err, "superblock");
	e = dev_open(path, DEV_SHARED | DEV_BUFFERED, &io, err);
	if (e < 0)
		return e;
	if (io->size >= MBLOCK_SIZE) {
		const char *name = NULL;

		e = io_read(io, block, MBLOCK_SIZE, 0, err);
		if (!e) {
			enum csum_kind kind = csum_classify(block, &name);

			e = kind == CSUM_IS_SUPERBLOCK || kind == CSUM_FOREIGN;
		}
	}
	io_free(io);
	return e;
}

int occupied_by(const char *path, char *what, size_t len, struct err *err)
{
	struct stat st;
	int e;

	if (stat(path, &st))
		return errno == ENOENT ? 0 : err_sys(err, -errno, "cannot look at '%s'", path);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return 0;
	e = holds_superblock(path, err);
	if (e == 1)
		snprintf(what, len, "metadata");
	if (!e && S_ISBLK(st.st_mode))
		e = dev_probe(path, what, len, err);
	return e;
}
