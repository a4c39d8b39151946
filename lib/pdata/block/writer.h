/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef PDATA_BLOCK_WRITER_H
#define PDATA_BLOCK_WRITER_H
/*
 * Writes a whole new metadata device: blocks are allocated one after the other, from 1 (block 0 is
 * the caller's), gathered into a buffer, sealed there and written in ascending order.
 *
 * When the device is full, allocation goes on without writing, so that the caller can
 * say at the end how many blocks were needed; block_writer_full() tells whether that happened.
 *
 * Functions that can fail return 0 or a negative errno with a text in @err.
 *
 * Memory: a buffer of 1 MiB; of 8 MiB where each request waits for the device (io.direct), written by
 * several threads of the writer's own, so that the device has a queue.
 * One thread at a time may call.
 */
#include "base/jobs.h"
#include "dev/io.h"
#include "pdata/block/csum.h"
#include "pdata/block/refmap.h"

#define BLOCK_WRITER_REQUEST 256 /* blocks of one write */
#define BLOCK_WRITER_FIRST 8	 /* of the first ones: a small pool touches little of the buffer */
#define BLOCK_WRITER_DEPTH 8	 /* writes at once on a device that needs it */

struct block_writer {
	struct io *io;
	struct refmap *counts; /* of the metadata device; not owned */
	uint64_t nr_blocks;    /* that may be used */
	_Atomic uint64_t written; /* bytes */
	mblock_t next;	       /* the next allocation */
	mblock_t batch_begin;  /* block at the start of the buffer */
	uint32_t batch_len;    /* blocks that are written at once, the more the more were written */
	uint32_t buf_len;      /* blocks of the buffer */
	uint8_t *buf;
	uint32_t *salt;	   /* of each block in it */
	struct jobs *jobs; /* NULL: the caller writes itself */
};

/* @io and @counts must outlive the writer.  0 or -ENOMEM. */
int block_writer_init(struct block_writer *w, struct io *io, uint64_t nr_blocks,
		      struct refmap *counts, struct err *err);
/* Drops what has not been written. */
void block_writer_fini(struct block_writer *w);

/*
 * Allocates the next block, @at, with a count of @count (0 or 1).  The caller fills
 * all 4096 bytes at *data, except checksum and block number, before it calls again.
 */
int block_writer_alloc(struct block_writer *w, enum csum_salt salt, unsigned count, void **data,
		       mblock_t *at, struct err *err);

/* Reads a block allocated before, 4096 bytes, into @data.  -ERANGE: it did not fit on the device. */
int block_writer_read(struct block_writer *w, mblock_t at, void *data, struct err *err);

/* Writes what is still in the buffer; does not flush the device. */
int block_writer_finish(struct block_writer *w, struct err *err);

static inline bool block_writer_full(const struct block_writer *w)
{
	return w->next > w->nr_blocks;
}

#endif
