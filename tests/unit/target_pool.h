/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef UNIT_TARGET_POOL_H
#define UNIT_TARGET_POOL_H
/* A new pool in memory with an empty device 0, over the target: the start of each of its unit tests but t_target_model. */
#include <errno.h>

#include "io_fault.h"
#include "metadata_sound.h"
#include "tap.h"
#include "volume/target/target.h"

#define BS (128u * 512)

static struct {
	struct io *meta, *data;
	struct target *t;
	struct target_dev *dev; /* device 0 */
} w;
static struct err err;

static inline void message(enum message_kind kind, uint64_t a, uint64_t b)
{
	struct message m = { kind, { a, b } };

	check_eq(target_message(w.t, &m, 1, &err), 0);
}

static inline struct target_dev *open_dev(uint32_t id, uint64_t bytes, struct io *origin)
{
	struct target_dev *dev;

	check_eq(target_device(w.t, id, bytes, origin, &dev, &err), 0);
	return dev;
}

/* Formats w.meta as a pool of @nr_data blocks of @block bytes on w.data; its device 0 has no target_dev yet. */
static inline void format_pool(uint32_t block, uint64_t nr_data, const struct target_options *opt)
{
	struct pool_edit *pool;
	bool unsure;

	check_eq(edit_format(w.meta, block / 512, &pool, &err), 0);
	check_eq(edit_grow_data(pool, nr_data, &err), 0);
	check_eq(edit_create_thin(pool, 0, &err), 0);
	check_eq(edit_commit(pool, &unsure, &err), 0);
	check_eq(target_new(pool, w.data, opt, &w.t, &err), 0);
}

/* The same with both devices in memory, where calls can be made to fail, and with w.dev. */
static inline void new_pool(uint64_t nr_meta, uint64_t nr_data, const struct target_options *opt, uint64_t dev_bytes)
{
	w.meta = io_fault_new(io_mem_new("metadata", nr_meta * 4096));
	w.data = io_fault_new(io_mem_new("data", nr_data * BS));
	format_pool(BS, nr_data, opt);
	w.dev = open_dev(0, dev_bytes, NULL);
}

static inline void free_pool(void)
{
	io_free(w.meta);
	io_free(w.data);
}

#endif
