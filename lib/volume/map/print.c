/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "volume/map/print.h"

#include <inttypes.h>

#include "base/text/json.h"

#define PIECE ((size_t)1 << 16)

static const char *const kinds[] = {
	[EXTENT_ZERO] = "zero", [EXTENT_DATA] = "data", [EXTENT_ORIGIN] = "origin"
};

struct printer {
	const struct map_print *p;
	struct outbuf text;
	struct json json;
};

static int write_text(struct printer *s, struct err *err)
{
	int r = s->text.error ? err_nomem(err, "text") :
				s->p->write(s->p->ctx, s->text.data, s->text.len);

	outbuf_reset(&s->text);
	return r;
}

static int print_extent(void *ctx, const struct extent *e, struct err *err)
{
	struct printer *s = ctx;
	struct json *j = &s->json;

	if (s->p->json) {
		json_object(j, NULL, 0);
		json_u64(j, "begin_bytes", e->at);
		json_u64(j, "length_bytes", e->len);
		json_text(j, "kind", kinds[e->kind]);
		if (e->kind != EXTENT_ZERO)
			json_u64(j, "offset_bytes", e->from);
		json_close(j);
	} else {
		outbuf_printf(&s->text, "%" PRIu64 " %" PRIu64 " %s", e->at, e->len, kinds[e->kind]);
		if (e->kind != EXTENT_ZERO)
			outbuf_printf(&s->text, " %" PRIu64, e->from);
		outbuf_str(&s->text, "\n");
	}
	return s->text.len >= PIECE ? write_text(s, err) : 0;
}

int map_print(const struct map *m, const struct map_print *p, struct err *err)
{
	struct printer s = { .p = p };
	int r, w;

	outbuf_init(&s.text);
	if (p->json) {
		json_begin(&s.json, &s.text);
		json_u64(&s.json, "dev_id", p->dev_id);
		json_u64(&s.json, "size_bytes", m->size);
		json_u64(&s.json, "block_bytes", m->block_len);
		if (p->since)
			json_text(&s.json, "since", p->since);
		json_list(&s.json, "extents", JSON_LINES);
	}
	r = p->walk ? p->walk(p->walk_ctx, print_extent, &s, err) : map_walk(m, print_extent, &s, err);
	if (p->json && !r) {
		json_close(&s.json);
		json_end(&s.json);
	}
	w = write_text(&s, r ? NULL : err);
	outbuf_fini(&s.text);
	return r ? r : w;
}
