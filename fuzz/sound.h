/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef FUZZ_SOUND_H
#define FUZZ_SOUND_H
#include "dev/io.h"
#include "pool/finding/finding.h"

struct jobs;

/*
 * Does check find nothing of this severity or worse, but for one @kind (NR_FINDING_KINDS: no
 * exception)?  Findings go to stderr when @tell.
 */
bool pool_sound_but(struct io *io, struct jobs *jobs, enum finding_severity from,
		    enum finding_kind kind, bool tell);

static inline bool pool_sound(struct io *io, struct jobs *jobs, enum finding_severity from,
			      bool tell)
{
	return pool_sound_but(io, jobs, from, NR_FINDING_KINDS, tell);
}

#endif
