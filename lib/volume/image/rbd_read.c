/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/le.h"
#include "base/overflow.h"
#include "volume/image/rbd.h"

#define PIECE ((size_t)1 << 20)

typedef unsigned long long ull;

struct reading {
	const struct rbd_input *in;
	const struct rbd_ops *ops;
	struct rbd_stream *s;
	uint8_t *buf; /* PIECE */
};

static int cut(const struct reading *r, struct err *err)
{
	return err_set(err, -ENODATA,
		       "%s: the stream ends at byte %llu, inside of what begins at byte %llu: it is not complete",
		       r->in->name, (ull)r->s->pos, (ull)r->s->record_at);
}

static int get(struct reading *r, void *buf, size_t len, struct err *err)
{
	size_t got = 0;
	int e = r->in->read(r->in->ctx, buf, len, &got, err);

	r->s->pos += got;
	if (e)
		return err_prefix(err, e, "%s", r->in->name);
	return got == len ? 0 : cut(r, err);
}

static int get_u64(struct reading *r, uint64_t *v, struct err *err)
{
	le64 raw;
	int e = get(r, &raw, sizeof(raw), err);

	if (!e)
		*v = le64_get(raw);
	return e;
}

static int bad(const struct reading *r, struct err *err, const char *what)
{
	return err_set(err, -EINVAL, "%s: the record at byte %llu %s", r->in->name, (ull)r->s->record_at,
		       what);
}

static int read_name(struct reading *r, char *name, bool *has, struct err *err)
{
	uint32_t len;
	le32 raw;
	int e = get(r, &raw, sizeof(raw), err);

	if (e)
		return e;
	len = le32_get(raw);
	if (*has)
		return bad(r, err, "gives the same snapshot a second name");
	if (r->s->nr_records)
		return bad(r, err, "names a snapshot after the first data");
	if (len > RBD_MAX_NAME)
		return bad(r, err, "has a longer name than a snapshot can have");
	*has = true;
	name[len] = 0;
	return get(r, name, len, err);
}

static int read_size(struct reading *r, struct err *err)
{
	struct rbd_stream *s = r->s;
	int e = get_u64(r, &s->size, err);

	if (e)
		return e;
	if (s->has_size)
		return bad(r, err, "gives a second size");
	if (s->nr_records)
		return bad(r, err, "gives the size after the first data");
	if (s->size > INT64_MAX)
		return bad(r, err, "gives an impossible size");
	s->has_size = true;
	return r->ops->size ? r->ops->size(r->ops->ctx, s->size, err) : 0;
}

/* Passes over bytes that are not wanted.  The last one is read, to see that all are there. */
static int skip_bytes(struct reading *r, uint64_t len, struct err *err)
{
	int e = r->in->skip(r->in->ctx, len - 1, err);

	if (e)
		return err_prefix(err, e, "%s", r->in->name);
	r->s->pos += len - 1;
	return get(r, r->buf, 1, err);
}

static int read_bytes(struct reading *r, uint64_t at, uint64_t len, struct err *err)
{
	size_t n;
	int e = 0;

	if (!r->ops->write && r->in->skip && len)
		return skip_bytes(r, len, err);
	for (; len && !e; len -= n, at += n) {
		n = MIN(len, PIECE);
		e = get(r, r->buf, n, err);
		if (!e && r->ops->write)
			e = r->ops->write(r->ops->ctx, at, r->buf, n, err);
	}
	return e;
}

/* In a full export what no record names is zeros: from the furthest record on to @end. */
static int read_gap(struct reading *r, uint64_t end, struct err *err)
{
	const struct rbd_stream *s = r->s;

	if (s->has_from || !r->ops->zero || end <= s->high)
		return 0;
	return r->ops->zero(r->ops->ctx, s->high, end - s->high, err);
}

static int read_range(struct reading *r, bool zero, struct err *err)
{
	struct rbd_stream *s = r->s;
	uint64_t at, len, end;
	int e = get_u64(r, &at, err);

	if (!e)
		e = get_u64(r, &len, err);
	if (e)
		return e;
	if (add_overflow(at, len, &end) || end > INT64_MAX || (s->has_size && end > s->size))
		return bad(r, err, "lies beyond the end of the image");
	s->nr_records++;
	e = read_gap(r, at, err);
	if (e)
		return e;
	s->high = MAX(s->high, end);
	*(zero ? &s->zeros : &s->bytes) += len;
	if (!zero)
		return read_bytes(r, at, len, err);
	return len && r->ops->zero ? r->ops->zero(r->ops->ctx, at, len, err) : 0;
}

static int read_record(struct reading *r, struct err *err)
{
	struct rbd_stream *s = r->s;
	uint8_t tag;
	int e;

	s->record_at = s->pos;
	e = get(r, &tag, 1, err);
	if (e)
		return e;
	switch (tag) {
	case 'f': return read_name(r, s->from, &s->has_from, err);
	case 't': return read_name(r, s->to, &s->has_to, err);
	case 's': return read_size(r, err);
	case 'w': return read_range(r, false, err);
	case 'z': return read_range(r, true, err);
	case 'e': s->ended = true; return read_gap(r, s->size, err);
	}
	return err_set(err, -EINVAL, "%s: byte %llu is 0x%02x, which is not the type of a record", r->in->name,
		       (ull)s->record_at, tag);
}

static int read_magic(struct reading *r, struct err *err)
{
	char magic[RBD_MAGIC_LEN];
	size_t got = 0;
	int e = r->in->read(r->in->ctx, magic, sizeof(magic), &got, err);

	r->s->pos = got;
	if (e)
		return err_prefix(err, e, "%s", r->in->name);
	if (!memcmp(magic, RBD_MAGIC, got))
		return got == sizeof(magic) ? 0 : cut(r, err);
	if (got == sizeof(magic) && !memcmp(magic, "rbd diff v", 10) && isdigit((unsigned char)magic[10]))
		return err_set(err, -EINVAL, "%s: is an rbd diff of version %c; only version 1 is read",
			       r->in->name, magic[10]);
	return err_set(err, -EINVAL, "%s: is not an rbd diff", r->in->name);
}

int rbd_read(const struct rbd_input *in, const struct rbd_ops *ops, struct rbd_stream *s,
	     struct err *err)
{
	CLEANUP(free_ptr) uint8_t *buf = malloc(PIECE);
	struct reading r = { .in = in, .ops = ops, .s = s, .buf = buf };
	int e;

	*s = (struct rbd_stream){ 0 };
	if (!buf)
		return err_nomem(err, "stream buffer");
	e = read_magic(&r, err);
	while (!e && !s->ended)
		e = read_record(&r, err);
	return e;
}
