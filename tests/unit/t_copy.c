/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dev/dev.h"
#include "folder.h"
#include "io_fault.h"
#include "volume/copy/copy.h"
#include "volume/copy/impl.h"

#define BS 65536u
#define BLOCKS 200u

/* Every second block is mapped, each somewhere else. */
static int walk(void *ctx, map_runs_fn *fn, void *fn_ctx, struct err *err)
{
	unsigned v;
	int r = 0;

	(void)ctx;
	for (v = 0; v < BLOCKS && !r; v += 2) {
		struct run run = { v, (v * 7 + 3) % BLOCKS, 1, 0 };

		r = fn(fn_ctx, &run, 1, err);
	}
	return r;
}

static struct map the_map(void)
{
	return (struct map){ .source = { .walk = walk },
			     .block_len = BS,
			     .size = BLOCKS * BS - 1000,
			     .has_origin = true,
			     .origin_len = 150 * BS + 77 };
}

static uint8_t byte_of(unsigned which, uint64_t at)
{
	return (uint8_t)(which + at / BS * 31 + at % 251);
}

static struct io *source(unsigned which, uint64_t size)
{
	struct io *io = io_mem_new(which ? "origin" : "data", size);
	uint8_t *p = io_mem_data(io);
	uint64_t at;

	for (at = 0; at < size; at++)
		p[at] = byte_of(which, at);
	return io;
}

static uint8_t wanted(const struct map *m, uint64_t at)
{
	uint64_t v = at / BS;

	if (v % 2 == 0)
		return byte_of(0, (v * 7 + 3) % BLOCKS * BS + at % BS);
	return at < m->origin_len ? byte_of(1, at) : 0;
}

static void open_out(const char *name, uint64_t size, struct output *out)
{
	const struct output_options opt = { .size = size };
	struct err err = { 0 };
	int r = output_open(file_name(name), &opt, out, &err);

	if (r)
		printf("# %s\n", err.text);
	check_eq(r, 0);
}

static void check_file(const struct map *m, const char *name)
{
	uint8_t *got = malloc(m->size + 1);
	FILE *f = fopen(file_name(name), "r");
	uint64_t at;

	check(got && f && fread(got, 1, m->size + 1, f) == m->size);
	fclose(f);
	for (at = 0; at < m->size; at++)
		if (got[at] != wanted(m, at))
			break;
	free(got);
	check_eq(at, m->size);
}

/* Copies with @jobs threads; the sources are memory unless they are named. */
static void copy_all(unsigned jobs, enum copy_sparse sparse)
{
	struct map m = the_map();
	struct copy_counts counts = { 0 };
	struct copy_options opt = { .sparse = sparse, .counts = &counts };
	struct jobs *j = jobs_new(jobs);
	struct err err = { 0 };
	struct output out;

	opt.data = source(0, BLOCKS * BS);
	opt.origin = source(1, m.origin_len);
	open_out("image", m.size, &out);
	check_eq(copy_map(&m, &out, &opt, j, &err), 0);
	check_eq(output_sync(&out, &err), 0);
	check_eq(copy_verify(&m, &out, &opt, j, &err), 0);
	check_eq(output_commit(&out, &err), 0);
	output_discard(&out);
	check_file(&m, "image");
	check_eq(counts.copied + counts.zeroed + counts.skipped + counts.shared, m.size);
	if (sparse == SPARSE_NEVER)
		check_eq(counts.skipped, 0);
	check(!unlink(file_name("image")));
	io_free(opt.data);
	io_free(opt.origin);
	jobs_free(j);
}

static void any_number_of_jobs(void)
{
	copy_all(1, SPARSE_AUTO);
	copy_all(2, SPARSE_ALWAYS);
	copy_all(7, SPARSE_NEVER);
}

static void read_errors_end_it(void)
{
	struct map m = the_map();
	struct io *data = io_fault_new(source(0, BLOCKS * BS));
	struct io *origin = source(1, m.origin_len);
	struct copy_options opt = { .data = data, .origin = origin };
	struct jobs *j = jobs_new(3);
	struct err err = { 0 };
	struct output out;

	io_fault_fail_read(data, 20, -EIO);
	open_out("image", m.size, &out);
	check(copy_map(&m, &out, &opt, j, &err) == -EIO);
	check(strstr(err.text, "data"));
	check(strstr(err.text, "offset"));
	output_discard(&out);
	check(access(file_name("image"), F_OK));
	io_free(data);
	io_free(origin);
	jobs_free(j);
}

static int stop_at_once(void *ctx, uint64_t bytes, struct err *err)
{
	(void)bytes;
	++*(_Atomic int *)ctx;
	return err_set(err, -EINTR, "enough");
}

