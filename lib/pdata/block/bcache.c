/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "pdata/block/bcache.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/umap.h"
#include "pdata/block/node.h"

#define WRITE_MAX 256 /* blocks of one request */

struct block {
	mblock_t at;
	enum csum_salt salt;
	bool dirty;
	struct block *prev, *next; /* clean ones only: oldest use first, around c->lru */
	void *data;
};

struct bcache {
	struct io *io;
	struct umap blocks; /* location -> struct block * */
	struct block lru;   /* head of the ring of clean blocks */
	size_t max_clean, nr_clean, nr_dirty;
};

static void ring_del(struct bcache *c, struct block *b)
{
	b->prev->next = b->next;
	b->next->prev = b->prev;
	c->nr_clean--;
}

/* The most recently used stand at the end. */
static void ring_add(struct bcache *c, struct block *b)
{
	b->prev = c->lru.prev;
	b->next = &c->lru;
	b->prev->next = b;
	b->next->prev = b;
	c->nr_clean++;
}

struct bcache *bcache_new(struct io *io, size_t max_clean)
{
	struct bcache *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->io = io;
	c->max_clean = max_clean;
	c->lru.prev = c->lru.next = &c->lru;
	umap_init(&c->blocks);
	return c;
}

static void block_free(struct block *b)
{
	free(b->data);
	free(b);
}

void bcache_drop(struct bcache *c)
{
	uint64_t key, value;

	for (size_t i = 0; (i = umap_next(&c->blocks, i, &key, &value));)
		block_free((struct block *)(uintptr_t)value);
	umap_fini(&c->blocks);
	c->lru.prev = c->lru.next = &c->lru;
	c->nr_clean = c->nr_dirty = 0;
}

void bcache_free(struct bcache *c)
{
	if (!c)
		return;
	bcache_drop(c);
	free(c);
}

static struct block *find(const struct bcache *c, mblock_t at)
{
	return umap_get_ptr(&c->blocks, at);
}

/* A new clean block of undefined contents. */
static struct block *add(struct bcache *c, mblock_t at, enum csum_salt salt)
{
	struct block *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->at = at;
	b->salt = salt;
	b->data = io_alloc(MBLOCK_SIZE);
	if (!b->data || umap_put(&c->blocks, at, (uintptr_t)b)) {
		block_free(b);
		return NULL;
	}
	ring_add(c, b);
	return b;
}

static void evict(struct bcache *c, struct block *b)
{
	ring_del(c, b);
	umap_del(&c->blocks, b->at);
	block_free(b);
}

static const char *salt_name(enum csum_salt salt)
{
	switch (salt) {
	case SALT_SUPERBLOCK:
		return "superblock";
	case SALT_BITMAP:
		return "space map bitmap";
	case SALT_INDEX:
		return "metadata index";
	default:
		return "node";
	}
}

#define DETAILS " (run thin_check for details: 'thin_check POOL')"

static int verify(const struct block *b, uint32_t leaf_value_size, struct err *err)
{
	struct node n;
	enum node_fault f;
	int r;

	if (b->salt == SALT_NODE) {
		f = node_open(&n, b->data, b->at, leaf_value_size);
		if (f != NODE_OK)
			return err_set(err, f == NODE_BAD_CSUM ? -EBADMSG : -EUCLEAN,
				       "node at block %llu %s" DETAILS, (unsigned long long)b->at,
				       node_fault_text(f));
		return 0;
	}
	r = csum_verify(b->data, b->at, b->salt);
	if (r)
		return err_set(err, r == -EBADMSG ? r : -EUCLEAN, "%s at block %llu %s" DETAILS,
			       salt_name(b->salt), (unsigned long long)b->at,
			       r == -EBADMSG ? "has a bad checksum" :
					       "carries another block's number");
	return 0;
}

/* A block that is in the cache must be of the kind that is wanted now. */
static int verify_again(const struct block *b, enum csum_salt salt, uint32_t leaf_value_size,
			struct err *err)
{
	const struct disk_node *raw = b->data;
	bool leaf = le32_get(raw->h.flags) & NODE_LEAF;

	if (b->salt == salt &&
	    (salt != SALT_NODE || le32_get(raw->h.value_size) == (leaf ? leaf_value_size : 8)))
		return 0;
	return err_set(err, -EUCLEAN, "block %llu is used as a %s and as something else",
		       (unsigned long long)b->at, salt_name(salt));
}

