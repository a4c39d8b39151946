/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Clusters of the file are given out in ascending order.  A refcount block counts a range of them,
 * and takes a cluster when the first of its range has been given out; when the last one has been,
 * its counts are final (but for the cluster that compressed data are still being packed into) and
 * it is written.  So are L2 tables, when the next one begins.  L1 and refcount table come last.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/be.h"
#include "base/overflow.h"
#include "base/vec.h"
#include "volume/image/qcow2.h"
#include "volume/image/qcow2_format.h"

#define COUNT_LEN 2 /* bytes of a reference count */
#define COUNT_ORDER 4
#define OPEN_BLOCKS 3

struct count_block {
	uint64_t index; /* of its range */
	uint8_t *count; /* a cluster; NULL: this slot is free */
};

struct qcow2_writer {
	struct io *out;
	struct qcow2_create opt;
	uint64_t cluster; /* bytes */
	uint64_t next;	  /* cluster of the file that is given out next */
	uint64_t l2_index; /* which L2 table @l2 is */
	uint8_t *l2;
	bool l2_used;
	uint64_t *l1; /* offsets of L2 tables, 0: none */
	uint64_t nr_l1;
	struct count_block open[OPEN_BLOCKS];
	uint64_t *counts; /* offsets of the refcount blocks */
	size_t nr_counts, cap_counts;
	uint64_t pack_at, pack_end; /* the rest of the cluster for compressed data; equal: none */
};

unsigned qcow2_cluster_bits(uint64_t block_len)
{
	if (block_len & (block_len - 1) || block_len > 1u << QCOW2_MAX_BITS || block_len < 65536)
		return 16;
	return (unsigned)__builtin_ctzll(block_len);
}

int qcow2_check_backing(const char *name, struct err *err)
{
	size_t word = strcspn(name, ":/");

	if (!*name || strlen(name) > QCOW2_MAX_NAME)
		return err_set(err, -EDOM, "--backing: a backing file's name has 1 to %u bytes", QCOW2_MAX_NAME);
	if (name[word] == ':')
		return err_set(err, -EDOM,
			       "'%s': qemu takes the part before the colon for a protocol: write "
			       "./%s",
			       name, name);
	return 0;
}

static uint64_t counts_per_block(const struct qcow2_writer *w)
{
	return w->cluster / COUNT_LEN;
}

static int write_at(struct qcow2_writer *w, const void *data, size_t len, uint64_t at,
		    struct err *err)
{
	return io_write(w->out, data, len, at, err);
}

static int close_block(struct qcow2_writer *w, struct count_block *b, struct err *err)
{
	int r = write_at(w, b->count, w->cluster, w->counts[b->index], err);

	free(b->count);
	*b = (struct count_block){ 0 };
	return r;
}

/* The refcount block of range @index, which must be open. */
static struct count_block *open_block(struct qcow2_writer *w, uint64_t index)
{
	for (size_t i = 0; i < OPEN_BLOCKS; i++)
		if (w->open[i].count && w->open[i].index == index)
			return &w->open[i];
	return NULL;
}

static int add_block(struct qcow2_writer *w, struct err *err)
{
	struct count_block *b = NULL;
	uint64_t *slot = vec_add(w->counts, w->nr_counts, w->cap_counts);

	for (size_t i = 0; i < OPEN_BLOCKS && !b; i++)
		if (!w->open[i].count)
			b = &w->open[i];
	if (b)
		b->count = calloc(1, w->cluster);
	if (!slot || !b || !b->count)
		return err_nomem(err, "reference counts");
	b->index = w->nr_counts - 1;
	*slot = w->next++ * w->cluster;
	return 0;
}

/* One more reference to each of @nr clusters of the file. */
static void count(struct qcow2_writer *w, uint64_t first, uint64_t nr)
{
	for (; nr; nr--, first++) {
		struct count_block *b = open_block(w, first / counts_per_block(w));
		uint8_t *c = b->count + first % counts_per_block(w) * COUNT_LEN;

		be16_put(c, (uint16_t)((c[0] << 8 | c[1]) + 1));
	}
}

