/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "pdata/block/writer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dev/writeback.h"

int block_writer_init(struct block_writer *w, struct io *io, uint64_t nr_blocks,
		      struct refmap *counts, struct err *err)
{
	*w = (struct block_writer) {
		.io = io, .counts = counts, .nr_blocks = nr_blocks, .next = 1, .batch_begin = 1
	};
	w->buf_len = BLOCK_WRITER_REQUEST * (io->direct ? BLOCK_WRITER_DEPTH : 1);
	w->batch_len = io->direct ? w->buf_len : BLOCK_WRITER_FIRST;
	w->buf = io_alloc((size_t)w->buf_len * MBLOCK_SIZE);
	w->salt = malloc(w->buf_len * sizeof(*w->salt));
	if (io->direct)
		w->jobs = jobs_new(BLOCK_WRITER_DEPTH);
	if (w->buf && w->salt && (w->jobs || !io->direct))
		return 0;
	block_writer_fini(w);
	return err_nomem(err, "write buffer");
}

void block_writer_fini(struct block_writer *w)
{
	jobs_free(w->jobs);
	free(w->buf);
	free(w->salt);
	*w = (struct block_writer) { 0 };
}

static void *block_at(const struct block_writer *w, mblock_t at)
{
	return w->buf + (at - w->batch_begin) * MBLOCK_SIZE;
}

/* Seals and writes blocks [@begin, @end) of the batch. */
static int write_some(void *ctx, unsigned worker, size_t begin, size_t end, struct err *err)
{
	struct block_writer *w = ctx;
	const uint64_t len = (end - begin) * MBLOCK_SIZE, at = (w->batch_begin + begin) * MBLOCK_SIZE;
	int r;

	(void)worker;
	for (size_t i = begin; i < end; i++)
		csum_seal(w->buf + i * MBLOCK_SIZE, w->batch_begin + i, (enum csum_salt)w->salt[i]);
	r = io_write(w->io, w->buf + begin * MBLOCK_SIZE, len, at, err);
	if (!r)
		writeback_add(&w->written, w->io, len, at);
	return r;
}

/* Writes those blocks of the batch that fit onto the device and starts the next batch. */
static int write_batch(struct block_writer *w, struct err *err)
{
	mblock_t end = MIN(w->next, w->nr_blocks);
	size_t nr = w->batch_begin < end ? end - w->batch_begin : 0;
	int r = 0;

	if (w->jobs)
		r = jobs_for(w->jobs, nr, BLOCK_WRITER_REQUEST, write_some, w, err);
	else if (nr)
		r = write_some(w, 0, 0, nr, err);
	w->batch_begin = w->next;
	w->batch_len = (uint32_t)MIN(MAX(w->batch_len, w->next / 4), w->buf_len);
	return r;
}

int block_writer_alloc(struct block_writer *w, enum csum_salt salt, unsigned count, void **data,
		       mblock_t *at, struct err *err)
{
	int r;

	if (w->next - w->batch_begin == w->batch_len) {
		r = write_batch(w, err);
		if (r < 0)
			return r;
	}
	*at = w->next++;
	w->salt[*at - w->batch_begin] = (uint32_t)salt;
	*data = block_at(w, *at);
	if (count && *at < w->nr_blocks)
		refmap_inc(w->counts, *at);
	return 0;
}

int block_writer_read(struct block_writer *w, mblock_t at, void *data, struct err *err)
{
	if (at >= w->nr_blocks)
		return err_set(err, -ERANGE, "too small: needs at least %llu blocks, has %llu",
			       (unsigned long long)w->next, (unsigned long long)w->nr_blocks);
	if (at < w->batch_begin)
		return io_read(w->io, data, MBLOCK_SIZE, at * MBLOCK_SIZE, err);
	csum_seal(block_at(w, at), at, (enum csum_salt)w->salt[at - w->batch_begin]);
	memcpy(data, block_at(w, at), MBLOCK_SIZE);
	return 0;
}

int block_writer_finish(struct block_writer *w, struct err *err)
{
	return write_batch(w, err);
}
