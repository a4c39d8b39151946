/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* What was chosen against what, and why, in the words of the evidence table. */
#include "pool/salvage/assign/impl.h"

#define MAX_LINES 10000

static void put_option(const struct assignment *a, const struct choice *o, struct outbuf *out)
{
	const struct place *p = &a->place[o->place];
	bool any = false;

	outbuf_printf(out, "device %u", a->assign->trees->dev[p->devs[0]].info.dev_id);
	if (p->nr_devs > 1)
		outbuf_printf(out, " and %u others", p->nr_devs - 1);
	if (!p->one && p->parent != NONE)
		outbuf_printf(out, ", below lost block %u", p->parent);
	outbuf_printf(out, " (%d", o->score);
	for (int i = 0; i < NR_EVIDENCE; i++)
		if (o->says >> i & 1) {
			outbuf_printf(out, "%s%s", any ? ", " : ": it ", evidence[i].text);
			any = true;
		}
	outbuf_str(out, ")");
}

/* The best option that was taken (or was not), or NULL. */
static const struct choice *best_option(const struct candidate *c, bool taken)
{
	for (const struct choice *o = c->opt; o < c->end; o++)
		if (o->taken == taken)
			return o;
	return NULL;
}

void explain_assignment(const struct assignment *a)
{
	struct outbuf *out = &a->assign->explained;
	uint32_t lines = 0;

	for (uint32_t c = 0; c < a->nr_cands; c++) {
		const struct snode *n = assign_node(a, c);
		const struct choice *best = best_option(&a->cand[c], true), *other = best_option(&a->cand[c], false);

		if (!best && (!other || !is_counted(a, c)))
			continue;
		if (++lines > MAX_LINES) {
			outbuf_str(out, "and more such nodes\n");
			return;
		}
		outbuf_printf(out, "block %u (%llu mapped blocks): ", n->block, (unsigned long long)n->nr_mappings);
		if (best)
			put_option(a, best, out);
		else
			outbuf_str(out, "no place");
		outbuf_str(out, other ? "; rather than " : "; no other place");
		if (other)
			put_option(a, other, out);
		outbuf_str(out, "\n");
	}
}
