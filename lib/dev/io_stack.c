/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * A request is cut where a piece, or a stripe of it, ends; each part goes to its device with the
 * caller's own buffer.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/search.h"
#include "base/zero.h"
#include "dev/part.h"
#include "dev/stack.h"

typedef unsigned long long ull;

struct io_stack {
	struct io io;
	struct stack_piece *piece;
	uint64_t *end; /* of each piece, in the stack */
	size_t nr_pieces;
	struct stack_leg *leg;
	struct stack_dev *dev;
	size_t nr_devs;
	char name[];
};

/* A part of a request that lies in one place. */
struct part {
	enum stack_kind kind; /* never striped */
	struct io *io;	      /* linear */
	uint64_t at;	      /* in it */
	uint64_t len;
};

static struct io_stack *stack_of(struct io *io)
{
	return (struct io_stack *)io;
}

/* What the beginning of [at, at+len), which is within the stack, is. */
static struct part part_at(const struct io_stack *s, uint64_t at, uint64_t len)
{
	size_t i = search_first(k, s->nr_pieces, s->end[k] > at);
	const struct stack_piece *p = &s->piece[i];
	const struct stack_leg *leg = &s->leg[p->first_leg];
	uint64_t in = at - (s->end[i] - p->len), chunk;
	struct part part = { .kind = p->kind, .len = MIN(len, s->end[i] - at) };

	if (p->kind == STACK_STRIPED) {
		part.kind = STACK_LINEAR;
		part.len = MIN(part.len, p->stripe_len - in % p->stripe_len);
		chunk = in / p->stripe_len;
		leg += chunk % p->nr_legs;
		in = chunk / p->nr_legs * p->stripe_len + in % p->stripe_len;
	}
	if (part.kind == STACK_LINEAR) {
		part.io = s->dev[leg->dev].io;
		part.at = leg->at + in;
	}
	return part;
}

/* What is done with one part of a request. */
typedef int part_fn(struct io *io, const struct part *p, char *buf, struct err *err);

static int for_parts(struct io *io, void *buf, uint64_t len, uint64_t at, const char *what,
		     part_fn *fn, struct err *err)
{
	const struct io_stack *s = stack_of(io);
	uint64_t done;
	int r = 0;

	if (at > io->size || len > io->size - at)
		return err_set(err, -EIO, "%s: %s %llu bytes at offset %llu: the device ends at %llu",
			       s->name, what, (ull)len, (ull)at, (ull)io->size);
	for (done = 0; done < len && !r;) {
		struct part p = part_at(s, at + done, len - done);

		if (p.kind == STACK_ERROR)
			r = err_set(err, -EIO,
				    "%s: %s %llu bytes at offset %llu: an error target covers "
				    "them",
				    s->name, what, (ull)p.len, (ull)(at + done));
		else
			r = fn(io, &p, buf ? (char *)buf + done : NULL, err);
		done += p.len;
	}
	return r;
}

static int read_part(struct io *io, const struct part *p, char *buf, struct err *err)
{
	(void)io;
	if (p->kind == STACK_LINEAR)
		return io_read(p->io, buf, p->len, p->at, err);
	memset(buf, 0, p->len);
	return 0;
}

/*
 * A file must not grow because it is shorter than the table says.  The kernel drops what is written
 * to a zero target; here that is an error, so that no pool maps a block whose data is gone.
 */
static int write_part(struct io *io, const struct part *p, char *buf, struct err *err)
{
	if (p->kind == STACK_ZERO && all_zero(buf, p->len))
		return 0;
	if (p->kind == STACK_ZERO)
		return err_set(err, -EIO, "%s: writing %llu bytes that lie on a zero target, which keeps nothing",
			       io->name, (ull)p->len);
	if (p->at > p->io->size || p->len > p->io->size - p->at)
		return err_set(err, -EIO, "%s: writing %llu bytes at offset %llu of %s: it ends at %llu",
			       io->name, (ull)p->len, (ull)p->at, p->io->name, (ull)p->io->size);
	return io_write(p->io, buf, p->len, p->at, err);
}

static int punch_part(struct io *io, const struct part *p, char *buf, struct err *err)
{
	(void)io, (void)buf;
	return p->kind == STACK_ZERO ? 0 : io_punch(p->io, p->at, p->len, err);
}

static int discard_part(struct io *io, const struct part *p, char *buf, struct err *err)
{
	(void)io, (void)buf;
	return p->kind == STACK_ZERO ? 0 : io_discard(p->io, p->at, p->len, err);
}

static int will_need_part(struct io *io, const struct part *p, char *buf, struct err *err)
{
	(void)io, (void)buf, (void)err;
	if (p->kind == STACK_LINEAR)
		io_will_need(p->io, p->at, p->len);
	return 0;
}

