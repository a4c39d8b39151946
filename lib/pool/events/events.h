/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_EVENTS_H
#define POOL_EVENTS_H
/*
 * The grammar that joins trees and text.  A source (emit, xml_read) drives
 * a sink (xml_write, json_write, human_write, build):
 *
 *   pool    := begin_pool { def | device } end_pool
 *   def     := begin_def { runs } end_def                a shared part, named by a number
 *   device  := begin_device { runs | ref } end_device
 *
 * Calls come from one thread at a time, in order.  Virtual blocks ascend within a
 * device and within a def; a def precedes its first ref; consecutive runs() calls go on
 * where the last one ended (a run may have been cut anywhere).  Every function returns 0 or
 * a negative errno with @err set, which ends the source with the same value.
 */
#include "base/err.h"
#include "base/text/outbuf.h"
#include "pool/format/pool_info.h"

struct events_ops {
	int (*begin_pool)(void *ctx, const struct pool_info *p, struct err *err);
	int (*begin_def)(void *ctx, uint64_t name, struct err *err);
	int (*end_def)(void *ctx, struct err *err);
	int (*begin_device)(void *ctx, const struct device_info *d, struct err *err);
	int (*runs)(void *ctx, const struct run *run, size_t nr, struct err *err);
	int (*ref)(void *ctx, uint64_t name, struct err *err);
	int (*end_device)(void *ctx, struct err *err);
	int (*end_pool)(void *ctx, struct err *err);
	/*
	 * Optional, for sinks that make text: render() formats whole runs (those that
	 * cannot be continued by what comes before or after) into @out; it may be called
	 * from any thread and touches nothing else.  rendered() takes such text, in order,
	 * as if runs() had been called with the runs that made it.
	 */
	void (*render)(const void *ctx, const struct run *run, size_t nr, bool in_def,
		       struct outbuf *out);
	int (*rendered)(void *ctx, const struct outbuf *text, struct err *err);
};

struct events {
	const struct events_ops *ops;
	void *ctx;
};

#endif
