/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* The bar for people and the lines for programs. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"

#define BAR_WIDTH 30
#define MS_BETWEEN 100

struct progress {
	const char *title;
	uint64_t total;
	bool bytes, bar;
	int fd;
	uint64_t start_ms;
	_Atomic uint64_t done, shown_ms;
};

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

struct progress *progress_new(const char *title, uint64_t total, bool bytes, bool wanted, int fd)
{
	struct progress *p;

	wanted = wanted && isatty(STDERR_FILENO);
	if (!wanted && fd < 0)
		return NULL;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL; /* no bar is no reason to fail */
	p->title = title;
	p->total = total;
	p->bytes = bytes;
	p->bar = wanted;
	p->fd = fd;
	p->start_ms = now_ms();
	return p;
}

static void print_amount(const struct progress *p, uint64_t v)
{
	static const char units[] = " KMGTPE";
	double d = (double)v;
	int u = 0;

	if (!p->bytes) {
		fprintf(stderr, "%llu", (unsigned long long)v);
		return;
	}
	for (; d >= 1024 && u < 6; u++)
		d /= 1024;
	fprintf(stderr, u ? "%.1f %ciB" : "%.0f B", d, units[u]);
}

static void show_bar(const struct progress *p, uint64_t done, uint64_t ms)
{
	uint64_t total = p->total ? p->total : 1;
	int filled = (int)((double)MIN(done, total) / (double)total * BAR_WIDTH);
	uint64_t spent = ms - p->start_ms;

	fprintf(stderr, "\r%s [%.*s%*s] %3d%% ", p->title, filled, "==============================",
		BAR_WIDTH - filled, "", (int)(100.0 * (double)MIN(done, total) / (double)total));
	print_amount(p, done);
	if (spent > 500 && done) {
		double rate = (double)done * 1000 / (double)spent;
		double left = done < total ? (double)(total - done) / rate : 0;

		fputs(", ", stderr);
		print_amount(p, (uint64_t)rate);
		fprintf(stderr, "/s, %.0f s left  ", left);
	}
	fputs("\033[K", stderr);
}

static void show(struct progress *p, uint64_t ms)
{
	uint64_t done = atomic_load(&p->done);
	char line[64];
	int n;

	if (p->bar)
		show_bar(p, done, ms);
	if (p->fd < 0)
		return;
	n = snprintf(line, sizeof(line), "%llu %llu\n", (unsigned long long)done,
		     (unsigned long long)p->total);
	if (write(p->fd, line, (size_t)n) < 0)
		p->fd = -1; /* nobody listens */
}

void progress_add(struct progress *p, uint64_t n)
{
	uint64_t ms, shown;

	if (!p)
		return;
	atomic_fetch_add(&p->done, n);
	ms = now_ms();
	shown = atomic_load(&p->shown_ms);
	if (ms - shown >= MS_BETWEEN && atomic_compare_exchange_strong(&p->shown_ms, &shown, ms))
		show(p, ms);
}

void progress_free(struct progress *p)
{
	if (!p)
		return;
	show(p, now_ms());
	if (p->bar)
		fputc('\n', stderr);
	free(p);
}
