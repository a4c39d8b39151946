/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "volume/table/list.h"

static const struct table_thin *line_of(const struct table *t, uint32_t dev_id)
{
	for (size_t i = 0; i < t->nr_thins; i++)
		if (t->thin[i].dev_id == dev_id)
			return &t->thin[i];
	return NULL;
}

size_t table_fill_list(const struct table *t, struct list *l, uint32_t *first)
{
	size_t nr = 0;

	for (size_t i = 0; i < l->nr; i++) {
		struct list_row *r = &l->row[i];
		const struct table_thin *line = line_of(t, r->dev->info.dev_id);

		r->pool = t->pool->name;
		if (line) {
			r->listed = true;
			r->name = line->name;
			/* volumes of LVM are known by name */
			r->origin = t->nr_groups ? line->origin.word : line->origin.path;
			r->length = line->length;
		} else if (!nr++) {
			*first = r->dev->info.dev_id;
		}
	}
	return nr;
}
