/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Reads the header of a qcow2 file and refuses features that are not supported. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/be.h"
#include "base/cleanup.h"
#include "base/overflow.h"
#include "volume/image/qcow2_format.h"
#include "volume/image/qcow2_read.h"

#define HEAD_LEN (1u << QCOW2_MAX_BITS) /* the header lies in the first cluster */
#define FEATURE_NAME_LEN 46

typedef unsigned long long ull;

/* The first cluster, or what the file has of it; zeros follow. */
struct head {
	const struct qcow2 *q;
	const uint8_t *h;
	uint64_t len; /* of the first cluster, at most HEAD_LEN */
};

static int refuse(const struct head *d, struct err *err, const char *what)
{
	return err_set(err, -ENOTSUP, "%s: %s", d->q->io->name, what);
}

static int bad(const struct head *d, struct err *err, const char *what)
{
	return err_set(err, -EUCLEAN, "%s: the qcow2 header %s", d->q->io->name, what);
}

/* What the file itself calls incompatible feature @bit, or NULL. */
static const char *feature_name(const struct head *d, unsigned bit, char name[FEATURE_NAME_LEN + 1])
{
	uint64_t at = d->q->header_len, len;

	while (at + 8 <= d->len && be32_get(d->h + at) != EXT_END) {
		const uint8_t *e = d->h + at + 8;

		len = be32_get(d->h + at + 4);
		if (len > d->len - at - 8)
			break;
		for (uint64_t i = 0; be32_get(d->h + at) == EXT_FEATURE_NAMES && i + 48 <= len; i += 48) {
			if (e[i] || e[i + 1] != bit)
				continue;
			memcpy(name, e + i + 2, FEATURE_NAME_LEN);
			name[FEATURE_NAME_LEN] = 0;
			for (char *c = name; *c; c++)
				if (*c < ' ' || *c > '~')
					*c = '?';
			return name;
		}
		at += 8 + round_up(len, 8);
	}
	return NULL;
}

static int check_features(struct qcow2 *q, const struct head *d, struct err *err)
{
	uint64_t bits = be64_get(d->h + H_INCOMPATIBLE), rest;
	char name[FEATURE_NAME_LEN + 1];
	const char *known;

	if (bits & INCOMPATIBLE_CORRUPT)
		return refuse(d, err, "is marked corrupt: run qemu-img check for details");
	if (bits & INCOMPATIBLE_EXTERNAL)
		return refuse(d, err, "keeps its data in an external data file, which cannot be "
				      "read");
	if (bits & INCOMPATIBLE_SUBCLUSTERS)
		return refuse(d, err, "has subclusters (extended L2 entries), which cannot be "
				      "read");
	if (bits & INCOMPATIBLE_COMPRESSION &&
	    (d->q->header_len <= H_COMPRESSION || d->h[H_COMPRESSION] > 1))
		return refuse(d, err, "is compressed in an unknown way");
	q->compression = bits & INCOMPATIBLE_COMPRESSION && d->h[H_COMPRESSION] ? COMPRESS_ZSTD : COMPRESS_DEFLATE;
	if (!compression_is_linked(q->compression))
		return refuse(d, err, "is compressed with zstd, but this program was built "
				      "without libzstd: convert the image with qemu-img, or build "
				      "with libzstd");
	rest = bits & ~(uint64_t)(INCOMPATIBLE_DIRTY | INCOMPATIBLE_COMPRESSION);
	if (!rest)
		return 0;
	known = feature_name(d, (unsigned)__builtin_ctzll(rest), name);
	return err_set(err, -ENOTSUP, "%s: has the incompatible feature %d (%s), which is not understood",
		       d->q->io->name, __builtin_ctzll(rest), known ? known : "without a name");
}

static int read_extensions(struct qcow2 *q, const struct head *d, struct err *err)
{
	uint64_t at = q->header_len, len;

	while (at + 8 <= d->len && be32_get(d->h + at) != EXT_END) {
		len = be32_get(d->h + at + 4);
		if (len > d->len - at - 8)
			return bad(d, err, "has an extension that runs past the first cluster");
		if (be32_get(d->h + at) == EXT_BACKING_FORMAT) {
			if (len >= sizeof(q->backing_format))
				return bad(d, err, "has too long a name of the backing file's "
						   "format");
			memcpy(q->backing_format, d->h + at + 8, len);
			q->backing_format[len] = 0;
		}
		at += 8 + round_up(len, 8);
	}
	return 0;
}

