/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_POOL_EVENTS_H
#define VOLUME_POOL_EVENTS_H
/*
 * A pool as events, which can be repeated: from binary metadata, or from XML.  Threads: one at a
 * time.
 */
#include "pool/events/events.h"
#include "volume/open/pool_source.h"

struct pool_events {
	struct pool_source pool; /* binary metadata */
	const char *xml;	 /* the name of the XML, or NULL */
	int xml_fd;
};

/*
 * @binary: @path is a POOL, opened by pool_source_open(); else XML in a file, and binary metadata
 * or a table are -EINVAL.  *out by pool_events_close(), also after an error.
 */
int pool_events_open(const char *path, bool binary, const struct pool_source_options *opt,
		     struct pool_events *out, struct err *err);
/*
 * Tells the whole pool to @to; problem() hears of the parts of binary metadata that cannot be read.
 */
int pool_events_tell(struct pool_events *p, void (*problem)(void *ctx, const char *text), void *ctx,
		     const struct events *to, struct err *err);
void pool_events_close(struct pool_events *p);

#endif
