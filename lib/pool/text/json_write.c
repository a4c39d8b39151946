/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * The same pool as one JSON document of doc/json.md: each mapping is
 * {"begin", "data_begin", "length", "time"} whatever its length, and a ref is
 * {"ref": NAME}.  "defs" is there only when something is shared.
 */
#include "base/text/json.h"
#include "pool/format/format.h"
#include "pool/text/sink.h"

#define RUN_LEN 160 /* bytes of the longest mapping and spare */

static void member(struct outbuf *out, const char *name, uint64_t v)
{
	outbuf_str(out, ", \"");
	outbuf_str(out, name);
	outbuf_str(out, "\": ");
	json_number(out, v);
}

static void json_begin_pool(struct outbuf *out, const struct pool_info *p)
{
	outbuf_str(out, "{\n  \"format\": 1,\n  \"superblock\": {\"uuid\": \"");
	text_add_plain(out, p->uuid);
	outbuf_str(out, "\"");
	member(out, "time", p->time);
	member(out, "transaction_id", p->transaction);
	outbuf_str(out, p->flags & THIN_NEEDS_CHECK ? ", \"needs_check\": true" :
						      ", \"needs_check\": false");
	member(out, "version", p->has_version ? p->version : THIN_VERSION);
	member(out, "data_block_size", p->data_block_size);
	member(out, "nr_data_blocks", p->nr_data_blocks);
	if (p->metadata_snap)
		member(out, "metadata_snap", p->metadata_snap);
	outbuf_str(out, "}");
}

static void json_begin_def(struct outbuf *out, uint64_t name, size_t nr_defs)
{
	outbuf_str(out, nr_defs ? "," : ",\n  \"defs\": [");
	outbuf_str(out, "\n    {\"name\": ");
	outbuf_u64(out, name);
	outbuf_str(out, ", \"mappings\": [");
}

static void json_end_part(struct outbuf *out, bool empty)
{
	outbuf_str(out, empty ? "]}" : "\n    ]}");
}

static void json_begin_device(struct outbuf *out, const struct device_info *d, size_t nr_defs,
			      size_t nr_devices)
{
	if (!nr_devices)
		outbuf_str(out, nr_defs ? "\n  ],\n  \"devices\": [" : ",\n  \"devices\": [");
	outbuf_str(out, nr_devices ? ",\n    {\"dev_id\": " : "\n    {\"dev_id\": ");
	outbuf_u64(out, d->dev_id);
	member(out, "mapped_blocks", d->mapped_blocks);
	member(out, "transaction_id", d->transaction);
	member(out, "creation_time", d->creation_time);
	member(out, "snap_time", d->snap_time);
	outbuf_str(out, ", \"mappings\": [");
}

static void json_ref(struct outbuf *out, uint64_t name)
{
	outbuf_str(out, ",\n      {\"ref\": ");
	outbuf_u64(out, name);
	outbuf_str(out, "}");
}

static void json_end_pool(struct outbuf *out, size_t nr_defs, size_t nr_devices)
{
	if (nr_devices)
		outbuf_str(out, "\n  ]\n}\n");
	else
		outbuf_str(out, nr_defs ? "\n  ],\n  \"devices\": []\n}\n" : ",\n  \"devices\": []\n}\n");
}

/* json_number(), where there is room. */
static char *add_number(char *p, struct fmt_count *before, uint64_t v)
{
	if (likely(v <= JSON_MAX_NUMBER))
		return fmt_count(p, before, v);
	*p++ = '"';
	p = fmt_u64(p, v);
	*p++ = '"';
	return p;
}

static char *add_run(char *p, const struct run *r, struct fmt_count *vbegin)
{
	p = TEXT_ADD(p, ",\n      {\"begin\": ");
	p = add_number(p, vbegin, r->vbegin);
	p = TEXT_ADD(p, ", \"data_begin\": ");
	p = fmt_u64(p, r->dbegin);
	p = TEXT_ADD(p, ", \"length\": ");
	p = fmt_u64(p, r->len);
	p = TEXT_ADD(p, ", \"time\": ");
	p = fmt_u64(p, r->time);
	return TEXT_ADD(p, "}");
}

static void json_runs(struct outbuf *out, const struct run *run, size_t nr)
{
	text_add_runs(out, run, nr, RUN_LEN, add_run);
}

const struct text_form text_form_json = {
	.name = "json",
	.begin_pool = json_begin_pool,
	.begin_def = json_begin_def,
	.end_def = json_end_part,
	.begin_device = json_begin_device,
	.end_device = json_end_part,
	.ref = json_ref,
	.end_pool = json_end_pool,
	.runs = json_runs,
	.separator_len = 1,
	.defs_first = true,
};
