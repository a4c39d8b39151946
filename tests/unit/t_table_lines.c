/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Lines of a table that name each other: stacks, numbers, volumes of LVM, devices without a line. */
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "failing.h"
#include "table_world.h"

/* --- lines of one device --- */

static void mistakes_of_pieces(void)
{
	refused(POOL "a: 0 10 linear x\n", NULL, -EINVAL, "line 2: 'x': linear needs DEV OFFSET, and no more");
	refused(POOL "a: 0 10 linear x 0 1\n", NULL, -EINVAL, "line 2: '1': linear needs DEV OFFSET");
	refused(POOL "a: 0 10 linear x y\n", NULL, -EINVAL, "line 2: 'y': the offset is not");
	refused(POOL "a: 0 10 linear x 36028797018963960\n", NULL, -EINVAL, "line 2: '36028797018963960': the offset is above");
	refused(POOL "a: 0 10 striped 2 5 x\n", NULL, -EINVAL, "line 2: 'x': the line ends here: striped needs");
	refused(POOL "a: 0 10 striped z 5 x 0\n", NULL, -EINVAL, "line 2: 'z': the number of stripes is not");
	refused(POOL "a: 0 10 striped 1 z x 0\n", NULL, -EINVAL, "line 2: 'z': the stripe size is not");
	refused(POOL "a: 0 10 striped 0 5 x 0\n", NULL, -EINVAL, "line 2: '0': the line has another number of DEV");
	refused(POOL "a: 0 10 striped 2 5 x 0\n", NULL, -EINVAL, "line 2: '2': the line has another number of DEV");
	refused(POOL "a: 0 10 striped 2 0 x 0 y 0\n", NULL, -EINVAL, "line 2: '0': LENGTH is not a multiple");
	refused(POOL "a: 0 10 striped 2 3 x 0 y 0\n", NULL, -EINVAL, "line 2: '3': LENGTH is not a multiple");
	refused(POOL "a: 0 10 striped 2 5 x 0 y q\n", NULL, -EINVAL, "line 2: 'q': the offset is not");
	refused(POOL "a: 0 10 zero x\n", NULL, -EINVAL, "line 2: 'x': zero takes no arguments");
	refused(POOL "a: 0 18014398509481983 zero\na: 18014398509481983 1 zero\n", NULL, -EINVAL,
		"the device is larger than any device can be");
	refused(POOL "a: 4 10 zero\n", NULL, -EINVAL, "line 2: '4': START leaves a gap: the first line of 'a' must");
	refused(POOL "a: 0 10 zero\na: 11 10 zero\n", NULL, -EINVAL, "'11': START leaves a gap: the lines of 'a' before end at sector 10");
	refused(POOL "a: 0 10 zero\na: 9 10 zero\n", NULL, -EINVAL, "'9': START overlaps: the lines of 'a' before end at sector 10");
	refused(POOL "a: 0 10 zero\na: 0 10 thin pool 1\n", NULL, -EINVAL, "'a': the name is used in line 2 already: each pool and device");
	refused(POOL "pool: 0 10 zero\n", NULL, -EINVAL, "line 2: 'pool': the name of the pool, used in line 1");
	refused(POOL "a: 0 10 linear b 0\nb: 0 10 linear a 0\npool2: 0 10 thin-pool a data 128 0\n", &(struct table_want){ .pool = "pool" },
		-EINVAL, "a loop: the line is stacked on itself");
}

/* The lines of a device need not stand together. */
static void lines_apart(void)
{
	struct table *t = read_ok("a: 0 10 linear x 0\n" POOL "b: 0 5 zero\na: 10 20 zero\nb: 5 1 error\na: 30 1 linear y 7\n"
				  "c: 0 5 cache x\nz: 0 1 zero\nc: 5 5 cache y\n", NULL);
	const char *path = table_device_path(t, "a");
	struct err err = { 0 };
	struct io *io = NULL;

	put("x", "", 0);
	put("y", "", 0);
	check(!truncate(file_name("x"), 10 * 512) && !truncate(file_name("y"), 8 * 512));
	check(!dev_open(path, 0, &io, &err));
	check_eq(io->size, 31 * 512);
	io_free(io);
	check_str(table_device_path(t, "c"), "c"); /* the kernel's target, of which only the device can be read */
	check(!table_other_line(t, "c") && table_other_line(t, "b"));
	table_free(t);
}

