/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "base/search.h"
#include "volume/table/list.h"

static void fill(const struct table *t, const struct table_thin *line, struct list *l)
{
	size_t at = search_first(i, l->nr, l->row[i].dev->info.dev_id >= line->dev_id);
	struct list_row *r = &l->row[at];

	/* the first line of a device counts */
	if (at == l->nr || r->dev->info.dev_id != line->dev_id || r->listed)
		return;
	r->listed = true;
	r->name = line->name;
	/* volumes of LVM are known by name */
	r->origin = t->nr_groups ? line->origin.word : line->origin.path;
	r->length = line->length;
}

size_t table_fill_list(const struct table *t, struct list *l, uint32_t *first)
{
	size_t nr = 0;

	for (size_t i = 0; i < t->nr_thins; i++)
		fill(t, &t->thin[i], l);
	for (size_t i = 0; i < l->nr; i++) {
		l->row[i].pool = t->pool->name;
		if (!l->row[i].listed && !nr++)
			*first = l->row[i].dev->info.dev_id;
	}
	return nr;
}
