/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "volume/lvm/lvm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/vec.h"
#include "base/words.h"
#include "dev/dev.h"
#include "volume/lvm/backup.h"
#include "volume/lvm/impl.h"

DEFINE_CLEANUP(lvm_cleanup, struct lvm, lvm_free)

typedef unsigned long long ull;

const struct lvm_member *lvm_member_of(const struct lvm *l, const struct lvm_pv *pv)
{
	for (size_t v = 0; v < l->nr_vgs; v++)
		for (unsigned i = 0; i < l->vg[v].nr_members; i++)
			if (!strcmp(l->vg[v].member[i].id, pv->id))
				return &l->vg[v].member[i];
	return NULL;
}

const char *lvm_area_word(const struct lvm_area *a)
{
	static const char *const words[] = {
		[LVM_AREA_GOOD] = "good",
		[LVM_AREA_EMPTY] = "empty",
		[LVM_AREA_IGNORED] = "ignored",
		[LVM_AREA_BAD_HEADER] = "damaged header",
		[LVM_AREA_BAD_TEXT] = "damaged text",
		[LVM_AREA_CUT] = "beyond the end of the image",
	};

	return words[a->state];
}

static void bind_members(const struct lvm *l, const struct lvm_options *opt, struct lvm_vg *vg)
{
	for (unsigned i = 0; i < vg->nr_members; i++) {
		struct lvm_member *m = &vg->member[i];

		for (size_t k = 0; k < l->nr_pvs && !m->pv; k++)
			if (!strcmp(m->id, l->pv[k].id))
				m->pv = &l->pv[k];
		if (!m->pv)
			lvm_tell(opt,
				 "warning: volume group %s: physical volume %s (%s, last seen as "
				 "%s) is on none of the given disks: data on it cannot be read",
				 vg->name, m->name, m->id, m->device ?: "an unknown device");
	}
}

static int add_vg(struct lvm *l, const struct lvm_options *opt, struct lvm_text *t, struct err *err)
{
	struct lvm_vg *vg = vec_add(l->vg, l->nr_vgs, l->vg_cap);
	int r;

	if (!vg)
		return err_nomem(err, "the list of volume groups");
	t->taken = true;
	r = lvm_vg_build(t->root, &l->arena, vg, err);
	if (r)
		return err_prefix(err, r, "LVM's text with seqno %llu", (ull)t->seqno);
	bind_members(l, opt, vg);
	return lvm_judge(vg, opt->leg, &l->arena, err);
}

/* " 23 22 20" */
static int no_such_seqno(const struct lvm *l, const struct lvm_options *opt, struct err *err)
{
	char list[300] = "";
	size_t len = 0;

	for (size_t i = 0; i < l->nr_texts && len + 22 < sizeof(list); i++)
		len += (size_t)snprintf(list + len, sizeof(list) - len, " %llu", (ull)l->text[i].seqno);
	return err_set(err, -ENODATA, "no text of LVM with seqno %llu is left on the disks; there "
				      "%s:%s",
		       (ull)opt->seqno, l->nr_texts == 1 ? "is" : "are", list);
}

static int no_such_group(const struct lvm *l, const struct lvm_options *opt, struct err *err)
{
	char list[400] = "";
	size_t len = 0;

	for (size_t i = 0; i < l->nr_texts && len + 150 < sizeof(list); i++)
		if (!i || strcmp(l->text[i].vg_id, l->text[i - 1].vg_id))
			len += (size_t)snprintf(list + len, sizeof(list) - len, " %s", l->text[i].vg_name);
	return err_set(err, -ENODATA, "no volume group '%s'%s on the given disks; there is:%s", opt->vg,
		       opt->has_seqno ? " with a text of that seqno" : "", list);
}

/* The newest text of the group of @t that the disks have committed, where it is newer than @t; or NULL. */
static const struct lvm_text *newer_text(const struct lvm *l, const struct lvm_text *t)
{
	for (size_t i = 0; i < l->nr_texts; i++)
		if (l->text[i].copies && l->text[i].seqno > t->seqno && !strcmp(l->text[i].vg_id, t->vg_id))
			return &l->text[i];
	return NULL;
}

/* By an older text volumes can be read, though they may have been overwritten, but not be written. */
static int judge_older(const struct lvm *l, const struct lvm_options *opt, const struct lvm_text *t, struct err *err)
{
	const struct lvm_text *newer = newer_text(l, t);

	if (!newer)
		return 0;
	if (opt->write)
		return err_set(err, -ENOTSUP,
			       "volume group %s is only read by its text of seqno %llu, because the newest is %llu: where "
			       "a volume was by the older text, another volume may be now; nothing was written",
			       t->vg_name, (ull)t->seqno, (ull)newer->seqno);
	lvm_tell(opt,
		 "note: volume group %s is read as it was at seqno %llu, the newest is %llu: extents freed since then "
		 "may have been overwritten, and devices may be gone from the pool ('thin_lvm --check --seqno %llu "
		 "PV...' compares them)",
		 t->vg_name, (ull)t->seqno, (ull)newer->seqno, (ull)t->seqno);
	return 0;
}