/*
 * Writes the refcount blocks of clusters before @keep, whose counts are final, except that of the
 * cluster with room for compressed data.  That cluster is given up when it lies too far behind.
 */
static int close_blocks(struct qcow2_writer *w, uint64_t keep, struct err *err)
{
	int r = 0;

	if (w->pack_at < w->pack_end && w->pack_end + w->cluster * counts_per_block(w) > keep * w->cluster)
		keep = MIN(keep, w->pack_at / w->cluster);
	else
		w->pack_at = w->pack_end = 0;
	for (size_t i = 0; i < OPEN_BLOCKS && !r; i++)
		if (w->open[i].count && (w->open[i].index + 1) * counts_per_block(w) <= keep)
			r = close_block(w, &w->open[i], err);
	return r;
}

/* @nr clusters in one piece, counted once each. */
static int take(struct qcow2_writer *w, uint64_t nr, uint64_t *first, struct err *err)
{
	uint64_t counted;
	int r = 0;

	*first = counted = w->next;
	w->next += nr;
	while (!r && counted < w->next) {
		uint64_t index = counted / counts_per_block(w);
		uint64_t end = MIN(w->next, (index + 1) * counts_per_block(w));

		if (index == w->nr_counts) {
			r = close_blocks(w, counted, err);
			if (!r)
				r = add_block(w, err); /* moves next */
			continue;
		}
		count(w, counted, end - counted);
		counted = end;
	}
	return r;
}

static int write_l2(struct qcow2_writer *w, struct err *err)
{
	uint64_t first;
	int r;

	if (!w->l2_used)
		return 0;
	r = take(w, 1, &first, err);
	if (!r)
		r = write_at(w, w->l2, w->cluster, first * w->cluster, err);
	w->l1[w->l2_index] = first * w->cluster;
	memset(w->l2, 0, w->cluster);
	w->l2_used = false;
	return r;
}

/* The entry of the disk's cluster @k. */
static int entry_of(struct qcow2_writer *w, uint64_t k, uint8_t **entry, struct err *err)
{
	uint64_t per_table = w->cluster / 8;
	int r = 0;

	if (k / per_table != w->l2_index)
		r = write_l2(w, err);
	w->l2_index = k / per_table;
	w->l2_used = true;
	*entry = w->l2 + k % per_table * 8;
	return r;
}

int qcow2_alloc(struct qcow2_writer *w, uint64_t at, uint64_t nr, uint64_t *host, struct err *err)
{
	uint64_t first, k = at / w->cluster;
	uint8_t *entry;
	int r = entry_of(w, k, &entry, err); /* before: its table may need a cluster */

	if (!r)
		r = take(w, nr, &first, err);
	if (r)
		return r;
	*host = first * w->cluster;
	for (uint64_t i = 0; i < nr && !r; i++) {
		r = entry_of(w, k + i, &entry, err);
		if (!r)
			be64_put(entry, (first + i) * w->cluster | ENTRY_COPIED);
	}
	return r;
}

int qcow2_zero(struct qcow2_writer *w, uint64_t at, uint64_t nr, struct err *err)
{
	uint64_t k = at / w->cluster;
	uint8_t *entry;
	int r = 0;

	for (; nr && !r; nr--, k++) {
		r = entry_of(w, k, &entry, err);
		if (!r)
			be64_put(entry, ENTRY_ZERO);
	}
	return r;
}

