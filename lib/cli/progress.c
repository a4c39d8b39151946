/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* The line for people and the lines for programs. */
#include "cli/progress.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "base/jobs.h"
#include "base/text/outbuf.h"

#define MS_BETWEEN 100
#define MS_BEFORE  1000 /* work that ends sooner shows no line */
#define MAX_WIDTH  120
#define MIN_BAR	   8

struct progress {
	struct cli *cli;
	const char *title;
	struct meter meter;
	bool line;    /* standard error is a terminal */
	int fd;	      /* --progress-fd, or -1 */
	_Atomic int followed; /* descriptor, or -1 */
	uint64_t start_ms, last;
	struct ticker *ticker;
};

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* "1.5 GiB" */
static void put_size(struct outbuf *out, double bytes)
{
	static const char units[] = " KMGTPE";
	unsigned u = 0;

	for (; bytes >= 1024 && u < 6; u++)
		bytes /= 1024;
	outbuf_printf(out, u ? "%.1f %ciB" : "%.0f B", bytes, units[u]);
}

static void put_time(struct outbuf *out, uint64_t s)
{
	if (s >= 3600)
		outbuf_printf(out, "%u:%02u:%02u", (unsigned)(s / 3600), (unsigned)(s / 60 % 60),
			      (unsigned)(s % 60));
	else
		outbuf_printf(out, "%u:%02u", (unsigned)(s / 60), (unsigned)(s % 60));
}

enum detail { ALL_NUMBERS, NO_RATE, ONLY_TIME };

/* The numbers behind the bar: done so far, speed, time left. */
static void put_numbers(struct outbuf *out, uint64_t done, uint64_t total, uint64_t spent_ms,
			enum detail d)
{
	double rate = (double)done * 1000 / (double)spent_ms;
	bool has_end = total && rate >= 1 && (double)(total - done) / rate < 1e8;

	outbuf_reset(out);
	if (d < ONLY_TIME || !has_end)
		put_size(out, (double)done);
	if (d == ALL_NUMBERS && total) {
		outbuf_str(out, " of ");
		put_size(out, (double)total);
	}
	if (d == ALL_NUMBERS) {
		outbuf_str(out, ", ");
		put_size(out, rate);
		outbuf_str(out, "/s");
	}
	if (has_end) {
		outbuf_str(out, out->len ? ", " : "");
		put_time(out, (uint64_t)((double)(total - done) / rate));
		outbuf_str(out, " left");
	}
}

/*
 * A line that fits into @width columns.  Where space is short the bar is left out, then the
 * numbers.
 */
static size_t put_line(const struct progress *p, uint64_t done, uint64_t total, uint64_t spent_ms,
		       size_t width, char *line)
{
	struct outbuf head, tail;
	size_t n, bar, filled;
	enum detail d;

	outbuf_init(&head);
	outbuf_init(&tail);
	outbuf_printf(&head, "%s: %s ", p->cli->cmd->name, p->title);
	if (total)
		outbuf_printf(&head, "%3u%% ", (unsigned)((double)done * 100 / (double)total));
	for (d = ALL_NUMBERS;; d++) {
		put_numbers(&tail, done, total, spent_ms, d);
		n = head.len + tail.len;
		if (n <= width || d == ONLY_TIME)
			break;
	}
	if (n > width) {
		tail.len = 0; /* a number that is cut off is a wrong one */
	} else if (total && n + MIN_BAR + 3 <= width) {
		bar = MIN(width - n - 3, 40);
		filled = (size_t)((double)done / (double)total * (double)bar);
		outbuf_str(&head, "[");
		for (; bar--; filled -= !!filled)
			outbuf_str(&head, filled ? "=" : " ");
		outbuf_str(&head, "] ");
	}
	outbuf_add(&head, tail.data, tail.len);
	n = head.error || tail.error ? 0 : MIN(head.len, width);
	memcpy(line, head.data, n);
	outbuf_fini(&head);
	outbuf_fini(&tail);
	return n;
}

/* A job in the background must not write over the lines of one in the foreground. */
static bool in_foreground(void)
{
	pid_t group = tcgetpgrp(STDERR_FILENO);

	return group < 0 || group == getpgrp();
}

static size_t terminal_width(void)
{
	struct winsize w;
	size_t width = 80;

	if (!ioctl(STDERR_FILENO, TIOCGWINSZ, &w) && w.ws_col)
		width = w.ws_col;
	return MIN(width - 1, MAX_WIDTH);
}

static void show_line(struct progress *p, uint64_t done, uint64_t total, uint64_t ms)
{
	char line[MAX_WIDTH + 8];
	size_t n;

	if (ms - p->start_ms < MS_BEFORE || !in_foreground())
		return;
	line[0] = '\r';
	n = 1 + put_line(p, done, total, ms - p->start_ms, terminal_width(), line + 1);
	memcpy(line + n, "\033[K", 3);
	cli_show_line(line, n + 3);
}

static void look(struct progress *p, uint64_t *done, uint64_t *total)
{
	int fd = atomic_load(&p->followed);
	off_t at = fd >= 0 ? lseek(fd, 0, SEEK_CUR) : -1;

	if (at >= 0)
		atomic_store(&p->meter.done, (uint64_t)at);
	*done = atomic_load(&p->meter.done);
	*total = atomic_load(&p->meter.total);
	if (*done > *total) /* more than expected, as in a search through the whole device: the end is not known */
		*total = 0;
}

static void show(struct progress *p, uint64_t done, uint64_t total)
{
	char line[64];
	int n;

	if (p->fd < 0 || !(done | total)) /* nothing was begun: the descriptor may have been refused */
		return;
	n = snprintf(line, sizeof(line), "%llu %llu\n", (unsigned long long)done,
		     (unsigned long long)total);
	if (write(p->fd, line, (size_t)n) < 0)
		p->fd = -1; /* the reader is gone */
}

static void tick(void *ctx)
{
	struct progress *p = ctx;
	uint64_t done, total, ms = now_ms();

	look(p, &done, &total);
	if (done < p->last) /* the input is read once more from its beginning */
		p->start_ms = ms;
	p->last = done;
	show(p, done, total);
	if (p->line)
		show_line(p, done, total, ms);
}

struct progress *progress_new(struct cli *c, const char *title, uint64_t total)
{
	const char *term = getenv("TERM");
	bool line = !c->no_progress && !c->quiet && isatty(STDERR_FILENO) &&
		    !(term && !strcmp(term, "dumb"));
	struct progress *p;

	if (!line && c->progress_fd < 0)
		return NULL;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL; /* a missing line is no failure */
	p->cli = c;
	p->title = title;
	p->meter.total = total;
	p->line = line;
	p->fd = c->progress_fd;
	p->followed = -1;
	p->start_ms = now_ms();
	p->ticker = ticker_new(MS_BETWEEN, tick, p);
	return p;
}

void progress_add(struct progress *p, uint64_t bytes)
{
	if (p)
		meter_add(&p->meter, bytes);
}

struct meter *progress_meter(struct progress *p)
{
	return p ? &p->meter : NULL;
}

bool progress_follow(struct progress *p, int fd)
{
	struct stat st;

	if (!p || fstat(fd, &st) || !S_ISREG(st.st_mode))
		return false;
	meter_set_total(&p->meter, (uint64_t)st.st_size);
	atomic_store(&p->followed, fd);
	return true;
}

void progress_free(struct progress *p)
{
	uint64_t done, total;

	if (!p)
		return;
	ticker_free(p->ticker);
	cli_remove_line();
	cli_hold_line(false);
	look(p, &done, &total);
	show(p, done, total);
	free(p);
}
