/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef FUZZ_SOUND_H
#define FUZZ_SOUND_H
#include "dev/io.h"
#include "pool/finding.h"

struct jobs;

/* Does check find nothing of this severity or worse?  Findings go to stderr when @tell. */
bool pool_sound(struct io *io, struct jobs *jobs, enum finding_severity from, bool tell);

#endif
