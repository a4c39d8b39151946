/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "volume/lvm/vg.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/overflow.h"
#include "base/search.h"
#include "pool/format/format.h"

/* Larger ones do not fit into a device. */
#define MAX_SECTORS ((uint64_t)INT64_MAX >> SECTOR_SHIFT)
#define LVM_MAX_STRIPES 128

struct builder {
	struct arena *arena;
	struct lvm_vg *vg;
	struct err *err;
	bool no_memory;
};

static void *get(struct builder *b, size_t nr, size_t size)
{
	void *p = arena_alloc(b->arena, (nr + 1) * size);

	b->no_memory |= !p;
	return p;
}

bool lvm_id_plain(const char *id, char out[LVM_ID_LEN + 1])
{
	size_t len = 0;

	for (; id && *id; id++) {
		if (*id == '-')
			continue;
		if (len == LVM_ID_LEN || *id <= ' ' || *id > '~')
			return false;
		out[len++] = *id;
	}
	out[len] = 0;
	return len == LVM_ID_LEN;
}

const struct config_node *lvm_vg_section(const struct config_node *root)
{
	char id[LVM_ID_LEN + 1];
	uint64_t seqno;

	for (const struct config_node *n = root->first; n; n = n->next)
		if (n->is_section && config_u64(n, "seqno", &seqno) && lvm_id_plain(config_string(n, "id"), id))
			return n;
	/* a text that a person has shortened: what is left of it still tells of its pools */
	for (const struct config_node *n = root->first; n; n = n->next)
		if (config_section(n, "logical_volumes"))
			return n;
	return NULL;
}

bool lvm_name_ok(const char *name)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+_.-";

	return *name && strlen(name) < 128 && !name[strspn(name, good)];
}

static int check_name(const struct builder *b, const char *what, const char *name)
{
	if (lvm_name_ok(name))
		return 0;
	return err_set(b->err, -EINVAL, "LVM's text has a %s with a name that is invalid for a %s", what, what);
}

struct lvm_lv *lvm_find_lv(const struct lvm_vg *vg, const char *name)
{
	size_t at;

	if (!name)
		return NULL;
	at = search_first(i, vg->nr_lvs, strcmp(vg->by_name[i]->name, name) >= 0);
	return at < vg->nr_lvs && !strcmp(vg->by_name[at]->name, name) ? vg->by_name[at] : NULL;
}

static const struct lvm_member *find_member(const struct lvm_vg *vg, const char *name)
{
	for (unsigned i = 0; i < vg->nr_members; i++)
		if (!strcmp(vg->member[i].name, name))
			return &vg->member[i];
	return NULL;
}

static int build_members(struct builder *b, const struct config_node *section)
{
	struct lvm_vg *vg = b->vg;

	vg->member = get(b, section ? section->nr : 0, sizeof(*vg->member));
	for (const struct config_node *n = section ? section->first : NULL; n && vg->member; n = n->next) {
		struct lvm_member *m = &vg->member[vg->nr_members];
		uint64_t end;

		if (!n->is_section)
			continue;
		if (check_name(b, "physical volume", n->name))
			return -EINVAL;
		m->name = n->name;
		m->device = config_string(n, "device");
		(void)config_u64(n, "dev_size", &m->dev_size);
		if (!lvm_id_plain(config_string(n, "id"), m->id) || !config_u64(n, "pe_start", &m->pe_start) ||
		    !config_u64(n, "pe_count", &m->pe_count) ||
		    mul_overflow(m->pe_count, vg->extent_size, &end) || m->pe_start > MAX_SECTORS ||
		    end > MAX_SECTORS)
			return err_set(b->err, -EINVAL, "physical volume '%s' has no valid id, "
							"pe_start or pe_count",
				       m->name);
		vg->nr_members++;
	}
	return 0;
}

/* A type with unknown flags after it is not supported: a flag may change everything. */
static enum lvm_type type_of(const char *name)
{
	static const struct {
		const char *name;
		enum lvm_type type;
	} types[] = {
		{ "striped", LVM_STRIPED }, { "linear", LVM_STRIPED }, { "thin-pool", LVM_THIN_POOL },
		{ "thin", LVM_THIN },	    { "zero", LVM_ZERO },      { "error", LVM_ERROR },
		{ "raid1", LVM_LEGS },	    { "mirror", LVM_LEGS },
	};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (!strcmp(name, types[i].name))
			return types[i].type;
	return LVM_OTHER;
}

static void set_place(const struct builder *b, struct lvm_place *p, const char *name, uint64_t extent)
{
	*p = (struct lvm_place){ find_member(b->vg, name), NULL, name, extent };
	if (!p->member)
		p->lv = lvm_find_lv(b->vg, name);
}

