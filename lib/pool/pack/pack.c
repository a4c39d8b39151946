/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * A stream of the file holds the blocks of one group, PACK_GROUP consecutive ones, in
 * order.  Workers read, code and deflate groups; the results are written in order, so
 * the file does not depend on who was faster.
 */
#include "pool/pack/pack.h"

#include <errno.h>
#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/overflow.h"
#include "base/zero.h"
#include "pdata/block/format.h"
#include "pool/pack/impl.h"

#define LEVEL 6 /* higher ones take longer and gain little: the rest is random */
#define READ_BLOCKS 16	 /* read at once: in the CPU's cache when they are coded */
#define DIRECT_BLOCKS 64 /* where each request waits for the device */

struct pack_worker {
	struct libdeflate_compressor *deflate;
	uint8_t *blocks; /* DIRECT_BLOCKS */
	uint8_t *coded;	 /* a group's records */
};

struct pack_slot {
	uint64_t group;
	uint8_t *out; /* le64 length and a zlib stream */
	size_t cap, len;
};

struct packer {
	struct io *in;
	int fd;
	const char *name;
	uint64_t nr_blocks, next;
	struct pack_worker *worker;
	unsigned nr_workers;
	struct pack_slot *slot;
	size_t nr_slots;
};

static int write_header(const struct packer *p, struct err *err)
{
	const le64 h[] = { le64_make(PACK_MAGIC), le64_make(PACK_VERSION), le64_make(MBLOCK_SIZE),
			   le64_make(p->nr_blocks) };

	static_assert(sizeof(h) == PACK_HEADER_LEN, "four u64");
	return fd_write(p->fd, p->name, h, sizeof(h), err);
}

/* Where reading goes on at @b in the blocks up to @end: not in a hole, but at block 0 always. */
static mblock_t next_data(struct packer *p, mblock_t b, mblock_t end)
{
	mblock_t to = b;

	if (b && b < end)
		to = MIN(io_next_data(p->in, b * MBLOCK_SIZE) / MBLOCK_SIZE, end);
	meter_add(p->in->meter, (to - b) * MBLOCK_SIZE);
	return to;
}

/* Codes @n blocks from @b on, which are in w->blocks; returns the length of the records. */
static size_t code_blocks(const struct pack_worker *w, mblock_t b, size_t n, uint8_t *out)
{
	size_t len = 0;

	for (size_t i = 0; i < n; i++)
		if (!(b + i) || !all_zero(w->blocks + i * MBLOCK_SIZE, MBLOCK_SIZE))
			len += pack_encode(b + i, w->blocks + i * MBLOCK_SIZE, out + len);
	return len;
}

/* Codes the blocks of a group; *len is 0 when there is nothing in them. */
static int code_group(struct packer *p, struct pack_worker *w, uint64_t group, size_t *len,
		      struct err *err)
{
	const size_t at_once = p->in->direct ? DIRECT_BLOCKS : READ_BLOCKS;
	mblock_t b = group * PACK_GROUP, end = MIN(b + PACK_GROUP, p->nr_blocks);
	size_t n, more;
	int e;

	*len = 0;
	for (b = next_data(p, b, end); b < end; b = more ? b + n : next_data(p, b + n, end)) {
		n = (size_t)MIN(end - b, at_once);
		e = io_read(p->in, w->blocks, n * MBLOCK_SIZE, b * MBLOCK_SIZE, err);
		if (e < 0)
			return e;
		more = code_blocks(w, b, n, w->coded + *len);
		*len += more;
	}
	return 0;
}

static int slot_reserve(struct pack_slot *s, size_t room, struct err *err)
{
	if (s->cap >= room)
		return 0;
	free(s->out);
	s->out = malloc(room);
	s->cap = s->out ? room : 0;
	return s->out ? 0 : err_nomem(err, "packed blocks");
}

static int worker_init(struct pack_worker *w, struct err *err)
{
	if (w->deflate)
		return 0;
	w->blocks = io_alloc((size_t)DIRECT_BLOCKS * MBLOCK_SIZE);
	w->coded = malloc((size_t)PACK_GROUP * PACK_RECORD_MAX);
	w->deflate = libdeflate_alloc_compressor(LEVEL);
	return w->blocks && w->coded && w->deflate ? 0 : err_nomem(err, "packing");
}

static int pack_produce(void *ctx, size_t slot, struct err *err)
{
	struct packer *p = ctx;

	(void)err;
	if (p->next * PACK_GROUP >= p->nr_blocks)
		return 0;
	p->slot[slot].group = p->next++;
	return 1;
}

static int pack_work(void *ctx, unsigned worker, size_t slot, struct err *err)
{
	struct packer *p = ctx;
	struct pack_worker *w = &p->worker[worker];
	struct pack_slot *s = &p->slot[slot];
	size_t len = 0;
	le64 head;
	int e = worker_init(w, err);

	s->len = 0;
	if (!e)
		e = code_group(p, w, s->group, &len, err);
	if (e < 0 || !len)
		return e;
	e = slot_reserve(s, sizeof(head) + libdeflate_zlib_compress_bound(w->deflate, len), err);
	if (e < 0)
		return e;
	len = libdeflate_zlib_compress(w->deflate, w->coded, len, s->out + sizeof(head),
				       s->cap - sizeof(head));
	head = le64_make(len);
	memcpy(s->out, &head, sizeof(head));
	s->len = sizeof(head) + len;
	return 0;
}

static int pack_consume(void *ctx, size_t slot, struct err *err)
{
	struct packer *p = ctx;

	return fd_write(p->fd, p->name, p->slot[slot].out, p->slot[slot].len, err);
}

static void packer_fini(struct packer *p)
{
	size_t i;

	for (i = 0; p->worker && i < p->nr_workers; i++) {
		free(p->worker[i].blocks);
		free(p->worker[i].coded);
		if (p->worker[i].deflate)
			libdeflate_free_compressor(p->worker[i].deflate);
	}
	for (i = 0; p->slot && i < p->nr_slots; i++)
		free(p->slot[i].out);
	free(p->worker);
	free(p->slot);
}

int pack_file(struct io *in, int fd, const char *name, struct jobs *jobs, struct err *err)
{
	struct packer p = { .in = in, .fd = fd, .name = name };
	struct jobs_pipe pipe = { .produce = pack_produce, .work = pack_work,
				  .consume = pack_consume, .ctx = &p };
	int e;

	p.nr_blocks = MIN(in->size / MBLOCK_SIZE, MAX_METADATA_BLOCKS);
	p.nr_workers = jobs_nr(jobs);
	p.nr_slots = pipe.nr_slots = p.nr_workers + 2;
	p.worker = calloc(p.nr_workers, sizeof(*p.worker));
	p.slot = calloc(p.nr_slots, sizeof(*p.slot));
	if (!p.worker || !p.slot)
		e = err_nomem(err, "packing");
	else
		e = write_header(&p, err);
	if (!e)
		e = jobs_pipe(jobs, &pipe, err);
	packer_fini(&p);
	return e;
}
