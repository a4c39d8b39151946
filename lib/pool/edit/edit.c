/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Opening, formatting, growing and committing a pool that is being changed. */
#include "pool/edit/edit.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/overflow.h"
#include "pool/edit/impl.h"

#define WORST_PATH 24 /* blocks that one change may shadow and split, two trees together */

const struct btree_type edit_details_type = {
	.name = "device details",
	.value_size = sizeof(struct disk_details),
};

static int read_superblock(struct io *io, struct superblock *sb, struct err *err)
{
	enum sb_fault f;
	int r;

	if (io->size < MBLOCK_SIZE)
		return err_set(err, -EINVAL, "%s is too small for metadata", io->name);
	r = superblock_read(io, 0, sb, &f, err);
	if (r || f == SB_OK)
		return r;
	if (f == SB_UNFINISHED)
		return err_set(err, -EBADMSG, "%s: bad checksum in superblock: %s", io->name, sb_fault_text(f));
	return err_set(err, f == SB_ALL_ZERO ? -ENODATA : f == SB_BAD_CSUM ? -EBADMSG : -EUCLEAN,
		       "the superblock of %s %s", io->name, sb_fault_text(f));
}

static int check_superblock(const struct pool_edit *p, struct err *err)
{
	const struct superblock *sb = &p->committed;

	if (sb->incompat_flags)
		return err_set(err, -EINVAL,
			       "the pool has incompatible features (0x%x) that this program does "
			       "not know: a newer kernel or tool made it; use a version that "
			       "knows them",
			       sb->incompat_flags);
	if (!data_block_size_ok(sb->data_block_size))
		return err_set(err, -EUCLEAN,
			       "the pool's data block size is impossible: %u sectors; "
			       "'thin_repair --data-block-size SECTORS -i POOL -o FILE' corrects "
			       "it",
			       sb->data_block_size);
	if (!p->write)
		return 0;
	if (sb->compat_ro_flags)
		return err_set(err, -ENOTSUP,
			       "the pool has features (0x%x) that this program does not know: it can only be read",
			       sb->compat_ro_flags);
	if (sb->flags & THIN_NEEDS_CHECK)
		return err_set(err, -ENOTSUP,
			       "needs_check is set: a metadata operation failed on this pool, "
			       "which is read-only until 'thin_check --auto-repair POOL' clears "
			       "the flag, or 'thin_repair -i POOL -o FILE' rebuilds the metadata");
	if (sb->metadata_sm.nr_blocks > p->nr_blocks)
		return err_set(err, -EINVAL,
			       "metadata device %s has %llu blocks, but the pool's metadata has "
			       "%llu: give the whole device",
			       p->io->name, (unsigned long long)p->nr_blocks,
			       (unsigned long long)sb->metadata_sm.nr_blocks);
	return 0;
}

static void take_trees(struct pool_edit *p)
{
	p->sb = p->committed;
	p->top = (struct btree){ p->tm, &p->top_type, p->sb.mapping_root };
	p->details = (struct btree){ p->tm, &edit_details_type, p->sb.details_root };
}

static struct pool_edit *new_edit(struct io *io, bool write)
{
	struct pool_edit *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->io = io;
	p->write = write;
	p->nr_blocks = MIN(io->size / MBLOCK_SIZE, MAX_METADATA_BLOCKS);
	umap_init(&p->devs);
	edit_top_type(p);
	return p;
}

DEFINE_CLEANUP(edit_cleanup, struct pool_edit, edit_free)

int edit_open(struct io *io, bool write, struct pool_edit **out, struct err *err)
{
	CLEANUP(edit_cleanup) struct pool_edit *p = new_edit(io, write);
	int r;

	if (!p)
		return err_nomem(err, "pool");
	p->formatted = true;
	r = read_superblock(io, &p->committed, err);
	if (!r)
		r = check_superblock(p, err);
	if (!r)
		r = transaction_open(io, &p->committed.metadata_sm, &p->transaction, err);
	if (!r)
		p->tm = transaction_tm(p->transaction);
	if (!r)
		r = sm_edit_init(&p->data, p->tm, false, &p->committed.data_sm, err);
	if (r)
		return r;
	p->has_data = true;
	take_trees(p);
	*out = steal_ptr(&p);
	return 0;
}