static void targets_that_are_not_read(void)
{
	struct table *t;

	refused("c: 0 10 cache 1 2\npool: 0 10 thin-pool c data 128 0\n", NULL, -EINVAL, "'c': line 1 has that name and is a cache target");
	t = read_ok("c: 0 10 cache 1 2\npool: 0 10 thin-pool /dev/mapper/c data 128 0\n", NULL);
	check_str(t->pool->metadata.path, "/dev/mapper/c");
	table_free(t);
	t = read_ok("c:4094:1\nc: 0 10 cache 1 2\npool: 0 10 thin-pool 4094:1 data 128 0\n", NULL);
	check_str(t->pool->metadata.path, "/dev/block/4094:1");
	table_free(t);
	t = read_ok("c: 0 10 cache 1 2\nx: 0 5 zero\nc: 10 10 zero\npool: 0 10 thin-pool m data 128 0\n", NULL);
	check(!table_other_line(t, "c"));
	table_free(t);
}

static int fails(int r, const struct err *err, const char *words)
{
	if (r != -EIO || !strstr(err->text, words))
		printf("# %d: %s\n", r, err->text);
	return r == -EIO && strstr(err->text, words);
}

/* A table may say more than its files have: that is told when it is used, and no file grows. */
static void ends_of_pieces(void)
{
	struct table *t = read_ok(POOL "m: 0 8 linear x 0\nm: 8 8 zero\nm: 16 8 linear y 0\nm: 24 1 error\n", NULL);
	char some[4096], zeros[4096] = { 0 };
	struct err err = { 0 };
	struct io_place place;
	struct io *io = NULL;
	struct stat st;

	memset(some, 'x', sizeof(some));
	put("x", some, sizeof(some));
	put("y", some, 4 * 512);
	check(!dev_open(table_device_path(t, "m"), DEV_WRITE, &io, &err));
	check(!io_write(io, zeros, 4096, 8 * 512, &err));
	check(fails(io_write(io, some, 4096, 8 * 512, &err), &err, "lie on a zero target, which keeps nothing"));
	check(!io_write(io, zeros, 4 * 512, 16 * 512, &err));
	check(fails(io_write(io, some, 512, 20 * 512, &err), &err, "it ends at 2048"));
	check(fails(io_write(io, some, 512, 22 * 512, &err), &err, "it ends at 2048"));
	check(fails(io_write(io, some, 1024, 19 * 512, &err), &err, "it ends at 2048"));
	check(fails(io_read(io, some, 512, 24 * 512, &err), &err, "an error target covers them"));
	check(fails(io_read(io, some, 512, 25 * 512, &err), &err, "the device ends at 12800"));
	check(fails(io_read(io, some, 512, 26 * 512, &err), &err, "the device ends at 12800"));
	check(!io_read(io, some, 4096, 4 * 512, &err) && some[2047] == 'x' && !memcmp(some + 2048, zeros, 2048));
	check(!io_punch(io, 4 * 512, 8 * 512, &err) && !io_discard(io, 0, 12 * 512, &err));
	check(!io_read(io, some, 2048, 2048, &err) && !memcmp(some, zeros, 2048));
	io_will_need(io, 0, 16 * 512);
	io_will_need(io, 25 * 512, 512);
	io_where(io, 10 * 512, 4096, &place);
	check(place.kind == IO_ZERO && place.len == 6 * 512);
	io_where(io, 25 * 512, 4096, &place);
	check(place.kind == IO_LOST);
	io_free(io);
	table_free(t);
	check(!stat(file_name("y"), &st) && st.st_size == 2048);
}

/* --- numbers --- */

static const char *metadata_of(const char *numbers)
{
	static char path[600];
	char text[600];
	struct table *t;

	snprintf(text, sizeof(text), "%sspare: 0 800 linear %s 0\npool: 0 10 thin-pool 4094:5 data 128 0\n", numbers, file_name("x"));
	t = read_ok(text, NULL);
	snprintf(path, sizeof(path), "%s", t->pool->metadata.path);
	table_free(t);
	return path;
}

