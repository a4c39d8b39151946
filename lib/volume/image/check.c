/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "volume/image/check.h"

#include <errno.h>
#include <string.h>

#define PLACE 4096
#define UNIT ((uint64_t)256 << 10)

int check_failed(const char *path, const char *base_name, uint64_t at, struct err *err)
{
	return err_set(err, -EBADMSG,
		       "%s: does not hold the bytes of '%s' at offset %llu: it is not an image of "
		       "it; nothing was written at or after that offset (--no-check-base skips "
		       "this check)",
		       path, base_name, (unsigned long long)at);
}

/*
 * Places spread over the device without knowing how many there will be: each @step'th is
 * kept, and when there is no room, each second of those.
 */
struct places {
	const struct base_check *c;
	struct extent place[CHECK_PLACES];
	size_t nr;
	uint64_t seen, step;
};

static int note_place(void *ctx, const struct diff_part *p, struct err *err)
{
	struct places *s = ctx;
	bool shines = p->kind == DIFF_SAME || (s->c->origin_too && p->now.kind == EXTENT_ORIGIN);

	(void)err;
	if (!shines || p->now.kind == EXTENT_ZERO || s->seen++ % s->step)
		return 0;
	if (s->nr == CHECK_PLACES) {
		for (size_t i = 0; i < CHECK_PLACES / 2; i++)
			s->place[i] = s->place[2 * i];
		s->nr /= 2;
		s->step *= 2;
	}
	s->place[s->nr] = p->now;
	s->place[s->nr++].len = MIN(p->len, PLACE);
	return 0;
}

uint64_t check_first_difference(const uint8_t *a, const uint8_t *b)
{
	uint64_t i = 0;

	while (a[i] == b[i])
		i++;
	return i;
}

int check_unchanged(const struct base_check *c, struct err *err)
{
	struct places s = { .c = c, .step = 1 };
	uint8_t want[PLACE], got[PLACE];
	int r = diff_walk(c->diff, note_place, &s, err);

	for (size_t i = 0; i < s.nr && !r; i++) {
		const struct extent *e = &s.place[i];

		r = image_source_read(&c->now, e, 1, want, err);
		if (!r)
			r = c->read(c->ctx, got, e->len, e->at, err);
		if (!r && memcmp(want, got, e->len))
			r = check_failed(c->path, c->base_name, e->at + check_first_difference(want, got), err);
	}
	return r;
}

struct checking {
	const struct base_check *c;
	struct feed feed;
};

static int consume(void *ctx, const struct feed_unit *u, const struct extent *e, void *slot,
		   struct err *err)
{
	const struct checking *k = ctx;
	uint8_t *got = (uint8_t *)slot + UNIT;
	int r = k->c->read(k->c->ctx, got, u->len, u->at, err);

	(void)e;
	if (!r && memcmp(slot, got, u->len))
		r = check_failed(k->c->path, k->c->base_name, u->at + check_first_difference(slot, got), err);
	return r;
}

static int take(void *ctx, const struct diff_part *p, struct err *err)
{
	struct checking *k = ctx;

	if (p->kind != DIFF_CHANGED || !diff_knows(k->c->diff, &p->base) || (p->base.kind == EXTENT_DATA && !k->c->base.data))
		return 0;
	return feed_cut(&k->feed, &p->base, 1, UNIT, err);
}

int check_changed(const struct base_check *c, struct jobs *jobs, struct err *err)
{
	struct checking k = { .c = c };
	int r;

	k.feed = (struct feed){ .jobs = jobs, .slot_len = 2 * UNIT, .source = &c->base, .consume = consume };
	k.feed.ctx = &k;
	r = diff_walk(c->diff, take, &k, err);
	if (!r)
		r = feed_flush(&k.feed, err);
	feed_fini(&k.feed);
	return r;
}