int edit_format(struct io *io, uint32_t data_block_sectors, struct pool_edit **out,
		struct err *err)
{
	CLEANUP(edit_cleanup) struct pool_edit *p = new_edit(io, true);
	int r;

	if (!p)
		return err_nomem(err, "pool");
	if (!data_block_size_ok(data_block_sectors))
		return err_set(err, -EINVAL,
			       "data block size must be a multiple of %d sectors, from %d to %d: not %u",
			       DATA_BLOCK_SECTORS_MIN, DATA_BLOCK_SECTORS_MIN,
			       DATA_BLOCK_SECTORS_MAX, data_block_sectors);
	r = transaction_format(io, p->nr_blocks, &p->transaction, err);
	if (!r)
		p->tm = transaction_tm(p->transaction);
	if (!r)
		r = sm_edit_format(&p->data, p->tm, false, err);
	if (r)
		return err_prefix(err, r, "formatting %s", io->name);
	p->has_data = true;
	take_trees(p);
	p->sb.version = THIN_VERSION;
	p->sb.data_block_size = data_block_sectors;
	p->sb.metadata_block_size = MBLOCK_SIZE >> SECTOR_SHIFT;
	p->sb.metadata_nr_blocks = p->nr_blocks;
	r = btree_make(&p->top, err);
	if (!r)
		r = btree_make(&p->details, err);
	if (r)
		return err_prefix(err, r, "formatting %s", io->name);
	p->changed = true;
	*out = steal_ptr(&p);
	return 0;
}

void edit_free(struct pool_edit *p)
{
	if (!p)
		return;
	edit_dev_forget_all(p);
	umap_fini(&p->devs);
	if (p->has_data)
		sm_edit_fini(&p->data);
	transaction_free(p->transaction);
	free(p);
}

const struct superblock *edit_superblock(const struct pool_edit *p)
{
	return &p->sb;
}

bool edit_writable(const struct pool_edit *p)
{
	return p->write;
}

bool edit_changed(const struct pool_edit *p)
{
	return p->changed;
}

void edit_space(const struct pool_edit *p, struct edit_space *s)
{
	const struct sm_edit *map = transaction_map(p->transaction);
	uint64_t reserve = metadata_reserve(map->nr_blocks);
	uint64_t usable = sm_edit_usable(map);
	uint64_t pages = p->data.nr_blocks / ENTRIES_PER_BITMAP + 1;

	*s = (struct edit_space){
		.data_total = p->data.nr_blocks,
		.data_free = sm_edit_free_blocks(&p->data),
		.metadata_total = map->nr_blocks,
		.metadata_free = sm_edit_free_blocks(map),
		.metadata_usable = usable > reserve ? usable - reserve : 0,
		.metadata_left = usable,
		/* a leaf that becomes unshared counts up to 252 data blocks, all over the map */
		.metadata_wanted = WORST_PATH + 2 * (p->data.nr_dirty + MIN(252, pages)) +
				   map->nr_dirty + p->data.overflows.nr / 100,
	};
}

/* Before a page is made for each bitmap: their number has no limit but the size of a sparse file. */
static int check_room_for_bitmaps(const struct pool_edit *p, uint64_t nr_blocks, struct err *err)
{
	uint64_t more = div_up(nr_blocks, ENTRIES_PER_BITMAP) - div_up(p->data.nr_blocks, ENTRIES_PER_BITMAP);
	struct edit_space s;

	edit_space(p, &s);
	if (more <= s.metadata_free)
		return 0;
	return err_set(err, -EXFULL,
		       "the data device has %llu blocks, whose space map needs %llu metadata blocks more, but %llu of %llu are "
		       "free: make the metadata device larger, or give another data device",
		       (unsigned long long)nr_blocks, (unsigned long long)more,
		       (unsigned long long)s.metadata_free, (unsigned long long)s.metadata_total);
}