static void numbers_of_lines(void)
{
	char line[600];

	snprintf(line, sizeof(line), "%s:spare", file_name("table"));
	check_str(metadata_of(""), "/dev/block/4094:5");
	check_str(metadata_of("spare:4094:5\n"), line);
	check_str(metadata_of("spare\t(4094:5)\n"), line);
	check_str(metadata_of("spare\t(4094, 5)\n"), line);
	check_str(metadata_of("Name Maj Min\nspare 4094 5\n"), line);
	check_str(metadata_of("spare:4094:6\n"), "/dev/block/4094:5");
	check_str(metadata_of("other:4094:5\n"), "/dev/block/4094:5");
	put("file", "", 0);
	check_str(metadata_of("file:4094:5\n"), file_name("file"));
	refused(POOL "spare (4094:5\n", NULL, -EINVAL, "the line ends here");
	refused(POOL "spare (4094:5)x\n", NULL, -EINVAL, "the line ends here");
	refused(POOL "spare (4094, 5) x\n", NULL, -EINVAL, "line 2: ");
	refused(POOL "spare: 4094 5\n", NULL, -EINVAL, "the line ends here");
	refused(POOL "9pare 4094 5\n", NULL, -EINVAL, "the line ends here");
	refused(POOL ":4094:5\n", NULL, -EINVAL, "line 2: ':4094:5': the line ends here");
	refused(POOL "4094:5\n", NULL, -EINVAL, "line 2: '4094:5': the line ends here");
	refused(POOL "a:4094:x\n", NULL, -EINVAL, "line 2: 'a:4094:x': the line ends here");
}

/* Which device of this machine a number is, once; a number that is none is refused, also below other lines. */
static void numbers_of_this_machine(void)
{
	struct table *t = read_ok("a: 0 8 linear 4094:5 0\nb: 0 8 linear a 0\nt: 0 8 thin pool 1 4094:7\nu: 0 8 thin pool 2 t\n"
				  "pool: 0 10 thin-pool b 4094:6 128 0\n", NULL);
	const struct table_want want = { .tell = note };
	struct err err = { 0 };

	check(t->pool->metadata.by_number);
	check(table_tell_numbers(t, 5, &t->pool->metadata, &want, &err) == -ENOENT);
	check(strstr(err.text, "line 1: '4094:5': no block device of that number is here, and no line has it"));
	check(table_tell_numbers(t, 5, &t->pool->data, &want, &err) == -ENOENT);
	check(strstr(err.text, "line 5: '4094:6'"));
	check(table_tell_numbers(t, 4, &table_find(t, "u")->origin, &want, &err) == -ENOENT);
	check(strstr(err.text, "line 1: '4094:5'")); /* the pool of the origin stands on it */
	table_free(t);
	t = read_ok("t: 0 8 thin pool 1 4094:7\nu: 0 8 thin pool 2 t\n" POOL, NULL);
	check(table_tell_numbers(t, 2, &table_find(t, "u")->origin, &want, &err) == -ENOENT);
	check(strstr(err.text, "line 1: '4094:7'"));
	check(!table_tell_numbers(t, 2, &t->pool->data, &want, &err) && !told[0]);
	table_free(t);
}

/* --- which pool, which device --- */

static void pools_are_chosen(void)
{
	static const char two[] = POOL "0 10 thin-pool m2 d2 128 0\na: 0 10 thin pool 1\nb: 0 10 thin other 2\n";
	struct table_want want = { .pool = "none", .tell = note };
	struct table *t;

	refused(two, &want, -EDOM, "--pool: no pool 'none' in ");
	refused(two, &want, -EDOM, "there is pool, one without a name in line 2");
	want.pool = "/dev/mapper/pool";
	t = read_ok(two, &want);
	check(t->nr_thins == 1 && t->nr_all_thins == 2);
	table_free(t);
	refused(two, NULL, -EDOM, "has 2 pools: --pool NAME says which: pool, one without a name in line 2");
	want = (struct table_want){ .device = { "b" } };
	refused(two, &want, -EINVAL, "'other': no thin-pool line has that name, so the pool of 'b' is not known");
	want.device[0] = "c";
	refused(two, &want, -ENODATA, "no device is called 'c'");
	want.device[0] = "7";
	refused(two, &want, -EDOM, "has 2 pools");
	want = (struct table_want){ .tell = note };
	t = read_ok(POOL "a: 0 10 thin other 1\n", &want);
	check(t->nr_thins == 1 && strstr(told, "line 2: 'other' is not the name of the pool, which is 'pool'"));
	table_free(t);
	refused(POOL "a: 0 10 thin x 1\nb: 0 10 thin y 2\n", NULL, -EINVAL, "line 3: 'y': line 2 has 'x': two pools, but one thin-pool line");
	want = (struct table_want){ .pool = "pool", .device = { "b", "a" } };
	refused(POOL "p2: 0 10 thin-pool m2 d2 128 0\na: 0 10 thin pool 1\nb: 0 10 thin p2 2\n", &want, -EDOM,
		"'b' is a device of pool 'p2', not of 'pool'");
}

