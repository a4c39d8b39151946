/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/vec.h"
#include "io_fault.h"

enum kind { READ, WRITE, FLUSH, NR_KINDS };

struct fault {
	struct fault *next;
	enum kind kind;
	uint64_t nth;
	int code;
};

/* A write as it was recorded; data NULL: zeros. */
struct record {
	uint64_t at, len;
	char *data;
};

struct io_fault {
	struct io io;
	struct io *lower;
	_Atomic uint64_t count[NR_KINDS], bytes_read;
	_Atomic uint64_t cut_at; /* write */
	pthread_mutex_t lock;	 /* all below */
	struct fault *faults;
	bool recording;
	struct record *record;
	size_t nr_records, cap_records;
	size_t *group_end; /* index into record[] at each flush */
	size_t nr_groups, cap_groups;
};

static struct io_fault *fault_of(struct io *io)
{
	return (struct io_fault *)io;
}

static const struct io_fault *fault_of_const(const struct io *io)
{
	return (const struct io_fault *)io;
}

/* Counts the request; the code it has to fail with, or 0. */
static int count_request(struct io_fault *f, enum kind kind)
{
	uint64_t nth = atomic_fetch_add(&f->count[kind], 1);
	const struct fault *p;
	int code = 0;

	if (kind == WRITE ? nth >= atomic_load(&f->cut_at) :
			    kind == FLUSH && atomic_load(&f->count[WRITE]) > atomic_load(&f->cut_at))
		return -EIO;
	pthread_mutex_lock(&f->lock);
	for (p = f->faults; p; p = p->next)
		if (p->kind == kind && p->nth == nth)
			code = p->code;
	pthread_mutex_unlock(&f->lock);
	return code;
}

static int refuse(const struct io *io, int code, const char *what, uint64_t len, uint64_t at,
		  struct err *err)
{
	return err_sys(err, code, "%s: %s %llu bytes at offset %llu", io->name, what,
		       (unsigned long long)len, (unsigned long long)at);
}

static int record_write(struct io_fault *f, const void *buf, uint64_t len, uint64_t at)
{
	CLEANUP(free_ptr) char *copy = NULL;
	int r = 0;

	if (buf) {
		copy = malloc(len ? len : 1);
		if (!copy)
			return -ENOMEM;
		memcpy(copy, buf, len);
	}
	pthread_mutex_lock(&f->lock);
	if (f->recording) {
		r = vec_reserve(f->record, f->cap_records, f->nr_records + 1);
		if (r == 0)
			f->record[f->nr_records++] = (struct record){ at, len, steal_ptr(&copy) };
	}
	pthread_mutex_unlock(&f->lock);
	return r;
}

static int fault_read(struct io *io, void *buf, size_t len, uint64_t at, struct err *err)
{
	struct io_fault *f = fault_of(io);
	int r = count_request(f, READ);

	if (r < 0)
		return refuse(io, r, "reading", len, at, err);
	atomic_fetch_add(&f->bytes_read, len);
	return io_read(f->lower, buf, len, at, err);
}

static int fault_write(struct io *io, const void *buf, size_t len, uint64_t at, struct err *err)
{
	struct io_fault *f = fault_of(io);
	int r = count_request(f, WRITE);

	if (r == 0 && f->recording)
		r = record_write(f, buf, len, at);
	if (r < 0)
		return refuse(io, r, "writing", len, at, err);
	return io_write(f->lower, buf, len, at, err);
}

static int fault_flush(struct io *io, struct err *err)
{
	struct io_fault *f = fault_of(io);
	int r = count_request(f, FLUSH);

	if (r < 0)
		return err_sys(err, r, "%s: flushing what was written", io->name);
	pthread_mutex_lock(&f->lock);
	if (f->recording) {
		r = vec_reserve(f->group_end, f->cap_groups, f->nr_groups + 1);
		if (r == 0)
			f->group_end[f->nr_groups++] = f->nr_records;
	}
	pthread_mutex_unlock(&f->lock);
	if (r < 0)
		return err_nomem(err, "record of a flush");
	return io_flush(f->lower, err);
}

static int fault_punch(struct io *io, uint64_t at, uint64_t len, struct err *err)
{
	struct io_fault *f = fault_of(io);
	int r = count_request(f, WRITE);

	if (r == 0 && f->recording)
		r = record_write(f, NULL, len, at);
	if (r < 0)
		return refuse(io, r, "zeroing", len, at, err);
	return io_punch(f->lower, at, len, err);
}

static void fault_will_need(struct io *io, uint64_t at, uint64_t len)
{
	io_will_need(fault_of(io)->lower, at, len);
}

