/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "pdata/block_writer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int block_writer_init(struct block_writer *w, struct io *io, uint64_t nr_blocks,
		      struct refmap *counts, struct err *err)
{
	*w = (struct block_writer){
		.io = io, .counts = counts, .nr_blocks = nr_blocks, .next = 1, .batch_begin = 1
	};
	w->buf = io_alloc((size_t)BLOCK_WRITER_BATCH * MBLOCK_SIZE);
	return w->buf ? 0 : err_nomem(err, "write buffer");
}

void block_writer_fini(struct block_writer *w)
{
	free(w->buf);
	w->buf = NULL;
}

static void *block_at(const struct block_writer *w, mblock_t at)
{
	return w->buf + (at - w->batch_begin) * MBLOCK_SIZE;
}

/* Writes what fits of the batch and starts the next. */
static int write_batch(struct block_writer *w, struct err *err)
{
	mblock_t end = MIN(w->next, w->nr_blocks), b;
	int r = 0;

	if (w->batch_begin < end) {
		for (b = w->batch_begin; b < end; b++)
			csum_seal(block_at(w, b), b, (enum csum_salt)w->salt[b - w->batch_begin]);
		r = io_write(w->io, w->buf, (end - w->batch_begin) * MBLOCK_SIZE,
			     w->batch_begin * MBLOCK_SIZE, err);
		io_will_flush(w->io, w->batch_begin * MBLOCK_SIZE,
			      (end - w->batch_begin) * MBLOCK_SIZE);
	}
	w->batch_begin = w->next;
	return r;
}

int block_writer_alloc(struct block_writer *w, enum csum_salt salt, unsigned count, void **data,
		       mblock_t *at, struct err *err)
{
	int r;

	if (w->next - w->batch_begin == BLOCK_WRITER_BATCH) {
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
