/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "volume/guard/occupied.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "dev/named.h"
#include "pdata/block/csum.h"
#include "volume/guard/content.h"

static int refuse(const char *path, const char *what, struct err *err)
{
	return err_set(err, -EEXIST, "%s: holds %s: nothing was written (--force overwrites it)", path,
		       what);
}

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
		return what == FOR_IMAGE || what == FOR_UPDATE;
	case CONTENT_TEXT: /* on a device it may be left over from anything */
		return !device && what != FOR_UPDATE;
	default:
		return false;
	}
}

int occupied_check(const char *path, enum occupied_by what, struct err *err)
{
	char found[200];
	enum content c;
	struct stat st = { 0 };
	bool named = dev_named_find(path), there = named || !stat(path, &st);
	bool device = !S_ISREG(st.st_mode);
	unsigned major, minor;
	int r;

	if (what == FOR_METADATA && dev_is_handed_over(path))
		return 0;
	r = content_of(path, &c, err);
	if (r || (!there && !dev_numbers(path, &major, &minor)) ||
	    (there && !named && device && !S_ISBLK(st.st_mode)))
		return r;
	if (dev_in_use(path, NULL) == 1 && what == FOR_METADATA)
		return 0; /* opening it will report that */
	if (what == FOR_UPDATE)
		return refused(c, what, device) ? refuse_update(path, content_name(c), err) : 0;
	if (refused(c, what, device))
		return refuse(path, content_name(c), err);
	/* old signatures may have survived in a device that now holds a pool or a pack */
	if (c == CONTENT_POOL || c == CONTENT_PACK || (c == CONTENT_NOTHING && !device))
		return 0;
	r = dev_probe(path, found, sizeof(found), err);
	if (r < 0)
		return r;
	if (r)
		return refuse(path, found, err);
	if (c != CONTENT_OTHER)
		return 0;
	r = content_signature(path, found, sizeof(found), err);
	if (!r && what == FOR_PACK && !*found)
		return refuse(path, content_name(c), err);
	return !r && *found ? refuse(path, found, err) : r;
}

/* Is there a superblock with a good checksum, of a thin pool, a cache or an era?  1, 0, -errno. */
static int holds_metadata(const char *path, struct err *err)
{
	CLEANUP(free_ptr) void *block = io_alloc(MBLOCK_SIZE);
	enum content c;
	struct io *io;
	int r = content_of(path, &c, err);

	if (r || (c != CONTENT_POOL && c != CONTENT_FOREIGN))
		return r;
	if (!block)
		return err_nomem(err, "superblock");
	r = dev_open(path, DEV_FORCE | DEV_BUFFERED, &io, err);
	if (r < 0)
		return r;
	r = io_read(io, block, MBLOCK_SIZE, 0, err);
	if (!r) {
		enum csum_kind kind = csum_classify(block, NULL);

		r = kind == CSUM_IS_SUPERBLOCK || kind == CSUM_FOREIGN;
	}
	io_free(io);
	return r;
}

int occupied_ask(const char *path, enum occupied_by what, bool (*sure)(const char *question),
		 struct err *err)
{
	int r = holds_metadata(path, err);

	if (r < 0)
		return r;
	if (!r)
		return occupied_check(path, what, err);
	if (!sure)
		return refuse(path, "the metadata of a pool, a cache or an era", err);
	if (sure("The destination appears to already contain metadata, are you sure?"))
		return 0;
	return err_set(err, -EINVAL,
		       "Output file not overwritten: '%s' holds the metadata of a pool, a cache or an era; answer y, or "
		       "give --force, to overwrite it",
		       path);
}
