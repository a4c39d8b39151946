/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "pool/query/page.h"

#include "pool/query/picture.h"

/* page.html, line by line: made by make */
static const char *const lines[] = {
#include "lib/pool/query/page.inc"
};

static void put_cells(const struct picture *p, const struct list *l, struct json *j)
{
	json_u64(j, "cell_blocks", p->cell_blocks);
	json_list(j, "cells", 0);
	for (size_t n = 0; n < p->nr_cells; n++) {
		const struct picture_cell *c = &p->cell[n];

		json_list(j, NULL, 0);
		json_u64(j, NULL, c->nr_alone);
		json_u64(j, NULL, c->nr_shared);
		json_list(j, NULL, 0);
		for (unsigned o = 0; o < c->nr_owners; o++) {
			json_list(j, NULL, 0);
			json_u64(j, NULL, l->row[c->owner[o].device].dev->info.dev_id);
			json_u64(j, NULL, c->owner[o].nr);
			json_close(j);
		}
		json_close(j);
		json_close(j);
	}
	json_close(j);
}

static void put_pool(const struct info *i, const char *name, const struct findings *findings,
		     struct outbuf *out)
{
	struct json j;

	json_begin(&j, out);
	json_text(&j, "pool", name);
	info_json(i, PAGE_DEVICES, &j);
	findings_json(findings, &j, "findings");
	json_u64(&j, "more_devices", i->list->nr > PAGE_DEVICES ? i->list->nr - PAGE_DEVICES : 0);
	put_cells(i->list->picture, i->list, &j);
	json_end(&j);
}

void page_write(const struct info *i, const char *name, const struct findings *findings,
		struct outbuf *out)
{
	for (size_t n = 0; n < ARRAY_SIZE(lines); n++)
		if (!strcmp(lines[n], "@POOL@\n"))
			put_pool(i, name, findings, out);
		else
			outbuf_str(out, lines[n]);
}
