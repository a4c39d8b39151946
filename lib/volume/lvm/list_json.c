/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include <string.h>

#include "base/json.h"
#include "volume/lvm/list.h"

/* Sizes and offsets are bytes; what is not there is null. */
struct json {
	const struct lvm *l;
	lvm_fill_fn *fill;
	void *ctx;
	struct outbuf *out;
	bool more; /* in the list or object that is open: a comma comes first */
};

static void comma(struct json *j)
{
	if (j->more)
		outbuf_str(j->out, ",");
	j->more = true;
}

static void key(struct json *j, const char *name)
{
	comma(j);
	outbuf_printf(j->out, "\"%s\":", name);
}

static void open_as(struct json *j, const char *what)
{
	outbuf_str(j->out, what);
	j->more = false;
}

static void close_as(struct json *j, const char *what)
{
	outbuf_str(j->out, what);
	j->more = true;
}

static void put_text(struct json *j, const char *name, const char *text)
{
	key(j, name);
	if (text)
		json_string(j->out, text, strlen(text));
	else
		outbuf_str(j->out, "null");
}

static void put_u64(struct json *j, const char *name, uint64_t v)
{
	key(j, name);
	outbuf_u64(j->out, v);
}

static void put_bool(struct json *j, const char *name, bool v)
{
	key(j, name);
	outbuf_str(j->out, v ? "true" : "false");
}

static void put_areas(struct json *j, const struct lvm_pv *pv)
{
	key(j, "areas");
	open_as(j, "[");
	for (unsigned i = 0; pv && i < pv->nr_areas; i++) {
		const struct lvm_area *a = &pv->area[i];

		comma(j);
		open_as(j, "{");
		put_u64(j, "offset", a->at);
		put_u64(j, "size", a->size);
		put_text(j, "state", lvm_area_word(a));
		if (a->state == LVM_AREA_GOOD)
			put_u64(j, "seqno", a->seqno);
		close_as(j, "}");
	}
	close_as(j, "]");
}

static void put_pv(struct json *j, const struct lvm_pv *pv)
{
	put_text(j, "path", pv ? pv->path : NULL);
	if (pv) {
		put_u64(j, "partition", pv->partition);
		put_u64(j, "offset", pv->start);
	}
	put_areas(j, pv);
}

static void put_members(struct json *j, const struct lvm_vg *vg)
{
	key(j, "pvs");
	open_as(j, "[");
	for (unsigned i = 0; i < vg->nr_members; i++) {
		comma(j);
		open_as(j, "{");
		put_text(j, "name", vg->member[i].name);
		put_text(j, "id", vg->member[i].id);
		put_text(j, "device", vg->member[i].device);
		put_bool(j, "missing", !vg->member[i].pv);
		put_pv(j, vg->member[i].pv);
		close_as(j, "}");
	}
	close_as(j, "]");
}

static void put_pool(struct json *j, const struct lvm_vg *vg, const struct lvm_lv *lv, const struct lvm_seg *s)
{
	struct lvm_fill f = { 0 };

	put_text(j, "metadata", s->metadata ? s->metadata->name : NULL);
	put_text(j, "data", s->data ? s->data->name : NULL);
	put_u64(j, "chunk_size", s->chunk_size << SECTOR_SHIFT);
	put_u64(j, "transaction", s->transaction);
	put_u64(j, "pending_messages", s->nr_messages);
	if (j->fill)
		j->fill(j->ctx, vg, lv, &f);
	if (!f.known)
		return;
	put_u64(j, "pool_transaction", f.transaction);
	put_u64(j, "data_blocks", f.data);
	put_u64(j, "used_data_blocks", f.used_data);
	put_u64(j, "metadata_blocks", f.metadata);
	put_u64(j, "used_metadata_blocks", f.used_metadata);
}

static void put_lv(struct json *j, const struct lvm_vg *vg, const struct lvm_lv *lv)
{
	const struct lvm_seg *pool = lvm_seg_of(lv, LVM_THIN_POOL), *thin = lvm_seg_of(lv, LVM_THIN);

	comma(j);
	open_as(j, "{");
	put_text(j, "name", lv->name);
	put_text(j, "id", lv->id);
	put_text(j, "type", lv->nr_segs ? lv->seg[0].type_name : NULL);
	put_u64(j, "size", lv->size * vg->extent_size << SECTOR_SHIFT);
	put_bool(j, "visible", lv->visible);
	put_bool(j, "writable", lv->writable);
	put_text(j, "readable", lv->why ? "no" : lv->partial ? "partly" : "yes");
	put_text(j, "why", lv->why);
	if (pool)
		put_pool(j, vg, lv, pool);
	if (thin) {
		put_text(j, "pool", thin->pool ? thin->pool->name : NULL);
		put_u64(j, "device", thin->dev_id);
		put_text(j, "origin", thin->origin);
		put_text(j, "external_origin", thin->external_name);
	}
	close_as(j, "}");
}

static void put_vg(struct json *j, const struct lvm_vg *vg)
{
	comma(j);
	open_as(j, "{");
	put_text(j, "name", vg->name);
	put_text(j, "id", vg->id);
	put_u64(j, "seqno", vg->seqno);
	put_u64(j, "extent_size", vg->extent_size << SECTOR_SHIFT);
	put_bool(j, "exported", vg->exported);
	put_members(j, vg);
	key(j, "lvs");
	open_as(j, "[");
	for (unsigned i = 0; i < vg->nr_lvs; i++)
		put_lv(j, vg, &vg->lv[i]);
	close_as(j, "]");
	close_as(j, "}");
}

void lvm_list_json(const struct lvm *l, lvm_fill_fn *fill, void *ctx, struct outbuf *out)
{
	struct json j = { l, fill, ctx, out, false };

	open_as(&j, "{");
	key(&j, "vgs");
	open_as(&j, "[");
	for (size_t i = 0; i < l->nr_vgs; i++)
		put_vg(&j, &l->vg[i]);
	close_as(&j, "]");
	key(&j, "other_pvs");
	open_as(&j, "[");
	for (size_t i = 0; i < l->nr_pvs; i++) {
		if (lvm_member_of(l, &l->pv[i], NULL))
			continue;
		comma(&j);
		open_as(&j, "{");
		put_text(&j, "id", l->pv[i].id);
		put_pv(&j, &l->pv[i]);
		close_as(&j, "}");
	}
	close_as(&j, "]");
	close_as(&j, "}");
	outbuf_str(out, "\n");
}

void lvm_list_texts_json(const struct lvm *l, struct outbuf *out)
{
	struct json j = { l, NULL, NULL, out, false };

	open_as(&j, "{");
	key(&j, "texts");
	open_as(&j, "[");
	for (size_t i = 0; i < l->nr_texts; i++) {
		const struct lvm_text *t = &l->text[i];

		comma(&j);
		open_as(&j, "{");
		put_text(&j, "vg", t->vg_name);
		put_text(&j, "vg_id", t->vg_id);
		put_u64(&j, "seqno", t->seqno);
		put_u64(&j, "time", t->created);
		put_text(&j, "description", t->description);
		put_text(&j, "path", t->pv ? t->pv->path : NULL);
		put_u64(&j, "copies", t->pv ? t->copies : 0);
		put_bool(&j, "taken", t->taken);
		close_as(&j, "}");
	}
	close_as(&j, "]");
	close_as(&j, "}");
	outbuf_str(out, "\n");
}
