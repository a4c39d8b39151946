/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* The human_readable format: ranges are inclusive, a blank line ends each device. */
#include "pool/text/sink.h"

#define RUN_LEN 128 /* bytes of the longest line and spare */

static void field(struct outbuf *out, const char *before, uint64_t v, const char *after)
{
	outbuf_str(out, before);
	outbuf_u64(out, v);
	outbuf_str(out, after);
}

static void human_begin_pool(struct outbuf *out, const struct pool_info *p)
{
	outbuf_str(out, "begin superblock: \"");
	text_add_plain(out, p->uuid);
	field(out, "\", ", p->time, "");
	field(out, ", ", p->transaction, "");
	field(out, ", ", p->flags, "");
	field(out, ", ", p->has_version ? p->version : 2, "");
	field(out, ", ", p->data_block_size, "");
	field(out, ", ", p->nr_data_blocks, "");
	outbuf_str(out, "\n");
}

static void human_begin_def(struct outbuf *out, uint64_t name, size_t nr_defs)
{
	(void)nr_defs;
	field(out, "def: ", name, "\n");
}

static void human_begin_device(struct outbuf *out, const struct device_info *d, size_t nr_defs,
			       size_t nr_devices)
{
	(void)nr_defs;
	(void)nr_devices;
	field(out, "device: ", d->dev_id, "\n");
	field(out, "mapped_blocks: ", d->mapped_blocks, "\n");
	field(out, "transaction: ", d->transaction, "\n");
	field(out, "creation time: ", d->creation_time, "\n");
	field(out, "snap time: ", d->snap_time, "\n");
}

static void human_end(struct outbuf *out, bool empty)
{
	(void)empty;
	outbuf_str(out, "\n");
}

static void human_ref(struct outbuf *out, uint64_t name)
{
	field(out, "    ref: ", name, "\n");
}

static void human_end_pool(struct outbuf *out, size_t nr_defs, size_t nr_devices)
{
	(void)nr_defs;
	(void)nr_devices;
	outbuf_str(out, "end superblock\n");
}

static char *add_run(char *p, const struct run *r, struct fmt_count *vbegin)
{
	p = TEXT_ADD(p, "    (");
	p = fmt_count(p, vbegin, r->vbegin);
	p = TEXT_ADD(p, "..");
	p = fmt_u64(p, r->vbegin + r->len - 1);
	p = TEXT_ADD(p, ") -> (");
	p = fmt_u64(p, r->dbegin);
	p = TEXT_ADD(p, "..");
	p = fmt_u64(p, r->dbegin + r->len - 1);
	p = TEXT_ADD(p, "), ");
	p = fmt_u64(p, r->time);
	return TEXT_ADD(p, "\n");
}

static void human_runs(struct outbuf *out, const struct run *run, size_t nr)
{
	text_add_runs(out, run, nr, RUN_LEN, add_run);
}

const struct text_form text_form_human = {
	.name = "human_readable",
	.begin_pool = human_begin_pool,
	.begin_def = human_begin_def,
	.end_def = human_end,
	.begin_device = human_begin_device,
	.end_device = human_end,
	.ref = human_ref,
	.end_pool = human_end_pool,
	.runs = human_runs,
};
