/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* What a word of a table means: a line, what lies below it, a number of dmsetup or of this machine. */
#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dev/dev.h"
#include "table_world.h"

/* The pool of device "vm" is named by @line, the other lines being @lines; "": it is not known. */
static void pool_of_vm(const char *lines, const char *word, const char *pool)
{
	const struct table_want want = { .device = { "vm" } };
	struct err err = { 0 };
	struct table *t;
	char text[2000];

	snprintf(text, sizeof(text), "%svm: 0 10 thin %s 1\n", lines, word);
	if (read_text(text, &want, &t, &err)) {
		if (*pool || !strstr(err.text, "no thin-pool line has that name"))
			printf("# %s: %s\n", word, err.text);
		check(!*pool && strstr(err.text, "no thin-pool line has that name"));
		return;
	}
	check_str(t->pool->name, pool);
	table_free(t);
}

/* LVM puts a linear device over a pool, and dmsetup names what lies below by numbers. */
static void lines_over_a_pool(void)
{
	static const char lines[] =
		"tpool: 0 90 thin-pool m d 128 0\np2: 0 90 thin-pool m2 d2 128 0\n"
		"lv: 0 90 linear tpool 0\nhigh: 0 90 linear lv 0\nbehind: 0 82 linear tpool 8\n"
		"two: 0 8 linear tpool 0\ntwo: 8 8 linear tpool 8\nzeros: 0 90 zero\nnone: 0 90 linear m 0\nold: 0 90 cache x\n"
		"by: 0 90 linear 4094:2 0\nstray: 0 90 linear 4094:7 0\n"
		"tpool:4094:2\nlv:4094:3\nlv:4093:2\nhigh (4094:4)\n";
	char chain[2000];

	pool_of_vm(lines, "tpool", "tpool");
	pool_of_vm(lines, "lv", "tpool");
	pool_of_vm(lines, "high", "tpool");
	pool_of_vm(lines, "by", "tpool");
	pool_of_vm(lines, "4094:2", "tpool");
	pool_of_vm(lines, "4094:4", "tpool");
	pool_of_vm(lines, "p2", "p2");
	pool_of_vm(lines, "behind", "");
	pool_of_vm(lines, "two", "");
	pool_of_vm(lines, "zeros", "");
	pool_of_vm(lines, "none", "");
	pool_of_vm(lines, "old", "");
	pool_of_vm(lines, "stray", "");
	pool_of_vm(lines, "4094:9", "");
	pool_of_vm(lines, "vm", "");
	/* more lines below each other than anybody makes */
	snprintf(chain, sizeof(chain), "%s", "tpool: 0 9 thin-pool m d 128 0\np2: 0 9 thin-pool m2 d2 128 0\nl0: 0 9 linear tpool 0\n");
	for (int i = 1; i < 40; i++)
		sprintf(chain + strlen(chain), "l%d: 0 9 linear l%d 0\n", i, i - 1);
	pool_of_vm(chain, "l20", "tpool");
	pool_of_vm(chain, "l39", "");
}

/* A device may be named by a linear line over its thin line. */
static void lines_over_a_thin_device(void)
{
	char text[3000] = POOL "web: 0 10 thin pool 1\ntop: 0 10 linear web 0\nnumber: 0 10 linear 4094:8 0\n"
			  "below: 0 10 linear pool 0\nweb:4094:8\nl0: 0 10 linear web 0\n";
	struct table *t;

	for (int i = 1; i < 40; i++)
		sprintf(text + strlen(text), "l%d: 0 10 linear l%d 0\n", i, i - 1);
	t = read_ok(text, NULL);
	check(table_find(t, "l20") == t->thin && !table_find(t, "l39"));
	check(table_find(t, "web") == t->thin && table_find(t, "top") == t->thin && table_find(t, "number") == t->thin);
	check(!table_find(t, "below") && !table_find(t, "pool"));
	check_str(table_similar_name(t, "wib"), "web");
	table_free(t);
	t = read_ok(POOL "0 10 thin pool 1\n0 10 thin pool 2\n", NULL);
	check(!table_similar_name(t, "wib") && table_find(t, "2") == t->thin + 1);
	table_free(t);
}

