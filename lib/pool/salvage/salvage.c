/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* The result of the steps that steps.c takes. */
#include "pool/salvage/salvage.h"

#include "pool/salvage/steps.h"

int salvage_new(struct io *meta, struct jobs *jobs, const struct salvage_options *opt,
		struct salvage **out, struct err *err)
{
	int r = salvage_look(meta, jobs, opt, 0, out, err);

	return *out ? salvage_look_again(out, meta, jobs, r, err) : r;
}

void salvage_totals(const struct salvage *s, struct salvage_totals *out)
{
	const struct tell *tell = &s->tell;

	*out = (struct salvage_totals) { .nr_devices = s->trees.nr_devs,
					 .nr_mappings = trees_nr_mappings(&s->trees),
					 .nr_data_blocks = s->values.info.nr_data_blocks,
					 .intact = tell->intact,
					 .lossless = tell->lossless,
					 .mappings_back = tell->mappings_back,
					 .uncertain =
						 s->trees.uncertain || state_has_newer(&s->state) ||
						 (s->assign.unconfirmed && !tell->mappings_back) };
}

void salvage_explain(const struct salvage *s, struct outbuf *out)
{
	const struct assign *as = &s->assign;

	if (s->graph.refused)
		outbuf_printf(out, "block %u is intact, but not believed: without it %s\n", s->graph.refused,
			      s->tell.mappings_back ? "all mappings are back" : "more agrees with the data map, or comes back");
	if (as->explained.len)
		outbuf_add(out, as->explained.data, as->explained.len);
	else
		outbuf_str(out, "no node had a choice\n");
	if (as->explained.error)
		out->error = as->explained.error;
}

uint64_t salvage_nr_nodes(const struct salvage *s)
{
	uint64_t nr = 0;

	for (uint32_t i = 0; i < s->graph.nr_nodes; i++)
		nr += s->graph.node[i].flags & SN_LIVE;
	return nr;
}
int salvage_emit(struct salvage *s, const struct emit_options *opt, const struct events *to,
		 struct err *err)
{
	return tell_events(&s->values, opt, to, err);
}

bool salvage_device_is_whole(const struct salvage *s, uint32_t dev_id)
{
	return tell_device_is_whole(&s->tell, dev_id);
}

int salvage_list_roots(struct salvage *s, struct outbuf *out, struct err *err)
{
	return tell_roots(&s->super, out, err);
}
