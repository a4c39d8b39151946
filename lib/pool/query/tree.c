/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* The devices of a pool, each snapshot below its origin. */
#include "pool/query/tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/overflow.h"

#define BAR 20	 /* characters of the device that maps most */
#define LEVELS 20 /* deeper ones are indented like these, and name their level */
#define NUMBER_WIDTH 10 /* of 9.99EiB and the like */
#define BYTES_WIDTH  20
#define NONE SIZE_MAX

/* A device's place: indices of rows, or NONE. */
struct place {
	size_t first, last, next; /* snapshots of it; the next one of the same origin */
	size_t level;
};

static void add_child(struct place *p, size_t *first, size_t *last, size_t row)
{
	if (*last == NONE)
		*first = row;
	else
		p[*last].next = row;
	*last = row;
}

/* Lists the rows in the order of the tree. */
static void sort_rows(const struct list *l, struct place *p, size_t *order)
{
	size_t first = NONE, last = NONE, nr = 0, nr_open = 0, *open = order + l->nr;

	for (size_t i = 0; i < l->nr; i++)
		p[i].first = p[i].last = p[i].next = NONE;
	for (size_t i = 0; i < l->nr; i++) {
		size_t origin = l->row[i].snapshot_of;

		if (origin == LIST_NO_ROW)
			add_child(p, &first, &last, i);
		else
			add_child(p, &p[origin].first, &p[origin].last, i);
	}
	/* open: those whose turn comes after what hangs under the others */
	for (size_t at = first; at != NONE || nr_open;) {
		if (at == NONE)
			at = open[--nr_open];
		order[nr++] = at;
		p[at].level = l->row[at].snapshot_of == LIST_NO_ROW ? 0 : p[l->row[at].snapshot_of].level + 1;
		if (p[at].next != NONE)
			open[nr_open++] = p[at].next;
		at = p[at].first;
	}
}

/* "  `- 7 root", and "?" where the origin is only the likeliest. */
static size_t add_name(const struct list_row *r, const struct place *p, struct outbuf *out)
{
	size_t from = out->len, shown = MIN(p->level, LEVELS);

	for (size_t i = 1; i < shown; i++)
		outbuf_str(out, "  ");
	if (p->level > LEVELS)
		outbuf_printf(out, "(%zu) ", p->level);
	if (p->level)
		outbuf_str(out, r->snapshot_certain ? "`- " : "`? ");
	outbuf_u64(out, r->dev->info.dev_id);
	if (r->name)
		outbuf_printf(out, " %s", r->name);
	return out->len - from;
}

static void add_blanks(struct outbuf *out, size_t nr)
{
	for (; nr; nr--)
		outbuf_str(out, " ");
}

static int number_width(const struct outbuf *out)
{
	return out->exact ? BYTES_WIDTH : NUMBER_WIDTH;
}

static void add_size(struct outbuf *out, uint64_t bytes)
{
	size_t from = out->len;

	if (out->exact)
		outbuf_u64(out, bytes);
	else
		outbuf_size(out, bytes);
	outbuf_right(out, from, number_width(out));
}

/* # what would be free without the device, + what others have too. */
static void add_bar(const struct list_row *r, uint64_t most, struct outbuf *out)
{
	uint64_t mapped = r->usage.mapped, own = r->usage.exclusive;
	unsigned all = most ? (unsigned)((double)mapped / (double)most * BAR + 0.5) : 0, alone;

	all = all ? all : mapped > 0;
	alone = mapped ? (unsigned)((double)own / (double)mapped * all + 0.5) : 0;
	if (own && !alone)
		alone = 1;
	if (own < mapped && alone == all && all > 1)
		alone--;
	for (unsigned i = 0; i < all; i++)
		outbuf_str(out, i < alone ? "#" : "+");
}

void list_tree(const struct list *l, uint32_t block_size, bool headings, struct outbuf *out)
{
	CLEANUP(free_ptr) struct place *p = calloc(l->nr + 1, sizeof(*p));
	CLEANUP(free_ptr) size_t *order = calloc(2 * l->nr + 1, sizeof(*order));
	size_t width = strlen("DEVICE"), at = out->len;
	uint64_t most = 0, unit = (uint64_t)block_size << SECTOR_SHIFT;

	if (!p || !order) {
		out->error = -ENOMEM;
		return;
	}
	sort_rows(l, p, order);
	for (size_t i = 0; i < l->nr; i++) {
		size_t len = add_name(&l->row[i], &p[i], out);

		out->len = at; /* only measured */
		width = MAX(width, len);
		most = MAX(most, l->row[i].usage.mapped);
	}
	if (headings) {
		const int size = number_width(out);

		outbuf_str(out, "DEVICE");
		add_blanks(out, width - strlen("DEVICE"));
		outbuf_printf(out, " %*s %*s %*s  # exclusive, + shared\n", size, "MAPPED", size, "EXCLUSIVE",
			      size, "SHARED");
	}
	for (size_t i = 0; i < l->nr; i++) {
		const struct list_row *r = &l->row[order[i]];

		add_blanks(out, width - add_name(r, &p[order[i]], out));
		outbuf_str(out, " ");
		add_size(out, r->usage.mapped * unit);
		outbuf_str(out, " ");
		add_size(out, r->usage.exclusive * unit);
		outbuf_str(out, " ");
		add_size(out, (r->usage.mapped - r->usage.exclusive) * unit);
		outbuf_str(out, "  ");
		add_bar(r, most, out);
		outbuf_str(out, "\n");
	}
}