static void who_watches_may_stop(void)
{
	struct map m = the_map();
	_Atomic int calls = 0;
	struct copy_options opt = { .progress = stop_at_once, .progress_ctx = &calls };
	struct jobs *j = jobs_new(2);
	struct err err = { 0 };
	struct output out;

	opt.data = source(0, BLOCKS * BS);
	opt.origin = source(1, m.origin_len);
	open_out("image", m.size, &out);
	check(copy_map(&m, &out, &opt, j, &err) == -EINTR);
	check(calls >= 1 && calls <= 2);
	output_discard(&out);
	io_free(opt.data);
	io_free(opt.origin);
	jobs_free(j);
}

static void verify_finds_a_bit(void)
{
	struct map m = the_map();
	struct copy_options opt = { 0 };
	struct jobs *j = jobs_new(2);
	struct err err = { 0 };
	struct output out;
	uint64_t places[] = { 5, 131072, BS + 9, 150 * BS + 70, 151 * BS + 5, BLOCKS * BS - 1001 };
	size_t i;

	opt.data = source(0, BLOCKS * BS);
	opt.origin = source(1, m.origin_len);
	open_out("image", m.size, &out);
	check_eq(copy_map(&m, &out, &opt, j, &err), 0);
	for (i = 0; i < ARRAY_SIZE(places); i++) {
		uint8_t was = wanted(&m, places[i]), now = was ^ 4;
		char offset[60];

		check_eq(io_write(out.io, &now, 1, places[i], NULL), 0);
		check(copy_verify(&m, &out, &opt, j, &err) == -EBADMSG);
		snprintf(offset, sizeof(offset), "at offset %llu:", (unsigned long long)places[i]);
		check(strstr(err.text, offset));
		check_eq(io_write(out.io, &was, 1, places[i], NULL), 0);
	}
	check_eq(copy_verify(&m, &out, &opt, j, &err), 0);
	output_discard(&out);
	io_free(opt.data);
	io_free(opt.origin);
	jobs_free(j);
}

/* A data file on disk, for what needs a descriptor. */
static struct io *file_source(void)
{
	struct io *mem = source(0, BLOCKS * BS), *io = NULL;
	FILE *f = fopen(file_name("data"), "w");

	check(f && fwrite(io_mem_data(mem), 1, BLOCKS * BS, f) == BLOCKS * BS && !fclose(f));
	io_free(mem);
	check_eq(dev_open(file_name("data"), DEV_SHARED, &io, NULL), 0);
	return io;
}

static void the_kernel_copies_ranges(void)
{
	struct copy_options opt = { .data = file_source() };
	struct copy_state c = { .opt = &opt };
	struct copy_source *s = &c.source[EXTENT_DATA];
	uint8_t got[3000];
	struct output out;
	size_t i;

	open_out("image", BS, &out);
	c.out = &out;
	s->io = opt.data;
	s->kernel = true;
	check_eq(copy_range(&c, s, 70000, 100, sizeof(got), NULL), 1);
	check_eq(io_read(out.io, got, sizeof(got), 100, NULL), 0);
	for (i = 0; i < sizeof(got); i++)
		check_eq(got[i], byte_of(0, 70000 + i));
	/* past the end of the source it gives up, and leaves the words to read() */
	check_eq(copy_range(&c, s, (uint64_t)BLOCKS * BS - 10, 0, 20, NULL), 0);
	check(!s->kernel);
	output_discard(&out);
	io_free(opt.data);
}

static void pages_go_into_pipes(void)
{
	struct map m = the_map();
	struct copy_options opt = { .data = file_source(), .origin = source(1, m.origin_len) };
	struct output out = { .kind = OUTPUT_STREAM, .path = (char[]){ "pipe" }, .size = m.size };
	struct jobs *j = jobs_new(1);
	uint8_t *got = malloc(m.size + 1);
	size_t len = 0, i;
	int fd[2], status;
	pid_t pid;
	ssize_t n;

	check(got && !pipe(fd));
	fflush(stdout);
	pid = fork();
	if (!pid) {
		close(fd[0]);
		out.fd = fd[1];
		_exit(copy_map(&m, &out, &opt, j, NULL) ? 1 : 0);
	}
	close(fd[1]);
	while ((n = read(fd[0], got + len, m.size + 1 - len)) > 0)
		len += (size_t)n;
	close(fd[0]);
	check(waitpid(pid, &status, 0) == pid && status == 0);
	check_eq(len, m.size);
	for (i = 0; i < len; i++)
		if (got[i] != wanted(&m, i))
			break;
	free(got);
	check_eq(i, m.size);
	jobs_free(j);
	io_free(opt.data);
	io_free(opt.origin);
}

/* A device that takes its time, and remembers how it was asked. */
/* A device that answers once this many requests wait, so that a slow machine has the time to send them. */
#define MANY 8

struct slow {
	struct io io;
	struct io *lower;
	_Atomic unsigned nr, now, most;
};

static int slow_read(struct io *io, void *buf, size_t len, uint64_t at, struct err *err)
{
	struct slow *s = (struct slow *)io;
	unsigned now = ++s->now, most = s->most;

	s->nr++;
	while (now > most && !atomic_compare_exchange_weak(&s->most, &most, now))
		;
	for (unsigned waited = 0; s->most < MANY && waited < 200; waited++) /* at most 10 s each: it fails if there are never so many */
		usleep(50000);
	usleep(2000);
	s->now--;
	return io_read(s->lower, buf, len, at, err);
}