/* Only a name that could be meant for a pool is told as a mistake. */
static void names_of_the_only_pool(void)
{
	const struct table_want want = { .tell = note };
	static const char *const quiet[] = {
		"0 9 thin-pool m d 128 0\n0 9 thin other 1\n",
		POOL "0 9 thin /dev/vg/other 1\n",
		POOL "0 9 thin 4094:3 1\n",
		POOL,
	};
	struct table *t;

	for (size_t i = 0; i < ARRAY_SIZE(quiet); i++) {
		t = read_ok(quiet[i], &want);
		check_str(told, "");
		table_free(t);
	}
	t = read_ok(POOL "0 9 thin other 1\n", NULL);
	table_free(t);
	t = read_ok(POOL "0 9 thin other 1\n", &want);
	check(strstr(told, "'other' is not the name of the pool, which is 'pool'"));
	table_free(t);
}

static void very_many_pools(void)
{
	const struct table_want other = { .other = table_other_line };
	char text[4000] = "";

	for (int i = 0; i < 40; i++)
		sprintf(text + strlen(text), "a_pool_of_some_length_%02d: 0 9 thin-pool m%d d%d 128 0\n", i, i, i);
	refused(text, NULL, -EDOM, "has 40 pools: --pool NAME says which: a_pool_of_some_length_00, a_pool_of_some_length_01, ");
	refused(text, &other, -EDOM, "has 40 pools");
}

/* In thin_lvm's tables lines have names; a person may add one without. */
static void groups_with_lines_without_names(void)
{
	struct table_want want = { .device = { "web" } };
	struct table *t = read_ok("# volume group vg, seqno 4\n# volume group vg\n" POOL "0 10 thin pool 1\nweb: 0 10 thin pool 2\n", &want);

	check(t->nr_groups == 1 && table_find(t, "vg/web") == t->thin + 1 && !table_find(t, "vg/none") && !table_find(t, "none"));
	table_free(t);
	want.device[0] = "vg/web";
	t = read_ok("# volume group vg, seqno 4\n" POOL "0 10 thin pool 1\nweb: 0 10 thin pool 2\n", &want);
	check(t->nr_thins == 2);
	table_free(t);
}

/* --- pieces --- */

static void one_line_of_a_target_that_is_not_read(void)
{
	struct table *t = read_ok(POOL "c: 0 10 zero\nc: 10 10 cache y\nd: 0 10 cache\nd: 10 10 zero\n", NULL);

	check(!table_other_line(t, "c") && !table_other_line(t, "d"));
	table_free(t);
	refused(POOL "a: 0 5 linear c 0\na: 5 5 linear x 0\nc: 0 10 cache y\n", NULL, -EINVAL, "'c': line 4 has that name and is a cache target");
}

static void names_used_twice(void)
{
	refused(POOL "a: 0 10 thin pool 1\na: 0 10 zero\n", NULL, -EINVAL, "'a': the name is used in line 2 already: each pool and device");
	refused(POOL "a: 0 10 zero\na: 0 10 thin pool 1\n", NULL, -EINVAL, "'a': the name is used in line 2 already: each pool and device");
	refused("a: 0 10 thin b 1\na: 0 10 thin-pool m d 128 0\n", NULL, -EINVAL, "line 2: 'a': the name of the pool, used in line 1");
	refused(POOL "a: 0 10 thin pool 1\na: 0 10 thin pool 2\n", NULL, -EINVAL, "a device has one line");
}

/* The line of a file's name is the file where there is one: what a word of the command line means is not changed. */
static void files_of_a_line_s_name(void)
{
	struct table *t = read_ok(POOL "/dev/null: 0 10 zero\nz: 0 10 zero\n", NULL);

	check_str(table_device_path(t, "/dev/null"), "/dev/null");
	check(strstr(table_device_path(t, "z"), "table:z"));
	check_str(table_device_path(t, "none"), "none");
	check_str(table_device_path(NULL, "z"), "z");
	table_free(t);
}