int edit_grow_data(struct pool_edit *p, uint64_t nr_blocks, struct err *err)
{
	int r;

	if (nr_blocks == p->data.nr_blocks)
		return 0;
	if (nr_blocks < p->data.nr_blocks)
		return err_set(err, -EINVAL,
			       "the data device has %llu blocks, but the pool has %llu: give the whole data device, "
			       "or make the pool smaller with 'thin_shrink -i POOL -o FILE --data DEV --nr-blocks N' first",
			       (unsigned long long)nr_blocks,
			       (unsigned long long)p->data.nr_blocks);
	if (nr_blocks > MAX_NR_DATA_BLOCKS)
		return err_set(err, -EINVAL, "the data device has too many blocks: %llu",
			       (unsigned long long)nr_blocks);
	r = edit_begin(p, err);
	if (!r)
		r = check_room_for_bitmaps(p, nr_blocks, err);
	if (r)
		return r;
	p->changed = true;
	r = sm_edit_grow(&p->data, nr_blocks, err);
	return r ? err_prefix(err, r, "growing the data space map") : 0;
}

int edit_grow_metadata(struct pool_edit *p, uint64_t nr_blocks, struct err *err)
{
	struct sm_edit *map = transaction_map(p->transaction);
	int r;

	nr_blocks = MIN(nr_blocks, MAX_METADATA_BLOCKS);
	if (nr_blocks == map->nr_blocks)
		return 0;
	if (nr_blocks < map->nr_blocks || nr_blocks > p->io->size / MBLOCK_SIZE)
		return err_set(err, -EINVAL,
			       "the metadata device has %llu blocks, but the pool was made on %llu",
			       (unsigned long long)nr_blocks, (unsigned long long)map->nr_blocks);
	r = edit_begin(p, err);
	if (r)
		return r;
	p->changed = true;
	r = sm_edit_grow(map, nr_blocks, err);
	return r ? err_prefix(err, r, "growing the metadata space map") : 0;
}

/* Takes all blocks that the commit needs, and writes nothing. */
static int prepare(struct pool_edit *p, struct superblock *sb, struct err *err)
{
	int r = edit_sync(p, err);

	if (!r)
		r = sm_edit_commit(&p->data, &sb->data_sm, err);
	if (!r)
		r = transaction_prepare(p->transaction, &sb->metadata_sm, err);
	sb->mapping_root = p->top.root;
	sb->details_root = p->details.root;
	return r;
}

int edit_commit(struct pool_edit *p, bool *unsure, struct err *err)
{
	struct superblock sb = p->sb;
	uint64_t key, value;
	int r;

	*unsure = false;
	if (!p->changed)
		return 0;
	r = prepare(p, &sb, err);
	if (!r)
		r = transaction_write(p->transaction, err);
	if (r)
		return r;
	r = superblock_write(&sb, p->io, err);
	if (r) {
		*unsure = true;
		return r;
	}
	p->sb = p->committed = sb;
	p->formatted = true;
	p->changed = false;
	sm_edit_end(&p->data);
	transaction_end(p->transaction);
	for (size_t i = 0; (i = umap_next(&p->devs, i, &key, &value));)
		((struct edit_dev *)(uintptr_t)value)->touched = false;
	return 0;
}

int edit_try_commit(struct pool_edit *p, struct err *err)
{
	struct superblock sb = p->sb;
	int r = p->changed ? prepare(p, &sb, err) : 0;

	edit_abort(p);
	return r;
}

void edit_abort(struct pool_edit *p)
{
	edit_dev_forget_all(p);
	p->changed = false;
	if (!p->formatted) {
		p->write = false; /* there is no committed state to return to */
		return;
	}
	transaction_abort(p->transaction, &p->committed.metadata_sm);
	sm_edit_abort(&p->data, &p->committed.data_sm);
	take_trees(p);
}

int edit_set_needs_check(struct pool_edit *p, struct err *err)
{
	int r;

	p->write = false;
	edit_abort(p);
	if (!p->formatted)
		return 0;
	r = read_superblock(p->io, &p->committed, err);
	if (r)
		return r;
	p->committed.flags |= THIN_NEEDS_CHECK;
	edit_abort(p);
	return superblock_write(&p->committed, p->io, err);
}
