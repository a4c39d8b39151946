/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "volume/open/pool_events.h"

#include <errno.h>
#include <unistd.h>

#include "pool/emit/emit.h"
#include "pool/text/text.h"

static int open_xml(const char *path, const struct pool_source_options *opt, struct pool_events *out, struct err *err)
{
	const struct pool_want want = { .progress = opt->want.progress };
	struct pool_arg arg = { 0 };
	int r = pool_arg_open(path, &want, &arg, err);
	bool is_xml = !r && arg.kind == POOL_XML && !arg.table;

	pool_arg_fini(&arg);
	if (r)
		return r;
	if (!is_xml)
		return err_set(err, -EINVAL, "'%s' is not XML; for binary metadata give --binary", path);
	out->xml = path;
	out->xml_fd = dev_open_text(path, err);
	return MIN(out->xml_fd, 0);
}

int pool_events_open(const char *path, bool binary, const struct pool_source_options *opt,
		     struct pool_events *out, struct err *err)
{
	*out = (struct pool_events) { .xml_fd = -1 };
	return binary ? pool_source_open(path, opt, &out->pool, err) : open_xml(path, opt, out, err);
}

int pool_events_tell(struct pool_events *p, void (*problem)(void *ctx, const char *text), void *ctx,
		     const struct events *to, struct err *err)
{
	const struct emit_options opt = { .problem = problem, .ctx = ctx };

	if (!p->xml)
		return emit_pool(&p->pool.md, &p->pool.stream, &opt, to, err);
	if (lseek(p->xml_fd, 0, SEEK_SET) < 0)
		return err_sys(err, -errno, "%s", p->xml);
	return xml_read(p->xml_fd, p->xml, &(struct xml_options) { 0 }, to, err);
}

void pool_events_close(struct pool_events *p)
{
	pool_source_close(&p->pool);
	if (p->xml_fd >= 0)
		close(p->xml_fd);
	p->xml_fd = -1;
}
