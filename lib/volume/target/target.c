/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Opening, committing and closing: what concerns the pool as a whole. */
#include "volume/target/target.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/overflow.h"
#include "base/portable.h"
#include "dev/dev.h"
#include "dev/folded.h"
#include "volume/open/activate.h"
#include "volume/target/impl.h"

static int init_locks(struct target *t)
{
	pthread_rwlockattr_t attr;
	int r;

	pthread_rwlockattr_init(&attr);
	/* a steady stream of requests must not keep a commit waiting */
	rwlock_prefer_writer(&attr);
	r = -pthread_rwlock_init(&t->io, &attr);
	pthread_rwlockattr_destroy(&attr);
	pthread_mutex_init(&t->meta, NULL);
	for (unsigned i = 0; i < NR_CELLS; i++)
		pthread_mutex_init(&t->cell[i], NULL);
	return r;
}

static int check_data_size(const struct target *t, struct err *err)
{
	uint64_t want;

	if (!mul_overflow(edit_superblock(t->pool)->data_sm.nr_blocks, t->block_size, &want) &&
	    want <= t->data->size)
		return 0;
	return err_set(err, -EINVAL,
		       "data device %s has %llu bytes, but the pool has %llu blocks of %llu bytes",
		       t->data->name, (unsigned long long)t->data->size,
		       (unsigned long long)edit_superblock(t->pool)->data_sm.nr_blocks,
		       (unsigned long long)t->block_size);
}

int target_new(struct pool_edit *pool, struct io *data, const struct target_options *opt,
	       struct target **out, struct err *err)
{
	struct target *t = calloc(1, sizeof(*t));
	int r;

	if (!t || init_locks(t)) {
		free(t);
		return err_nomem(err, "thin target");
	}
	t->pool = pool;
	t->data = data;
	t->opt = *opt;
	t->block_size = (uint64_t)edit_superblock(pool)->data_block_size << SECTOR_SHIFT;
	runs_init(&t->freed);
	t->writable = edit_writable(pool) && !opt->data_read_only;
	t->data_writable = !opt->data_read_only;
	t->changed = edit_changed(pool);
	r = t->writable ? check_data_size(t, err) : 0;
	if (r) {
		t->pool = NULL;
		target_drop(t);
		return r;
	}
	*out = t;
	return 0;
}

DEFINE_CLEANUP(pool_cleanup, struct pool_edit, edit_free)
DEFINE_CLEANUP(io_cleanup, struct io, io_free)

static struct target_options table_options(const struct table *t, bool write)
{
	struct target_options opt = { .data_read_only = !write };

	if (t) {
		opt.skip_zeroing = t->pool->skip_block_zeroing;
		opt.ignore_discard = t->pool->ignore_discard;
		opt.no_passdown = t->pool->no_discard_passdown;
	}
	return opt;
}

int target_open(const struct pool_arg *arg, const char *data_dev, unsigned flags, bool force,
		struct target **out, struct err *err)
{
	bool write = flags & DEV_WRITE;
	struct target_options opt = table_options(arg->table, write);
	CLEANUP(io_cleanup) struct io *metadata = NULL, *data = NULL;
	CLEANUP(pool_cleanup) struct pool_edit *pool = NULL;
	int r;

	if (!data_dev && arg->table)
		data_dev = arg->table->pool->data.path;
	if (!data_dev)
		return err_set(err, -EINVAL,
			       "'%s' is bare metadata, which does not name the data device: give data-dev=DEV, or a "
			       "table file",
			       arg->metadata);
	r = flags & (DEV_WRITE | DEV_DRY) ? dev_refuse_folded(arg->metadata, err) ?: dev_refuse_folded(data_dev, err) : 0;
	if (!r)
		r = dev_open(arg->metadata, flags, &metadata, err);
	/* the page cache helps with unaligned requests and repeated reads of data */
	if (!r)
		r = dev_open(data_dev, flags | DEV_BUFFERED, &data, err);
	if (!r)
		r = write ? activate_pool(arg, metadata, force, &pool, err) :
			    edit_open(metadata, false, &pool, err);
	if (!r && !write)
		r = pool_arg_fits(arg, edit_superblock(pool)->data_block_size, err);
	if (!r)
		r = target_new(pool, data, &opt, out, err);
	if (r)
		return r;
	pool = NULL;
	(*out)->own_metadata = steal_ptr(&metadata);
	(*out)->own_data = steal_ptr(&data);
	return 0;
}

void target_drop(struct target *t)
{
	struct target_dev *d, *next;

	if (!t)
		return;
	for (d = t->devs; d; d = next) {
		next = d->next;
		free(d);
	}
	edit_free(t->pool);
	io_free(t->own_metadata);
	io_free(t->own_data);
	runs_fini(&t->freed);
	pthread_rwlock_destroy(&t->io);
	pthread_mutex_destroy(&t->meta);
	for (unsigned i = 0; i < NR_CELLS; i++)
		pthread_mutex_destroy(&t->cell[i]);
	free(t);
}

int target_close(struct target *t, struct err *err)
{
	int r = t->opt.data_read_only ? 0 : target_flush(t, err);

	target_drop(t);
	return r;
}

struct pool_edit *target_pool(struct target *t)
{
	return t->pool;
}

uint64_t target_size(const struct target_dev *d)
{
	return d->size;
}

/* With the lock held. */
static int mapped_end(struct target *t, uint32_t id, uint64_t *end, struct err *err)
{
	int r = edit_mapped_end(t->pool, id, end, err);

	if (!r && mul_overflow(*end, t->block_size, end))
		r = err_set(err, -EUCLEAN, "device %u has mappings at impossible offsets", id);
	return r;
}

