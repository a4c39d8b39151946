/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * A file that is open already is shared with a caller that asks for no more rights.  A caller that
 * wants to write a file that is open for reading gets a second descriptor.  The read lock of a file
 * is released before that, because a writer's lock must be the only one.  On a block device the
 * first descriptor's O_EXCL keeps other programs out for both.  The descriptor that keeps others
 * out stays open as long as the other one.
 */
#include "dev/part.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "dev/dev.h"
#include "dev/lock.h"

struct dev_part {
	struct io *io;
	unsigned flags, refs;
	bool device;
	dev_t dev; /* the block device, or where the file is */
	ino_t ino; /* of the file; not used for a device */
	struct dev_part *keeps; /* put together with this one */
	struct dev_part *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct dev_part *first;

static bool same_file(const struct dev_part *p, const struct stat *st)
{
	return p->device == S_ISBLK(st->st_mode) &&
	       (p->device ? p->dev == st->st_rdev : p->dev == st->st_dev && p->ino == st->st_ino);
}

/* Do the flags @has of an open part cover the flags @want? */
static bool gives(unsigned has, unsigned want)
{
	return (has & DEV_WRITE || !(want & DEV_WRITE)) && (!(has & DEV_FORCE) || want & DEV_FORCE) &&
	       (!(has & DEV_SHARED) || want & (DEV_SHARED | DEV_FORCE));
}

static struct dev_part *find(const struct stat *st, unsigned flags)
{
	struct dev_part *p;

	for (p = first; p && !(same_file(p, st) && gives(p->flags, flags)); p = p->next)
		;
	return p;
}

/* Our own read-only part of the file, whose lock would exclude a writer. */
static struct dev_part *find_reader(const struct stat *st, unsigned flags)
{
	struct dev_part *p;

	if (!(flags & DEV_WRITE) || flags & DEV_FORCE)
		return NULL;
	for (p = first; p && (!same_file(p, st) || p->flags & (DEV_FORCE | DEV_WRITE) ||
			      (p->device && p->flags & DEV_SHARED));
	     p = p->next)
		;
	return p;
}

static int open_new(const char *path, unsigned flags, struct dev_part *reader, struct dev_part **out,
		    struct err *err)
{
	struct dev_part *p = calloc(1, sizeof(*p));
	struct stat st;
	int r;

	if (!p)
		return err_nomem(err, path);
	if (reader && !reader->device)
		dev_unlock(reader->io->fd);
	r = dev_open(path, reader && reader->device ? flags | DEV_SHARED : flags, &p->io, err);
	if (!r && fstat(p->io->fd, &st))
		r = err_sys(err, -errno, "%s", path);
	if (r) {
		if (reader && !reader->device)
			dev_lock(reader->io->fd, path, false, NULL);
		io_free(p->io);
		free(p);
		return r;
	}
	p->flags = flags;
	p->refs = 1;
	p->device = S_ISBLK(st.st_mode);
	p->dev = p->device ? st.st_rdev : st.st_dev;
	p->ino = st.st_ino;
	p->next = first;
	first = p;
	if (reader && reader->device) {
		reader->refs++;
		p->keeps = reader;
	} else if (reader && !reader->keeps) {
		p->refs++;
		reader->keeps = p;
	}
	*out = p;
	return 0;
}

int dev_part_open(const char *path, unsigned flags, struct dev_part **out, struct err *err)
{
	struct dev_part *p = NULL, *reader = NULL;
	struct stat st;
	int r = 0;

	pthread_mutex_lock(&lock);
	if (!dev_stat(path, &st)) {
		p = find(&st, flags);
		reader = p ? NULL : find_reader(&st, flags);
	}
	if (p)
		p->refs++;
	else
		r = open_new(path, flags, reader, &p, err);
	pthread_mutex_unlock(&lock);
	*out = r ? NULL : p;
	return r;
}

/* Called with the lock held. */
static struct dev_part *put(struct dev_part *p)
{
	struct dev_part *keeps = NULL, **at;

	if (--p->refs)
		return NULL;
	for (at = &first; *at != p; at = &(*at)->next)
		;
	*at = p->next;
	keeps = p->keeps;
	io_free(p->io);
	free(p);
	return keeps;
}

void dev_part_put(struct dev_part *p)
{
	pthread_mutex_lock(&lock);
	while (p)
		p = put(p);
	pthread_mutex_unlock(&lock);
}

struct io *dev_part_io(const struct dev_part *p)
{
	return p->io;
}