static int stack_read(struct io *io, void *buf, size_t len, uint64_t at, struct err *err)
{
	meter_add(io->meter, len);
	return for_parts(io, buf, len, at, "reading", read_part, err);
}

static int stack_write(struct io *io, const void *buf, size_t len, uint64_t at, struct err *err)
{
	meter_add(io->meter, len);
	return for_parts(io, (void *)(uintptr_t)buf, len, at, "writing", write_part, err);
}

static int stack_punch(struct io *io, uint64_t at, uint64_t len, struct err *err)
{
	return for_parts(io, NULL, len, at, "zeroing", punch_part, err);
}

static int stack_discard(struct io *io, uint64_t at, uint64_t len, struct err *err)
{
	return for_parts(io, NULL, len, at, "discarding", discard_part, err);
}

/* A hint: as far as the device reaches. */
static void stack_will_need(struct io *io, uint64_t at, uint64_t len)
{
	if (at < io->size)
		for_parts(io, NULL, MIN(len, io->size - at), at, "", will_need_part, NULL);
}

static int stack_flush(struct io *io, struct err *err)
{
	const struct io_stack *s = stack_of(io);
	int r = 0;

	for (size_t i = 0; i < s->nr_devs && !r; i++)
		r = io_flush(s->dev[i].io, err);
	return r;
}

static void stack_where(struct io *io, uint64_t at, uint64_t len, struct io_place *out)
{
	struct part p;

	*out = (struct io_place){ .kind = IO_LOST, .len = len };
	if (at >= io->size)
		return;
	p = part_at(stack_of(io), at, MIN(len, io->size - at));
	out->len = p.len;
	if (p.kind == STACK_ZERO)
		out->kind = IO_ZERO;
	else if (p.kind == STACK_LINEAR)
		io_where(p.io, p.at, p.len, out);
}

static void stack_free(struct io *io)
{
	struct io_stack *s = stack_of(io);

	for (size_t i = 0; i < s->nr_devs; i++) {
		if (s->dev[i].part)
			dev_part_put(s->dev[i].part);
		else
			io_free(s->dev[i].io);
	}
	free(s->piece);
	free(s->end);
	free(s->leg);
	free(s->dev);
	free(s);
}

static const struct io_ops stack_ops = {
	.read = stack_read,
	.write = stack_write,
	.flush = stack_flush,
	.punch = stack_punch,
	.discard = stack_discard,
	.will_need = stack_will_need,
	.where = stack_where,
	.free = stack_free,
};

static void *copy_of(const void *from, size_t nr, size_t size)
{
	void *to = calloc(nr + 1, size);

	if (to && nr)
		memcpy(to, from, nr * size);
	return to;
}

static bool is_lossy(const struct io_stack *s)
{
	for (size_t i = 0; i < s->nr_pieces; i++) {
		const struct stack_piece *p = &s->piece[i];

		if (p->kind == STACK_ERROR)
			return true;
		for (uint32_t k = 0; k < p->nr_legs; k++) {
			const struct stack_leg *leg = &s->leg[p->first_leg + k];
			const struct io *io = s->dev[leg->dev].io;

			if (io->lossy || leg->at + p->len / p->nr_legs > io->size)
				return true;
		}
	}
	return false;
}

int io_stack_new(const struct stack *s, const char *name, const struct stack_dev *dev,
		 struct io **out, struct err *err)
{
	size_t len = strlen(name) + 1;
	struct io_stack *n = calloc(1, sizeof(*n) + len);

	if (!n)
		return err_nomem(err, name);
	memcpy(n->name, name, len);
	n->io = (struct io){ .ops = &stack_ops, .name = n->name, .align = 1, .fd = -1 };
	n->piece = copy_of(s->piece, s->nr_pieces, sizeof(*s->piece));
	n->leg = copy_of(s->leg, s->nr_legs, sizeof(*s->leg));
	n->dev = copy_of(dev, s->nr_paths, sizeof(*dev));
	n->end = calloc(s->nr_pieces + 1, sizeof(*n->end));
	if (!n->piece || !n->leg || !n->dev || !n->end) {
		stack_free(&n->io); /* nr_devs is 0: the devices stay the caller's */
		return err_nomem(err, name);
	}
	n->nr_pieces = s->nr_pieces;
	n->nr_devs = s->nr_paths;
	for (size_t i = 0; i < n->nr_pieces; i++) {
		n->io.size += n->piece[i].len;
		n->end[i] = n->io.size;
	}
	for (size_t i = 0; i < n->nr_devs; i++) {
		n->io.align = MAX(n->io.align, dev[i].io->align);
		n->io.direct |= dev[i].io->direct;
	}
	n->io.lossy = is_lossy(n);
	*out = &n->io;
	return 0;
}
