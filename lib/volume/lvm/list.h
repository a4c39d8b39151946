/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_LVM_LIST_H
#define VOLUME_LVM_LIST_H
/* Lists groups, pools and volumes: as a tree for people, or in JSON. */
#include "volume/lvm/lvm.h"

/* How full a pool is, in blocks.  The caller knows, since it can open the pool. */
struct lvm_fill {
	bool known;
	uint64_t data, used_data;
	uint64_t metadata, used_metadata;
	uint64_t transaction;
};

typedef void lvm_fill_fn(void *ctx, const struct lvm_vg *vg, const struct lvm_lv *pool,
			 struct lvm_fill *fill);

/* @fill may be NULL: then the list does not say how full pools are. */
void lvm_list(const struct lvm *l, lvm_fill_fn *fill, void *ctx, struct outbuf *out);
void lvm_list_json(const struct lvm *l, lvm_fill_fn *fill, void *ctx, struct outbuf *out);

/* The texts that were found, the newest of each group first. */
void lvm_list_texts(const struct lvm *l, struct outbuf *out);
void lvm_list_texts_json(const struct lvm *l, struct outbuf *out);

/* Text of untrusted origin: what a terminal would not print becomes a question mark. */
void lvm_put_plain(struct outbuf *out, const char *text);

#endif
