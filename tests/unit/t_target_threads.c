/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * Many threads on one target: writers that share every block but no sector, discarders that write several blocks
 * at once, each on its own device, somebody who takes and deletes snapshots, and commits all the time.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "random.h"
#include "target_pool.h"

#define NR_META 1000u
#define NR_DATA 400u
#define NR_WRITERS 4u
#define NR_DISCARDERS 2u
#define NR_THREADS (NR_WRITERS + NR_DISCARDERS + 1)
#define SHARED_BLOCKS 30u /* written by all writers */
#define OWN_BLOCKS 20u	  /* behind them: the discarders' */
#define RUN	   4u	  /* blocks that these write at once */
#define DEV_BYTES ((SHARED_BLOCKS + OWN_BLOCKS) * (uint64_t)BS)
#define SLOTS (SHARED_BLOCKS * 16) /* pieces of 4096 bytes */
#define ROUNDS 400

static struct target_dev *dev[2];
static atomic_bool stop, failed;
static _Atomic uint64_t nr_ticks;

struct thread {
	pthread_t id;
	unsigned index;
	uint64_t rng;
	uint32_t value[2][SLOTS]; /* what this writer wrote last, in its own slots */
};

static uint64_t thread_rng(struct thread *t)
{
	return random_next(&t->rng) >> 9;
}

static void bad(const char *what, const struct err *e)
{
	if (!atomic_exchange(&failed, true))
		printf("# %s: %s\n", what, e ? e->text : "wrong contents");
}

static void fill(uint32_t *page, uint32_t value)
{
	for (int i = 0; i < 1024; i++)
		page[i] = value;
}

static bool is_filled(const uint32_t *page, uint32_t value)
{
	for (int i = 0; i < 1024; i++)
		if (page[i] != value)
			return false;
	return true;
}

static void *writer(void *arg)
{
	struct thread *t = arg;
	uint32_t page[1024];
	struct err e = { 0 };

	for (uint32_t i = 1; i <= ROUNDS && !failed; i++) {
		unsigned d = thread_rng(t) % 2, slot = (unsigned)(thread_rng(t) % SLOTS);

		slot = slot / NR_WRITERS * NR_WRITERS + t->index;
		if (thread_rng(t) % 3) {
			fill(page, i);
			if (target_write(dev[d], page, 4096, slot * 4096ull, &e))
				bad("write", &e);
			t->value[d][slot] = i;
		} else {
			if (target_read(dev[d], page, 4096, slot * 4096ull, &e))
				bad("read", &e);
			if (!is_filled(page, t->value[d][slot]))
				bad("read", NULL);
		}
	}
	return NULL;
}

static void *discarder(void *arg)
{
	struct thread *t = arg;
	uint8_t *blocks = malloc(RUN * BS);
	struct target_dev *own = dev[t->index - NR_WRITERS];
	struct err e = { 0 };

	while (!stop && !failed) {
		uint64_t at = (SHARED_BLOCKS + thread_rng(t) % (OWN_BLOCKS - RUN)) * BS;
		uint64_t len = (1 + thread_rng(t) % RUN) * BS;

		memset(blocks, 0x5a, len);
		if (target_write(own, blocks, len, at, &e))
			bad("write blocks", &e);
		if (target_discard(own, len, at, &e))
			bad("discard", &e);
		if (target_read(own, blocks, len, at, &e))
			bad("read blocks", &e);
		for (uint64_t i = 0; i < len; i++)
			if (blocks[i])
				bad("a discarded block", NULL);
	}
	free(blocks);
	return NULL;
}

static void *snapper(void *arg)
{
	struct thread *t = arg;
	struct err e = { 0 };

	while (!stop && !failed) {
		struct message m = { MSG_CREATE_SNAP, { 10, thread_rng(t) % 2 } };

		if (target_message(w.t, &m, 1, &e))
			bad("create_snap", &e);
		if (target_flush(w.t, &e))
			bad("flush", &e);
		m = (struct message){ MSG_DELETE, { 10, 0 } };
		if (target_message(w.t, &m, 1, &e))
			bad("delete", &e);
	}
	return NULL;
}

static void tick(void *ctx)
{
	struct err e = { 0 };

	(void)ctx;
	nr_ticks++;
	if (target_tick(w.t, &e))
		bad("tick", &e);
}

static int count_extent(void *ctx, uint64_t at, uint64_t len, enum extent_kind kind)
{
	(void)kind;
	check_eq(at, *(uint64_t *)ctx);
	*(uint64_t *)ctx = at + len;
	return 0;
}

static void start_pool(void)
{
	w.meta = io_mem_new("metadata", NR_META * 4096);
	w.data = io_mem_new("data", (uint64_t)NR_DATA * BS);
	format_pool(BS, NR_DATA, &(struct target_options){ 0 });
	message(MSG_CREATE_THIN, 1, 0);
	for (unsigned i = 0; i < 2; i++)
		dev[i] = open_dev(i, DEV_BYTES, NULL);
}

static void all_at_once(void)
{
	static struct thread thread[NR_THREADS];
	struct ticker *ticker;
	uint64_t at = 0;

	start_pool();
	ticker = ticker_new(3, tick, NULL);
	check(ticker);
	for (unsigned i = 0; i < NR_THREADS; i++) {
		thread[i] = (struct thread){ .index = i, .rng = 77777 + i * 991 };
		pthread_create(&thread[i].id, NULL,
			       i < NR_WRITERS ? writer : i < NR_WRITERS + NR_DISCARDERS ? discarder : snapper,
			       &thread[i]);
	}
	for (unsigned i = 0; i < NR_THREADS; i++) {
		while (i == NR_WRITERS && !nr_ticks)
			usleep(1000); /* a fast machine is done before the first tick */
		if (i == NR_WRITERS)
			stop = true;
		pthread_join(thread[i].id, NULL);
	}
	ticker_free(ticker);
	check(!failed);
	check_eq(target_extents(dev[0], DEV_BYTES, 0, count_extent, &at, &err), 0);
	check_eq(at, DEV_BYTES);
	check_eq(target_close(w.t, &err), 0);
	check_metadata(w.meta);
	free_pool();
}

int main(int argc, char **argv)
{
	static const struct test tests[] = {
		{ "threads that share blocks, discard, snapshot and commit do not disturb each other",
		  all_at_once },
		{ 0 },
	};

	return tap_main(tests, argc, argv);
}
