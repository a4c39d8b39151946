/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef IO_FAULT_H
#define IO_FAULT_H
#include "dev/io.h"

/*
 * An io over @lower (owned) whose nth request fails, or that loses power:
 * see the functions.  Counts are of requests since creation, 0 = the first.  A punch or
 * discard counts as a write (of zeros); a failed request counts and does nothing.
 */
struct io *io_fault_new(struct io *lower);
void io_fault_fail_read(struct io *io, uint64_t nth, int code);
void io_fault_fail_write(struct io *io, uint64_t nth, int code);
void io_fault_fail_flush(struct io *io, uint64_t nth, int code);
/* From write @nth on nothing reaches @lower and every write and flush fails with -EIO. */
void io_fault_cut_at(struct io *io, uint64_t nth);
uint64_t io_fault_nr_reads(const struct io *io);
uint64_t io_fault_nr_writes(const struct io *io);
uint64_t io_fault_nr_flushes(const struct io *io);
uint64_t io_fault_bytes_read(const struct io *io);
/*
 * Records all writes and flushes from now on.  io_fault_replay() puts onto @target
 * the first @nr_whole flushed groups (all writes before the nr-th flush) and of the next
 * group those writes whose bit is set in @mask (write k of the group: bit k % 64).
 */
void io_fault_record(struct io *io);
uint64_t io_fault_nr_groups(const struct io *io);
/* The groups that a successful flush ended: all, or all but the last one. */
uint64_t io_fault_nr_flushed_groups(const struct io *io);
uint64_t io_fault_group_len(const struct io *io, uint64_t group);
int io_fault_replay(const struct io *io, uint64_t nr_whole, uint64_t mask, struct io *target,
		    struct err *err);

#endif
