/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/*
 * damage FILE RECIPE [options]: applies one kind of damage to a pool's metadata in a file,
 * proves that it is there, and prints what it did.  The recipes bear the names of the
 * findings that they must lead to (lib/pool/finding/finding.c), and a few are for rescue trials.
 *
 *	--tree TREE	top-level, details, mapping (default), data-index, data-overflow
 *	--device ID	whose mapping tree; default: the first that will do
 *	--leaf N	the Nth leaf of the tree (default 0); --node N: the Nth internal node, 0 = root
 *	--metadata	the metadata space map instead of the data space map
 *	--block N	this block instead of a searched one
 *	--value V	instead of the recipe's own wrong value
 *	--seed N	for recipes that write noise
 *
 * Knows the format by itself: it shares structure definitions and the checksum with the
 * library, but none of the code that checks.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "damage.h"

struct damage g;

void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));
void die(const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "damage: %s: ", g.recipe ? g.recipe : "");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

static const struct recipe *const tables[] = {
	superblock_recipes, node_recipes, device_recipes, map_recipes, block_recipes,
};

static const struct recipe *find_recipe(const char *name)
{
	for (size_t t = 0; t < ARRAY_SIZE(tables); t++)
		for (const struct recipe *r = tables[t]; r->name; r++)
			if (!strcmp(r->name, name))
				return r;
	die("no such recipe (damage --list)");
}

static int list_recipes(void)
{
	for (size_t t = 0; t < ARRAY_SIZE(tables); t++)
		for (const struct recipe *r = tables[t]; r->name; r++)
			puts(r->name);
	return 0;
}

static long number(const char *s)
{
	char *end;
	long v;

	errno = 0;
	v = s ? strtol(s, &end, 0) : -1;
	if (!s || errno || *end || v < 0)
		die("a number is missing");
	return v;
}

static void parse_options(char **arg)
{
	for (; *arg; arg++) {
		if (!strcmp(*arg, "--metadata")) {
			g.metadata = true;
			continue;
		}
		if (!strcmp(*arg, "--tree"))
			g.tree = arg[1] ? arg[1] : "";
		else if (!strcmp(*arg, "--device"))
			g.device = number(arg[1]);
		else if (!strcmp(*arg, "--leaf"))
			g.leaf = number(arg[1]);
		else if (!strcmp(*arg, "--node"))
			g.node = number(arg[1]);
		else if (!strcmp(*arg, "--seed"))
			g.seed = (uint64_t)number(arg[1]);
		else if (!strcmp(*arg, "--value"))
			g.value = (uint64_t)number(arg[1]), g.has_value = true;
		else if (!strcmp(*arg, "--block"))
			g.block = (uint64_t)number(arg[1]), g.has_block = true;
		else
			die("unknown option %s", *arg);
		arg++;
	}
}

/* Looks at the file itself. */
static void prove(void)
{
	uint8_t block[MBLOCK_SIZE];

	for (unsigned i = 0; i < g.nr_expect; i++) {
		const struct expectation *e = &g.expect[i];
		uint64_t v = 0;
		bool later = false;

		/* of several notes about one place the last one holds */
		for (unsigned k = i + 1; k < g.nr_expect; k++)
			later |= g.expect[k].at == e->at;
		if (later)
			continue;
		if (pread(g.fd, &v, e->len, (off_t)e->at) != (ssize_t)e->len ||
		    le64toh(v) != e->value)
			die("the damage is not in the file (byte %llu)", (unsigned long long)e->at);
	}
	for (unsigned i = 0; i < g.nr_seals; i++) {
		if (pread(g.fd, block, MBLOCK_SIZE, (off_t)(g.seal[i].block * MBLOCK_SIZE)) !=
		    MBLOCK_SIZE)
			die("cannot read it again");
		if ((csum_verify(block, g.seal[i].block, g.seal[i].salt) == 0) != g.seal[i].good)
			die("the checksum of block %llu is not as wanted",
			    (unsigned long long)g.seal[i].block);
	}
}

int main(int argc, char **argv)
{
	uint8_t *before;
	struct stat st;
	const struct recipe *r;

	if (argc == 2 && !strcmp(argv[1], "--list"))
		return list_recipes();
	if (argc < 3)
		die("usage: damage FILE RECIPE [options]; damage --list");
	g.path = argv[1];
	g.recipe = argv[2];
	g.tree = "mapping";
	g.device = g.node = -1;
	parse_options(argv + 3);
	r = find_recipe(g.recipe);
	g.fd = open(g.path, O_RDWR | O_CLOEXEC);
	if (g.fd < 0 || fstat(g.fd, &st))
		die("%s: %s", g.path, strerror(errno));
	g.len = g.new_len = (uint64_t)st.st_size;
	g.p = mmap(NULL, g.len, PROT_READ | PROT_WRITE, MAP_PRIVATE, g.fd, 0);
	before = mmap(NULL, g.len, PROT_READ, MAP_SHARED, g.fd, 0);
	if (g.p == MAP_FAILED || before == MAP_FAILED)
		die("%s: %s", g.path, strerror(errno));
	r->apply();
	if (g.new_len == g.len && !memcmp(before, g.p, g.len))
		die("nothing has changed");
	for (uint64_t at = 0; at + MBLOCK_SIZE <= g.len; at += MBLOCK_SIZE)
		if (memcmp(before + at, g.p + at, MBLOCK_SIZE) &&
		    pwrite(g.fd, g.p + at, MBLOCK_SIZE, (off_t)at) != MBLOCK_SIZE)
			die("%s: %s", g.path, strerror(errno));
	if (g.new_len != g.len && ftruncate(g.fd, (off_t)g.new_len))
		die("%s: %s", g.path, strerror(errno));
	prove();
	return close(g.fd) ? 1 : 0;
}
