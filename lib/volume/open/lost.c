/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Finds the parts of a device that its data device or origin does not have. */
#include <errno.h>
#include <stdio.h>

#include "base/vec.h"
#include "volume/open/volume.h"

#define MAX_SHOWN 8

typedef unsigned long long ull;

static int add_lost(void *ctx, const struct extent *e, struct err *err)
{
	struct volume *v = ctx;
	struct volume_lost *last = v->nr_lost ? &v->lost[v->nr_lost - 1] : NULL;

	v->lost_bytes += e->len;
	v->lost_origin |= e->kind == EXTENT_ORIGIN;
	v->lost_data |= e->kind == EXTENT_DATA;
	if (last && last->at + last->len == e->at) {
		last->len += e->len;
		return 0;
	}
	last = vec_add(v->lost, v->nr_lost, v->cap_lost);
	if (!last)
		return err_nomem(err, "lost ranges");
	*last = (struct volume_lost){ e->at, e->len };
	return 0;
}

int volume_find_lost(struct volume *v, struct err *err)
{
	const struct map *m = &v->map;
	const uint64_t end = v->sum.data_end * m->block_len;

	if ((!v->data || (!v->data->lossy && end <= v->data->size)) && (!v->origin || !v->origin->lossy))
		return 0;
	return map_walk_lost(m, add_lost, v, err);
}

static void tell_where(struct outbuf *to, const char *what, const char *path, const struct io *io)
{
	outbuf_printf(to, " in %s %s (%llu bytes) they are beyond the end or on an error target;", what,
		      path, (ull)io->size);
}

void volume_tell_lost(const struct volume *v, struct outbuf *to)
{
	if (v->other)
		outbuf_str(to, v->other);
	else
		outbuf_printf(to, "device %u", v->dev_id);
	outbuf_printf(to, ": %llu bytes are lost:", (ull)v->lost_bytes);
	if (v->lost_data)
		tell_where(to, v->other ? "volume" : "data device", v->data_path, v->data);
	if (v->lost_origin)
		tell_where(to, "external origin", v->origin_path, v->origin);
	outbuf_str(to, " in the device:");
	for (size_t i = 0; i < v->nr_lost && i < MAX_SHOWN; i++)
		outbuf_printf(to, "%s %llu bytes at %llu", i ? "," : "", (ull)v->lost[i].len,
			      (ull)v->lost[i].at);
	if (v->nr_lost > MAX_SHOWN)
		outbuf_printf(to, ", and %zu more ranges", v->nr_lost - MAX_SHOWN);
}
