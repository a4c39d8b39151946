/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "volume/image/qcow2_read.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/be.h"
#include "base/overflow.h"
#include "volume/image/qcow2_format.h"

typedef unsigned long long ull;

static uint64_t cluster_len(const struct qcow2 *q)
{
	return UINT64_C(1) << q->cluster_bits;
}

static uint64_t l2_entries(const struct qcow2 *q)
{
	return cluster_len(q) / 8;
}

static bool in_file(const struct qcow2 *q, uint64_t at, uint64_t len)
{
	uint64_t end;

	return !add_overflow(at, len, &end) && end <= q->io->size;
}

static int damaged(const struct qcow2 *q, uint64_t at, const char *what, uint64_t where, struct err *err)
{
	return err_set(err, -EUCLEAN, "%s: the disk's byte %llu: %s (offset %llu; the file has %llu bytes)",
		       q->io->name, (ull)at, what, (ull)where, (ull)q->io->size);
}

/* The L2 table for byte @at of the disk: *table NULL when there is none. */
static int load_l2(struct qcow2 *q, uint64_t at, const uint8_t **table, struct err *err)
{
	uint64_t k = at / cluster_len(q) / l2_entries(q);
	uint64_t entry = be64_get(q->l1 + 8 * k), where = entry & ENTRY_OFFSET;
	int r;

	*table = NULL;
	if (!where)
		return 0;
	if (where % cluster_len(q) || !in_file(q, where, cluster_len(q)))
		return damaged(q, at, "its L2 table lies outside of the file or between clusters", where, err);
	if (q->l2_at != where) {
		q->l2_at = 0;
		r = io_read(q->io, q->l2, cluster_len(q), where, err);
		if (r)
			return r;
		q->l2_at = where;
	}
	*table = q->l2;
	return 0;
}

static struct qcow2_spot spot_of(const struct qcow2 *q, uint64_t entry)
{
	if (entry & ENTRY_COMPRESSED)
		return (struct qcow2_spot){ .kind = QCOW2_COMPRESSED, .host = entry };
	if (q->version >= 3 && entry & ENTRY_ZERO)
		return (struct qcow2_spot){ .kind = QCOW2_ZERO };
	if (!(entry & ENTRY_OFFSET))
		return (struct qcow2_spot){ .kind = QCOW2_ABSENT };
	return (struct qcow2_spot){ .kind = QCOW2_DATA, .host = entry & ENTRY_OFFSET };
}

/* Does the entry behind @s go on with it? */
static bool goes_on(const struct qcow2_spot *s, const struct qcow2_spot *next, uint64_t len)
{
	if (next->kind != s->kind || s->kind == QCOW2_COMPRESSED)
		return false;
	return s->kind != QCOW2_DATA || next->host == s->host + len;
}

static void compressed_range(const struct qcow2 *q, uint64_t entry, uint64_t *at, uint64_t *len)
{
	unsigned shift = compressed_shift(q->cluster_bits);
	uint64_t field = entry & (ENTRY_COMPRESSED - 1);
	uint64_t sectors = (field >> shift) + 1;

	*at = field & ((UINT64_C(1) << shift) - 1);
	*len = (sectors << SECTOR_SHIFT) - *at % (1u << SECTOR_SHIFT);
}

/* The spot's bytes must be in the file, those of the disk: its end may cut the last cluster. */
static int check_spot(const struct qcow2 *q, const struct qcow2_spot *s, uint64_t at, struct err *err)
{
	uint64_t where = s->host, len = s->len;

	if (s->kind == QCOW2_COMPRESSED) {
		compressed_range(q, s->host, &where, &len);
		if (where >= q->io->size || !where) /* its last sector may be cut by the file's end */
			return damaged(q, at, "its compressed cluster lies outside of the file", where, err);
		return 0;
	}
	if (s->kind != QCOW2_DATA)
		return 0;
	if (s->host % cluster_len(q))
		return damaged(q, at, "its cluster lies between clusters", s->host, err);
	where += at % cluster_len(q);
	if (!in_file(q, where, len))
		return damaged(q, at, "its cluster lies outside of the file", s->host, err);
	return 0;
}

int qcow2_find(struct qcow2 *q, uint64_t at, struct qcow2_spot *s, struct err *err)
{
	uint64_t cluster = cluster_len(q), per_table = cluster * l2_entries(q);
	uint64_t skip = at % cluster, len = cluster, first = at / cluster % l2_entries(q), i;
	const uint8_t *table;
	struct qcow2_spot next;
	int r = load_l2(q, at, &table, err);

	if (r)
		return r;
	if (!table) {
		*s = (struct qcow2_spot){ .kind = QCOW2_ABSENT };
		s->len = MIN(per_table - at % per_table, q->size - at);
		return 0;
	}
	*s = spot_of(q, be64_get(table + 8 * first));
	for (i = first + 1; i < l2_entries(q); i++, len += cluster) {
		next = spot_of(q, be64_get(table + 8 * i));
		if (!goes_on(s, &next, len))
			break;
	}
	s->len = MIN(len - skip, q->size - at);
	return check_spot(q, s, at, err);
}

/* The cluster that @entry names, decompressed, into q->cluster. */
static int unpack_cluster(struct qcow2 *q, uint64_t entry, uint64_t disk_at, struct err *err)
{
	uint64_t at, len;
	int r;

	if (q->cluster_entry == entry)
		return 0;
	compressed_range(q, entry, &at, &len);
	len = MIN(len, q->io->size - at);
	if (!q->cluster)
		q->cluster = malloc(cluster_len(q));
	if (!q->packed)
		q->packed = malloc(2 * cluster_len(q) + 512);
	if (!q->cluster || !q->packed)
		return err_nomem(err, "compressed cluster");
	q->cluster_entry = 0;
	r = io_read(q->io, q->packed, len, at, err);
	if (r)
		return r;
	r = decompress(q->compression, q->packed, len, q->cluster, cluster_len(q));
	if (r == -ENOMEM)
		return err_nomem(err, "decompression");
	if (r)
		return damaged(q, disk_at, "its compressed cluster cannot be decompressed", at, err);
	q->cluster_entry = entry;
	return 0;
}

int qcow2_read(struct qcow2 *q, const struct qcow2_spot *s, void *buf, size_t len, uint64_t at,
	       struct err *err)
{
	uint64_t skip = at % cluster_len(q);
	int r;

	if (s->kind == QCOW2_DATA)
		return io_read(q->io, buf, len, s->host + skip, err);
	r = unpack_cluster(q, s->host, at, err);
	if (!r)
		memcpy(buf, q->cluster + skip, len);
	return r;
}