int bcache_read(struct bcache *c, mblock_t at, enum csum_salt salt, uint32_t leaf_value_size,
		void **data, struct err *err)
{
	struct block *b = find(c, at);
	int r;

	if (b) {
		if (!b->dirty) {
			ring_del(c, b);
			ring_add(c, b);
		}
		*data = b->data;
		return verify_again(b, salt, leaf_value_size, err);
	}
	if (at >= c->io->size / MBLOCK_SIZE)
		return err_set(err, -EUCLEAN, "%s at block %llu lies beyond the end of %s",
			       salt_name(salt), (unsigned long long)at, c->io->name);
	b = add(c, at, salt);
	if (!b)
		return err_nomem(err, "block cache");
	r = io_read(c->io, b->data, MBLOCK_SIZE, at * MBLOCK_SIZE, err);
	if (!r)
		r = verify(b, leaf_value_size, err);
	if (r)
		evict(c, b);
	else
		*data = b->data;
	return r;
}

int bcache_make(struct bcache *c, mblock_t at, enum csum_salt salt, void **data, struct err *err)
{
	struct block *b = find(c, at);

	if (!b)
		b = add(c, at, salt);
	if (!b)
		return err_nomem(err, "block cache");
	memset(b->data, 0, MBLOCK_SIZE);
	b->salt = salt;
	bcache_dirty(c, at);
	*data = b->data;
	return 0;
}

void bcache_dirty(struct bcache *c, mblock_t at)
{
	struct block *b = find(c, at);

	if (!b || b->dirty)
		return;
	ring_del(c, b);
	b->dirty = true;
	c->nr_dirty++;
}

void bcache_forget(struct bcache *c, mblock_t at)
{
	struct block *b = find(c, at);

	if (!b || !b->dirty)
		return;
	b->dirty = false;
	c->nr_dirty--;
	ring_add(c, b);
}

size_t bcache_nr_dirty(const struct bcache *c)
{
	return c->nr_dirty;
}

static int by_location(const void *a, const void *b)
{
	const struct block *x = *(struct block *const *)a, *y = *(struct block *const *)b;

	return x->at < y->at ? -1 : x->at > y->at;
}

static int write_run(struct bcache *c, struct block **list, size_t nr, uint8_t *buf,
		     struct err *err)
{
	for (size_t i = 0; i < nr; i++) {
		csum_seal(list[i]->data, list[i]->at, list[i]->salt);
		memcpy(buf + i * MBLOCK_SIZE, list[i]->data, MBLOCK_SIZE);
	}
	return io_write(c->io, buf, nr * MBLOCK_SIZE, list[0]->at * MBLOCK_SIZE, err);
}

static size_t run_len(struct block **list, size_t nr)
{
	size_t n = 1;

	while (n < nr && n < WRITE_MAX && list[n]->at == list[0]->at + n)
		n++;
	return n;
}

int bcache_write(struct bcache *c, struct err *err)
{
	CLEANUP(free_ptr) struct block **list = NULL;
	CLEANUP(free_ptr) uint8_t *buf = NULL;
	uint64_t key, value;
	size_t nr = 0;
	int r;

	if (!c->nr_dirty)
		return 0;
	list = malloc(c->nr_dirty * sizeof(*list));
	buf = io_alloc(MIN(c->nr_dirty, WRITE_MAX) * MBLOCK_SIZE);
	if (!list || !buf)
		return err_nomem(err, "writing dirty blocks");
	for (size_t i = 0; (i = umap_next(&c->blocks, i, &key, &value));)
		if (((struct block *)(uintptr_t)value)->dirty)
			list[nr++] = (struct block *)(uintptr_t)value;
	qsort(list, nr, sizeof(*list), by_location);
	for (size_t i = 0, n; i < nr; i += n) {
		n = run_len(list + i, nr - i);
		r = write_run(c, list + i, n, buf, err);
		if (r)
			return r;
	}
	for (size_t i = 0; i < nr; i++)
		bcache_forget(c, list[i]->at);
	return 0;
}

void bcache_trim(struct bcache *c)
{
	while (c->nr_clean > c->max_clean)
		evict(c, c->lru.next);
}

void bcache_set_max_clean(struct bcache *c, size_t max_clean)
{
	c->max_clean = max_clean;
}
