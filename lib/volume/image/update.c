/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "volume/image/update.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/zero.h"
#include "dev/dev.h"
#include "volume/image/check.h"
#include "volume/map/holes.h"

#define UNIT ((uint64_t)256 << 10)
#define SECTOR ((uint64_t)1 << SECTOR_SHIFT) /* what a disk writes whole or not at all */

typedef unsigned long long ull;

struct updating {
	const struct update *u;
	struct output *out;
	struct feed feed;
	struct holes holes; /* of the output */
	bool written;	    /* at least tried */
};

/* What is to be done with a unit, and three buffers of UNIT: now, output, base. */
struct slot {
	uint64_t begin, end; /* what is to be written, in the unit; equal: nothing */
	bool wrong;	     /* at @begin is something else */
	uint8_t bytes[] __attribute__((aligned(64)));
};

int update_open(const char *path, const struct update *u, const char *const *sources,
		size_t nr_sources, struct output *out, struct err *err)
{
	const uint64_t was = u->diff->base->size, now = u->diff->now->size;
	const struct output_options opt = { .sources = sources, .nr_sources = nr_sources };
	struct output o = { .fd = -1, .size = now };
	struct stat st;
	int r;

	r = output_refuse_sources(path, &opt, err);
	if (r)
		return r;
	r = dev_open(path, DEV_WRITE | DEV_BUFFERED, &o.io, err);
	if (r)
		return err_prefix(err, r, "--since updates an image that exists");
	o.fd = o.io->fd;
	o.path = strdup(path);
	o.kind = !fstat(o.fd, &st) && S_ISBLK(st.st_mode) ? OUTPUT_DEVICE : OUTPUT_FILE;
	if (!o.path)
		r = err_nomem(err, "output");
	else if (o.kind == OUTPUT_DEVICE && o.io->size < now)
		r = err_set(err, -ERANGE, "%s: has %llu bytes, the image needs %llu: nothing was written",
			    path, (ull)o.io->size, (ull)now);
	else if (o.kind == OUTPUT_FILE && o.io->size != was && o.io->size != now)
		r = err_set(err, -EBADMSG,
			    "%s: has %llu bytes, but '%s' has %llu: it is not an image of it; nothing "
			    "was written (--since-size gives the size that '%s' had)",
			    path, (ull)o.io->size, u->base_name, (ull)was, u->base_name);
	if (r)
		output_discard(&o);
	else
		*out = o;
	return r;
}

/* The bytes of the base are known, and the output must hold them or those of now. */
static bool checked(const struct updating *x, enum diff_kind kind, const struct extent *base)
{
	if (x->u->no_check || !diff_knows(x->u->diff, base) || (kind == DIFF_NEW && x->out->kind == OUTPUT_DEVICE))
		return false;
	return base->kind != EXTENT_DATA || x->u->base.data;
}

static int work(void *ctx, unsigned worker, const struct feed_unit *u, const struct extent *e,
		void *slot, struct err *err)
{
	const struct updating *x = ctx;
	struct slot *s = slot;
	uint8_t *now = s->bytes, *got = now + UNIT, *was = got + UNIT;
	bool check = u->nr == 2, have_base = false;
	uint64_t at, n;
	int r = image_source_read(&x->u->now, e, 1, now, err);

	(void)worker;
	s->begin = s->end = 0;
	s->wrong = false;
	if (!r)
		r = io_read(x->out->io, got, u->len, u->at, err);
	for (at = 0; at < u->len && !r; at += n) {
		n = MIN(SECTOR - (u->at + at) % SECTOR, u->len - at);
		if (!memcmp(now + at, got + at, n))
			continue;
		if (check && !have_base)
			r = image_source_read(&x->u->base, e + 1, 1, was, err);
		have_base = true;
		if (s->begin == s->end)
			s->begin = at;
		s->end = at + n;
		s->wrong = !r && check && memcmp(was + at, got + at, n);
		if (s->wrong) {
			s->begin = at;
			break;
		}
	}
	return r;
}

