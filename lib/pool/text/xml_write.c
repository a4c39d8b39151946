/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * The exchange format, written.  Callers parse it with scanners of their own (LVM2 takes
 * the number after transaction=" in the first line), so the order of attributes, the
 * spaces and the line breaks are part of the format.
 */
#include "pool/format/format.h"
#include "pool/text/sink.h"

#define RUN_LEN 160 /* bytes of the longest mapping line, all numbers of 20 digits, and spare */

static void xml_begin_pool(struct outbuf *out, const struct pool_info *p)
{
	outbuf_str(out, "<superblock uuid=\"");
	text_add_plain(out, p->uuid);
	outbuf_str(out, "\"");
	outbuf_attr(out, "time", p->time);
	outbuf_attr(out, "transaction", p->transaction);
	if (p->flags & THIN_NEEDS_CHECK)
		outbuf_attr(out, "flags", THIN_NEEDS_CHECK);
	outbuf_attr(out, "version", p->has_version ? p->version : THIN_VERSION);
	outbuf_attr(out, "data_block_size", p->data_block_size);
	outbuf_attr(out, "nr_data_blocks", p->nr_data_blocks);
	outbuf_str(out, ">\n");
}

static void xml_begin_def(struct outbuf *out, uint64_t name, size_t nr_defs)
{
	(void)nr_defs;
	outbuf_str(out, "  <def");
	outbuf_attr(out, "name", name);
	outbuf_str(out, ">\n");
}

static void xml_end_def(struct outbuf *out, bool empty)
{
	(void)empty;
	outbuf_str(out, "  </def>\n");
}

static void xml_begin_device(struct outbuf *out, const struct device_info *d, size_t nr_defs,
			     size_t nr_devices)
{
	(void)nr_defs;
	(void)nr_devices;
	outbuf_str(out, "  <device");
	outbuf_attr(out, "dev_id", d->dev_id);
	outbuf_attr(out, "mapped_blocks", d->mapped_blocks);
	outbuf_attr(out, "transaction", d->transaction);
	outbuf_attr(out, "creation_time", d->creation_time);
	outbuf_attr(out, "snap_time", d->snap_time);
	outbuf_str(out, ">\n");
}

static void xml_end_device(struct outbuf *out, bool empty)
{
	(void)empty;
	outbuf_str(out, "  </device>\n");
}

static void xml_ref(struct outbuf *out, uint64_t name)
{
	outbuf_str(out, "    <ref");
	outbuf_attr(out, "name", name);
	outbuf_str(out, "/>\n");
}

static void xml_end_pool(struct outbuf *out, size_t nr_defs, size_t nr_devices)
{
	(void)nr_defs;
	(void)nr_devices;
	outbuf_str(out, "</superblock>\n");
}

static char *add_run(char *p, const struct run *r, struct fmt_count *vbegin)
{
	if (r->len == 1) {
		p = TEXT_ADD(p, "    <single_mapping origin_block=\"");
		p = fmt_count(p, vbegin, r->vbegin);
		p = TEXT_ADD(p, "\" data_block=\"");
		p = fmt_u64(p, r->dbegin);
	} else {
		p = TEXT_ADD(p, "    <range_mapping origin_begin=\"");
		p = fmt_count(p, vbegin, r->vbegin);
		p = TEXT_ADD(p, "\" data_begin=\"");
		p = fmt_u64(p, r->dbegin);
		p = TEXT_ADD(p, "\" length=\"");
		p = fmt_u64(p, r->len);
	}
	p = TEXT_ADD(p, "\" time=\"");
	p = fmt_u64(p, r->time);
	return TEXT_ADD(p, "\"/>\n");
}

static void xml_runs(struct outbuf *out, const struct run *run, size_t nr)
{
	text_add_runs(out, run, nr, RUN_LEN, add_run);
}

const struct text_form text_form_xml = {
	.name = "xml",
	.begin_pool = xml_begin_pool,
	.begin_def = xml_begin_def,
	.end_def = xml_end_def,
	.begin_device = xml_begin_device,
	.end_device = xml_end_device,
	.ref = xml_ref,
	.end_pool = xml_end_pool,
	.runs = xml_runs,
};
