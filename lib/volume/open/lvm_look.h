/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_LVM_LOOK_H
#define VOLUME_LVM_LOOK_H
/* Looks into the pools of LVM's groups, through the tables that LVM's text gives. */
#include "volume/lvm/check.h"
#include "volume/lvm/list.h"

struct lvm_look {
	const struct lvm *l;
	struct outbuf table;
	bool force_share; /* read although another program may be writing */
};

/* @leg: what lvm_open() was given.  0 or -ENOMEM; undone by lvm_look_fini() in either case. */
int lvm_look_init(struct lvm_look *k, const struct lvm *l, unsigned leg, bool force_share, struct err *err);
void lvm_look_fini(struct lvm_look *k);

/* An lvm_fill_fn; @look is a struct lvm_look.  A pool that cannot be opened is left unknown. */
void lvm_look_fill(void *look, const struct lvm_vg *vg, const struct lvm_lv *pool, struct lvm_fill *fill);

/* Groups and pools: everything that lvm_check_groups() and lvm_check_pool() find.  0 or -ENOMEM. */
int lvm_look_check(struct lvm_look *k, struct lvm_findings *f, struct err *err);

#endif