int target_mapped_end(struct target *t, uint32_t id, uint64_t *end, struct err *err)
{
	struct device_info info;
	int r;

	pthread_rwlock_wrlock(&t->io);
	r = edit_device(t->pool, id, &info, err);
	if (!r)
		r = mapped_end(t, id, end, err);
	pthread_rwlock_unlock(&t->io);
	return r;
}

int target_device(struct target *t, uint32_t id, uint64_t size, struct io *origin,
		  struct target_dev **out, struct err *err)
{
	struct device_info info;
	struct target_dev *d;
	vblock_t end = 0;
	int r;

	pthread_rwlock_wrlock(&t->io);
	r = edit_device(t->pool, id, &info, err);
	if (!r && size > INT64_MAX)
		r = err_set(err, -EINVAL, "device %u: a size of %llu bytes is too large", id,
			    (unsigned long long)size);
	if (!r && !size)
		r = mapped_end(t, id, &end, err);
	d = r ? NULL : calloc(1, sizeof(*d));
	if (!r && !d)
		r = err_nomem(err, "thin device");
	if (!r) {
		d->t = t;
		d->id = id;
		d->origin = origin;
		d->origin_size = origin ? origin->size : 0;
		d->size = size ? size : MAX(d->origin_size, end);
		d->next = t->devs;
		t->devs = d;
		*out = d;
	}
	pthread_rwlock_unlock(&t->io);
	return r;
}

/* A failed metadata operation is the end of writing, as in the kernel: needs_check. */
static void give_up_locked(struct target *t)
{
	t->writable = false;
	/*
	 * if even that fails, the state on the disk, and the owner of each data block, are unknown
	 */
	if (edit_set_needs_check(t->pool, NULL))
		t->data_writable = false;
	target_forget_all(t);
	runs_fini(&t->freed);
	runs_init(&t->freed);
	t->changed = false;
}

void target_give_up(struct target *t)
{
	pthread_rwlock_wrlock(&t->io);
	if (t->writable)
		give_up_locked(t);
	pthread_rwlock_unlock(&t->io);
}

/* How many blocks from @b on, below @end, are free; or, when @b is in use, are in use. */
static uint64_t alike(struct target *t, dblock_t b, dblock_t end, bool *in_use)
{
	uint64_t nr = 0;
	uint32_t count;

	for (; b < end; b++, nr++) {
		if (edit_data_count(t->pool, b, &count, NULL))
			count = 1; /* not known: leave the block alone */
		if (nr && *in_use != (count > 0))
			break;
		*in_use = count > 0;
	}
	return nr;
}

/*
 * Gives the freed blocks' space back on the data device: after the commit, when nothing on
 * the disk names them any more.  A block may have been taken again within the transaction.
 */
static void discard_freed(struct target *t)
{
	bool in_use;
	uint64_t nr;
	int r = 0;

	for (size_t i = 0; i < t->freed.nr; i++)
		for (dblock_t b = t->freed.run[i].begin; !r && b < t->freed.run[i].end; b += nr) {
			nr = alike(t, b, t->freed.run[i].end, &in_use);
			if (!in_use && io_discard(t->data, b * t->block_size, nr * t->block_size,
						  NULL) == -EOPNOTSUPP)
				r = -EOPNOTSUPP;
		}
	runs_fini(&t->freed);
	runs_init(&t->freed);
}

int target_commit_locked(struct target *t, struct err *err)
{
	bool unsure;
	int r;

	if (t->failed)
		return err_set(err, -EIO,
			       "a commit or a flush has failed: writes after the last commit are "
			       "lost, and the pool is read-only until 'thin_check "
			       "--clear-needs-check-flag POOL' clears needs_check");
	if (!edit_changed(t->pool))
		return 0;
	r = io_flush(t->data, err);
	if (!r)
		r = edit_commit(t->pool, &unsure, err);
	if (r) {
		t->failed = true;
		give_up_locked(t);
		return err_prefix(err, r, "a commit has failed, so the pool is read-only until 'thin_check "
					  "--clear-needs-check-flag POOL' clears needs_check");
	}
	t->changed = false;
	discard_freed(t);
	return 0;
}

/* Commits, without a lock held. */
static int target_commit(struct target *t, struct err *err)
{
	int r;

	pthread_rwlock_wrlock(&t->io);
	r = target_commit_locked(t, err);
	pthread_rwlock_unlock(&t->io);
	return r;
}

int target_flush(struct target *t, struct err *err)
{
	/* Most of the data goes to the disk here, while other requests run. */
	int r = io_flush(t->data, err);

	if (r) { /* a device reports lost writes only once, so no later commit can be trusted */
		t->failed = true;
		target_give_up(t);
		return err_prefix(err, r, "the pool is read-only from now on");
	}
	return t->changed || t->failed ? target_commit(t, err) : 0;
}

int target_tick(struct target *t, struct err *err)
{
	return t->changed && t->writable && !t->failed ? target_flush(t, err) : 0;
}

int target_message(struct target *t, const struct message *list, size_t nr, struct err *err)
{
	int r;

	pthread_rwlock_wrlock(&t->io);
	/* earlier changes must survive when a message is refused */
	r = target_commit_locked(t, err);
	if (!r && !t->writable)
		r = err_set(err, -EROFS, "the pool is read-only");
	if (!r) {
		for (size_t i = 0; !r && i < nr; i++)
			r = message_apply(t->pool, &list[i], err);
		if (r)
			edit_abort(t->pool);
		else
			r = target_commit_locked(t, err);
		target_forget_all(t);
	}
	pthread_rwlock_unlock(&t->io);
	return r;
}
