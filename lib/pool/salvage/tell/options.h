/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef POOL_SALVAGE_TELL_OPTIONS_H
#define POOL_SALVAGE_TELL_OPTIONS_H
/* What is sent to a sink. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct salvage_emit_options {
	const uint32_t *dev_ids; /* only these devices; -ENODATA when one is not there */
	size_t nr_dev_ids;	 /* 0: all */
	bool no_shared;		 /* no defs; also implied by dev_ids */
	bool skip_mappings;	 /* device elements without content */
};

#endif
