/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_QCOW2_READ_H
#define VOLUME_QCOW2_READ_H
/*
 * Reads one untrusted qcow2 file, version 2 or 3.  Every field is checked before it is used;
 * reference counts are ignored.  A feature that is not supported (encryption, an external data
 * file, subclusters, zstd where it is not linked, unknown features, a file marked corrupt) is refused by its name.
 *
 * Memory: the L1 table (at most QCOW2_MAX_L1 bytes), one L2 table, one cluster twice.
 * Threads: one at a time.
 */
#include "dev/io.h"
#include "volume/compress/compress.h"

struct qcow2 {
	struct io *io; /* the caller's */
	uint64_t size; /* bytes of the disk */
	unsigned cluster_bits;
	char *backing;	      /* name as the header gives it, or NULL */
	char backing_format[16]; /* "" when it is not said */
	/* private */
	unsigned version;
	uint64_t header_len;
	enum compression compression;
	uint8_t *l1, *l2;
	uint64_t nr_l1, l2_at; /* offset of the table in @l2; 0: none */
	uint8_t *cluster, *packed;
	uint64_t cluster_entry; /* the entry whose bytes are in @cluster; 0: none */
};

enum qcow2_kind { QCOW2_ABSENT, QCOW2_ZERO, QCOW2_DATA, QCOW2_COMPRESSED };
struct qcow2_spot {
	enum qcow2_kind kind;
	uint64_t len; /* bytes from there on that are alike; data: in one piece */
	uint64_t host; /* data: offset in the file; compressed: the entry */
};

int qcow2_open(struct io *io, struct qcow2 *q, struct err *err);
void qcow2_close(struct qcow2 *q);

/* What is at byte @at, which lies before the end of the disk. */
int qcow2_find(struct qcow2 *q, uint64_t at, struct qcow2_spot *s, struct err *err);
/* @len bytes at @at, which lie in one spot of data or compressed data. */
int qcow2_read(struct qcow2 *q, const struct qcow2_spot *s, void *buf, size_t len, uint64_t at,
	       struct err *err);

#endif
