/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Values of the details tree. */
#include <string.h>

#include "pool/format/format.h"
#include "pool/format/pool_info.h"

void device_info_decode(struct device_info *d, uint32_t dev_id, const void *value)
{
	struct disk_details v;

	memcpy(&v, value, sizeof(v));
	*d = (struct device_info) {
		.dev_id = dev_id,
		.mapped_blocks = le64_get(v.mapped_blocks),
		.transaction = le64_get(v.transaction_id),
		.creation_time = le32_get(v.creation_time),
		.snap_time = le32_get(v.snapshotted_time),
	};
}

void device_info_encode(const struct device_info *d, struct disk_details *value)
{
	*value = (struct disk_details) {
		.mapped_blocks = le64_make(d->mapped_blocks),
		.transaction_id = le64_make(d->transaction),
		.creation_time = le32_make(d->creation_time),
		.snapshotted_time = le32_make(d->snap_time),
	};
}
