/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Every disk is opened once: its PVs, then all texts of their areas. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/text/shown.h"
#include "base/vec.h"
#include "dev/dev.h"
#include "volume/lvm/backup.h"
#include "volume/lvm/impl.h"
#include "volume/lvm/part.h"

DEFINE_CLEANUP(io_cleanup, struct io, io_free)

struct gather {
	struct lvm *l;
	const struct lvm_options *opt;
	struct err *err;
	/* the PV and area that are being read */
	struct io *io;
	size_t pv;
	unsigned area;
	/* Bytes that old texts of this area may still have: a forged area could have a text begin in each sector. */
	uint64_t old_room;
};

void lvm_tell(const struct lvm_options *opt, const char *fmt, ...)
{
	char text[700];
	va_list ap;

	if (!opt->tell)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	mask_control(text);
	opt->tell(opt->ctx, text);
}

/* @t, whose text is known to describe a group.  0 or -ENOMEM. */
static int add_text(struct lvm *l, struct lvm_text *t, struct err *err)
{
	const struct config_node *n = lvm_vg_section(t->root);
	struct lvm_text *to = vec_add(l->text, l->nr_texts, l->text_cap);

	if (!to)
		return err_nomem(err, "LVM's metadata texts");
	t->vg_name = n->name;
	(void)lvm_id_plain(config_string(n, "id"), t->vg_id);
	(void)config_u64(n, "seqno", &t->seqno);
	t->description = config_string(t->root, "description");
	(void)config_u64(t->root, "creation_time", &t->created);
	*to = *t;
	return 0;
}

/* Whether the text is one and has a group; anything else is no text, and gives its memory back. */
static int parse(struct lvm *l, const char *text, size_t len, const struct config_node **root)
{
	const struct arena mark = l->arena;
	struct config_node *n = NULL;
	int r = config_parse(text, len, &l->arena, &n, NULL);

	if (!r && (!lvm_vg_section(n) || !lvm_name_ok(lvm_vg_section(n)->name)))
		r = -EINVAL;
	*root = r ? NULL : n;
	if (r)
		arena_rewind(&l->arena, &mark);
	return r;
}

/* Areas mostly hold the same text: it is parsed once. */
static struct lvm_text *known(struct lvm *l, const struct lvm_area *a)
{
	for (size_t i = 0; i < l->nr_texts; i++)
		if (l->text[i].copies && l->text[i].crc == a->text_crc && l->text[i].len == a->text_len)
			return &l->text[i];
	return NULL;
}

static int read_committed(struct gather *g, struct lvm_area *a)
{
	struct lvm *l = g->l;
	struct lvm_text t = { .pv = g->pv, .area = g->area, .at = a->text_at, .len = (size_t)a->text_len,
			      .crc = a->text_crc, .copies = 1 };
	CLEANUP(free_ptr) char *text = NULL;
	struct lvm_text *same;
	int r = lvm_area_text(g->io, &l->pv[g->pv], a, &text, g->err);

	if (r || !text)
		return r;
	same = known(l, a);
	if (same) {
		same->copies++;
		a->seqno = same->seqno;
		return 0;
	}
	r = parse(l, text, t.len, &t.root);
	if (r == -EINVAL) {
		a->state = LVM_AREA_BAD_TEXT;
		return 0;
	}
	r = r ? err_nomem(g->err, "LVM's metadata text") : add_text(l, &t, g->err);
	a->seqno = t.seqno;
	return r;
}

/* A text in the ring, perhaps one that is known. */
static int found_text(void *ctx, const char *text, size_t len, uint64_t at)
{
	struct gather *g = ctx;
	struct lvm *l = g->l;
	struct lvm_text t = { .area = g->area, .at = at, .len = len + 1,
			      .pv = g->pv };
	const struct arena mark = l->arena;
	int r = len > g->old_room ? -EINVAL : parse(l, text, len, &t.root);

	if (r)
		return r == -ENOMEM ? r : 0;
	if (!config_string(t.root, "contents")) { /* its end was overwritten */
		arena_rewind(&l->arena, &mark);
		return 0;
	}
	g->old_room -= len;
	return add_text(l, &t, g->err);
}

static int by_seqno(const void *a, const void *b)
{
	const struct lvm_text *x = a, *y = b;
	int c = strcmp(x->vg_id, y->vg_id);

	if (!c)
		c = (x->seqno < y->seqno) - (x->seqno > y->seqno);
	return c ? c : (x->copies < y->copies) - (x->copies > y->copies);
}

/* Drops old texts of a ring that are equal to a committed text or to one in another ring. */
static void drop_doubles(struct lvm *l)
{
	size_t nr = 0;

	if (!l->nr_texts)
		return;
	qsort(l->text, l->nr_texts, sizeof(*l->text), by_seqno);
	for (size_t i = 0; i < l->nr_texts; i++)
		if (l->text[i].copies || !nr || strcmp(l->text[nr - 1].vg_id, l->text[i].vg_id) ||
		    l->text[nr - 1].seqno != l->text[i].seqno)
			l->text[nr++] = l->text[i];
	l->nr_texts = nr;
}

/* Where the area ends on the disk. */
static uint64_t area_end(const struct lvm_pv *pv, const struct lvm_area *a)
{
	return pv->start + a->at + MIN(a->size, pv->there - a->at);
}

