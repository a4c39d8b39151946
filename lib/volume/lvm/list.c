/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "volume/lvm/list.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

typedef unsigned long long ull;

struct lister {
	const struct lvm *l;
	const struct lvm_vg *vg;
	lvm_fill_fn *fill;
	void *ctx;
	struct outbuf *out;
};

void lvm_put_plain(struct outbuf *out, const char *text)
{
	for (; *text; text++)
		outbuf_add(out, (unsigned char)*text < ' ' || *text == 127 ? "?" : text, 1);
}

static void put_extents(const struct lister *k, uint64_t extents)
{
	outbuf_size(k->out, extents * k->vg->extent_size << SECTOR_SHIFT);
}

static void put_place(struct outbuf *out, const struct lvm_pv *pv)
{
	lvm_put_plain(out, pv->path);
	if (pv->partition)
		outbuf_printf(out, " partition %u", pv->partition);
}

static void list_areas(const struct lister *k, const struct lvm_pv *pv)
{
	for (unsigned i = 0; i < pv->nr_areas; i++) {
		const struct lvm_area *a = &pv->area[i];

		outbuf_printf(k->out, ", area %u: %s", i, lvm_area_word(a));
		if (a->state == LVM_AREA_GOOD)
			outbuf_printf(k->out, " (seqno %llu%s)", (ull)a->seqno,
				      k->vg && a->seqno < k->vg->seqno ? ", older" : "");
	}
}

static void list_members(const struct lister *k)
{
	for (unsigned i = 0; i < k->vg->nr_members; i++) {
		const struct lvm_member *m = &k->vg->member[i];

		outbuf_printf(k->out, "  PV %s ", m->name);
		if (m->pv) {
			put_place(k->out, m->pv);
			outbuf_str(k->out, ", ");
			put_extents(k, m->pe_count);
			if (lvm_member_is_cut(k->vg, m))
				outbuf_str(k->out, ", CUT OFF: the image ends before the last extent");
			list_areas(k, m->pv);
		} else {
			outbuf_str(k->out, "MISSING, last seen as ");
			lvm_put_plain(k->out, m->device ?: "an unknown device");
			outbuf_printf(k->out, ", id %s", m->id);
		}
		outbuf_str(k->out, "\n");
	}
}

static void put_reach(const struct lister *k, const struct lvm_lv *lv)
{
	if (lv->why) {
		outbuf_str(k->out, ", NOT READABLE: ");
		lvm_put_plain(k->out, lv->why);
	} else if (lv->partial) {
		outbuf_str(k->out, ", PARTLY READABLE: ");
		if (lv->missing) {
			put_extents(k, lv->missing);
			outbuf_str(k->out, " on a missing PV");
		} else if (lv->cut) {
			put_extents(k, lv->cut);
			outbuf_str(k->out, " beyond the end of an image that is cut off");
		} else {
			outbuf_str(k->out, "a part of a volume below is on a PV that is missing "
					   "or cut off");
		}
	}
	if (!lv->writable)
		outbuf_str(k->out, ", read-only");
	if (lv->skip_activation)
		outbuf_str(k->out, ", activation skip");
	outbuf_str(k->out, "\n");
}

static void put_percent(struct outbuf *out, uint64_t used, uint64_t all)
{
	outbuf_printf(out, "%.1f%%", all ? 100.0 * (double)used / (double)all : 0.0);
}

static void list_thin(const struct lister *k, const struct lvm_lv *lv, const struct lvm_seg *s)
{
	outbuf_printf(k->out, "    thin %s ", lv->name);
	put_extents(k, lv->size);
	outbuf_printf(k->out, ", device %u", s->dev_id);
	if (s->origin) {
		outbuf_str(k->out, ", snapshot of ");
		lvm_put_plain(k->out, s->origin);
		if (!lvm_find_lv(k->vg, s->origin))
			outbuf_str(k->out, " (removed)");
	}
	if (s->external_name) {
		outbuf_str(k->out, ", external origin ");
		lvm_put_plain(k->out, s->external_name);
	}
	put_reach(k, lv);
}

static void list_pool(const struct lister *k, const struct lvm_lv *lv, const struct lvm_seg *s)
{
	struct lvm_fill f = { 0 };

	outbuf_printf(k->out, "  pool %s ", lv->name);
	put_extents(k, lv->size);
	outbuf_printf(k->out, ", chunks of ");
	outbuf_size(k->out, s->chunk_size << SECTOR_SHIFT);
	outbuf_printf(k->out, ", transaction %llu", (ull)s->transaction);
	if (s->nr_messages)
		outbuf_printf(k->out, ", %u message%s not sent yet", s->nr_messages, s->nr_messages == 1 ? "" : "s");
	if (k->fill)
		k->fill(k->ctx, k->vg, lv, &f);
	if (f.known) {
		outbuf_str(k->out, ", data ");
		put_percent(k->out, f.used_data, f.data);
		outbuf_str(k->out, " full, metadata ");
		put_percent(k->out, f.used_metadata, f.metadata);
		outbuf_str(k->out, " full");
	}
	put_reach(k, lv);
	for (unsigned i = 0; i < k->vg->nr_lvs; i++) {
		const struct lvm_seg *t = lvm_seg_of(&k->vg->lv[i], LVM_THIN);

		if (t && t->pool == lv)
			list_thin(k, &k->vg->lv[i], t);
	}
}

