/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef DAMAGE_H
#define DAMAGE_H
/*
 * The damage program: the file being damaged and the means to find one's way in it, to change it
 * and to note what must be found there afterwards.  One process, one damage: what is found wrong
 * ends it with a message, and trees once laid out stay until then.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pdata/block/csum.h"
#include "pool/format/format.h"

struct expectation {
	uint64_t at; /* byte in the file */
	uint64_t value;
	unsigned len;
};

struct damage {
	const char *path, *recipe;
	int fd;
	uint8_t *p; /* the file, private copy-on-write mapping */
	uint64_t len, new_len;
	/* options */
	const char *tree;
	long device, leaf, node;
	bool metadata, has_value, has_block;
	uint64_t value, block, seed;
	/* what must be found in the file afterwards */
	struct expectation expect[600];
	unsigned nr_expect;
	struct {
		mblock_t block;
		enum csum_salt salt;
		bool good;
	} seal[600];
	unsigned nr_seals;
	struct layout *layouts; /* every tree that was laid out */
};
extern struct damage g;

struct recipe {
	const char *name;
	void (*apply)(void);
};
extern const struct recipe superblock_recipes[], node_recipes[], device_recipes[], map_recipes[],
	block_recipes[];

/* A tree laid out: its leaves and internal nodes in key order, with the place that points to each. */
struct place {
	mblock_t block, parent; /* parent 0: a root */
	uint32_t index;		/* in the parent */
	uint64_t root_at;	/* byte of the pointer to a root */
	enum csum_salt root_salt;
};

struct layout {
	struct place leaf[20000], inner[2000];
	unsigned nr_leaves, nr_inner;
	struct layout *next; /* of g.layouts */
};

void die(const char *fmt, ...) __attribute__((format(printf, 1, 2), noreturn));

void *block_at(mblock_t b);
struct disk_superblock *sb(void);
struct disk_sm_root *sm(void);
bool is_leaf(const struct disk_node *n);
uint32_t nr_of(const struct disk_node *n);
uint8_t *value_of(struct disk_node *n, uint32_t i);
uint64_t value64(struct disk_node *n, uint32_t i);
uint64_t offset_of(const void *p);
struct layout *named_tree(const char *name);
struct layout *tree(unsigned leaves, unsigned inner, unsigned entries);
struct place target(unsigned entries);
void expect(const void *p, unsigned len, uint64_t value);
void put32(void *p, uint64_t v);
void put64(void *p, uint64_t v);
void expect_seal(mblock_t b, enum csum_salt salt, bool good);
void seal(mblock_t b, enum csum_salt salt);
void break_seal(mblock_t b, enum csum_salt salt);
void say(mblock_t b);
void set_pointer(const struct place *pl, uint64_t to);
uint64_t value_or(uint64_t v);
void remove_entry(mblock_t b, uint32_t i);
void insert_entry(mblock_t b, uint64_t key, const void *value);
bool each_device(bool (*fn)(uint64_t id, struct layout *l));
mblock_t find_entry(const char *name, long key, uint32_t *index);

#endif
