/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "pdata/tree/tm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CACHE_CLEAN 8192 /* blocks: 32 MiB */
#define CACHE_DIRTY 16384 /* more than these are written early */

struct tm {
	struct io *io;
	struct space *space;
	struct bcache *cache;
	size_t max_dirty;
};

struct tm *tm_make(struct io *io, struct space *space)
{
	struct tm *tm = calloc(1, sizeof(*tm));

	if (!tm)
		return NULL;
	tm->io = io;
	tm->space = space;
	tm->max_dirty = CACHE_DIRTY;
	tm->cache = bcache_new(io, CACHE_CLEAN);
	if (!tm->cache) {
		free(tm);
		return NULL;
	}
	return tm;
}

void tm_free(struct tm *tm)
{
	if (!tm)
		return;
	bcache_free(tm->cache);
	free(tm);
}

int tm_read_node(struct tm *tm, mblock_t b, uint32_t leaf_value_size, const struct disk_node **n,
		 struct err *err)
{
	void *data;
	int r = bcache_read(tm->cache, b, SALT_NODE, leaf_value_size, &data, err);

	if (!r)
		*n = data;
	return r;
}

int tm_read(struct tm *tm, mblock_t b, enum csum_salt salt, const void **data, struct err *err)
{
	void *p;
	int r = bcache_read(tm->cache, b, salt, 0, &p, err);

	if (!r)
		*data = p;
	return r;
}

int tm_read_uncached(struct tm *tm, mblock_t b, enum csum_salt salt, void *buf, struct err *err)
{
	int r;

	if (b >= tm->io->size / MBLOCK_SIZE)
		return err_set(err, -EUCLEAN, "block %llu lies beyond the end of %s",
			       (unsigned long long)b, tm->io->name);
	r = io_read(tm->io, buf, MBLOCK_SIZE, b * MBLOCK_SIZE, err);
	if (r)
		return r;
	r = csum_verify(buf, b, salt);
	if (r)
		return err_set(err, r == -EBADMSG ? r : -EUCLEAN, "block %llu %s",
			       (unsigned long long)b,
			       r == -EBADMSG ? "has a bad checksum" :
					       "carries another block's number");
	return 0;
}

int tm_new(struct tm *tm, enum csum_salt salt, mblock_t *b, void **data, struct err *err)
{
	int r = tm->space->ops->alloc(tm->space, b, err);

	return r ? r : bcache_make(tm->cache, *b, salt, data, err);
}

int tm_put_block(struct tm *tm, mblock_t b, enum csum_salt salt, const void *from, struct err *err)
{
	void *data;
	int r = bcache_make(tm->cache, b, salt, &data, err);

	if (!r)
		memcpy(data, from, MBLOCK_SIZE);
	return r;
}

int tm_shadow(struct tm *tm, mblock_t *b, uint32_t leaf_value_size, struct disk_node **n,
	      bool *was_shared, struct err *err)
{
	uint32_t count, left;
	void *old, *new;
	mblock_t to;
	int r, fresh;

	*was_shared = false;
	r = tm->space->ops->count(tm->space, *b, &count, err);
	if (r)
		return r;
	if (!count)
		return err_set(err, -EUCLEAN, "block %llu is in use but counted as free",
			       (unsigned long long)*b);
	r = bcache_read(tm->cache, *b, SALT_NODE, leaf_value_size, &old, err);
	if (r)
		return r;
	fresh = tm->space->ops->is_fresh(tm->space, *b, err);
	if (fresh < 0)
		return fresh;
	if (fresh && count == 1) {
		bcache_dirty(tm->cache, *b);
		*n = old;
		return 0;
	}
	r = tm_new(tm, SALT_NODE, &to, &new, err);
	if (r)
		return r;
	memcpy(new, old, MBLOCK_SIZE);
	r = tm_dec(tm, *b, &left, err);
	*was_shared = left > 0;
	*b = to;
	*n = new;
	return r;
}

int tm_inc(struct tm *tm, mblock_t b, struct err *err)
{
	return tm->space->ops->inc(tm->space, b, err);
}

int tm_dec(struct tm *tm, mblock_t b, uint32_t *left, struct err *err)
{
	int r = tm->space->ops->dec(tm->space, b, left, err);

	if (!r && !*left)
		bcache_forget(tm->cache, b);
	return r;
}

int tm_count(struct tm *tm, mblock_t b, uint32_t *count, struct err *err)
{
	return tm->space->ops->count(tm->space, b, count, err);
}

int tm_write(struct tm *tm, struct err *err)
{
	int r = bcache_write(tm->cache, err);

	return r ? r : io_flush(tm->io, err);
}

void tm_end(struct tm *tm)
{
	bcache_trim(tm->cache);
}

void tm_drop(struct tm *tm)
{
	bcache_drop(tm->cache);
}

int tm_trim(struct tm *tm, struct err *err)
{
	int r = tm->space->ops->trim(tm->space, err);

	if (!r && bcache_nr_dirty(tm->cache) > tm->max_dirty)
		r = bcache_write(tm->cache, err);
	bcache_trim(tm->cache);
	return r;
}

void tm_set_limits(struct tm *tm, size_t clean, size_t dirty)
{
	bcache_set_max_clean(tm->cache, clean);
	tm->max_dirty = dirty;
}
