/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include <errno.h>
#include <string.h>

#include "base/fd.h"
#include "base/le.h"
#include "volume/image/export.h"
#include "volume/image/rbd.h"

static uint8_t *put_u64(uint8_t *p, uint64_t v)
{
	const le64 raw = le64_make(v);

	memcpy(p, &raw, sizeof(raw));
	return p + sizeof(raw);
}

size_t rbd_put_record(uint64_t at, uint64_t len, bool zero, uint8_t *head)
{
	head[0] = zero ? 'z' : 'w';
	put_u64(put_u64(head + 1, at), len);
	return RBD_RECORD_LEN;
}

static uint8_t *put_name(uint8_t *p, char tag, const char *name)
{
	const size_t len = strlen(name);
	const le32 raw = le32_make((uint32_t)len);

	*p++ = (uint8_t)tag;
	memcpy(p, &raw, sizeof(raw));
	memcpy(p + sizeof(raw), name, len);
	return p + sizeof(raw) + len;
}

static int write_head(const char *from, const char *to, uint64_t size, const struct output *out,
		      struct err *err)
{
	uint8_t head[RBD_MAGIC_LEN + 2 * (5 + RBD_MAX_NAME) + 9], *p = head;

	if ((from && strlen(from) > RBD_MAX_NAME) || strlen(to) > RBD_MAX_NAME)
		return err_set(err, -EINVAL, "the name of a snapshot has at most %u bytes", RBD_MAX_NAME);
	memcpy(p, RBD_MAGIC, RBD_MAGIC_LEN);
	p += RBD_MAGIC_LEN;
	if (from)
		p = put_name(p, 'f', from);
	p = put_name(p, 't', to);
	*p++ = 's';
	p = put_u64(p, size);
	return fd_write(out->fd, out->path, head, (size_t)(p - head), err);
}

static int walk(void *ctx, extent_fn *fn, void *fn_ctx, struct err *err)
{
	return diff_changes(ctx, fn, fn_ctx, err);
}

int export_rbd(const struct diff *d, const char *from, const char *to, struct output *out,
	       const struct copy_options *opt, struct jobs *jobs, struct err *err)
{
	struct copy_options framed = *opt;
	struct diff changes = *d;
	int r = write_head(from, to, d->now->size, out, err);

	framed.frame = rbd_put_record;
	if (!r)
		r = copy_extents(walk, &changes, out, &framed, jobs, err);
	if (!r)
		r = fd_write(out->fd, out->path, "e", 1, err);
	return r ? r : output_sync(out, err);
}