static int write_some(struct updating *x, const struct slot *s, const struct feed_unit *u, struct err *err)
{
	uint64_t at = u->at + s->begin, len = s->end - s->begin;
	bool zero = x->u->sparse != SPARSE_NEVER && all_zero(s->bytes + s->begin, len);

	x->written = true;
	/* zeros are written where they cannot be punched */
	if (zero && !io_punch(x->out->io, at, len, NULL))
		return 0;
	return io_write(x->out->io, s->bytes + s->begin, len, at, err);
}

static int consume(void *ctx, const struct feed_unit *u, const struct extent *e, void *slot,
		   struct err *err)
{
	struct updating *x = ctx;
	const struct slot *s = slot;
	int r = 0;

	(void)e;
	if (s->wrong)
		return check_failed(x->out->path, x->u->base_name, u->at + s->begin, err);
	if (s->begin < s->end)
		r = write_some(x, s, u, err);
	meter_add(x->u->meter, u->len);
	return r;
}

/* Takes a part that differs.  Zeros over holes of the output need no write. */
static int take(void *ctx, const struct diff_part *p, struct err *err)
{
	struct updating *x = ctx;
	struct extent e[2] = { p->now, p->base };
	const uint64_t end = p->kind == DIFF_SAME ? p->at : p->at + p->len;
	bool is_data = true;
	int r = 0;

	if (p->now.kind != EXTENT_ZERO)
		return end == p->at ? 0 : feed_cut(&x->feed, e, checked(x, p->kind, e + 1) ? 2 : 1, UNIT, err);
	while (e->at < end && !r) {
		e[0].len = e[1].len = holes_segment(&x->holes, e->at, end - e->at, &is_data);
		if (is_data)
			r = feed_cut(&x->feed, e, checked(x, p->kind, e + 1) ? 2 : 1, UNIT, err);
		else
			meter_add(x->u->meter, e->len);
		e[1].at += e->len;
		e[1].from += e[1].kind == EXTENT_ZERO ? 0 : e->len;
		e[0].at += e->len;
	}
	return r;
}

static int read_output(void *ctx, void *buf, size_t len, uint64_t at, struct err *err)
{
	return io_read(ctx, buf, len, at, err);
}

static int set_size(struct output *out, uint64_t size, struct err *err)
{
	if (ftruncate(out->fd, (off_t)size))
		return err_sys(err, -errno, "%s: setting its size to %llu bytes", out->path, (ull)size);
	out->io->size = size;
	return 0;
}

int update_run(const struct update *u, struct output *out, struct jobs *jobs, struct err *err)
{
	const uint64_t size = u->diff->now->size, had = out->io->size;
	const struct base_check check = { .diff = u->diff, .now = u->now, .base = u->base,
					  .read = read_output, .ctx = out->io,
					  .path = out->path, .base_name = u->base_name };
	struct updating x = { .u = u, .out = out };
	int r = u->no_check ? 0 : check_unchanged(&check, err);

	if (r)
		return r;
	if (out->kind == OUTPUT_FILE && out->io->size < size)
		r = set_size(out, size, err);
	holes_init(&x.holes, out->io);
	x.feed = (struct feed){ .jobs = jobs, .work = work, .consume = consume, .ctx = &x };
	x.feed.slot_len = sizeof(struct slot) + 3 * UNIT;
	if (!r)
		r = diff_walk(u->diff, take, &x, err);
	if (!r)
		r = feed_flush(&x.feed, err);
	feed_fini(&x.feed);
	/* a file that turns out to be no image of the base stays as it was */
	if (r && !x.written && out->kind == OUTPUT_FILE && out->io->size > had)
		set_size(out, had, NULL);
	/* what is cut off would be missing from the base if it had to be compared again */
	if (!r && out->kind == OUTPUT_FILE && out->io->size > size)
		r = set_size(out, size, err);
	return r ? r : output_sync(out, err);
}
