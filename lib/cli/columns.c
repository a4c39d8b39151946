/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "cli/columns.h"

#include <errno.h>
#include <stdlib.h>

#include "base/text/json.h"
#include "base/units.h"

/* Scripts know these names of units, including the odd one, from other tools. */
static void add_size(struct outbuf *out, uint64_t v)
{
	static const char *const units[] = { "b", "KiB", "MiB", "GiB", "Tib", "PiB", "EiB" };
	size_t u = 0;

	for (; v > 8192 && u + 1 < ARRAY_SIZE(units); u++)
		v = v / 1024 + (v % 1024 >= 512);
	outbuf_u64(out, v);
	outbuf_str(out, units[u]);
}

static void add_cell(const struct columns *c, size_t row, size_t column, struct outbuf *out)
{
	struct cell cell = c->cell(c->ctx, row, column);

	if (cell.missing)
		outbuf_str(out, "-");
	else if (cell.text)
		outbuf_str(out, cell.text);
	else if (cell.size)
		add_size(out, cell.number);
	else
		outbuf_u64(out, cell.number);
}

static void measure(const struct columns *c, bool bare, struct outbuf *out, size_t *width)
{
	size_t from = out->len;

	for (size_t i = 0; i < c->nr_columns; i++) {
		width[i] = bare ? 0 : strlen(c->column[i].name);
		for (size_t row = 0; row < c->nr_rows; row++) {
			add_cell(c, row, i, out);
			width[i] = MAX(width[i], out->len - from);
			out->len = from;
		}
	}
}

void columns_table(const struct columns *c, bool bare, struct outbuf *out)
{
	size_t *width = calloc(c->nr_columns + 1, sizeof(*width));

	if (!width) {
		out->error = -ENOMEM;
		return;
	}
	measure(c, bare, out, width);
	for (size_t line = bare; line <= c->nr_rows; line++) {
		for (size_t i = 0; i < c->nr_columns; i++) {
			size_t from = out->len;

			if (line)
				add_cell(c, line - 1, i, out);
			else
				outbuf_str(out, c->column[i].name);
			outbuf_right(out, from, width[i]);
			outbuf_str(out, " ");
		}
		outbuf_str(out, "\n");
	}
	free(width);
}

void columns_json(const struct columns *c, const char *name, struct outbuf *out)
{
	struct json j;

	json_begin(&j, out);
	json_list(&j, name, JSON_LINES);
	for (size_t row = 0; row < c->nr_rows; row++) {
		json_object(&j, NULL, 0);
		for (size_t i = 0; i < c->nr_columns; i++) {
			struct cell cell = c->cell(c->ctx, row, i);

			if (cell.text || cell.missing)
				json_text(&j, c->column[i].json, cell.missing ? NULL : cell.text);
			else
				json_u64(&j, c->column[i].json, cell.number);
		}
		json_close(&j);
	}
	json_close(&j);
	json_end(&j);
}
