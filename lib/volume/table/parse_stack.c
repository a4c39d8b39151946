/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/vec.h"
#include "volume/table/parse.h"

/* A line of @name is a part of the device of the line before, or begins one. */
struct table_device *table_device_of_line(struct parser *p, const char *target)
{
	struct table *t = p->t;
	struct table_device *d = t->nr_devices ? &t->device[t->nr_devices - 1] : NULL;

	if (d && !strcmp(d->name, p->name) && !d->target == !target && (target || d->length == p->start))
		return d;
	d = vec_add(t->device, t->nr_devices, p->device_cap);
	if (!d)
		return NULL;
	*d = (struct table_device){ .name = steal_ptr(&p->name), .line = p->line, .target = target,
				    .first = SIZE_MAX };
	return d;
}

static int add_segment(struct parser *p, struct table_segment seg, struct err *err)
{
	struct table *t = p->t;
	struct table_device *d;
	struct table_segment *s;

	if (p->start + p->length > MAX_SECTORS)
		return table_line_error(p, err, NULL, "the device is larger than any device can be");
	d = table_device_of_line(p, NULL);
	s = d ? vec_add(t->seg, t->nr_segs, p->seg_cap) : NULL;
	if (!s)
		return err_nomem(err, "table file");
	seg.line = p->line;
	seg.start = p->start;
	seg.length = p->length;
	seg.next = SIZE_MAX;
	*s = seg;
	if (d->first == SIZE_MAX)
		d->first = t->nr_segs - 1;
	else
		t->seg[d->last].next = t->nr_segs - 1;
	d->last = t->nr_segs - 1;
	d->length += p->length;
	return 0;
}

/* DEV OFFSET */
static int parse_leg(struct parser *p, char **arg, sector_t len, struct err *err)
{
	struct table *t = p->t;
	struct table_leg *leg = vec_add(t->leg, t->nr_legs, p->leg_cap);
	int r;

	if (!leg)
		return err_nomem(err, "table file");
	*leg = (struct table_leg){ 0 };
	r = table_word_dev(p, arg[0], &leg->dev, err);
	return r ? r : table_word_u64(p, arg[1], "the offset", MAX_SECTORS - len, &leg->at, err);
}

int table_parse_linear(struct parser *p, char **arg, size_t nr, struct err *err)
{
	int r;

	if (nr != 2)
		return table_line_error(p, err, arg[nr - 1], "linear needs DEV OFFSET, and no "
							     "more");
	r = parse_leg(p, arg, p->length, err);
	return r ? r : add_segment(p, (struct table_segment){ .kind = STACK_LINEAR, .nr_legs = 1,
							      .first_leg = p->t->nr_legs - 1 }, err);
}

/* NR STRIPE_SECTORS DEV OFFSET... */
int table_parse_striped(struct parser *p, char **arg, size_t nr, struct err *err)
{
	struct table_segment seg = { .kind = STACK_STRIPED, .first_leg = p->t->nr_legs };
	uint64_t legs, stripe;
	int r;

	if (nr < 4)
		return table_line_error(p, err, arg[nr - 1],
				  "the line ends here: striped needs NR STRIPE_SECTORS DEV OFFSET...");
	r = table_word_u64(p, arg[0], "the number of stripes", MAX_WORDS, &legs, err);
	if (!r)
		r = table_word_u64(p, arg[1], "the stripe size", UINT32_MAX, &stripe, err);
	if (r)
		return r;
	if (!legs || nr != 2 + 2 * legs)
		return table_line_error(p, err, arg[0], "the line has another number of DEV "
							"OFFSET pairs");
	if (!stripe || p->length % (legs * stripe))
		return table_line_error(p, err, arg[1], "LENGTH is not a multiple of the size of "
							"all stripes together");
	seg.nr_legs = (uint32_t)legs;
	seg.stripe = stripe;
	for (size_t i = 2; i < nr && !r; i += 2)
		r = parse_leg(p, arg + i, p->length / legs, err);
	return r ? r : add_segment(p, seg, err);
}

int table_parse_zero(struct parser *p, char **arg, size_t nr, struct err *err)
{
	if (nr)
		return table_line_error(p, err, arg[0], "zero takes no arguments");
	return add_segment(p, (struct table_segment){ .kind = STACK_ZERO }, err);
}

int table_parse_error(struct parser *p, char **arg, size_t nr, struct err *err)
{
	(void)arg, (void)nr; /* some users write words after it; they are ignored */
	return add_segment(p, (struct table_segment){ .kind = STACK_ERROR }, err);
}
