/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "volume/guard/occupied.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "dev/dev.h"
#include "pdata/block/csum.h"
#include "volume/guard/content.h"

static int refuse_update(const char *path, const char *what, struct err *err)
{
	return err_set(err, -EEXIST,
		       "%s: holds %s, not the bytes of a disk: nothing was written (to write into "
		       "a thin device, give "
		       "POOL and DEVICE; --force overwrites the file)",
		       path, what);
}

/* Is it something to keep, even if no signature is found?  1: yes; 0: search for signatures. */
static bool refused(enum content c, enum occupied_by what, bool device)
{
	switch (c) {
	case CONTENT_FOREIGN:
	case CONTENT_XML:
	case CONTENT_TABLE:
		return true;
	case CONTENT_PACK:
		return what != FOR_PACK;
	case CONTENT_POOL:
		return what == FOR_IMAGE;
	case CONTENT_TEXT: /* on a device it may be left over from anything */
		return !device;
	default:
		return false;
	}
}

int occupied_check(const char *path, struct io *io, enum occupied_by what, struct err *err)
{
	const bool device = content_is_device(io);
	char found[200];
	enum content c;
	int r;

	if (what == FOR_METADATA && dev_is_handed_over(path))
		return 0;
	r = what == FOR_UPDATE ? content_of_head(io, &c, err) : content_of_io(io, &c, err);
	if (r)
		return r;
	if (what == FOR_UPDATE)
		return content_is_disk(c) ? 0 : refuse_update(path, content_name(c), err);
	if (refused(c, what, device))
		return content_refuse(path, content_name(c), err);
	/* old signatures may have survived in a device that now holds a pool or a pack */
	if (c == CONTENT_POOL || c == CONTENT_PACK || (c == CONTENT_NOTHING && !device))
		return 0;
	r = dev_probe(io, found, sizeof(found), err);
	if (r < 0)
		return r;
	if (r)
		return content_refuse(path, found, err);
	if (c != CONTENT_OTHER)
		return 0;
	r = content_signature(io, found, sizeof(found), err);
	if (!r && what == FOR_PACK && !*found)
		return content_refuse(path, content_name(c), err);
	return !r && *found ? content_refuse(path, found, err) : r;
}

/* Is there a superblock with a good checksum, of a thin pool, a cache or an era?  1, 0, -errno. */
static int holds_metadata(struct io *io, struct err *err)
{
	CLEANUP(free_ptr) void *block = io_alloc(MBLOCK_SIZE);
	enum content c;
	int r = content_of_io(io, &c, err);

	if (r || (c != CONTENT_POOL && c != CONTENT_FOREIGN))
		return r;
	if (!block)
		return err_nomem(err, "superblock");
	r = io_read(io, block, MBLOCK_SIZE, 0, err);
	if (!r) {
		enum csum_kind kind = csum_classify(block, NULL);

		r = kind == CSUM_IS_SUPERBLOCK || kind == CSUM_FOREIGN;
	}
	return r;
}

static int ask(const char *path, struct io *io, enum occupied_by what, bool (*sure)(const char *question),
	       struct err *err)
{
	int r = holds_metadata(io, err);

	if (r < 0)
		return r;
	if (!r)
		return occupied_check(path, io, what, err);
	if (!sure)
		return content_refuse(path, "the metadata of a pool, a cache or an era", err);
	if (sure("The destination appears to already contain metadata, are you sure?"))
		return 0;
	return err_set(err, -EINVAL,
		       "Output file not overwritten: '%s' holds the metadata of a pool, a cache or an era; answer y, or "
		       "give --force, to overwrite it",
		       path);
}

int occupied_ask(const char *path, struct io *io, enum occupied_by what, bool (*sure)(const char *question),
		 struct err *err)
{
	struct stat st;
	int r;

	if (io)
		return ask(path, io, what, sure, err);
	if (stat(path, &st))
		return errno == ENOENT ? 0 : err_sys(err, -errno, "cannot look at '%s'", path);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return 0;
	r = dev_open(path, DEV_FORCE | DEV_BUFFERED, &io, err);
	if (r < 0)
		return r;
	r = ask(path, io, what, sure, err);
	io_free(io);
	return r;
}