static void folders_are_no_tables(void)
{
	struct err err = { 0 };
	struct table *t;
	char word[600];

	snprintf(word, sizeof(word), "%s:z", folder);
	check(!table_open_line(word, &t, &err) && !t);
}

static void a_pool_without_a_name_stands_on_lines(void)
{
	struct table *t = read_ok("s: 0 10 zero\n0 10 thin-pool s d 128 0\n", NULL);

	check(strstr(t->pool->metadata.path, "table:s"));
	table_free(t);
	t = read_ok("t: 0 8 thin nopool 1\nu: 0 8 thin nopool 2 t\n" POOL "p2: 0 8 thin-pool m2 d2 128 0\n",
		    &(struct table_want){ .pool = "pool" });
	check(t->nr_thins == 0 && t->nr_all_thins == 2);
	table_free(t);
}

/* --- numbers --- */

static void numbers_of_paths(void)
{
	char text[700];
	struct table *t;

	put("file", "", 0);
	snprintf(text, sizeof(text), "%s:4094:5\n0 10 thin-pool 4094:5 data 128 0\n", file_name("file"));
	t = read_ok(text, NULL);
	check_str(t->pool->metadata.path, file_name("file"));
	table_free(t);
	snprintf(text, sizeof(text), "%s.not:4094:5\n0 10 thin-pool 4094:5 data 128 0\n", file_name("file"));
	t = read_ok(text, NULL);
	check_str(t->pool->metadata.path, "/dev/block/4094:5");
	table_free(t);
}

static void words_that_are_no_numbers(void)
{
	refused(POOL ":5\n", NULL, -EINVAL, "line 2: ':5': the line ends here");
	refused(POOL "spare (x)\n", NULL, -EINVAL, "the line ends here");
	refused(POOL "spare (4094,5 6)\n", NULL, -EINVAL, "line 2: ");
	refused(POOL "spare 4094 x\n", NULL, -EINVAL, "the line ends here");
	refused(POOL "Name of it\n", NULL, -EINVAL, "the line ends here");
	refused(POOL "8 10 thinn pool 1\n", NULL, -EINVAL, "line 2: '8': START must be 0");
}

/* The kernel's pool target passes requests on to the data device. */
static void pools_below_pools(void)
{
	const struct table_want want = { .pool = "p2" };
	struct table *t = read_ok("pool: 0 10 thin-pool m 4094:6 128 0\nq: 0 10 linear pool 0\np2: 0 10 thin-pool q d 128 0\n", &want);
	struct err err = { 0 };

	check(table_tell_numbers(t, 3, &t->pool->metadata, NULL, &err) == -ENOENT && strstr(err.text, "line 1: '4094:6'"));
	table_free(t);
	t = read_ok("t: 0 8 thin nopool 1 4094:7\nu: 0 8 thin p2 2 t\n" POOL "p2: 0 8 thin-pool m2 d2 128 0\n", &want);
	check(!table_tell_numbers(t, 2, &table_find(t, "u")->origin, NULL, &err)); /* nothing of it can be read */
	table_free(t);
}

/* Two block devices of this machine, each told once. */
static void numbers_are_told_once(void)
{
	const struct table_want want = { .tell = note };
	DIR *d = opendir("/sys/dev/block");
	char number[2][32], text[300], what[300];
	struct err err = { 0 };
	struct dirent *e;
	struct table *t;
	unsigned major, minor, nr = 0;

	while (d && nr < 2 && (e = readdir(d)))
		if (strlen(e->d_name) < sizeof(number[0]) && dev_numbers(e->d_name, &major, &minor) &&
		    dev_describe_numbers(major, minor, what, sizeof(what)))
			strcpy(number[nr++], e->d_name);
	if (d)
		closedir(d);
	if (nr < 2)
		skip("this machine has no two block devices");
	snprintf(text, sizeof(text), "pool: 0 10 thin-pool %s %s 128 0\n", number[0], number[1]);
	t = read_ok(text, NULL);
	check(!table_tell_numbers(t, 1, &t->pool->metadata, NULL, &err));
	table_free(t);
	t = read_ok(text, NULL);
	check(!table_tell_numbers(t, 1, &t->pool->metadata, &want, &err));
	check(!table_tell_numbers(t, 1, &t->pool->data, &want, &err));
	check(strstr(told, number[0]) && strstr(told, number[1]));
	told[0] = 0;
	check(!table_tell_numbers(t, 1, &t->pool->metadata, &want, &err) && !table_tell_numbers(t, 1, &t->pool->data, &want, &err));
	check_str(told, "");
	table_free(t);
}