static void fault_free(struct io *io)
{
	struct io_fault *f = fault_of(io);
	struct fault *p;
	size_t i;

	while ((p = f->faults)) {
		f->faults = p->next;
		free(p);
	}
	for (i = 0; i < f->nr_records; i++)
		free(f->record[i].data);
	free(f->record);
	free(f->group_end);
	pthread_mutex_destroy(&f->lock);
	io_free(f->lower);
	free(f);
}

static const struct io_ops fault_ops = {
	.read = fault_read,
	.write = fault_write,
	.flush = fault_flush,
	.punch = fault_punch,
	.discard = fault_punch,
	.will_need = fault_will_need,
	.free = fault_free,
};

struct io *io_fault_new(struct io *lower)
{
	struct io_fault *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->io = *lower;
	f->io.ops = &fault_ops;
	f->io.fd = -1; /* no request can pass by the counters */
	f->lower = lower;
	f->cut_at = UINT64_MAX;
	pthread_mutex_init(&f->lock, NULL);
	return &f->io;
}

/* Out of memory here means that a test does not get its fault, and fails for that. */
static void add_fault(struct io *io, enum kind kind, uint64_t nth, int code)
{
	struct io_fault *f = fault_of(io);
	struct fault *p = malloc(sizeof(*p));

	if (!p)
		return;
	pthread_mutex_lock(&f->lock);
	*p = (struct fault){ f->faults, kind, nth, code };
	f->faults = p;
	pthread_mutex_unlock(&f->lock);
}

void io_fault_fail_read(struct io *io, uint64_t nth, int code)
{
	add_fault(io, READ, nth, code);
}

void io_fault_fail_write(struct io *io, uint64_t nth, int code)
{
	add_fault(io, WRITE, nth, code);
}

void io_fault_fail_flush(struct io *io, uint64_t nth, int code)
{
	add_fault(io, FLUSH, nth, code);
}

void io_fault_cut_at(struct io *io, uint64_t nth)
{
	atomic_store(&fault_of(io)->cut_at, nth);
}

uint64_t io_fault_nr_reads(const struct io *io)
{
	return atomic_load(&fault_of_const(io)->count[READ]);
}

uint64_t io_fault_nr_writes(const struct io *io)
{
	return atomic_load(&fault_of_const(io)->count[WRITE]);
}

uint64_t io_fault_nr_flushes(const struct io *io)
{
	return atomic_load(&fault_of_const(io)->count[FLUSH]);
}

uint64_t io_fault_bytes_read(const struct io *io)
{
	return atomic_load(&fault_of_const(io)->bytes_read);
}

void io_fault_record(struct io *io)
{
	fault_of(io)->recording = true;
}

/* The writes after the last flush are a group, too, although no flush ends it. */
static size_t group_begin(const struct io_fault *f, uint64_t group)
{
	return group ? f->group_end[group - 1] : 0;
}

static size_t group_end(const struct io_fault *f, uint64_t group)
{
	return group < f->nr_groups ? f->group_end[group] : f->nr_records;
}

uint64_t io_fault_nr_groups(const struct io *io)
{
	const struct io_fault *f = fault_of_const(io);

	return f->nr_groups + (group_begin(f, f->nr_groups) < f->nr_records);
}

uint64_t io_fault_nr_flushed_groups(const struct io *io)
{
	return fault_of_const(io)->nr_groups;
}

uint64_t io_fault_group_len(const struct io *io, uint64_t group)
{
	const struct io_fault *f = fault_of_const(io);

	return group < io_fault_nr_groups(io) ? group_end(f, group) - group_begin(f, group) : 0;
}

static int replay_one(const struct record *rec, struct io *target, struct err *err)
{
	CLEANUP(free_ptr) void *zeros = NULL;

	if (rec->data)
		return io_write(target, rec->data, rec->len, rec->at, err);
	zeros = calloc(1, rec->len ? rec->len : 1);
	if (!zeros)
		return err_nomem(err, "zeros to replay");
	return io_write(target, zeros, rec->len, rec->at, err);
}

int io_fault_replay(const struct io *io, uint64_t nr_whole, uint64_t mask, struct io *target,
		    struct err *err)
{
	const struct io_fault *f = fault_of_const(io);
	size_t whole, i, end;
	int r;

	nr_whole = MIN(nr_whole, io_fault_nr_groups(io));
	whole = nr_whole ? group_end(f, nr_whole - 1) : 0;
	end = nr_whole < io_fault_nr_groups(io) ? group_end(f, nr_whole) : whole;
	for (i = 0; i < end; i++) {
		if (i >= whole && !(mask >> (i - whole) % 64 & 1))
			continue;
		r = replay_one(&f->record[i], target, err);
		if (r < 0)
			return r;
	}
	return 0;
}
