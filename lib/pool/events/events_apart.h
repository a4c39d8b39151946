/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_EVENTS_APART_H
#define POOL_EVENTS_APART_H
/* A source and a sink on two threads: parsing goes on while trees are built. */
#include "base/jobs.h"
#include "pool/events/events.h"

/* Sends events to @to and returns what ended it, as every source does. */
typedef int events_source_fn(void *ctx, const struct events *to, struct err *err);

/*
 * Runs @source with a sink that puts the events on a queue, from which they reach @to in
 * the same order on another thread.  With @jobs NULL or of one worker, @source gets @to itself.
 *
 * Errors are as without a queue.  When @to fails, a later event returns that error to the source,
 * and it is the result whatever the source returns.  When the source fails, @to has had all events
 * that came before.  @to's render() and rendered() are not used.
 * Memory: 1 MiB.
 */
int events_apart(struct jobs *jobs, events_source_fn *source, void *ctx, const struct events *to,
		 struct err *err);

#endif
