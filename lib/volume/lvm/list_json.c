/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include <string.h>

#include "base/text/json.h"
#include "volume/lvm/list.h"

/* A missing value is null. */
struct lister {
	lvm_fill_fn *fill;
	void *ctx;
	struct json json;
};

static void put_areas(struct json *j, const struct lvm_pv *pv)
{
	json_list(j, "areas", 0);
	for (unsigned i = 0; pv && i < pv->nr_areas; i++) {
		const struct lvm_area *a = &pv->area[i];

		json_object(j, NULL, 0);
		json_u64(j, "offset_bytes", a->at);
		json_u64(j, "size_bytes", a->size);
		json_text(j, "state", lvm_area_word(a));
		if (a->state == LVM_AREA_GOOD)
			json_u64(j, "seqno", a->seqno);
		json_close(j);
	}
	json_close(j);
}

static void put_pv(struct json *j, const struct lvm_pv *pv)
{
	json_text(j, "path", pv ? pv->path : NULL);
	if (pv) {
		json_u64(j, "partition", pv->partition);
		json_u64(j, "offset_bytes", pv->start);
	}
	put_areas(j, pv);
}

static void put_members(struct json *j, const struct lvm_vg *vg)
{
	json_list(j, "pvs", 0);
	for (unsigned i = 0; i < vg->nr_members; i++) {
		json_object(j, NULL, 0);
		json_text(j, "name", vg->member[i].name);
		json_text(j, "id", vg->member[i].id);
		json_text(j, "device", vg->member[i].device);
		json_bool(j, "missing", !vg->member[i].pv);
		put_pv(j, vg->member[i].pv);
		json_close(j);
	}
	json_close(j);
}

static void put_pool(struct lister *k, const struct lvm_vg *vg, const struct lvm_lv *lv, const struct lvm_seg *s)
{
	struct json *j = &k->json;
	struct lvm_fill f = { 0 };

	json_text(j, "metadata", s->metadata ? s->metadata->name : NULL);
	json_text(j, "data", s->data ? s->data->name : NULL);
	json_u64(j, "block_bytes", s->chunk_size << SECTOR_SHIFT);
	json_u64(j, "transaction_id", s->transaction);
	json_u64(j, "pending_messages", s->nr_messages);
	if (k->fill)
		k->fill(k->ctx, vg, lv, &f);
	if (!f.known)
		return;
	json_u64(j, "pool_transaction_id", f.transaction);
	json_u64(j, "nr_data_blocks", f.data);
	json_u64(j, "used_data_blocks", f.used_data);
	json_u64(j, "nr_metadata_blocks", f.metadata);
	json_u64(j, "used_metadata_blocks", f.used_metadata);
}

static void put_lv(struct lister *k, const struct lvm_vg *vg, const struct lvm_lv *lv)
{
	const struct lvm_seg *pool = lvm_seg_of(lv, LVM_THIN_POOL), *thin = lvm_seg_of(lv, LVM_THIN);
	struct json *j = &k->json;

	json_object(j, NULL, 0);
	json_text(j, "name", lv->name);
	json_text(j, "id", lv->id);
	json_text(j, "type", lv->nr_segs ? lv->seg[0].type_name : NULL);
	json_u64(j, "size_bytes", lv->size * vg->extent_size << SECTOR_SHIFT);
	json_bool(j, "visible", lv->visible);
	json_bool(j, "writable", lv->writable);
	json_text(j, "readable", lv->why ? "no" : lv->partial ? "partly" : "yes");
	json_text(j, "why", lv->why);
	if (pool)
		put_pool(k, vg, lv, pool);
	if (thin) {
		json_text(j, "pool", thin->pool ? thin->pool->name : NULL);
		json_u64(j, "dev_id", thin->dev_id);
		json_text(j, "origin", thin->origin);
		json_text(j, "external_origin", thin->external_name);
	}
	json_close(j);
}

/* What names a host or a kind of locks, or null */
static void put_owner(struct json *j, const char *key, const char *who)
{
	json_text(j, key, who && *who && strcmp(who, "none") ? who : NULL);
}

static void put_vg(struct lister *k, const struct lvm_vg *vg)
{
	struct json *j = &k->json;

	json_object(j, NULL, 0);
	json_text(j, "name", vg->name);
	json_text(j, "id", vg->id);
	json_u64(j, "seqno", vg->seqno);
	json_u64(j, "extent_bytes", vg->extent_size << SECTOR_SHIFT);
	json_bool(j, "exported", vg->exported);
	put_owner(j, "system_id", vg->system_id);
	put_owner(j, "lock_type", vg->lock_type);
	put_members(j, vg);
	json_list(j, "lvs", JSON_LINES);
	for (unsigned i = 0; i < vg->nr_lvs; i++)
		put_lv(k, vg, &vg->lv[i]);
	json_close(j);
	json_close(j);
}

void lvm_list_json(const struct lvm *l, lvm_fill_fn *fill, void *ctx, struct outbuf *out)
{
	struct lister k = { .fill = fill, .ctx = ctx };

	json_begin(&k.json, out);
	json_list(&k.json, "vgs", JSON_LINES);
	for (size_t i = 0; i < l->nr_vgs; i++)
		put_vg(&k, &l->vg[i]);
	json_close(&k.json);
	json_list(&k.json, "other_pvs", 0);
	for (size_t i = 0; i < l->nr_pvs; i++) {
		if (lvm_member_of(l, &l->pv[i]))
			continue;
		json_object(&k.json, NULL, 0);
		json_text(&k.json, "id", l->pv[i].id);
		put_pv(&k.json, &l->pv[i]);
		json_close(&k.json);
	}
	json_close(&k.json);
	json_end(&k.json);
}

void lvm_list_texts_json(const struct lvm *l, struct outbuf *out)
{
	struct json j;

	json_begin(&j, out);
	json_list(&j, "texts", JSON_LINES);
	for (size_t i = 0; i < l->nr_texts; i++) {
		const struct lvm_text *t = &l->text[i];

		json_object(&j, NULL, 0);
		json_text(&j, "vg", t->vg_name);
		json_text(&j, "vg_id", t->vg_id);
		json_u64(&j, "seqno", t->seqno);
		json_u64(&j, "created_seconds", t->created);
		json_text(&j, "description", t->description);
		json_text(&j, "path", t->pv != LVM_FILE ? l->pv[t->pv].path : NULL);
		json_u64(&j, "copies", t->pv != LVM_FILE ? t->copies : 0);
		json_bool(&j, "taken", t->taken);
		json_close(&j);
	}
	json_close(&j);
	json_end(&j);
}