static bool areas_meet(const struct lvm_pv *p, const struct lvm_area *a, const struct lvm_pv *q,
		       const struct lvm_area *b)
{
	return a->at < p->there && b->at < q->there && p->start + a->at < area_end(q, b) &&
	       q->start + b->at < area_end(p, a);
}

/*
 * Does this area of the last PV lie on one that was read before?  LVM makes no such area: the disk is forged, so
 * that reading the same bytes again for each of hundreds of areas would cost hours and all memory.
 */
static bool lies_on_another(const struct lvm *l, unsigned area)
{
	const struct lvm_pv *pv = &l->pv[l->nr_pvs - 1];

	for (size_t i = 0; i < l->nr_pvs; i++) {
		const struct lvm_pv *q = &l->pv[i];
		unsigned nr = q == pv ? area : q->nr_areas;

		for (unsigned k = 0; q->path == pv->path && k < nr; k++)
			if (areas_meet(pv, &pv->area[area], q, &q->area[k]))
				return true;
	}
	return false;
}

static int read_areas(struct gather *g)
{
	int r = 0;

	for (g->area = 0; g->area < g->l->pv[g->pv].nr_areas && !r; g->area++) {
		struct lvm_area *a = &g->l->pv[g->pv].area[g->area];

		if (lies_on_another(g->l, g->area)) {
			a->state = LVM_AREA_BAD_HEADER;
			a->size = 0;
		}
		if (a->state == LVM_AREA_GOOD)
			r = read_committed(g, a);
		g->old_room = 2 * a->size;
		if (!r && (g->opt->has_seqno || g->opt->all_texts))
			r = lvm_area_scan(g->io, &g->l->pv[g->pv], a, found_text, g, g->err);
	}
	return r;
}

/* 1: one is there; 0: none.  A copy of a PV that is known already is refused. */
static int try_place(struct gather *g, const char *path, const struct part *p, unsigned partition)
{
	struct lvm *l = g->l;
	struct lvm_pv pv, *to;
	int r = lvm_pv_read(g->io, p->start, p->len, &pv, g->err);

	if (r <= 0)
		return r;
	pv.path = path;
	pv.partition = partition;
	for (size_t i = 0; i < l->nr_pvs; i++) {
		if (strcmp(l->pv[i].id, pv.id))
			continue;
		r = l->pv[i].start == pv.start ? dev_same(l->pv[i].path, path, g->err) : 0;
		if (r)
			return r;
		return err_set(g->err, -EINVAL,
			       "'%s' and '%s' hold the same physical volume (%s): one is a copy "
			       "of the other; give only one of them",
			       l->pv[i].path, path, pv.id);
	}
	to = vec_add(l->pv, l->nr_pvs, l->pv_cap);
	if (!to)
		return err_nomem(g->err, "the list of physical volumes");
	*to = pv;
	g->pv = l->nr_pvs - 1;
	r = read_areas(g);
	return r ? r : 1;
}

/*
 * Partitions count before a label on the whole disk, which may be left from before there were
 * partitions.  An image does not say how large its logical sectors are: both sizes are tried.
 */
static int search_disk(struct gather *g, const char *path)
{
	CLEANUP(free_ptr) struct part *part = calloc(PART_MAX, sizeof(*part));
	const struct part whole = { 0, 0, g->io->size };
	static const unsigned sizes[] = { 512, 4096 };
	int found = 0, r;

	if (!part)
		return err_nomem(g->err, "partitions");
	for (size_t s = 0; s < ARRAY_SIZE(sizes) && !found; s++) {
		unsigned nr = part_read(g->io, sizes[s], part);

		for (unsigned i = 0; i < nr; i++) {
			r = try_place(g, path, &part[i], part[i].nr);
			if (r < 0 && r != -EIO)
				return r;
			found += r > 0;
		}
	}
	return found ? 1 : try_place(g, path, &whole, 0);
}

static int read_disk(struct gather *g, const char *path, bool named)
{
	CLEANUP(io_cleanup) struct io *io = NULL;
	int r = dev_open(path, DEV_SHARED | DEV_FORCE, &io, g->err);

	g->io = io;
	if (!r)
		r = search_disk(g, path);
	if (r < 0)
		return named || r == -ENOMEM || r == -EINVAL ? r : 0;
	if (!r && named && g->l->nr_named > 1)
		lvm_tell(g->opt, "warning: '%s' has no LVM label, neither at its start nor in a "
				 "partition: it is left out",
			 path);
	return 0;
}

int lvm_gather(struct lvm *l, const struct lvm_options *opt, struct err *err)
{
	struct gather g = { .l = l, .opt = opt, .err = err };
	int r = 0;

	for (size_t i = 0; i < l->nr_paths && !r; i++)
		r = read_disk(&g, l->path[i], i < l->nr_named);
	if (!r)
		drop_doubles(l);
	return r;
}

int lvm_add_backup(struct lvm *l, const char *path, struct err *err)
{
	struct lvm_text t = { .pv = LVM_FILE, .copies = 1 };
	int r = lvm_read_backup(path, &l->arena, &t.root, err);

	return r ? r : add_text(l, &t, err);
}
