/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * May a thin device be written?  Not where other devices stand on it as their external origin: their bytes would
 * change with it.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/text/outbuf.h"
#include "volume/table/impl.h"

#define MAX_NAMED 5

struct below {
	const struct table *t;
	const struct table_thin *d;
	/* of each line, by the index of its name: does it stand on @d?  So each is looked at once. */
	enum { NOT_SEEN, APART, ABOVE } *line;
};

/* Lines are stacked without loops, and not too deep: table_link(). */
static bool stands_on(struct below *b, const struct table_dev *dev)
{
	const struct table *t = b->t;
	const struct table_name *n = dev->ref ? table_ref_name(dev->ref) : NULL;
	size_t at = n ? (size_t)(n - t->names) : 0, i, k;
	bool found = false;

	if (!n || b->line[at])
		return n && b->line[at] == ABOVE;
	if (n->kind == TABLE_THIN) {
		const struct table_thin *d = &t->thin[n->index];

		found = (d->pool == b->d->pool && d->dev_id == b->d->dev_id) || stands_on(b, &d->origin);
	}
	for (i = n->kind == TABLE_DEVICE ? t->device[n->index].first : SIZE_MAX; i != SIZE_MAX; i = t->seg[i].next)
		for (k = 0; k < t->seg[i].nr_legs && !found; k++)
			found = stands_on(b, &t->leg[t->seg[i].first_leg + k].dev);
	b->line[at] = found ? ABOVE : APART;
	return found;
}

static void add_name(struct outbuf *list, const struct table_thin *d)
{
	if (d->name)
		outbuf_printf(list, "'%s'", d->name);
	else
		outbuf_printf(list, "device %u", d->dev_id);
}

int table_may_write(const struct table *t, const struct table_thin *d, struct err *err)
{
	struct below b = { .t = t, .d = d };
	CLEANUP(free_ptr) void *line = b.line = calloc(t->nr_names + 1, sizeof(*b.line));
	CLEANUP(outbuf_fini) struct outbuf text = { 0 };
	unsigned nr = 0;

	if (!line)
		return err_nomem(err, "table file");
	add_name(&text, d);
	outbuf_str(&text, " is the external origin of ");
	for (size_t i = 0; i < t->nr_all_thins; i++)
		if (stands_on(&b, &t->thin[i].origin) && ++nr <= MAX_NAMED) {
			outbuf_str(&text, nr > 1 ? ", " : "");
			add_name(&text, &t->thin[i]);
		}
	if (nr > MAX_NAMED)
		outbuf_printf(&text, " and %u more", nr - MAX_NAMED);
	outbuf_add(&text, "", 1);
	if (text.error)
		return err_nomem(err, "table file");
	if (nr)
		return err_set(err, -EINVAL, "%s: a write would change their bytes, so it can only be read; a snapshot of it "
					    "can be written", text.data);
	if (d->read_only)
		return err_set(err, -EINVAL, "'%s' is read-only in LVM, so it can only be read: 'lvchange -prw %s%s%s' makes "
					    "it writable", d->name, t->group ?: "", t->group ? "/" : "", d->name);
	return 0;
}
