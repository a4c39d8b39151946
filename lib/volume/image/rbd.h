/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_RBD_H
#define VOLUME_RBD_H
/*
 * The rbd diff format, version 1: "rbd diff v1\n", then records, little-endian.
 *
 *	f, t  u32 length, name		snapshots it is from (absent: a full export) and to
 *	s     u64 size			of the image, bytes
 *	w     u64 offset, u64 length, bytes
 *	z     u64 offset, u64 length	zeros
 *	e				the end
 *
 * f, t and s come before w and z.  What a full export does not name is zeros: Ceph leaves zeros out.
 */
#include "base/err.h"
#include "base/units.h"

#define RBD_MAGIC "rbd diff v1\n"
#define RBD_MAGIC_LEN 12
#define RBD_MAX_NAME 4096 /* bytes of a snapshot's name */
#define RBD_RECORD_LEN 17 /* of 'w' and 'z', without the bytes */

/* The head of a record of @len bytes at @at; returns RBD_RECORD_LEN. */
size_t rbd_put_record(uint64_t at, uint64_t len, bool zero, uint8_t *head);

/* Where a stream is read from. */
struct rbd_input {
	/* The next @len bytes.  *got: how many there were before the end. */
	int (*read)(void *ctx, void *buf, size_t len, size_t *got, struct err *err);
	/* Passes over @len bytes without reading them.  @skip may be NULL: then they are read and thrown away. */
	int (*skip)(void *ctx, uint64_t len, struct err *err);
	void *ctx;
	const char *name;
};

/* Called for the records of a stream, in order.  Any of them may be NULL. */
struct rbd_ops {
	int (*size)(void *ctx, uint64_t size, struct err *err);
	/*
	 * @len bytes at @at of the image; one record may come in several pieces.  zero() is also called for
	 * what a full export does not name, in the order of the image but for records that go back.
	 */
	int (*write)(void *ctx, uint64_t at, const void *data, size_t len, struct err *err);
	int (*zero)(void *ctx, uint64_t at, uint64_t len, struct err *err);
	void *ctx;
};

struct rbd_stream {
	char from[RBD_MAX_NAME + 1], to[RBD_MAX_NAME + 1];
	bool has_from, has_to, has_size, ended;
	uint64_t size;
	uint64_t pos;	      /* bytes of the stream that were read */
	uint64_t record_at;   /* where in the stream its last record begins */
	uint64_t nr_records, bytes, zeros; /* of w and z records */
	uint64_t high; /* the end of the furthest record, bytes of the image */
};

/*
 * Reads one stream up to its end record.  -EINVAL: it is not an rbd diff, or has an impossible
 * record; -ENODATA: it ends before its end record.  Both name the place.  Memory: 1 MiB.
 */
int rbd_read(const struct rbd_input *in, const struct rbd_ops *ops, struct rbd_stream *s,
	     struct err *err);

#endif
