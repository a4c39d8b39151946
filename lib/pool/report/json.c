/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* The report as JSON. */
#include <errno.h>
#include <string.h>

#include "base/text/json.h"
#include "pool/report/impl.h"

static void json_lines(struct json *j, const char *name, const struct outbuf *lines)
{
	size_t i = 0;

	json_list(j, name, JSON_LINES);
	while (i < lines->len) {
		const char *end = memchr(lines->data + i, '\n', lines->len - i);
		size_t len = end ? (size_t)(end - lines->data) - i : lines->len - i;

		json_text_len(j, NULL, lines->data + i, len);
		i += len + 1;
	}
	json_close(j);
}

/* A range without an end has no length. */
static void json_ranges(struct json *j, const char *name, const struct runs *r)
{
	json_list(j, name, 0);
	for (size_t i = 0; i < r->nr; i++) {
		json_object(j, NULL, 0);
		json_u64(j, "begin", r->run[i].begin);
		if (r->run[i].end == UINT64_MAX)
			json_null(j, "length");
		else
			json_u64(j, "length", r->run[i].end - r->run[i].begin);
		json_close(j);
	}
	json_close(j);
}

static void json_device(struct telling *t, const struct sdevice *dev, struct json *j)
{
	static const char *const source[] = { "kept", "older copy", "invented" };
	struct device_report d = { 0 };

	report_device(t, dev, &d);
	json_object(j, NULL, 0);
	json_u64(j, "dev_id", dev->info.dev_id);
	json_u64(j, "kept", dev->nr_mappings);
	json_u64(j, "lost", nr_missing(dev));
	json_text(j, "details", source[dev->source]);
	json_bool(j, "id_invented", dev->id_invented);
	json_bool(j, "tree_found", dev->root_found);
	if (dev->has_other_id)
		json_u64(j, "other_id", dev->other_id);
	else
		json_null(j, "other_id");
	json_ranges(j, "lost_ranges", &d.lost);
	json_ranges(j, "dropped_ranges", &d.dropped);
	json_text(j, "certainty", certainty_text(dev, &d));
	json_ranges(j, "likely_ranges", &d.likely);
	json_ranges(j, "open_ranges", &d.open);
	json_close(j);
	device_report_fini(&d);
}

void salvage_report_json(struct salvage *s, struct outbuf *out)
{
	struct values *values = &s->values;
	struct tell *tell = &s->tell;
	struct outbuf lines;
	struct telling t;
	struct json j;

	outbuf_init(&lines);
	put_super(s, &lines);
	put_blocks(s, true, &lines);
	json_begin(&j, out);
	json_bool(&j, "lossless", tell->lossless);
	json_bool(&j, "mappings_back", tell->mappings_back);
	json_bool(&j, "intact", tell->intact);
	json_u64(&j, "transaction_id", values->info.transaction);
	json_u64(&j, "time", values->info.time);
	json_u64(&j, "data_block_size", values->info.data_block_size);
	json_u64(&j, "nr_data_blocks", values->info.nr_data_blocks);
	json_u64(&j, "mapped_blocks", trees_nr_mappings(&s->trees));
	json_lines(&j, "notes", &lines);
	if (lines.error)
		out->error = lines.error;
	outbuf_fini(&lines);
	json_list(&j, "devices", JSON_LINES);
	if (telling_init(&t, s))
		out->error = -ENOMEM;
	for (size_t i = 0; i < s->trees.nr_devs && !out->error; i++)
		json_device(&t, &s->trees.dev[i], &j);
	telling_fini(&t);
	json_close(&j);
	json_end(&j);
}