/* Room for @len bytes of compressed data, behind the last ones where nothing lies between. */
static int pack(struct qcow2_writer *w, size_t len, uint64_t *at, struct err *err)
{
	uint64_t first, last, room = w->pack_end - w->pack_at;
	int r = 0;

	if (room && (len <= room || w->next * w->cluster == w->pack_end)) {
		first = w->pack_at / w->cluster;
		last = (w->pack_at + len - 1) / w->cluster;
		*at = w->pack_at;
		count(w, first, 1);
		if (last > first) { /* at most one more cluster, since less than one is packed */
			w->pack_end += w->cluster;
			w->pack_at += len;
			return take(w, 1, &last, err);
		}
	} else {
		w->pack_at = w->pack_end = 0;
		r = take(w, 1, &first, err);
		*at = w->pack_at = first * w->cluster;
		w->pack_end = w->pack_at + w->cluster;
	}
	w->pack_at += len;
	return r;
}

int qcow2_compressed(struct qcow2_writer *w, uint64_t at, const void *data, size_t len,
		     struct err *err)
{
	uint64_t host, sectors;
	uint8_t *entry;
	int r = entry_of(w, at / w->cluster, &entry, err);

	if (!r)
		r = pack(w, len, &host, err);
	if (!r)
		r = write_at(w, data, len, host, err);
	if (r)
		return r;
	sectors = ((host + len - 1) >> SECTOR_SHIFT) - (host >> SECTOR_SHIFT);
	be64_put(entry, ENTRY_COMPRESSED | sectors << compressed_shift(w->opt.cluster_bits) | host);
	return 0;
}

void qcow2_free(struct qcow2_writer *w)
{
	if (!w)
		return;
	for (size_t i = 0; i < OPEN_BLOCKS; i++)
		free(w->open[i].count);
	free(w->counts);
	free(w->l1);
	free(w->l2);
	free(w);
}

int qcow2_check_size(const struct qcow2_create *opt, struct err *err)
{
	const uint64_t cluster = UINT64_C(1) << opt->cluster_bits, most = QCOW2_MAX_L1 / 8 * (cluster * (cluster / 8));

	if (opt->size <= most)
		return 0;
	return err_set(err, -ERANGE,
		       "%llu bytes are more than the %llu that a qcow2 image with clusters of %llu "
		       "bytes can have: --format raw has no such limit",
		       (unsigned long long)opt->size, (unsigned long long)most, (unsigned long long)cluster);
}

int qcow2_begin(struct io *out, const struct qcow2_create *opt, struct qcow2_writer **result,
		struct err *err)
{
	struct qcow2_writer *w;
	uint64_t first;
	int r = qcow2_check_size(opt, err);

	if (r)
		return r;
	w = calloc(1, sizeof(*w));
	if (!w)
		return err_nomem(err, "qcow2 image");
	w->out = out;
	w->opt = *opt;
	w->cluster = UINT64_C(1) << opt->cluster_bits;
	w->nr_l1 = div_up(opt->size, w->cluster * (w->cluster / 8));
	w->l1 = calloc(w->nr_l1 + 1, 8);
	w->l2 = calloc(1, w->cluster);
	r = w->l1 && w->l2 ? take(w, 1, &first, err) : err_nomem(err, "qcow2 tables");
	/* an older image's header would name tables that are about to be overwritten */
	if (!r)
		r = write_at(w, w->l2, w->cluster, 0, err);
	if (!r)
		r = io_flush(out, err);
	if (r)
		qcow2_free(w);
	else
		*result = w;
	return r;
}

