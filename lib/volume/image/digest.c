/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "volume/image/digest.h"

#define UNIT ((uint64_t)256 << 10)

struct digesting {
	struct feed feed;
	struct meter *meter;
	struct sha256 sha;
};

static int consume(void *ctx, const struct feed_unit *u, const struct extent *e, void *slot,
		   struct err *err)
{
	struct digesting *d = ctx;

	(void)e;
	(void)err;
	sha256_add(&d->sha, slot, u->len);
	meter_add(d->meter, u->len);
	return 0;
}

static int take(void *ctx, const struct extent *e, struct err *err)
{
	struct digesting *d = ctx;

	return feed_cut(&d->feed, e, 1, UNIT, err);
}

int image_digest(const struct map *m, const struct image_source *source, struct jobs *jobs,
		 struct meter *meter, char text[SHA256_TEXT], struct err *err)
{
	struct digesting d = { .meter = meter };
	int r;

	d.feed = (struct feed){ .jobs = jobs, .slot_len = UNIT, .source = source, .consume = consume };
	d.feed.ctx = &d;
	sha256_init(&d.sha);
	r = map_walk(m, take, &d, err);
	if (!r)
		r = feed_flush(&d.feed, err);
	feed_fini(&d.feed);
	if (!r)
		sha256_end_text(&d.sha, text);
	return r;
}
