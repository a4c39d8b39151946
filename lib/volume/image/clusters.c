/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Blocks of a pool are whole clusters.  Only where the origin, the base or the device ends inside a
 * cluster, and at holes of the sources, has a cluster several parts; then it is in the image as
 * soon as one of them must be.
 */
#include "volume/image/clusters.h"

#include <stdlib.h>

#include "base/overflow.h"
#include "base/vec.h"
#include "dev/io.h"

enum need { KEEP, ZERO, DATA }; /* what of a part must be in the image: nothing, ... */

static int give(struct clusters *c, enum need need, uint64_t at, uint64_t nr, const struct extent *e,
		unsigned nr_e, struct err *err)
{
	if (need == DATA)
		return c->data(c->ctx, at, nr, e, nr_e, err);
	return need == ZERO ? c->zero(c->ctx, at, nr, err) : 0;
}

/* The cluster that was put together is complete, or ends with the device. */
static int give_parts(struct clusters *c, struct err *err)
{
	enum need need = c->any_data ? DATA : c->any_zero ? ZERO : KEEP;
	int r = 0;

	/*
	 * a cluster with zeros and with bytes of the backing file must be in the image as a whole
	 */
	for (size_t i = 0; need == ZERO && i < c->nr; i++)
		if (c->part[i].kind != EXTENT_ZERO)
			need = DATA;
	if (c->nr)
		r = give(c, need, c->part[0].at, 1, c->part, (unsigned)c->nr, err);
	c->nr = 0;
	c->part_len = 0;
	c->any_data = c->any_zero = false;
	return r;
}

static int add_part(struct clusters *c, enum need need, const struct extent *e, struct err *err)
{
	struct extent *slot = vec_add(c->part, c->nr, c->cap);

	if (!slot)
		return err_nomem(err, "parts of a cluster");
	*slot = *e;
	c->part_len += e->len;
	c->any_data |= need == DATA;
	c->any_zero |= need == ZERO;
	return c->part_len == c->cluster ? give_parts(c, err) : 0;
}

static int put(struct clusters *c, enum need need, struct extent e, struct err *err)
{
	uint64_t len;
	int r = 0;

	while (e.len && !r) {
		struct extent piece = e;

		len = MIN(e.len, c->cluster - c->part_len);
		if (!c->nr && e.len >= c->cluster)
			len = e.len / c->cluster * c->cluster;
		piece.len = len;
		r = !c->nr && len >= c->cluster ?
			    give(c, need, e.at, len / c->cluster, &piece, 1, err) :
			    add_part(c, need, &piece, err);
		e.at += len;
		e.len -= len;
		if (e.kind != EXTENT_ZERO)
			e.from += len;
	}
	return r;
}

/*
 * Zeros behind the end of the base are written, too: a user who applies only the image to a copy of
 * the base does not know where the base ended.  A base image of guests is often far smaller than
 * their disks: there the backing file tells (image.h).
 */
static enum need need_of_zeros(const struct clusters *c, const struct extent *e)
{
	if (!c->has_backing)
		return KEEP;
	return !c->backing_is_origin || e->at < c->backing_size ? ZERO : KEEP;
}

static int put_data(struct clusters *c, struct extent e, struct err *err)
{
	int r = 0;

	while (e.len && !r) {
		const struct extent part = holes_take(&c->holes[e.kind], &e, UINT64_MAX);

		r = put(c, part.kind == EXTENT_ZERO ? need_of_zeros(c, &part) : DATA, part, err);
	}
	return r;
}

static int take_part(void *ctx, const struct diff_part *p, struct err *err)
{
	struct clusters *c = ctx;

	if (p->kind == DIFF_SAME || (c->backing_is_origin && p->now.kind == EXTENT_ORIGIN))
		return put(c, KEEP, p->now, err);
	if (p->now.kind == EXTENT_ZERO)
		return put(c, need_of_zeros(c, &p->now), p->now, err);
	return put_data(c, p->now, err);
}

/*
 * An image has whole sectors.  Where the device ends inside one, and the base does not end there, too, the rest of the
 * sector must not show the backing file's bytes.
 */
static int put_rest_of_sector(struct clusters *c, const struct diff *d, struct err *err)
{
	const uint64_t end = d->now->size, base = d->base ? d->base->size : c->backing_size;
	const struct extent rest = { .at = end, .len = round_up(end, 1u << SECTOR_SHIFT) - end, .kind = EXTENT_ZERO };

	return c->has_backing && rest.len && base > end ? put(c, ZERO, rest, err) : 0;
}

int clusters_walk(struct clusters *c, const struct diff *d, struct err *err)
{
	const struct image_source *s = c->source;
	int r;

	holes_init(&c->holes[EXTENT_DATA], s->data);
	holes_init(&c->holes[EXTENT_ORIGIN], s->origin);
	r = diff_walk(d, take_part, c, err);
	if (!r)
		r = put_rest_of_sector(c, d, err);
	if (!r)
		r = give_parts(c, err);
	free(c->part);
	return r;
}
