/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_SALVAGE_WHOLE_H
#define POOL_SALVAGE_WHOLE_H
/* All that is known of the damaged metadata.  Each room has its struct, and those of the rooms below it. */
#include "pool/salvage/tell/tell.h"

struct salvage {
	struct graph graph;
	struct super super;
	struct trees trees;
	struct counts counts;
	struct ages ages;
	struct datamap datamap;
	struct state state;
	struct assign assign;
	struct values values;
	struct tell tell;
};

#endif