/* A volume of LVM goes with its group in front and without. */
static void volumes(void)
{
	static const char one[] = "# volume group vg, seqno 4\n" POOL "web: 0 10 thin pool 1\ntop: 0 10 linear web 0\n";
	static const char two[] = "# volume group v, seqno 4\nv/pool: 0 9 thin-pool m d 128 0\nv/web: 0 9 thin v/pool 1\n"
				  "v/x: 0 9 zero\n# volume group w, seqno 4\nw/pool: 0 9 thin-pool m2 d2 128 0\n"
				  "w/web: 0 9 thin w/pool 1\nw/own: 0 9 thin w/pool 2\n";
	static const char *const names[] = { "web", "vg/web", "/dev/vg/web", "/dev/mapper/top", "top" };
	struct table_want want = { .pool = "/dev/vg/pool" };
	struct table *t = read_ok(one, &want);

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		check(table_find(t, names[i]) == &t->thin[0]);
	check(!table_find(t, "vx/web") && !table_find(t, "vgweb") && !table_find(t, "vg/top/web"));
	table_free(t);
	want.pool = "pool";
	refused(two, &want, -EDOM, "'pool' is in several volume groups: write VG/pool");
	want = (struct table_want){ .device = { "web" } };
	refused(two, &want, -EDOM, "'web' is in several volume groups: write VG/web");
	want.device[0] = "own";
	t = read_ok(two, &want);
	check_str(t->pool->name, "w/pool");
	check(!t->group && t->nr_groups == 2 && table_find(t, "own")->dev_id == 2 && table_find(t, "web")->pool == 1);
	check(table_other_line(t, "x") && !table_other_line(t, "own") && !table_other_line(t, "none"));
	table_free(t);
	want = (struct table_want){ .device = { "x" }, .other = table_other_line };
	t = read_ok(two, &want);
	check_str(t->other->name, "v/x");
	table_free(t);
}

/* --- a device that has no line --- */

static void not_listed(const char *text, const char *words)
{
	struct table *t = read_ok(text, NULL);
	struct err err = { 0 };

	check(table_not_listed(t, 42, 64, "--size", &err) == -EDOM);
	if (!strstr(err.text, words))
		printf("# %s\n", err.text);
	check(strstr(err.text, words));
	table_free(t);
}

static void devices_without_a_line(void)
{
	char many[2000] = POOL;

	not_listed(POOL, "add the line '0 LENGTH thin pool 42' (LENGTH in sectors; the last mapped block ends at 64), or give --size");
	not_listed("0 9 thin-pool m d 128 0\n", "add the line '0 LENGTH thin pool 42' ");
	not_listed("my\\040pool: 0 9 thin-pool m d 128 0\n", "add the line '0 LENGTH thin my\\040pool 42' ");
	not_listed(POOL "0 9 thin pool 1 base\\134\\040x\na: 0 9 thin pool 3 base\\134\\040x\nb: 0 9 thin pool 4\n",
		   "'0 LENGTH thin pool 42 base\\134\\040x' ");
	not_listed(POOL "0 9 thin pool 1 x\na: 0 9 thin pool 3 x\nb: 0 9 thin pool 4\n", "here they are 'x' of device 1 3 (a)");
	not_listed(POOL "0 9 thin pool 1 x\na: 0 9 thin pool 3 y\n", "'0 LENGTH thin pool 42 ORIGIN' ");
	not_listed(POOL "0 9 thin pool 1 x\na: 0 9 thin pool 3 y\n", "here they are 'x' of device 1, 'y' of device 3 (a)");
	for (unsigned i = 0; i < 12; i++)
		sprintf(many + strlen(many), "0 9 thin pool %u o%u\n", i, i % 6 ? 0 : i / 6);
	not_listed(many, "'o0' of device 0 1 2 3 ..., 'o1' of device 6");
}

/* --- TABLE:NAME --- */

static int line_of(const char *name, struct table **t, struct err *err)
{
	char word[600];

	snprintf(word, sizeof(word), "%s:%s", file_name("table"), name);
	err->text[0] = 0;
	return table_open_line(word, t, err);
}

