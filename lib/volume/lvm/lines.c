/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* From a group to the lines of a table file. */
#include <string.h>

#include "volume/lvm/list.h"

struct writer {
	const struct lvm_vg *vg;
	const struct lvm_lv *lv;
	const char *prefix; /* the group's name and a slash, or "" */
	unsigned leg;
	struct outbuf *out;
};

static void put_lv(const struct writer *w, const struct lvm_lv *lv)
{
	outbuf_str(w->out, w->prefix);
	if (*w->prefix)
		outbuf_str(w->out, "/");
	outbuf_str(w->out, lv->name);
}

/* A path as a word of a table. */
static void put_path(const struct writer *w, const char *path)
{
	for (; *path; path++) {
		if ((unsigned char)*path <= ' ' || *path == '\\')
			outbuf_printf(w->out, "\\%03o", (unsigned char)*path);
		else
			outbuf_add(w->out, path, 1);
	}
}

static uint64_t sectors(const struct writer *w, uint64_t extents)
{
	return extents * w->vg->extent_size;
}

/* "NAME: START LEN TARGET" */
static void begin(const struct writer *w, uint64_t start, uint64_t len, const char *target)
{
	put_lv(w, w->lv);
	outbuf_str(w->out, ": ");
	outbuf_u64(w->out, sectors(w, start));
	outbuf_str(w->out, " ");
	outbuf_u64(w->out, sectors(w, len));
	outbuf_str(w->out, " ");
	outbuf_str(w->out, target);
}

/* " DEV OFFSET" */
static void put_place(const struct writer *w, const struct lvm_place *p)
{
	uint64_t at = sectors(w, p->extent);

	outbuf_str(w->out, " ");
	if (p->member) {
		put_path(w, p->member->pv->path);
		at += p->member->pe_start + (p->member->pv->start >> SECTOR_SHIFT);
	} else {
		put_lv(w, p->lv);
	}
	outbuf_str(w->out, " ");
	outbuf_u64(w->out, at);
}

static bool is_missing(const struct lvm_place *p)
{
	return p->member && !p->member->pv;
}

/* A line of comment: what the text holds must not end it. */
static void put_why(const struct writer *w, const char *why)
{
	outbuf_str(w->out, "# ");
	put_lv(w, w->lv);
	outbuf_str(w->out, ": ");
	lvm_put_plain(w->out, why);
	outbuf_str(w->out, "\n");
}

static void put_missing_why(const struct writer *w, const struct lvm_place *p)
{
	outbuf_str(w->out, "# ");
	put_lv(w, w->lv);
	outbuf_printf(w->out, ": physical volume %s (%s) is missing\n", p->name, p->member->id);
}

static void put_linear(const struct writer *w, const struct lvm_seg *s, const struct lvm_place *p)
{
	if (is_missing(p)) {
		put_missing_why(w, p);
		begin(w, s->start, s->len, "error\n");
		return;
	}
	begin(w, s->start, s->len, "linear");
	put_place(w, p);
	outbuf_str(w->out, "\n");
}

/* The name of a stripe that is missing: no LV can have it. */
static void put_stripe_name(const struct writer *w, const struct lvm_seg *s, unsigned i)
{
	put_lv(w, w->lv);
	outbuf_printf(w->out, "@%llu.%u", (unsigned long long)s->start, i);
}

/*
 * The stripes that are there can be read although another is missing: that one becomes a device of
 * its own, of nothing but errors.  A device's lines stand together, so this comes before the LV's.
 */
static void put_missing_stripes(const struct writer *w, const struct lvm_seg *s)
{
	for (unsigned i = 0; s->type == LVM_STRIPED && s->nr_places > 1 && i < s->nr_places; i++) {
		if (!is_missing(&s->place[i]))
			continue;
		put_missing_why(w, &s->place[i]);
		put_stripe_name(w, s, i);
		outbuf_printf(w->out, ": 0 %llu error\n", (unsigned long long)sectors(w, s->len / s->nr_places));
	}
}