/* Of each group one text: the first that is wanted, for they are sorted by group and descending seqno. */
static int choose_texts(struct lvm *l, const struct lvm_options *opt, struct err *err)
{
	const struct lvm_text *of = NULL; /* the last that was taken */
	int r;

	for (size_t i = 0; i < l->nr_texts; i++) {
		struct lvm_text *t = &l->text[i];

		if (of && !strcmp(of->vg_id, t->vg_id))
			continue;
		if (opt->vg && strcmp(opt->vg, t->vg_name))
			continue;
		if (opt->has_seqno ? t->seqno != opt->seqno : !t->copies)
			continue;
		r = judge_older(l, opt, t, err);
		if (!r)
			r = add_vg(l, opt, t, err);
		if (r)
			return r;
		of = t;
	}
	if (!l->nr_vgs && opt->vg && l->nr_texts)
		return no_such_group(l, opt, err);
	if (!l->nr_vgs && opt->has_seqno)
		return no_such_seqno(l, opt, err);
	return 0;
}

static int choose_backup(struct lvm *l, const struct lvm_options *opt, struct err *err)
{
	const size_t nr = l->nr_texts;
	const struct lvm_text *newer;
	struct lvm_text *t;
	int r = lvm_add_backup(l, opt->vg_backup, err);

	if (r)
		return r;
	t = &l->text[nr];
	if (opt->vg && strcmp(opt->vg, t->vg_name))
		return err_set(err, -ENODATA, "no volume group '%s' in '%s'; there is: %s", opt->vg, opt->vg_backup, t->vg_name);
	newer = newer_text(l, t);
	if (newer)
		lvm_tell(opt,
			 "note: the disks have a newer text of volume group %s (seqno %llu) than '%s' (seqno %llu)",
			 t->vg_name, (ull)newer->seqno, opt->vg_backup, (ull)t->seqno);
	return add_vg(l, opt, t, err);
}

/* Disks of two machines may well have groups of one name. */
static int tell_names_apart(struct lvm *l, struct err *err)
{
	for (size_t i = 0; i < l->nr_vgs; i++)
		for (size_t k = 0; k < l->nr_vgs; k++) {
			if (i == k || strcmp(l->vg[i].name, l->vg[k].name))
				continue;
			l->vg[i].shown = arena_printf(&l->arena, "%s@%.6s", l->vg[i].name, l->vg[i].id);
			if (!l->vg[i].shown)
				return err_nomem(err, "the volume groups");
		}
	return 0;
}

/* PVs are there, and no group: a fresh PV, or every area is damaged. */
static int no_group(const struct lvm *l, struct err *err)
{
	for (size_t i = 0; i < l->nr_pvs; i++)
		for (unsigned k = 0; k < l->pv[i].nr_areas; k++)
			if (l->pv[i].area[k].state != LVM_AREA_EMPTY)
				return err_set(err, -EUCLEAN,
					       "%s: no metadata area of LVM on the given disks has a good text (%s: %s).  "
					       "Give more of the group's disks (%s%sFILE), or LVM's backup ('thin_lvm "
					       "--vg-backup FILE PV...'); 'thin_lvm --list-texts PV...' shows older texts",
					       l->pv[i].path, l->pv[i].path, lvm_area_word(&l->pv[i].area[k]), word_pv, word_is);
	return err_set(err, -EUCLEAN,
		       "%s: this physical volume has no text of a volume group: it is in no "
		       "group, or the text is on other disks of the group (%s%sFILE)",
		       l->pv[0].path, word_pv, word_is);
}

/* None of the paths has a PV. */
static int no_pv(struct lvm *l, const struct lvm_options *opt, struct err *err)
{
	const char *path = l->nr_paths ? l->path[0] : opt->path[0];
	const struct config_node *root;

	if (l->nr_paths == 1 && l->nr_named == 1 && !lvm_read_backup(path, &l->arena, &root, NULL))
		return err_set(err, -EUCLEAN,
			       "%s: is LVM's text of a volume group, not a disk: 'thin_lvm --vg-backup %s PV...' reads "
			       "the group's disks with it",
			       path, path);
	if (l->nr_paths == l->nr_named && l->nr_paths == 1)
		return err_set(err, -EUCLEAN, "%s: no LVM label was found, neither at the start "
					      "of the disk nor in a partition", path);
	return err_set(err, -EUCLEAN, "%s: none of %zu file%s has an LVM label, neither at its "
				      "start nor in a partition",
		       opt->path[0], l->nr_paths, l->nr_paths == 1 ? "" : "s");
}

static int find_groups(struct lvm *l, const struct lvm_options *opt, struct err *err)
{
	int r = lvm_find_paths(l, opt, err);

	if (!r)
		r = lvm_gather(l, opt, err);
	if (r)
		return r;
	if (!l->nr_pvs)
		return no_pv(l, opt, err);
	r = opt->vg_backup ? choose_backup(l, opt, err) : choose_texts(l, opt, err);
	if (!r && !l->nr_vgs && !opt->all_texts)
		r = no_group(l, err);
	return r ? r : tell_names_apart(l, err);
}

int lvm_open(const struct lvm_options *opt, struct lvm **out, struct err *err)
{
	CLEANUP(lvm_cleanup) struct lvm *l = calloc(1, sizeof(*l));
	int r = l ? find_groups(l, opt, err) : err_nomem(err, "the volume groups");

	if (!r)
		*out = steal_ptr(&l);
	return r;
}

int lvm_refuse_disk(const struct lvm *l, const char *output, struct err *err)
{
	for (size_t i = 0; i < l->nr_pvs; i++)
		if (dev_is_equal(output, l->pv[i].path))
			return err_set(err, -EDOM, "'%s' is a disk of volume groups that were read: name another output",
				       l->pv[i].path);
	return 0;
}

void lvm_free(struct lvm *l)
{
	if (!l)
		return;
	arena_fini(&l->arena);
	free(l->pv);
	free(l->vg);
	free(l->text);
	free(l->path);
	free(l);
}