static void lines_as_devices(void)
{
	struct err err = { 0 };
	struct table *t;

	put("table", POOL "s: 0 8 zero\na: 0 8 thin pool 1\nc: 0 9 cache x\nd:4:5: 0 8 zero\n",
	    strlen(POOL "s: 0 8 zero\na: 0 8 thin pool 1\nc: 0 9 cache x\nd:4:5: 0 8 zero\n"));
	check(!line_of("s", &t, &err) && t);
	table_free(t);
	check(!line_of("d:4:5", &t, &err) && t);
	table_free(t);
	check(line_of("a", &t, &err) == -EINVAL && strstr(err.text, "has no linear, striped, zero or error line of the name 'a'"));
	check(line_of("c", &t, &err) == -EINVAL && line_of("none", &t, &err) == -EINVAL);
	check(line_of("/dev/mapper/s", &t, &err) == -EINVAL);
	check(!table_open_line(file_name("none:s"), &t, &err) && !t);
	check(!table_open_line(":s", &t, &err) && !t && !table_open_line("-", &t, &err) && !t);
	check(!table_open_line(folder, &t, &err) && !t);
}

/* A thin device can be an external origin only where the caller knows how to open it. */
static void thin_below(void)
{
	struct table *t = read_ok(POOL "o: 0 8 thin pool 1\na: 0 8 thin pool 2 o\nx: 0 8 linear o 0\n", NULL);
	const char *path = table_find(t, "a")->origin.path;
	struct err err = { 0 };
	struct io *io;

	check(dev_open(path, DEV_WRITE, &io, &err) == -EROFS && strstr(err.text, "which can only be read"));
	check(dev_open(path, 0, &io, &err) == -EINVAL && strstr(err.text, "no part of a pool's metadata or data device"));
	check(table_is_own_thin(t, path) && !table_is_own_thin(t, "x") && !table_is_own_thin(t, NULL));
	table_free(t);
}

/* --- memory --- */

static const char everything[] =
	"# volume group vg, seqno 4\nnum:4094:5\nm: 0 8 linear f 0\nm: 8 8 zero\nm: 16 8 striped 2 4 f 0 g 0\nc: 0 8 cache x\n"
	"m: 24 1 error\npool: 0 9 thin-pool m d 128 0 2 read_only odd\np2: 0 9 thin-pool m2 4094:9 128 0\n"
	"a: 0 9 thin pool 1 m\nb: 0 9 thin p2 2 base\nc2: 0 9 thin pool 3 a\n";

static int read_everything(struct err *err)
{
	const struct table_want want = { .device = { "a" }, .tell = note };
	const struct table_want other = { .device = { "m" }, .other = table_other_line };
	struct table *t = NULL;
	struct io *io = NULL;
	int r;

	told[0] = 0;
	r = table_read(file_name("table"), &want, &t, err);
	check(r || (t->nr_thins == 2 && t->nr_all_thins == 3 && t->nr_segs == 4 && strstr(told, "unknown pool feature")));
	if (!r)
		r = dev_open(t->pool->metadata.path, 0, &io, err);
	check(r || io->size == 25 * 512);
	io_free(io);
	table_free(t);
	if (r)
		return r;
	t = NULL;
	r = table_read(file_name("table"), &other, &t, err);
	check(r || t->other);
	table_free(t);
	return r;
}

static int read_line(struct err *err)
{
	struct table *t;
	int r = line_of("m", &t, err);

	check(r || t);
	table_free(t);
	return r;
}

static void memory(void)
{
	struct err err = { 0 };

	put("table", everything, strlen(everything));
	put("f", "", 0);
	put("g", "", 0);
	check(!truncate(file_name("f"), 20 * 512) && !truncate(file_name("g"), 20 * 512));
	check_each_request_failing(read_everything(&err), &err);
	check_each_request_failing(read_line(&err), &err);
}

int main(int argc, char **argv)
{
	static const struct test tests[] = {
		{ "a mistake in the lines of a device names file, line and word", mistakes_of_pieces },
		{ "the lines of a device need not stand together", lines_apart },
		{ "a piece beyond the end of its file fails when it is used, and the file does not grow", ends_of_pieces },
		{ "a target that is not read is passed over, and no line may stand on it", targets_that_are_not_read },
		{ "what dmsetup prints of numbers gives them to lines and files", numbers_of_lines },
		{ "a number that no line and no device has is refused, also below other lines", numbers_of_this_machine },
		{ "one pool is chosen by its name or by its devices", pools_are_chosen },
		{ "a volume of LVM goes with its group in front and without", volumes },
		{ "a device without a line is told with the line to add", devices_without_a_line },
		{ "TABLE:NAME is a line that consists of pieces", lines_as_devices },
		{ "a thin device is opened for reading, and not as a part of a pool", thin_below },
		{ "a table for which there is no memory is refused", memory },
		{ 0 },
	};

	return folder_main(tests, argc, argv);
}
