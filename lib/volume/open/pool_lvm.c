/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "volume/open/pool_lvm.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "dev/dev.h"
#include "volume/lvm/lvm.h"

DEFINE_CLEANUP(lvm_cleanup, struct lvm, lvm_free)

/* The part behind the last slash, if there is one: the name of an LV without its group. */
static const char *lv_of(const char *name)
{
	const char *slash = strrchr(name, '/');

	return slash ? slash + 1 : name;
}

static const struct lvm_lv *find_lv(const struct lvm *l, const char *name)
{
	for (size_t i = 0; i < l->nr_vgs && name; i++) {
		const struct lvm_lv *lv = lvm_find_lv(&l->vg[i], lv_of(name));

		if (lv)
			return lv;
	}
	return NULL;
}

/* Why the volume or pool that is asked for cannot be read, or not all of it. */
static void tell_reach(const struct lvm *l, const char *name, const struct pool_want *want)
{
	const struct lvm_lv *lv = find_lv(l, name);
	char text[700];

	if (!lv || !want->table.tell || (!lv->why && !lv->partial))
		return;
	snprintf(text, sizeof(text), "warning: %s: %s", name,
		 lv->why ?: "a part of it, or of a volume below it, is on a physical volume that "
			    "is missing or cut off");
	want->table.tell(want->table.ctx, text);
}

static int open_groups(const char *path, const struct pool_want *want, struct lvm **l, struct err *err)
{
	const struct lvm_words *words = want->lvm;
	const char *disk[1 + LVM_MAX_PVS] = { path };
	struct lvm_options opt = { .path = disk, .nr_paths = 1, .leg = LVM_NO_LEG, .write = want->table.write,
				   .tell = want->table.tell, .ctx = want->table.ctx };

	if (words) {
		memcpy(disk + 1, words->pv, words->nr_pvs * sizeof(*disk));
		opt.nr_paths += words->nr_pvs;
		opt.has_seqno = words->has_seqno;
		opt.seqno = words->seqno;
	}
	return lvm_open(&opt, l, err);
}

static bool has_pool(const struct lvm *l)
{
	for (size_t v = 0; v < l->nr_vgs; v++)
		for (unsigned i = 0; i < l->vg[v].nr_lvs; i++)
			if (lvm_seg_of(&l->vg[v].lv[i], LVM_THIN_POOL))
				return true;
	return false;
}

/* The LV that a line of the table names: LV, or VG/LV where there are several groups. */
static const struct lvm_lv *lv_of_line(const struct lvm *l, const char *name)
{
	const char *lv = lv_of(name);
	const struct lvm_lv *found = NULL;

	for (size_t v = 0; v < l->nr_vgs && !found; v++) {
		const char *group = l->vg[v].shown;
		const size_t len = strlen(group);

		if (lv == name || (!strncmp(name, group, len) && name + len + 1 == lv))
			found = lvm_find_lv(&l->vg[v], lv);
	}
	return found;
}

/* What a table does not tell: which thin LVs are read-only (an external origin is, and what lvchange made so), and the pools' transactions. */
static void take_rest(const struct lvm *l, struct table *t)
{
	for (size_t i = 0; i < t->nr_all_thins; i++) {
		const struct lvm_lv *lv = lv_of_line(l, t->thin[i].name);

		t->thin[i].read_only |= lv && !lv->writable;
	}
	for (size_t i = 0; i < t->nr_pools; i++) {
		struct table_pool *pool = &t->pools[i];
		const struct lvm_lv *lv = lv_of_line(l, pool->name);

		pool->of_lvm = lv;
		if (lv)
			pool->transaction = lv->seg->transaction;
	}
}

static int keep_disks(const struct lvm *l, const struct pool_want *want, struct err *err)
{
	int r = want->output ? lvm_refuse_disk(l, dev_output_path(want->output), err) : 0;

	if (!r && want->prints)
		r = lvm_refuse_disk(l, dev_output_path("-"), err);
	return r || !want->progress ? r : lvm_refuse_disk(l, want->progress, err);
}

int pool_lvm_table(const char *path, const struct pool_want *want, struct table **out, struct err *err)
{
	CLEANUP(lvm_cleanup) struct lvm *l = NULL;
	CLEANUP(outbuf_fini) struct outbuf text = { 0 };
	int r;

	r = open_groups(path, want, &l, err);
	if (!r)
		r = keep_disks(l, want, err);
	if (r)
		return r;
	if (!has_pool(l) && !(want->table.other && find_lv(l, want->table.device[0])))
		return err_set(err, -ENODATA, "%s: volume group %s has no thin pool", path, l->vg[0].shown);
	tell_reach(l, want->table.pool, want);
	for (size_t i = 0; i < ARRAY_SIZE(want->table.device); i++)
		tell_reach(l, want->table.device[i], want);
	lvm_write_table(l, LVM_NO_LEG, &text);
	outbuf_add(&text, "", 1);
	if (text.error)
		return err_nomem(err, "the table of LVM's volumes");
	r = table_parse(path, "/", text.data, &want->table, out, err);
	if (r)
		return r;
	(*out)->in_memory = true;
	take_rest(l, *out);
	return 0;
}