static void slow_free(struct io *io)
{
	io_free(((struct slow *)io)->lower);
	free(io);
}

static struct slow *slow_source(void)
{
	static const struct io_ops ops = { .read = slow_read, .free = slow_free };
	struct slow *s = calloc(1, sizeof(*s));

	check(s);
	s->lower = source(0, BLOCKS * BS);
	s->io = (struct io){
		.ops = &ops, .name = "slow", .size = BLOCKS * BS, .align = 1, .direct = true, .fd = -1
	};
	return s;
}

/* All blocks mapped, none beside its neighbour. */
static int shuffled_walk(void *ctx, map_runs_fn *fn, void *fn_ctx, struct err *err)
{
	unsigned v;
	int r = 0;

	(void)ctx;
	for (v = 0; v < BLOCKS && !r; v++) {
		struct run run = { v, (v * 7 + 3) % BLOCKS, 1, 0 };

		r = fn(fn_ctx, &run, 1, err);
	}
	return r;
}

static void slow_devices_get_many_requests(void)
{
	struct map m = { .source = { .walk = shuffled_walk }, .block_len = BS, .size = BLOCKS * BS };
	struct slow *slow = slow_source();
	struct copy_options opt = { .data = &slow->io };
	struct jobs *j = jobs_new(2);
	struct err err = { 0 };
	struct output out;
	uint8_t *got = malloc(m.size);
	uint64_t at;

	open_out("image", m.size, &out);
	check_eq(copy_map(&m, &out, &opt, j, &err), 0);
	/* in its own order, neighbours together, though they lie all over the image */
	check_eq(slow->nr, (BLOCKS * BS + COPY_CHUNK_DIRECT - 1) / COPY_CHUNK_DIRECT);
	check(slow->most >= MANY);
	check(got && !io_read(out.io, got, m.size, 0, &err));
	for (at = 0; at < m.size; at++)
		if (got[at] != byte_of(0, (at / BS * 7 + 3) % BLOCKS * BS + at % BS))
			break;
	check_eq(at, m.size);
	free(got);
	output_discard(&out);

	/* a stream is written in its order, but several requests may read for it at once */
	slow->nr = slow->most = 0;
	out = (struct output){ .kind = OUTPUT_STREAM, .path = (char[]){ "null" }, .size = m.size };
	out.fd = open("/dev/null", O_WRONLY);
	check(out.fd >= 0);
	check_eq(copy_map(&m, &out, &opt, j, &err), 0);
	close(out.fd);
	check_eq(slow->nr, BLOCKS);
	check(slow->most >= MANY);
	io_free(opt.data);
	jobs_free(j);
}

static void holes_are_asked_once(void)
{
	int fd = open(file_name("sparse"), O_RDWR | O_CREAT | O_TRUNC, 0600);
	struct io *io = io_file_new(fd, "sparse", 1 << 24, false);
	struct holes h;
	bool data;
	uint64_t len;

	check(fd >= 0 && io && !ftruncate(fd, 1 << 24) && pwrite(fd, "x", 1, 1 << 22) == 1);
	holes_init(&h, io);
	len = holes_segment(&h, 0, 1 << 24, &data);
	if (data)
		skip("this filesystem does not tell holes");
	check(!data && len > 0 && len <= 1 << 22);
	holes_segment(&h, 1 << 22, 10, &data);
	check(data);
	check_eq(holes_segment(&h, (1 << 24) - 100, 50, &data), 50);
	check(!data);
	check_eq(holes_segment(&h, 100, 50, &data), 50);
	check(!data);
	/* reading fails there, which must be seen: zeros would stand for lost bytes */
	check(!ftruncate(fd, 1 << 20));
	holes_init(&h, io);
	check_eq(holes_segment(&h, 1 << 23, 50, &data), 50);
	check(data);
	io_free(io);
	holes_init(&h, NULL);
	check_eq(holes_segment(&h, 5, 7, &data), 7);
	check(data);
}

static const struct test tests[] = {
	{ "the image is the same with any number of jobs and every kind of sparseness",
	  any_number_of_jobs },
	{ "a read error ends the copy with its offset, and no file appears", read_errors_end_it },
	{ "who watches the progress may stop the copy", who_watches_may_stop },
	{ "verify finds one changed bit wherever it is", verify_finds_a_bit },
	{ "the kernel copies a range, or says that it cannot", the_kernel_copies_ranges },
	{ "a pipe gets all bytes, cached pages and zeros alike", pages_go_into_pipes },
	{ "a slow device gets many requests at once, and for a file in its own order, joined",
	  slow_devices_get_many_requests },
	{ "holes of a file are found, also backwards, and what it lost at its end is none", holes_are_asked_once },
	{ 0 }
};

int main(int argc, char **argv)
{
	return folder_main(tests, argc, argv);
}