/* What LVM's own listing calls it: of several segments, each type once. */
static void put_types(const struct lister *k, const struct lvm_lv *lv)
{
	for (unsigned i = 0; i < lv->nr_segs; i++) {
		const struct lvm_seg *s = &lv->seg[i];
		const char *type = s->type_name ?: "?";

		if (s->type == LVM_STRIPED)
			type = s->nr_places > 1 ? "striped" : "linear";
		if (i && lv->seg[i - 1].type == s->type && (lv->seg[i - 1].nr_places > 1) == (s->nr_places > 1))
			continue;
		outbuf_str(k->out, i ? "+" : "");
		lvm_put_plain(k->out, type);
	}
}

static void list_plain(const struct lister *k, const struct lvm_lv *lv)
{
	outbuf_str(k->out, "  ");
	put_types(k, lv);
	outbuf_printf(k->out, lv->visible ? " %s " : " [%s] ", lv->name);
	put_extents(k, lv->size);
	if (lv->moving)
		outbuf_str(k->out, ", pvmove is not finished: leg 0 is read, which is whole");
	put_reach(k, lv);
}

/* Another host may have the group active. */
static void put_owner(struct outbuf *out, const char *what, const char *who)
{
	if (!who || !*who || !strcmp(who, "none"))
		return;
	outbuf_str(out, what);
	lvm_put_plain(out, who);
}

static void list_vg(const struct lister *k)
{
	const struct lvm_vg *vg = k->vg;

	outbuf_printf(k->out, "VG %s, seqno %llu, extents of ", vg->shown, (ull)vg->seqno);
	outbuf_size(k->out, vg->extent_size << SECTOR_SHIFT);
	if (vg->exported)
		outbuf_str(k->out, ", exported");
	put_owner(k->out, ", owned by host ", vg->system_id);
	put_owner(k->out, ", shared by hosts with locks of ", vg->lock_type);
	outbuf_str(k->out, "\n");
	list_members(k);
	for (unsigned i = 0; i < vg->nr_lvs; i++) {
		const struct lvm_seg *s = lvm_seg_of(&vg->lv[i], LVM_THIN_POOL);

		if (s)
			list_pool(k, &vg->lv[i], s);
	}
	for (unsigned i = 0; i < vg->nr_lvs; i++) {
		const struct lvm_lv *lv = &vg->lv[i];
		const struct lvm_seg *t = lvm_seg_of(lv, LVM_THIN);

		if (lvm_seg_of(lv, LVM_THIN_POOL))
			continue;
		if (!t)
			list_plain(k, lv);
		else if (!lvm_seg_of(t->pool, LVM_THIN_POOL))
			list_thin(k, lv, t);
	}
}

void lvm_list(const struct lvm *l, lvm_fill_fn *fill, void *ctx, struct outbuf *out)
{
	struct lister k = { l, NULL, fill, ctx, out };

	for (size_t i = 0; i < l->nr_vgs; i++) {
		k.vg = &l->vg[i];
		list_vg(&k);
	}
	k.vg = NULL;
	for (size_t i = 0; i < l->nr_pvs; i++) {
		if (lvm_member_of(l, &l->pv[i]))
			continue;
		outbuf_str(out, "PV in no volume group ");
		put_place(out, &l->pv[i]);
		list_areas(&k, &l->pv[i]);
		outbuf_str(out, "\n");
	}
}

static void put_time(struct outbuf *out, uint64_t seconds)
{
	time_t t = (time_t)seconds;
	struct tm tm;
	char text[40] = "-";

	if (seconds && seconds < (uint64_t)1 << 40 && gmtime_r(&t, &tm))
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	outbuf_str(out, text);
}

void lvm_list_texts(const struct lvm *l, struct outbuf *out)
{
	for (size_t i = 0; i < l->nr_texts; i++) {
		const struct lvm_text *t = &l->text[i];

		outbuf_printf(out, "%s seqno %llu ", t->vg_name, (ull)t->seqno);
		put_time(out, t->created);
		if (t->pv != LVM_FILE) {
			outbuf_str(out, " ");
			put_place(out, &l->pv[t->pv]);
			outbuf_printf(out, " area %u", t->area);
		}
		if (t->pv != LVM_FILE && t->copies)
			outbuf_printf(out, ", committed in %u area%s", t->copies, t->copies == 1 ? "" : "s");
		else
			outbuf_str(out, t->pv != LVM_FILE ? ", left over" : " from the given "
									    "backup");
		outbuf_str(out, t->taken ? ", taken: " : ": ");
		lvm_put_plain(out, t->description ?: "-");
		outbuf_str(out, "\n");
	}
}
