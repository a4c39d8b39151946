/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_QCOW2_H
#define VOLUME_QCOW2_H
/*
 * Writing a qcow2 image, version 3: clusters in ascending order, each once.  Nothing is read back:
 * a table is written when the last of its entries is known, and the header last of all, so that an
 * interrupted run leaves no valid image.
 *
 * Memory: one L2 table and the L1 table (8 bytes for 2^(2 * bits - 3) bytes of the disk), the
 * refcounts of one or two refcount blocks, 8 bytes for each refcount block.
 * Threads: one at a time.
 */
#include "dev/io.h"
#include "volume/compress/compress.h"

struct qcow2_create {
	uint64_t size;	       /* bytes of the disk, a multiple of 512 */
	unsigned cluster_bits; /* 9 to 21 */
	const char *backing;   /* name of the backing file as it is to be written; NULL: none */
	const char *backing_format; /* "raw", "qcow2" */
	enum compression compression; /* of the clusters that qcow2_compressed() gets */
};

struct qcow2_writer;

/* 16 to 21: the pool's block where it is a power of two up to 2 MiB, else 64 KiB. */
unsigned qcow2_cluster_bits(uint64_t block_len);

/* -EDOM: the name is too long for the header, or looks like a protocol. */
int qcow2_check_backing(const char *name, struct err *err);

/* -ERANGE: its L1 table would have more than QCOW2_MAX_L1 bytes, which no reader takes. */
int qcow2_check_size(const struct qcow2_create *opt, struct err *err);

/*
 * Begins an image on @out, which must read as zeros where nothing is written, but for what was
 * there before: its header is made void at once.  @out stays the caller's.  A size
 * that qcow2_check_size() refuses is refused before that.
 */
int qcow2_begin(struct io *out, const struct qcow2_create *opt, struct qcow2_writer **w,
		struct err *err);
void qcow2_free(struct qcow2_writer *w);

/*
 * @nr clusters of the disk from byte @at on get clusters of the file; where these begin is
 * put in *host, and the caller writes them.  At most QCOW2_ALLOC_MAX at once.
 */
#define QCOW2_ALLOC_MAX 512
int qcow2_alloc(struct qcow2_writer *w, uint64_t at, uint64_t nr, uint64_t *host, struct err *err);
/* Makes @nr clusters read as zeros, whatever the backing file holds. */
int qcow2_zero(struct qcow2_writer *w, uint64_t at, uint64_t nr, struct err *err);
/* One cluster, compressed to @len bytes, fewer than a cluster.  Written here. */
int qcow2_compressed(struct qcow2_writer *w, uint64_t at, const void *data, size_t len,
		     struct err *err);

/* Writes the rest, flushes, and then writes the header.  *end: bytes of the file. */
int qcow2_end(struct qcow2_writer *w, uint64_t *end, struct err *err);

#endif
