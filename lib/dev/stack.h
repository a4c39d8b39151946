/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef DEV_STACK_H
#define DEV_STACK_H
/*
 * A device made of pieces of files and other devices: the kernel's targets linear, striped, zero
 * and error, one after the other.  Requests go to the pieces' devices as they are, without a copy;
 * a device that is one whole file is that file.
 *
 * Bytes on an error piece, or past the end of a file that is too short, fail only when they are
 * read or written.  A zero piece reads as zeros; writing anything but zeros to it is an error.
 */
#include "dev/named.h"

enum stack_kind { STACK_LINEAR, STACK_STRIPED, STACK_ZERO, STACK_ERROR };

/* Where a piece, or a stripe of it, lies. */
struct stack_leg {
	size_t dev;  /* index into the devices */
	uint64_t at; /* bytes */
};

struct stack_piece {
	uint64_t len; /* bytes */
	enum stack_kind kind;
	uint32_t nr_legs;    /* linear: 1; striped: 1 or more */
	uint64_t stripe_len; /* striped: bytes; they divide len / nr_legs */
	size_t first_leg;
};

/* Owns its arrays, but not what the paths point to. */
struct stack {
	const char **path; /* of the devices; a path may be a name of named.h */
	size_t nr_paths, cap_paths;
	struct stack_piece *piece; /* in order, without gaps */
	size_t nr_pieces, cap_pieces;
	struct stack_leg *leg;
	size_t nr_legs, cap_legs;
};

/* Returns the index of the device at @path, and adds it if it is new; SIZE_MAX: no memory. */
size_t stack_device(struct stack *s, const char *path);
/*
 * Adds a piece after the others, or lengthens the last one if @piece continues it.  0 or -ENOMEM.
 */
int stack_add(struct stack *s, const struct stack_piece *piece, const struct stack_leg *leg,
	      struct err *err);
void stack_fini(struct stack *s);

/*
 * Opens all its devices as dev_open() does.  *out is the caller's; @s may be freed.  @name, which
 * is copied, is what messages call the device.
 */
int stack_open(const struct stack *s, const char *name, unsigned flags, struct io **out,
	       struct err *err);

/* For dev_named.parts. */
int stack_parts(const struct stack *s, uint64_t at, uint64_t len, dev_part_fn *fn, void *fn_ctx);

/* In io_stack.c: the io over open devices.  Takes over each @part that is not NULL, on success. */
struct dev_part;
struct stack_dev {
	struct io *io;
	struct dev_part *part; /* NULL: io is the stack's own */
};
int io_stack_new(const struct stack *s, const char *name, const struct stack_dev *dev,
		 struct io **out, struct err *err);

#endif