/* [ "pv0", 0, "pv1", 7 ]: names and extents. */
static const char *read_places(struct builder *b, const struct config_node *list, struct lvm_seg *s)
{
	const struct config_value *v = list ? list->value : NULL;
	unsigned nr = 0;

	for (; v; v = v->next)
		nr++;
	s->place = get(b, nr, sizeof(*s->place));
	for (v = list && s->place ? list->value : NULL; v; v = v->next) {
		const struct config_value *extent = v->next;

		if (v->kind != CONFIG_STRING || !extent || extent->kind != CONFIG_NUMBER || extent->number < 0)
			return "a list of stripes or legs holds something other than names and "
			       "numbers";
		set_place(b, &s->place[s->nr_places++], v->text, (uint64_t)extent->number);
		v = extent;
	}
	return s->nr_places ? NULL : "a segment has no stripes or legs";
}

/* [ "r_rmeta_0", "r_rimage_0", ... ]: names in pairs. */
static const char *read_raids(struct builder *b, const struct config_node *list, struct lvm_seg *s)
{
	const struct config_value *v = list->value;
	unsigned nr = 0;

	for (; v; v = v->next)
		nr++;
	s->place = get(b, nr, sizeof(*s->place));
	for (v = s->place ? list->value : NULL; v && v->next; v = v->next->next)
		if (v->next->kind == CONFIG_STRING)
			set_place(b, &s->place[s->nr_places++], v->next->text, 0);
	return s->nr_places ? NULL : "a segment has no legs";
}

static const char *read_striped(struct builder *b, const struct config_node *n, struct lvm_seg *s)
{
	const char *fault = read_places(b, config_find(n, "stripes"), s);
	uint64_t count = s->nr_places;

	if (fault)
		return fault;
	(void)config_u64(n, "stripe_count", &count);
	if (count != s->nr_places)
		return "stripe_count is not the number of stripes";
	if (count > 1 && (!config_u64(n, "stripe_size", &s->stripe_size) || !s->stripe_size ||
			  s->stripe_size > UINT32_MAX || s->len % count || count > LVM_MAX_STRIPES ||
			  s->len / count > MAX_SECTORS / b->vg->extent_size ||
			  s->len / count * b->vg->extent_size % s->stripe_size))
		return "stripe_size or the length does not fit the stripes";
	return NULL;
}

static const char *read_pool(struct builder *b, const struct config_node *n, struct lvm_seg *s)
{
	uint64_t zero = 0;

	s->metadata = lvm_find_lv(b->vg, config_string(n, "metadata"));
	s->data = lvm_find_lv(b->vg, config_string(n, "pool"));
	s->discards = config_string(n, "discards");
	(void)config_u64(n, "zero_new_blocks", &zero);
	s->zero = zero != 0;
	for (const struct config_node *m = n->first; m; m = m->next)
		s->nr_messages += m->is_section && !strncmp(m->name, "message", 7);
	if (!config_u64(n, "transaction_id", &s->transaction))
		return "the pool has no transaction_id";
	if (!config_u64(n, "chunk_size", &s->chunk_size) || !data_block_size_ok(s->chunk_size))
		return "the pool's chunk_size is missing or invalid";
	if (!s->metadata || !s->data)
		return "the pool's metadata or data LV does not exist";
	return NULL;
}

static const char *read_thin(struct builder *b, const struct config_node *n, struct lvm_seg *s)
{
	uint64_t id;

	(void)config_u64(n, "transaction_id", &s->transaction);
	s->origin = config_string(n, "origin");
	s->external_name = config_string(n, "external_origin");
	s->external = lvm_find_lv(b->vg, s->external_name);
	s->pool = lvm_find_lv(b->vg, config_string(n, "thin_pool"));
	if (!config_u64(n, "device_id", &id) || id > MAX_DEV_ID)
		return "the thin volume has no valid device_id";
	s->dev_id = (uint32_t)id;
	if (!s->pool)
		return "its thin pool does not exist";
	return s->external_name && !s->external ? "its external origin does not exist" : NULL;
}

static const char *read_seg(struct builder *b, const struct config_node *n, struct lvm_seg *s)
{
	const struct config_node *raids = config_find(n, "raids");

	s->type_name = config_string(n, "type") ?: "?";
	s->type = type_of(s->type_name);
	if (!config_u64(n, "start_extent", &s->start) || !config_u64(n, "extent_count", &s->len) || !s->len)
		return "a segment has no start_extent or extent_count";
	switch (s->type) {
	case LVM_STRIPED:
		return read_striped(b, n, s);
	case LVM_LEGS:
		return raids ? read_raids(b, raids, s) : read_places(b, config_find(n, "mirrors"), s);
	case LVM_THIN_POOL:
		return read_pool(b, n, s);
	case LVM_THIN:
		return read_thin(b, n, s);
	default:
		return NULL;
	}
}

/*
 * A non-thin snapshot is a separate LV; the LV that it names is not its content, but its COW store.
 */
