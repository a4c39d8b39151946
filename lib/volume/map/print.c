/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "volume/map/print.h"

#include <inttypes.h>

#include "base/json.h"

#define PIECE ((size_t)1 << 16)

static const char *const kinds[] = {
	[EXTENT_ZERO] = "zero", [EXTENT_DATA] = "data", [EXTENT_ORIGIN] = "origin"
};

struct printer {
	const struct map_print *p;
	struct outbuf text;
	bool more; /* JSON: not the first extent */
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
	bool json = s->p->json;

	if (json)
		outbuf_str(&s->text, s->more ? "," : "");
	outbuf_printf(&s->text,
		      json ? "\n    { \"start\": %" PRIu64 ", \"length\": %" PRIu64 ", \"kind\": \"%s\"" :
			     "%" PRIu64 " %" PRIu64 " %s",
		      e->at, e->len, kinds[e->kind]);
	if (e->kind != EXTENT_ZERO)
		outbuf_printf(&s->text, json ? ", \"offset\": %" PRIu64 : " %" PRIu64, e->from);
	outbuf_str(&s->text, json ? " }" : "\n");
	s->more = true;
	return s->text.len >= PIECE ? write_text(s, err) : 0;
}

int map_print(const struct map *m, const struct map_print *p, struct err *err)
{
	struct printer s = { .p = p };
	int r, w;

	outbuf_init(&s.text);
	if (p->json)
		outbuf_printf(&s.text,
			      "{\n  \"device\": %u,\n  \"size\": %" PRIu64 ",\n  \"block_size\": %" PRIu64
			      ",\n",
			      p->dev_id, m->size, m->block_len);
	if (p->json && p->since) {
		outbuf_str(&s.text, "  \"since\": ");
		json_string(&s.text, p->since, strlen(p->since));
		outbuf_str(&s.text, ",\n");
	}
	if (p->json)
		outbuf_str(&s.text, "  \"extents\": [");
	r = p->walk ? p->walk(p->walk_ctx, print_extent, &s, err) : map_walk(m, print_extent, &s, err);
	if (p->json && !r)
		outbuf_str(&s.text, s.more ? "\n  ]\n}\n" : "]\n}\n");
	w = write_text(&s, r ? NULL : err);
	outbuf_fini(&s.text);
	return r ? r : w;
}
