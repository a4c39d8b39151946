/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef BASE_JOBS_IMPL_H
#define BASE_JOBS_IMPL_H
/* The crew of workers, for jobs.c (which has it) and jobs_pipe.c. */
#include "base/jobs.h"

typedef void jobs_body_fn(void *arg, unsigned worker);

/*
 * Lets up to @nr workers, the owner counted, into @body; when a thread cannot be started, fewer
 * workers come in.  The owner then calls @body itself, as worker 0, and jobs_close_door().
 */
void jobs_open_door(struct jobs *j, unsigned nr, jobs_body_fn *body, void *arg);
/* Closes the door and waits for the workers inside. */
void jobs_close_door(struct jobs *j);

#endif