static int read_backing(struct qcow2 *q, const struct head *d, struct err *err)
{
	uint64_t at = be64_get(d->h + H_BACKING_AT);
	uint32_t len = be32_get(d->h + H_BACKING_LEN);

	if (!at || !len)
		return 0;
	if (len > QCOW2_MAX_NAME || at > d->len || len > d->len - at || memchr(d->h + at, 0, len))
		return bad(d, err, "has the backing file's name outside of the first cluster, or "
				   "too long");
	q->backing = strndup((const char *)d->h + at, len);
	return q->backing ? 0 : err_nomem(err, "name of the backing file");
}

/* Counts are not needed, but where their table is missing the file has lost its end. */
static int check_refcounts(const struct qcow2 *q, const struct head *d, struct err *err)
{
	uint64_t cluster = UINT64_C(1) << q->cluster_bits, at = be64_get(d->h + H_REFTABLE_AT), end;

	if (at % cluster || add_overflow(at, be32_get(d->h + H_REFTABLE_CLUSTERS) * cluster, &end) ||
	    end > q->io->size)
		return bad(d, err, "has a refcount table outside of the file: the file may have been cut");
	return 0;
}

static int read_l1(struct qcow2 *q, const struct head *d, struct err *err)
{
	uint64_t cluster = UINT64_C(1) << q->cluster_bits;
	uint64_t at = be64_get(d->h + H_L1_AT), end;

	q->nr_l1 = div_up(q->size, cluster * (cluster / 8));
	if (q->nr_l1 > be32_get(d->h + H_L1_NR))
		return bad(d, err, "has an L1 table that is too short for the size of the disk");
	if (q->nr_l1 * 8 > QCOW2_MAX_L1)
		return bad(d, err, "has an L1 table above the limit of 32 MiB");
	if (at % cluster || add_overflow(at, q->nr_l1 * 8, &end) || end > q->io->size)
		return bad(d, err, "has an L1 table outside of the file or between clusters");
	q->l1 = malloc(q->nr_l1 * 8 + 1);
	q->l2 = malloc(cluster);
	if (!q->l1 || !q->l2)
		return err_nomem(err, "qcow2 tables");
	return q->nr_l1 ? io_read(q->io, q->l1, q->nr_l1 * 8, at, err) : 0;
}

/* Those fields that say how to read the others. */
static int read_fields(struct qcow2 *q, struct head *d, struct err *err)
{
	q->version = be32_get(d->h + H_VERSION);
	if (be32_get(d->h + H_MAGIC) != QCOW2_MAGIC)
		return refuse(d, err, "is not a qcow2 image");
	if (q->version != 2 && q->version != 3)
		return err_set(err, -ENOTSUP, "%s: is qcow version %u, but only 2 and 3 are read", q->io->name,
			       q->version);
	q->cluster_bits = be32_get(d->h + H_CLUSTER_BITS);
	if (q->cluster_bits < QCOW2_MIN_BITS || q->cluster_bits > QCOW2_MAX_BITS)
		return bad(d, err, "has an impossible cluster size");
	d->len = UINT64_C(1) << q->cluster_bits;
	q->header_len = q->version == 2 ? H_LEN_V2 : be32_get(d->h + H_LEN);
	if (q->version == 3 && (q->header_len < H_LEN_V3 || q->header_len > d->len))
		return bad(d, err, "has an impossible length");
	q->size = be64_get(d->h + H_SIZE);
	if (q->size > INT64_MAX)
		return bad(d, err, "has a disk size that is too large");
	if (be32_get(d->h + H_CRYPT))
		return refuse(d, err, "is for an encrypted image, which cannot be read");
	q->compression = COMPRESS_DEFLATE;
	return q->version == 3 ? check_features(q, d, err) : 0;
}

int qcow2_open(struct io *io, struct qcow2 *q, struct err *err)
{
	CLEANUP(free_ptr) uint8_t *h = calloc(1, HEAD_LEN);
	struct head d = { .q = q, .h = h };
	int r;

	*q = (struct qcow2){ .io = io };
	if (!h)
		return err_nomem(err, "qcow2 header");
	r = io->size < H_LEN_V2 ? refuse(&d, err, "is too short for a qcow2 image") :
				  io_read(io, h, MIN(io->size, HEAD_LEN), 0, err);
	if (!r)
		r = read_fields(q, &d, err);
	if (!r)
		r = read_extensions(q, &d, err);
	if (!r)
		r = read_backing(q, &d, err);
	if (!r)
		r = check_refcounts(q, &d, err);
	if (!r)
		r = read_l1(q, &d, err);
	if (r)
		qcow2_close(q);
	return r;
}

void qcow2_close(struct qcow2 *q)
{
	free(q->backing);
	free(q->l1);
	free(q->l2);
	free(q->cluster);
	free(q->packed);
	*q = (struct qcow2){ 0 };
}
