/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "dev/stack.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/vec.h"
#include "dev/part.h"

size_t stack_device(struct stack *s, const char *path)
{
	const char **slot;
	size_t i;

	for (i = 0; i < s->nr_paths; i++)
		if (!strcmp(s->path[i], path))
			return i;
	slot = vec_add(s->path, s->nr_paths, s->cap_paths);
	if (!slot)
		return SIZE_MAX;
	*slot = path;
	return i;
}

/* Does the linear piece @p continue where the last piece ends? */
static bool goes_on(const struct stack *s, const struct stack_piece *p, const struct stack_leg *leg)
{
	const struct stack_piece *last = s->nr_pieces ? &s->piece[s->nr_pieces - 1] : NULL;
	const struct stack_leg *at;

	if (!last || last->kind != p->kind || p->kind == STACK_STRIPED)
		return false;
	if (p->kind != STACK_LINEAR)
		return true;
	at = &s->leg[last->first_leg];
	return at->dev == leg->dev && at->at + last->len == leg->at;
}

int stack_add(struct stack *s, const struct stack_piece *piece, const struct stack_leg *leg,
	      struct err *err)
{
	struct stack_piece *p;

	if (goes_on(s, piece, leg)) {
		s->piece[s->nr_pieces - 1].len += piece->len;
		return 0;
	}
	p = vec_add(s->piece, s->nr_pieces, s->cap_pieces);
	if (!p || vec_reserve(s->leg, s->cap_legs, s->nr_legs + piece->nr_legs))
		return err_nomem(err, "pieces of a device");
	*p = *piece;
	p->first_leg = s->nr_legs;
	for (uint32_t i = 0; i < piece->nr_legs; i++)
		s->leg[s->nr_legs++] = leg[i];
	return 0;
}

void stack_fini(struct stack *s)
{
	free(s->path);
	free(s->piece);
	free(s->leg);
	*s = (struct stack){ 0 };
}

static void devs_close(struct stack_dev *dev, size_t nr)
{
	for (size_t i = 0; i < nr; i++) {
		if (dev[i].part)
			dev_part_put(dev[i].part);
		else
			io_free(dev[i].io);
	}
}

static int open_one(const char *path, unsigned flags, struct stack_dev *dev, struct err *err)
{
	int r;

	if (dev_named_find(path))
		return dev_open(path, flags, &dev->io, err);
	r = dev_part_open(path, flags, &dev->part, err);
	if (!r)
		dev->io = dev_part_io(dev->part);
	return r;
}

/* The path of the file that is the whole device; NULL: the device is not exactly one file. */
static const char *whole_file(const struct stack *s, struct stack_dev *dev)
{
	const struct stack_piece *p = s->piece;

	if (s->nr_pieces != 1 || s->nr_paths != 1 || p->kind != STACK_LINEAR || s->leg[p->first_leg].at ||
	    dev->io->size != p->len)
		return NULL;
	return s->path[s->leg[p->first_leg].dev];
}

int stack_open(const struct stack *s, const char *name, unsigned flags, struct io **out,
	       struct err *err)
{
	CLEANUP(free_ptr) struct stack_dev *dev = calloc(s->nr_paths + 1, sizeof(*dev));
	const char *whole;
	size_t i;
	int r = 0;

	if (!dev)
		return err_nomem(err, name);
	for (i = 0; i < s->nr_paths && !r; i++)
		r = open_one(s->path[i], flags, &dev[i], err);
	if (r) {
		devs_close(dev, i - 1);
		return err_prefix(err, r, "%s", name);
	}
	whole = whole_file(s, dev);
	if (whole && !dev->part) {
		*out = dev->io;
		return 0;
	}
	if (whole) {
		devs_close(dev, s->nr_paths);
		return dev_open(whole, flags, out, err);
	}
	r = io_stack_new(s, name, dev, out, err);
	if (r)
		devs_close(dev, s->nr_paths);
	return r;
}

/* Reports [@from, @from + @len) of piece @p.  Stripes are reported as a whole. */
static int piece_parts(const struct stack *s, const struct stack_piece *p, uint64_t from,
		       uint64_t len, dev_part_fn *fn, void *fn_ctx)
{
	int r = 0;

	if (p->kind == STACK_STRIPED) {
		from = 0;
		len = p->len / p->nr_legs;
	}
	for (uint32_t i = 0; i < p->nr_legs && !r; i++) {
		const struct stack_leg *leg = &s->leg[p->first_leg + i];

		r = fn(fn_ctx, s->path[leg->dev], leg->at + from, len);
	}
	return r;
}

int stack_parts(const struct stack *s, uint64_t at, uint64_t len, dev_part_fn *fn, void *fn_ctx)
{
	uint64_t begin = 0, end, stop = len < UINT64_MAX - at ? at + len : UINT64_MAX;
	int r = 0;

	for (size_t i = 0; i < s->nr_pieces && !r; i++, begin = end) {
		const struct stack_piece *p = &s->piece[i];
		uint64_t from = MAX(at, begin);

		end = begin + p->len;
		if (from < MIN(stop, end))
			r = piece_parts(s, p, from - begin, MIN(stop, end) - from, fn, fn_ctx);
	}
	return r;
}
