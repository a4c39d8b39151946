/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Which LVs can be read from the given disks.  An LV is judged after everything below it: an LV
 * whose type is not supported makes all above it unreadable, extents on a missing PV, or behind the
 * end of an image that is cut off, make it partial.
 */
#include <errno.h>
#include <string.h>

#include "base/overflow.h"
#include "volume/lvm/vg.h"

#define MAX_LEVELS 32

enum { NEW, BEGUN, DONE };

struct judge {
	struct lvm_vg *vg;
	struct arena *arena;
	unsigned leg, level;
	bool no_memory;
};

static const char *text(struct judge *j, const char *made)
{
	j->no_memory |= !made;
	return made ?: "out of memory";
}

#define say(j, ...) text(j, arena_printf((j)->arena, __VA_ARGS__))

/* What an administrator can do about a type that is not followed. */
static const char *type_hint(const char *name)
{
	static const struct {
		const char *begin, *hint;
	} hints[] = {
		{ "cache", "newer data may be in the cache only; let LVM write it back: lvconvert "
			   "--uncache" },
		{ "writecache", "newer data may be in the cache only; let LVM write it back: "
				"lvconvert --uncache" },
		{ "raid", "the data are computed from several devices; activate the VG with LVM" },
		{ "snapshot", "a non-thin snapshot needs its origin and its COW store; activate the "
			      "VG with LVM" },
		{ "vdo", "the data are deduplicated and compressed; activate the VG with LVM" },
		{ "integrity", "checksums lie between the data; activate the VG with LVM" },
		{ "crypt", "the data are encrypted" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(hints); i++)
		if (!strncmp(name, hints[i].begin, strlen(hints[i].begin)))
			return hints[i].hint;
	return "activate the VG with LVM";
}

/* A fault of @lv itself counts before faults below it. */
static void blame(struct lvm_lv *lv, const char *why, bool upon)
{
	if (lv->why && (upon || !lv->upon))
		return;
	lv->why = why;
	lv->upon = upon;
}

static void judge_lv(struct judge *j, struct lvm_lv *lv);

/* @lv is stacked on @below. */
static void rely_on(struct judge *j, struct lvm_lv *lv, struct lvm_lv *below)
{
	judge_lv(j, below);
	lv->partial |= below->partial;
	if (below->why)
		blame(lv, below->upon ? below->why : say(j, "it is on LV %s: %s", below->name, below->why), true);
}

/* How many of the @len extents lie, at least in part, behind the end of what is there of the PV. */
static uint64_t extents_cut(const struct judge *j, const struct lvm_place *p, uint64_t len)
{
	const uint64_t there = p->member->pv->there >> SECTOR_SHIFT, begin = p->member->pe_start;
	uint64_t whole = there > begin ? (there - begin) / j->vg->extent_size : 0;

	return len - MIN(len, whole - MIN(whole, p->extent));
}

/* @len extents of a PV or LV. */
static void judge_place(struct judge *j, struct lvm_lv *lv, const struct lvm_place *p, uint64_t len)
{
	uint64_t end;
	bool wild = add_overflow(p->extent, len, &end);

	if (p->member) {
		lv->missing += p->member->pv ? 0 : len;
		lv->cut += p->member->pv ? extents_cut(j, p, len) : 0;
		wild |= end > p->member->pe_count;
	} else if (p->lv) {
		wild |= end > p->lv->size;
		rely_on(j, lv, p->lv);
	} else {
		blame(lv, say(j, "LVM's text has neither a PV nor an LV '%s'", p->name), false);
	}
	if (wild)
		blame(lv, say(j, "an extent lies beyond the end of %s", p->name), false);
}

static void judge_legs(struct judge *j, struct lvm_lv *lv, const struct lvm_seg *s)
{
	const unsigned leg = lvm_leg_of(lv, j->leg);

	if (leg == LVM_NO_LEG)
		blame(lv, say(j, "%s: LVM's text does not say which leg is in sync; 'thin_lvm --leg N PV...' prints a table from "
				   "which leg N (0 to %u) can be read as it is", s->type_name, s->nr_places - 1), false);
	else if (leg >= s->nr_places)
		blame(lv, say(j, "%s has legs 0 to %u, but no leg %u", s->type_name, s->nr_places - 1, leg),
		      false);
	else
		judge_place(j, lv, &s->place[leg], s->len);
}

static void judge_seg(struct judge *j, struct lvm_lv *lv, const struct lvm_seg *s)
{
	switch (s->type) {
	case LVM_STRIPED:
		for (unsigned i = 0; i < s->nr_places; i++)
			judge_place(j, lv, &s->place[i], s->len / s->nr_places);
		break;
	case LVM_LEGS:
		judge_legs(j, lv, s);
		break;
	case LVM_THIN_POOL:
		rely_on(j, lv, s->metadata);
		rely_on(j, lv, s->data);
		break;
	case LVM_THIN:
		rely_on(j, lv, s->pool);
		if (!lvm_seg_of(s->pool, LVM_THIN_POOL))
			blame(lv, say(j, "LV %s is not a thin pool", s->pool->name), false);
		if (s->external)
			rely_on(j, lv, s->external);
		break;
	case LVM_OTHER:
		blame(lv, say(j, "%s cannot be followed (%s)", s->type_name, type_hint(s->type_name)), false);
		break;
	default:
		break;
	}
}

static void judge_lv(struct judge *j, struct lvm_lv *lv)
{
	if (lv->state == DONE)
		return;
	if (lv->state == BEGUN || j->level == MAX_LEVELS) {
		lv->loop |= lv->state == BEGUN;
		blame(lv, lv->loop ? "it is stacked on itself" : "too many volumes are stacked on "
								 "each other", false);
		return;
	}
	lv->state = BEGUN;
	j->level++;
	if (lv->fault)
		blame(lv, lv->fault, false);
	if (lv->cow_of)
		blame(lv, say(j, "it is the COW store of a non-thin snapshot of LV %s, not the "
				 "snapshot's content",
			      lv->cow_of), false);
	for (unsigned i = 0; i < lv->nr_segs && !lv->fault; i++)
		judge_seg(j, lv, &lv->seg[i]);
	lv->partial |= lv->missing || lv->cut;
	j->level--;
	lv->state = DONE;
}

int lvm_judge(struct lvm_vg *vg, unsigned leg, struct arena *arena, struct err *err)
{
	struct judge j = { vg, arena, leg, 0, false };

	for (unsigned i = 0; i < vg->nr_lvs; i++)
		judge_lv(&j, &vg->lv[i]);
	return j.no_memory ? err_nomem(err, "the volume group") : 0;
}
