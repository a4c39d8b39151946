/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "volume/lvm/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text/json.h"
#include "base/vec.h"
#include "volume/lvm/list.h"

typedef unsigned long long ull;

static const char *lvm_severity_word(enum lvm_severity s)
{
	static const char *const words[] = { "note", "warning", "fault" };

	return words[s];
}

void lvm_found(struct lvm_findings *f, enum lvm_severity severity, const char *kind, const struct lvm_vg *vg,
	       const char *name, const char *mend, const char *fmt, ...)
{
	struct lvm_finding *x = vec_add(f->finding, f->nr, f->cap);
	char text[900];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (!x) {
		f->no_memory = true;
		return;
	}
	*x = (struct lvm_finding){ severity, kind, vg, name, arena_strndup(&f->arena, text, strlen(text)),
				   arena_strndup(&f->arena, mend, strlen(mend)) };
	if (!x->text || !x->mend) {
		f->no_memory = true;
		f->nr--;
	}
}

void lvm_findings_fini(struct lvm_findings *f)
{
	arena_fini(&f->arena);
	free(f->finding);
	*f = (struct lvm_findings){ 0 };
}

static void check_area(const struct lvm_vg *vg, const struct lvm_member *m, unsigned nr, struct lvm_findings *f)
{
	const struct lvm_area *a = &m->pv->area[nr];
	char mend[200];

	snprintf(mend, sizeof(mend), "vgck --updatemetadata %s", vg->name);
	if (a->state == LVM_AREA_GOOD && a->seqno < vg->seqno)
		lvm_found(f, LVM_WARNING, "area-stale", vg, m->name, mend,
			  "metadata area %u on %s has an older text (seqno %llu, the newest is "
			  "%llu): if the newer copies are lost, LVM goes back to it",
			  nr, m->pv->path, (ull)a->seqno, (ull)vg->seqno);
	else if (a->state == LVM_AREA_BAD_HEADER || a->state == LVM_AREA_BAD_TEXT || a->state == LVM_AREA_CUT)
		lvm_found(f, LVM_WARNING, "area-damaged", vg, m->name, mend,
			  "metadata area %u on %s cannot be used (%s): the text is taken from the others", nr,
			  m->pv->path, lvm_area_word(a));
	else if (a->state == LVM_AREA_EMPTY)
		lvm_found(f, LVM_WARNING, "area-empty", vg, m->name, mend,
			  "metadata area %u on %s has no text, although the PV belongs to the group", nr, m->pv->path);
	if (a->has_pending)
		lvm_found(f, LVM_NOTE, "area-pending", vg, m->name, mend,
			  "metadata area %u on %s holds a text that was written and not "
			  "committed: an LVM command was interrupted before its change took "
			  "effect",
			  nr, m->pv->path);
}

static void check_member(const struct lvm_vg *vg, const struct lvm_member *m, struct lvm_findings *f)
{
	char mend[200];

	if (!m->pv) {
		snprintf(mend, sizeof(mend), "give the disk too (--pv FILE); where it is lost for good, vgreduce --removemissing %s",
			 vg->name);
		lvm_found(f, LVM_FAULT, "pv-missing", vg, m->name, mend,
			  "physical volume %s (%s, last seen as %s) is missing: data on it cannot "
			  "be read, and LVM does not activate a pool with a part on it",
			  m->name, m->id, m->device ?: "an unknown device");
		return;
	}
	if (lvm_member_is_cut(vg, m))
		lvm_found(f, LVM_FAULT, "pv-truncated", vg, m->name, "copy the disk again, to its end",
			  "%s ends after %llu bytes of physical volume %s, whose extents end at "
			  "%llu: the data after that is lost",
			  m->pv->path, (ull)m->pv->there, m->name,
			  (ull)((m->pe_start + m->pe_count * vg->extent_size) << SECTOR_SHIFT));
	for (unsigned i = 0; i < m->pv->nr_areas; i++)
		check_area(vg, m, i, f);
}

static void check_lv(const struct lvm_vg *vg, const struct lvm_lv *lv, struct lvm_findings *f)
{
	const struct lvm_seg *s = lvm_seg_of(lv, LVM_THIN);
	char mend[300];

	if (lv->fault)
		lvm_found(f, LVM_FAULT, "lv-broken", vg, lv->name, "", "LVM's text of this volume is broken: %s", lv->fault);
	if (!s || !s->external || lv->fault)
		return;
	if (s->external->writable) {
		snprintf(mend, sizeof(mend), "lvchange -pr %s/%s", vg->name, s->external->name);
		lvm_found(f, LVM_WARNING, "origin-writable", vg, lv->name, mend,
			  "its external origin %s is writable: writes to it also change this "
			  "volume",
			  s->external->name);
	}
	if (s->external->why || s->external->partial)
		lvm_found(f, LVM_WARNING, "origin-unreadable", vg, lv->name, "",
			  "its external origin %s cannot be read whole: %s", s->external->name,
			  s->external->why ?: "a part lies on a PV that is missing or cut off");
}

/* Two different texts with one number: LVM was run on two halves of a group. */
static void check_twins(const struct lvm *l, const struct lvm_vg *vg, struct lvm_findings *f)
{
	char mend[200];
	unsigned nr = 0;

	for (size_t i = 0; i < l->nr_texts; i++)
		nr += l->text[i].pv != LVM_FILE && l->text[i].copies && !strcmp(l->text[i].vg_id, vg->id) && l->text[i].seqno == vg->seqno;
	snprintf(mend, sizeof(mend), "vgcfgrestore -f FILE %s with the right text", vg->name);
	if (nr > 1)
		lvm_found(f, LVM_FAULT, "texts-differ", vg, NULL, mend,
			  "%u different texts have the newest seqno %llu: parts of the group were "
			  "changed separately",
			  nr, (ull)vg->seqno);
}

void lvm_check_groups(const struct lvm *l, struct lvm_findings *f)
{
	for (size_t v = 0; v < l->nr_vgs; v++) {
		const struct lvm_vg *vg = &l->vg[v];

		for (unsigned i = 0; i < vg->nr_members; i++)
			check_member(vg, &vg->member[i], f);
		check_twins(l, vg, f);
		for (unsigned i = 0; i < vg->nr_lvs; i++)
			check_lv(vg, &vg->lv[i], f);
	}
}

void lvm_findings_text(const struct lvm_findings *f, struct outbuf *out)
{
	for (size_t i = 0; i < f->nr; i++) {
		const struct lvm_finding *x = &f->finding[i];

		outbuf_printf(out, "%s: %s", lvm_severity_word(x->severity), x->vg->shown);
		if (x->name)
			outbuf_printf(out, "/%s", x->name);
		outbuf_str(out, ": ");
		lvm_put_plain(out, x->text);
		if (*x->mend) {
			outbuf_str(out, "\n    ");
			lvm_put_plain(out, x->mend);
		}
		outbuf_str(out, "\n");
	}
}

void lvm_findings_json(const struct lvm_findings *f, struct outbuf *out)
{
	struct json j;

	json_begin(&j, out);
	json_list(&j, "findings", JSON_LINES);
	for (size_t i = 0; i < f->nr; i++) {
		const struct lvm_finding *x = &f->finding[i];

		json_object(&j, NULL, 0);
		json_text(&j, "severity", lvm_severity_word(x->severity));
		json_text(&j, "kind", x->kind);
		json_text(&j, "vg", x->vg->name);
		json_text(&j, "name", x->name);
		json_text(&j, "text", x->text);
		json_text(&j, "mend", *x->mend ? x->mend : NULL);
		json_close(&j);
	}
	json_close(&j);
	json_end(&j);
}
