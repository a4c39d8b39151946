/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_TEXT_SINK_H
#define POOL_TEXT_SINK_H
/*
 * The common part of a pool's text formats (merging of runs, buffering, writing) is in sink.c.  A
 * form only says how each thing is spelled.
 * A new form: its struct text_form in a file of its own, which lib/pool/module.am lists; its declaration
 * below; a line in forms[] of sink.c; its name in enum text_format of text.h; then the words of --format in
 * bin/thin_dump.c and its man page.
 * Private to this room; others use text.h.
 */
#include "pool/events/events.h"

struct text_form {
	const char *name; /* "xml" */
	void (*begin_pool)(struct outbuf *out, const struct pool_info *p);
	/* @nr_defs, @nr_devices: how many came before */
	void (*begin_def)(struct outbuf *out, uint64_t name, size_t nr_defs);
	void (*end_def)(struct outbuf *out, bool empty);
	void (*begin_device)(struct outbuf *out, const struct device_info *d, size_t nr_defs,
			     size_t nr_devices);
	void (*end_device)(struct outbuf *out, bool empty);
	void (*ref)(struct outbuf *out, uint64_t name);
	void (*end_pool)(struct outbuf *out, size_t nr_defs, size_t nr_devices);
	/* Whole runs, formatted the same wherever they stand; any thread. */
	void (*runs)(struct outbuf *out, const struct run *run, size_t nr);
	/*
	 * Each run and ref begins with this many bytes that separate it from the one
	 * before; dropped for the first of a def or device.
	 */
	size_t separator_len;
	bool defs_first; /* cannot express a def after a device */
};

extern const struct text_form text_form_xml, text_form_human, text_form_json;

/* plain.c.  @s between quotes may stand in XML and in JSON: other characters than these become '_'. */
void text_add_plain(struct outbuf *out, const char *s);

/*
 * A form's runs, with what spells one of them in at most @run_len bytes.  @vbegin: of the run before; that of
 * single blocks ascends by one.
 */
static inline __attribute__((always_inline)) void
text_add_runs(struct outbuf *out, const struct run *run, size_t nr, size_t run_len,
	      char *(*add)(char *p, const struct run *r, struct fmt_count *vbegin))
{
	char *begin = outbuf_reserve(out, nr * run_len), *p = begin;
	struct fmt_count vbegin = { 0 };
	size_t i;

	if (!p)
		return;
	for (i = 0; i < nr; i++)
		p = add(p, &run[i], &vbegin);
	out->len += (size_t)(p - begin);
}

#define TEXT_ADD(p, lit) (memcpy((p), "" lit, sizeof(lit) - 1), (p) + (sizeof(lit) - 1))

#endif