static void note_snapshot(struct builder *b, const struct config_node *n, const struct lvm_lv *snapshot)
{
	static const char *const stores[] = { "cow_store", "merging_store" };

	for (size_t i = 0; i < ARRAY_SIZE(stores); i++) {
		struct lvm_lv *store = lvm_find_lv(b->vg, config_string(n, stores[i]));

		if (store)
			store->cow_of = config_string(n, "origin") ?: snapshot->name;
	}
}

static void build_segs(struct builder *b, const struct config_node *n, struct lvm_lv *lv)
{
	uint64_t count = 0, bytes;
	const char *fault = NULL;

	if (!config_u64(n, "segment_count", &count) || !count || count > n->nr) {
		lv->fault = "it has no segments";
		return;
	}
	lv->seg = get(b, (size_t)count, sizeof(*lv->seg));
	for (uint64_t i = 0; i < count && lv->seg; i++) {
		struct lvm_seg *s = &lv->seg[lv->nr_segs++];
		const struct config_node *section;
		char name[40];

		snprintf(name, sizeof(name), "segment%llu", (unsigned long long)i + 1);
		section = config_section(n, name);
		fault = section ? read_seg(b, section, s) : "a segment is missing";
		if (section && s->type == LVM_OTHER)
			note_snapshot(b, section, lv);
		if (!fault && s->start != lv->size)
			fault = "its segments leave a gap or overlap";
		if (!lv->fault)
			lv->fault = fault;
		if (add_overflow(lv->size, s->len, &lv->size))
			lv->size = UINT64_MAX;
	}
	if (mul_overflow(lv->size, b->vg->extent_size, &bytes) || bytes > MAX_SECTORS) {
		lv->fault = "it is larger than any device";
		lv->size = 0;
	} else if (lv->nr_segs > 1 && !lv->fault && (lv->seg[0].type == LVM_THIN || lv->seg[0].type == LVM_THIN_POOL)) {
		lv->fault = "a thin pool or volume has more than one segment";
	}
}

static int by_name(const void *a, const void *b)
{
	return strcmp((*(struct lvm_lv *const *)a)->name, (*(struct lvm_lv *const *)b)->name);
}

/* All names first, since segments may name an LV that stands further below. */
static int build_lvs(struct builder *b, const struct config_node *section)
{
	struct lvm_vg *vg = b->vg;
	const struct config_node *n;
	unsigned i = 0;

	vg->lv = get(b, section ? section->nr : 0, sizeof(*vg->lv));
	vg->by_name = get(b, section ? section->nr : 0, sizeof(*vg->by_name));
	if (!section || b->no_memory)
		return 0;
	for (n = section->first; n; n = n->next) {
		struct lvm_lv *lv = &vg->lv[vg->nr_lvs];

		if (!n->is_section)
			continue;
		if (check_name(b, "logical volume", n->name))
			return -EINVAL;
		lv->name = n->name;
		lv->id = config_string(n, "id");
		lv->visible = config_has_word(n, "status", "VISIBLE");
		lv->moving = config_has_word(n, "status", "PVMOVE");
		lv->writable = config_has_word(n, "status", "WRITE");
		lv->skip_activation = config_has_word(n, "flags", "ACTIVATION_SKIP");
		lv->error_when_full = config_has_word(n, "flags", "ERROR_WHEN_FULL");
		vg->by_name[vg->nr_lvs++] = lv;
	}
	qsort(vg->by_name, vg->nr_lvs, sizeof(*vg->by_name), by_name);
	for (n = section->first; n; n = n->next)
		if (n->is_section)
			build_segs(b, n, &vg->lv[i++]);
	return 0;
}

int lvm_vg_build(const struct config_node *root, struct arena *arena, struct lvm_vg *out,
		 struct err *err)
{
	const struct config_node *n = lvm_vg_section(root);
	struct builder b = { arena, out, err, false };
	int r;

	*out = (struct lvm_vg){ 0 };
	if (!n)
		return err_set(err, -EINVAL, "this text of LVM describes no volume group");
	out->name = out->shown = n->name;
	(void)lvm_id_plain(config_string(n, "id"), out->id);
	(void)config_u64(n, "seqno", &out->seqno);
	out->exported = config_has_word(n, "status", "EXPORTED");
	out->lock_type = config_has_word(n, "status", "CLUSTERED") ? "clvm" : config_string(n, "lock_type");
	out->system_id = config_string(n, "system_id");
	out->description = config_string(root, "description");
	(void)config_u64(root, "creation_time", &out->created);
	if (!config_u64(n, "extent_size", &out->extent_size) || !out->extent_size ||
	    out->extent_size > MAX_SECTORS)
		return err_set(err, -EINVAL, "volume group '%s' has no valid extent_size", n->name);
	r = check_name(&b, "volume group", n->name);
	if (!r)
		r = build_members(&b, config_section(n, "physical_volumes"));
	if (!r)
		r = build_lvs(&b, config_section(n, "logical_volumes"));
	if (r)
		return r;
	return b.no_memory ? err_nomem(err, "the volume group") : 0;
}
