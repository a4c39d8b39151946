/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "volume/lvm/backup.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/order.h"
#include "base/overflow.h"
#include "dev/dev.h"

int lvm_read_backup(const char *path, struct arena *arena, const struct config_node **root,
		    struct err *err)
{
	CLEANUP(free_ptr) char *text = NULL;
	struct config_node *n = NULL;
	size_t len;
	int r = dev_read_text(path, LVM_MAX_TEXT, &text, &len, err);

	if (r == -EFBIG)
		return err_set(err, -EINVAL, "'%s' is too large to be a backup of a volume group", path);
	if (r < 0)
		return r;
	r = config_parse(text, len, arena, &n, err);
	if (r == -EINVAL)
		return err_prefix(err, r, "'%s' is not a backup of a volume group as vgcfgbackup writes it", path);
	if (!r && !lvm_vg_section(n))
		return err_set(err, -EINVAL, "'%s' is not a backup of a volume group as vgcfgbackup writes it", path);
	*root = n;
	return r;
}

/* LV, or VG/LV of this group. */
static bool is_named(const struct lvm_vg *vg, const struct lvm_lv *lv, const char *name)
{
	size_t len = strlen(vg->name);

	if (!strncmp(name, vg->name, len) && name[len] == '/')
		name += len + 1;
	return !strcmp(name, lv->name);
}

static int choose(const struct lvm_vg *vg, const char *path, const char *name, const struct lvm_seg **out,
		  struct err *err)
{
	unsigned nr = 0, taken = 0;
	char names[300] = "";
	size_t len = 0;

	for (unsigned i = 0; i < vg->nr_lvs; i++) {
		const struct lvm_seg *s = lvm_seg_of(&vg->lv[i], LVM_THIN_POOL);

		if (!s)
			continue;
		if (len + strlen(vg->lv[i].name) + 2 < sizeof(names))
			len += (size_t)snprintf(names + len, sizeof(names) - len, nr ? " %s" : "%s", vg->lv[i].name);
		nr++;
		if (name && !is_named(vg, &vg->lv[i], name))
			continue;
		taken++;
		*out = s;
	}
	if (!nr)
		return err_set(err, -ENODATA, "'%s' has no thin pool", path);
	if (!taken)
		return err_set(err, -ENODATA, "'%s' has no thin pool '%s'; it has: %s", path, name, names);
	if (taken > 1)
		return err_set(err, -EINVAL, "'%s' has several thin pools: %s; name one with --pool NAME", path,
			       names);
	return 0;
}

/* The thin volumes of the pool that @pool is the segment of. */
static int list_ids(const struct lvm_vg *vg, const struct lvm_seg *pool, struct lvm_backup_pool *out, struct err *err)
{
	out->ids = calloc(vg->nr_lvs + 1, sizeof(*out->ids));
	if (!out->ids)
		return err_nomem(err, "thin volumes");
	for (unsigned i = 0; i < vg->nr_lvs; i++) {
		const struct lvm_seg *s = lvm_seg_of(&vg->lv[i], LVM_THIN);

		if (s && s->pool && lvm_seg_of(s->pool, LVM_THIN_POOL) == pool)
			out->ids[out->nr_ids++] = s->dev_id;
	}
	qsort(out->ids, out->nr_ids, sizeof(*out->ids), order_u32);
	return 0;
}

int lvm_backup_pool(const char *path, const char *name, struct lvm_backup_pool *out, struct err *err)
{
	CLEANUP(arena_fini) struct arena arena = { 0 };
	const struct config_node *root;
	const struct lvm_seg *s = NULL;
	struct lvm_vg vg;
	int r = lvm_read_backup(path, &arena, &root, err);

	if (!r)
		r = lvm_vg_build(root, &arena, &vg, err);
	if (!r)
		r = choose(&vg, path, name, &s, err);
	if (r)
		return r;
	*out = (struct lvm_backup_pool){ .transaction = s->transaction, .chunk_size = s->chunk_size };
	if (mul_overflow(s->len, vg.extent_size, &out->data_sectors))
		out->data_sectors = 0;
	return list_ids(&vg, s, out, err);
}