/* --- words --- */

static void backslashes(void)
{
	static const char *const words[] = { "a\\b", "a\\9", "a\\048", "a\\0", "a\\04", "a\\08", "a\\000", "a\\480", "a\\080", "a\\04x", "a\\" };

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		char text[100];
		struct table *t;

		snprintf(text, sizeof(text), "0 10 thin-pool /%s d 128 0\n", words[i]);
		t = read_ok(text, NULL);
		check(t->pool->metadata.path[0] == '/');
		check_str(t->pool->metadata.path + 1, words[i]);
		table_free(t);
	}
	struct table *t = read_ok("0 10 thin-pool /a\\040\\377\\134b d 128 0\n", NULL);
	check_str(t->pool->metadata.path, "/a \377\\b");
	table_free(t);
}

static void features_that_are_not_known(void)
{
	struct table *t = read_ok("0 10 thin-pool m d 128 0 2 odd even\n", NULL);

	check(strstr(t->pool->feature_fault, "'odd': unknown pool feature"));
	table_free(t);
}

static void files_too_large_for_a_table(void)
{
	struct err err = { 0 };
	struct table *t;

	put("table", POOL, strlen(POOL));
	check(!truncate(file_name("table"), (off_t)1 << 30));
	check(table_read(file_name("table"), NULL, &t, &err) == -EINVAL && strstr(err.text, "too large to be a table file"));
	check(!unlink(file_name("table")));
}

static void many_origins(void)
{
	struct err err = { 0 };
	char text[9000] = POOL "0 9 thin pool 99\n";
	struct table *t;

	for (unsigned i = 0; i < 8; i++)
		sprintf(text + strlen(text), "0 9 thin pool %u %0900u\n", i, i);
	t = read_ok(text, NULL);
	check(table_not_listed(t, 42, 64, "--size", &err) == -EDOM);
	check(strstr(err.text, "add the line '0 LENGTH thin pool 42 ORIGIN'"));
	table_free(t);
}

int main(int argc, char **argv)
{
	static const struct test tests[] = {
		{ "a linear line over the whole pool is the pool, by its name and by its number", lines_over_a_pool },
		{ "a linear line over a whole thin device is the device", lines_over_a_thin_device },
		{ "a wrong name of the only pool is told, and nothing else", names_of_the_only_pool },
		{ "of very many pools some are listed", very_many_pools },
		{ "lines without a name stand beside those of a group", groups_with_lines_without_names },
		{ "one line of another target makes the device one that is not read", one_line_of_a_target_that_is_not_read },
		{ "a name that is used twice is refused whatever its lines are", names_used_twice },
		{ "a file that has the name of a line is the file", files_of_a_line_s_name },
		{ "TABLE:NAME in a folder is no line", folders_are_no_tables },
		{ "a pool without a name, and devices without a pool, are read", a_pool_without_a_name_stands_on_lines },
		{ "a number may be that of a path", numbers_of_paths },
		{ "what looks like numbers and is not is a mistake", words_that_are_no_numbers },
		{ "a number below a pool below a pool is found", pools_below_pools },
		{ "a number of this machine is told once", numbers_are_told_once },
		{ "a backslash before anything but three octal digits stands for itself", backslashes },
		{ "of unknown features the first is told", features_that_are_not_known },
		{ "a file of a gigabyte is no table", files_too_large_for_a_table },
		{ "of many origins with long names some are told", many_origins },
		{ 0 },
	};

	return folder_main(tests, argc, argv);
}