/* The header, its extensions and the backing file's name, all in the first cluster. */
static int write_header(struct qcow2_writer *w, uint64_t l1_at, uint64_t table_at,
			uint64_t table_clusters, struct err *err)
{
	const struct qcow2_create *o = &w->opt;
	uint8_t *h = calloc(1, w->cluster), *ext = h ? h + HEADER_MADE : NULL;
	size_t name_len = o->backing ? strlen(o->backing) : 0;
	int r;

	if (!h)
		return err_nomem(err, "qcow2 header");
	be32_put(h + H_MAGIC, QCOW2_MAGIC);
	be32_put(h + H_VERSION, 3);
	be32_put(h + H_CLUSTER_BITS, o->cluster_bits);
	if (o->compression == COMPRESS_ZSTD) {
		be64_put(h + H_INCOMPATIBLE, INCOMPATIBLE_COMPRESSION);
		h[H_COMPRESSION] = 1;
	}
	be64_put(h + H_SIZE, o->size);
	be32_put(h + H_L1_NR, (uint32_t)w->nr_l1);
	be64_put(h + H_L1_AT, l1_at);
	be64_put(h + H_REFTABLE_AT, table_at);
	be32_put(h + H_REFTABLE_CLUSTERS, (uint32_t)table_clusters);
	be32_put(h + H_REFCOUNT_ORDER, COUNT_ORDER);
	be32_put(h + H_LEN, HEADER_MADE);
	if (o->backing) {
		size_t len = strlen(o->backing_format);

		be32_put(ext, EXT_BACKING_FORMAT);
		be32_put(ext + 4, (uint32_t)len);
		memcpy(ext + 8, o->backing_format, len);
		ext += 8 + round_up(len, 8);
		be64_put(h + H_BACKING_AT, (uint64_t)(ext + 8 - h));
		be32_put(h + H_BACKING_LEN, (uint32_t)name_len);
		memcpy(ext + 8, o->backing, name_len); /* behind the extension that ends them */
	}
	r = write_at(w, h, w->cluster, 0, err);
	free(h);
	return r;
}

/*
 * The table of the refcount blocks.  It has room for one block more, which the table itself and the blocks
 * that count it may need.
 */
static int write_table(struct qcow2_writer *w, uint64_t *at, uint64_t *clusters, struct err *err)
{
	uint64_t per_block = counts_per_block(w), first;
	uint64_t blocks = w->next / per_block + 2, nr = 0;
	uint8_t *table;
	int r;

	for (; nr != div_up(blocks * 8, w->cluster); blocks = (w->next + nr + 2) / per_block + 2)
		nr = div_up(blocks * 8, w->cluster);
	r = take(w, nr, &first, err);
	table = calloc(nr, w->cluster);
	if (!r && !table)
		r = err_nomem(err, "qcow2 refcount table");
	for (size_t i = 0; !r && i < w->nr_counts; i++)
		be64_put(table + 8 * i, w->counts[i]);
	if (!r)
		r = write_at(w, table, nr * w->cluster, first * w->cluster, err);
	free(table);
	*at = first * w->cluster;
	*clusters = nr;
	return r;
}

static int write_l1(struct qcow2_writer *w, uint64_t *at, struct err *err)
{
	uint64_t nr = div_up(w->nr_l1 * 8, w->cluster), first;
	uint8_t *table;
	int r;

	*at = 0;
	if (!nr)
		return 0; /* a disk of no bytes */
	r = take(w, nr, &first, err);
	table = calloc(nr, w->cluster);
	if (!r && !table)
		r = err_nomem(err, "qcow2 L1 table");
	for (uint64_t i = 0; !r && i < w->nr_l1; i++)
		if (w->l1[i])
			be64_put(table + 8 * i, w->l1[i] | ENTRY_COPIED);
	if (!r)
		r = write_at(w, table, nr * w->cluster, first * w->cluster, err);
	free(table);
	*at = first * w->cluster;
	return r;
}

int qcow2_end(struct qcow2_writer *w, uint64_t *end, struct err *err)
{
	uint64_t l1_at, table_at, table_clusters;
	int r = write_l2(w, err);

	w->pack_at = w->pack_end = 0;
	if (!r)
		r = write_l1(w, &l1_at, err);
	if (!r)
		r = write_table(w, &table_at, &table_clusters, err);
	if (!r)
		r = close_blocks(w, (w->nr_counts + 1) * counts_per_block(w), err);
	if (!r)
		r = io_flush(w->out, err);
	if (!r)
		r = write_header(w, l1_at, table_at, table_clusters, err);
	*end = w->next * w->cluster;
	return r;
}
