/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "volume/image/backing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/overflow.h"
#include "dev/dev.h"
#include "volume/image/check.h"
#include "volume/image/image.h"
#include "volume/image/qcow2.h"
#include "volume/map/holes.h"

#define UNIT ((uint64_t)256 << 10)

typedef unsigned long long ull;

int backing_parse(const char *word, const char *output, struct backing *b, struct err *err)
{
	static const char *const formats[] = { "raw", "qcow2" };
	const char *comma = strrchr(word, ','), *slash = strrchr(output, '/');
	size_t len = strlen(word);

	*b = (struct backing){ .size = UINT64_MAX };
	for (size_t i = 0; comma && i < ARRAY_SIZE(formats); i++)
		if (!strcmp(comma + 1, formats[i])) {
			b->format = formats[i];
			len = (size_t)(comma - word);
		}
	b->name = strndup(word, len);
	if (!b->name)
		return err_nomem(err, "backing file");
	if (*b->name == '/' || !slash)
		b->path = strdup(b->name);
	else if (asprintf(&b->path, "%.*s/%s", (int)(slash - output), output, b->name) < 0)
		b->path = NULL;
	return b->path ? qcow2_check_backing(b->name, err) : err_nomem(err, "backing file");
}

void backing_fini(struct backing *b)
{
	free(b->name);
	free(b->path);
	*b = (struct backing){ 0 };
}

static int read_image(void *ctx, void *buf, size_t len, uint64_t at, struct err *err)
{
	return image_read(ctx, buf, len, at, err);
}

static int check_bytes(const struct backing *b, const struct since *s, struct image *m,
		       struct jobs *jobs, struct err *err)
{
	const struct base_check c = { .diff = &s->diff,
				      .now = s->now_source,
				      .base = s->base_source,
				      .origin_too = b->is_origin,
				      .read = read_image,
				      .ctx = m,
				      .path = b->path,
				      .base_name = b->is_origin ? s->now_source.origin->name : s->name };
	int r = check_unchanged(&c, err);

	return r || b->is_origin ? r : check_changed(&c, jobs, err);
}

static int check_size(const struct backing *b, uint64_t want, const char *of, struct err *err)
{
	/* images have whole sectors */
	if (b->size == want || b->size == round_up(want, 1u << SECTOR_SHIFT))
		return 0;
	return err_set(err, -EBADMSG,
		       "%s: has %llu bytes, but '%s' has %llu: it is not an image of it; nothing "
		       "was written (--no-check-base skips this check)",
		       b->path, (ull)b->size, of, (ull)want);
}

/* An output over a file further down in the chain would be read through itself. */
static int check_apart(const struct image *m, const char *output, struct err *err)
{
	const char *file;
	int r = 0;

	for (size_t i = 0; !r && (file = image_file(m, i)); i++)
		r = output_refuse_sources(output, &(struct output_options){ .sources = &file, .nr_sources = 1 }, err);
	return r;
}

int backing_check(struct backing *b, const char *output, const struct since *s, const struct volume *now,
		  bool no_check, struct jobs *jobs, struct err *err)
{
	const struct image_options opt = { .format = b->format, .flags = DEV_FORCE };
	struct image *m = NULL;
	int r = image_open(b->path, &opt, &m, err);

	if (r && no_check && b->format)
		return 0; /* the backing file need not be on this machine */
	if (r)
		return err_prefix(err, r, "--backing (a relative name counts from the image's folder)");
	b->format = image_is_qcow2(m) ? "qcow2" : "raw";
	r = check_apart(m, output, err);
	if (!r && !no_check) {
		b->size = image_size(m);
		r = b->is_origin ? check_size(b, now->map.origin_len, now->origin_path, err) :
				   check_size(b, s->base.map.size, s->name, err);
		if (!r)
			r = check_bytes(b, s, m, jobs, err);
	}
	image_free(m);
	return r;
}

struct verifying {
	const struct since *s;
	struct image *m;
	struct holes holes[EXTENT_ORIGIN + 1]; /* of the sources, by extent kind */
	struct feed feed;
	struct meter *meter;
};

static int consume(void *ctx, const struct feed_unit *u, const struct extent *e, void *slot,
		   struct err *err)
{
	const struct verifying *v = ctx;
	uint8_t *want = slot, *got = want + UNIT;
	uint64_t i;
	int r = image_read(v->m, got, u->len, u->at, err);

	(void)e;
	meter_add(v->meter, u->len);
	if (r || !memcmp(want, got, u->len))
		return r;
	i = check_first_difference(want, got);
	return err_set(err, -EBADMSG,
		       "%s: differs from the device at offset %llu: 0x%02x instead of 0x%02x: its "
		       "backing file is not an image of the base, or the disk returns other data "
		       "than was written",
		       image_file(v->m, 0), (ull)(u->at + i), got[i], want[i]);
}

/* Zeros are read back only where the image has something. */
static int take_zeros(struct verifying *v, struct extent e, struct err *err)
{
	uint64_t rest = e.len;
	enum image_kind kind;
	int r = 0;

	for (; rest && !r; rest -= e.len) {
		r = image_find(v->m, e.at, rest, &kind, &e.len, err);
		if (!r && kind == IMAGE_DATA)
			r = feed_cut(&v->feed, &e, 1, UNIT, err);
		else
			meter_add(v->meter, e.len);
		e.at += e.len;
	}
	return r;
}

static int take(void *ctx, const struct extent *extent, struct err *err)
{
	struct verifying *v = ctx;
	struct extent e = *extent;
	int r = 0;

	if (e.lost) /* the backing file may have more */
		return 0;
	if (e.kind == EXTENT_ZERO)
		return take_zeros(v, e, err);
	while (e.len && !r) {
		const struct extent part = holes_take(&v->holes[e.kind], &e, UINT64_MAX);

		r = part.kind == EXTENT_ZERO ? take_zeros(v, part, err) : feed_cut(&v->feed, &part, 1, UNIT, err);
	}
	return r;
}

int backing_verify(const struct output *out, const char *name, const struct since *s,
		   struct jobs *jobs, struct meter *meter, struct err *err)
{
	const struct image_options opt = { .format = "qcow2", .flags = DEV_FORCE, .name = name };
	struct verifying v = { .s = s, .meter = meter };
	char path[64];
	int r;

	/* it has no name yet */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", out->fd);
	r = image_open(path, &opt, &v.m, err);
	v.feed = (struct feed){ .jobs = jobs, .slot_len = 2 * UNIT, .source = &s->now_source, .consume = consume };
	v.feed.ctx = &v;
	holes_init(&v.holes[EXTENT_DATA], s->now_source.data);
	holes_init(&v.holes[EXTENT_ORIGIN], s->now_source.origin);
	if (!r)
		r = map_walk(s->diff.now, take, &v, err);
	if (!r)
		r = feed_flush(&v.feed, err);
	feed_fini(&v.feed);
	image_free(v.m);
	return r;
}