static void put_striped(const struct writer *w, const struct lvm_seg *s)
{
	begin(w, s->start, s->len, "striped ");
	outbuf_printf(w->out, "%u %llu", s->nr_places, (unsigned long long)s->stripe_size);
	for (unsigned i = 0; i < s->nr_places; i++) {
		if (!is_missing(&s->place[i])) {
			put_place(w, &s->place[i]);
			continue;
		}
		outbuf_str(w->out, " ");
		put_stripe_name(w, s, i);
		outbuf_str(w->out, " 0");
	}
	outbuf_str(w->out, "\n");
}

static void put_pool(const struct writer *w, const struct lvm_seg *s)
{
	const char *features[4];
	unsigned nr = 0;

	if (!s->zero)
		features[nr++] = "skip_block_zeroing";
	if (s->discards && !strcmp(s->discards, "ignore"))
		features[nr++] = "ignore_discard";
	if (s->discards && !strcmp(s->discards, "nopassdown"))
		features[nr++] = "no_discard_passdown";
	if (w->lv->error_when_full)
		features[nr++] = "error_if_no_space";
	begin(w, s->start, s->len, "thin-pool ");
	put_lv(w, s->metadata);
	outbuf_str(w->out, " ");
	put_lv(w, s->data);
	outbuf_printf(w->out, " %llu 0 %u", (unsigned long long)s->chunk_size, nr);
	for (unsigned i = 0; i < nr; i++) {
		outbuf_str(w->out, " ");
		outbuf_str(w->out, features[i]);
	}
	outbuf_str(w->out, "\n");
}

static void put_thin(const struct writer *w, const struct lvm_seg *s)
{
	begin(w, s->start, s->len, "thin ");
	put_lv(w, s->pool);
	outbuf_printf(w->out, " %u", s->dev_id);
	if (s->external) {
		outbuf_str(w->out, " ");
		put_lv(w, s->external);
	}
	outbuf_str(w->out, "\n");
}

static void put_seg(const struct writer *w, const struct lvm_seg *s)
{
	switch (s->type) {
	case LVM_STRIPED:
		if (s->nr_places == 1)
			put_linear(w, s, &s->place[0]);
		else
			put_striped(w, s);
		break;
	case LVM_LEGS:
		put_linear(w, s, &s->place[lvm_leg_of(w->lv, w->leg)]);
		break;
	case LVM_THIN_POOL:
		put_pool(w, s);
		break;
	case LVM_THIN:
		put_thin(w, s);
		break;
	case LVM_ZERO:
		begin(w, s->start, s->len, "zero\n");
		break;
	default:
		begin(w, s->start, s->len, "error\n");
		break;
	}
}

/* An LV above one that cannot be read keeps its lines: below them lie error lines. */
static void put_lines(const struct writer *w)
{
	const struct lvm_lv *lv = w->lv;

	if (lv->why)
		put_why(w, lv->why);
	if (lv->why && !lv->upon) {
		if (lv->size)
			begin(w, 0, lv->size, "error\n");
		return;
	}
	for (unsigned i = 0; i < lv->nr_segs; i++)
		put_missing_stripes(w, &lv->seg[i]);
	for (unsigned i = 0; i < lv->nr_segs; i++)
		put_seg(w, &lv->seg[i]);
}

void lvm_write_table(const struct lvm *l, unsigned leg, struct outbuf *out)
{
	for (size_t v = 0; v < l->nr_vgs; v++) {
		const struct lvm_vg *vg = &l->vg[v];
		struct writer w = { vg, NULL, l->nr_vgs > 1 ? vg->shown : "", leg, out };

		outbuf_printf(out, "# volume group %s, seqno %llu\n", vg->name, (unsigned long long)vg->seqno);
		for (unsigned i = 0; i < vg->nr_lvs; i++) {
			w.lv = &vg->lv[i];
			put_lines(&w);
		}
	}
}
